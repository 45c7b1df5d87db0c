using System.Numerics;
using BayesNet.Estimators;
using BayesNet.Kernels;
using BayesNet.Runtime;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace BayesNet.Inference;

/// <summary>
/// Steps of stochastic gradient Monte Carlo as an optimizer of the potential over N, the loss whose gradients a trainer sets: one fused pass for each
/// parameter on the CPU.
/// </summary>
internal sealed class LangevinOptimizer : OptimizerHelper
{
    private const double Beta2 = 0.99;
    private const double Epsilon = 1e-5;

    private readonly Settings _settings;
    private readonly NoiseSource _noise;
    private readonly Action _collect;
    private readonly List<State> _all;
    private long _steps;
    private long _adapted;
    private long _seen;
    private int _collected;

    /// <param name="parameters">What to sample.</param>
    /// <param name="settings">How.</param>
    /// <param name="collect">Called when the parameters are a sample.</param>
    /// <param name="seed">Seeds the noise; null for the global generator.</param>
    internal LangevinOptimizer(IEnumerable<Parameter> parameters, Settings settings, Action collect, ulong? seed)
    {
        (_settings, _collect, _noise) = (settings, collect, new NoiseSource(seed));
        _parameter_groups = new List<ParamGroup>();
        using var _ = no_grad();
        _all = [.. parameters.Select(parameter => new State(parameter, settings.Friction < 1, settings.Preconditioned))];
        for (long step = 0; step < settings.Steps; step++)
            Sampling += StageAt(step).IsSampling ? 1 : 0;
    }

    /// <summary>The steps of the run in which a sample may be taken.</summary>
    internal long Sampling { get; }

    /// <summary>Takes tensor operations where a fused pass would do: its plain twin, for tests.</summary>
    internal bool Plain { get; init; }

    public override Tensor step(Func<Tensor>? closure = null)
    {
        using var _ = no_grad();
        StepSizeSchedule.Stage stage = StageAt(_steps++);
        double rate = _settings.LearningRate * stage.Factor;

        // The second moment is estimated up to the first sample: from then on the metric is fixed, and needs no correction of the drift.
        bool adapts = _settings.Preconditioned && _seen == 0 && !stage.IsSampling;
        if (adapts)
            _adapted++;
        var constants = new LangevinKernel.Constants(
            1 - _settings.Friction,
            rate,
            stage.HasNoise ? Math.Sqrt(2 * _settings.Friction * rate * _settings.Temperature / _settings.TrainingSetSize) : 0,
            adapts ? Beta2 : 1,
            1 / (1 - Math.Pow(Beta2, Math.Max(1, _adapted))),
            Epsilon);
        foreach (State state in _all)
            state.Step(_noise, constants, Plain);
        if (stage.IsSampling)
        {
            _seen++;
            if (_seen * _settings.Samples / Sampling > _collected)
            {
                _collected++;
                _collect();
            }
        }

        return null!;
    }

    public override void add_param_group(ParamGroup param_group)
        => throw new NotSupportedException("A sampler has one group of parameters, which it is created with.");

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            foreach (State state in _all)
                state.Dispose();
            _all.Clear();
            _noise.Dispose();
        }

        base.Dispose(disposing);
    }

    private StepSizeSchedule.Stage StageAt(long step) => _settings.Schedule.At((double)step / _settings.Steps);

    /// <summary>How to sample.</summary>
    /// <param name="TrainingSetSize">N.</param>
    /// <param name="Steps">The steps of the run.</param>
    /// <param name="LearningRate">The step size times N.</param>
    /// <param name="Friction">alpha; 1 for Langevin dynamics.</param>
    /// <param name="Temperature">What the potential is divided by.</param>
    /// <param name="Preconditioned">Whether step sizes are scaled entry by entry.</param>
    /// <param name="Schedule">The step size over the run.</param>
    /// <param name="Samples">The samples that are taken.</param>
    internal sealed record Settings(
        long TrainingSetSize, long Steps, double LearningRate, double Friction, double Temperature, bool Preconditioned, StepSizeSchedule Schedule,
        int Samples);

    private sealed class State(Parameter parameter, bool hasVelocity, bool isPreconditioned) : IDisposable
    {
        private readonly Tensor? _velocity = hasVelocity ? zeros_like(parameter).DetachFromDisposeScope() : null;
        private readonly Tensor? _second = isPreconditioned ? zeros_like(parameter).DetachFromDisposeScope() : null;
        private readonly VersionMark _version = new();

        internal void Step(NoiseSource noise, in LangevinKernel.Constants constants, bool plain)
        {
            using Tensor? gradient = parameter.grad;
            if (gradient is null)
                return;
            if (!plain && Fits<float>(gradient))
                StepFused<float>(gradient, noise, constants);
            else if (!plain && Fits<double>(gradient))
                StepFused<double>(gradient, noise, constants);
            else
                StepPlain(gradient, noise, constants);
        }

        public void Dispose()
        {
            _velocity?.Dispose();
            _second?.Dispose();
            _version.Dispose();
        }

        private bool Fits<T>(Tensor gradient)
            where T : unmanaged, IBinaryFloatingPointIeee754<T>
            => TensorMemory.IsPlain<T>(parameter) && TensorMemory.IsPlain<T>(gradient);

        private unsafe void StepFused<T>(Tensor gradient, NoiseSource noise, in LangevinKernel.Constants constants)
            where T : unmanaged, IBinaryFloatingPointIeee754<T>
        {
            LangevinKernel.Step(
                TensorMemory.Pointer<T>(parameter),
                TensorMemory.Pointer<T>(gradient),
                _velocity is null ? null : TensorMemory.Pointer<T>(_velocity),
                _second is null ? null : TensorMemory.Pointer<T>(_second),
                constants.Noise == 0 ? default : noise.NextDraw(),
                parameter.numel(),
                constants);
            GC.KeepAlive(gradient);
            GC.KeepAlive(this);
            _version.Changed(parameter);
        }

        private void StepPlain(Tensor gradient, NoiseSource noise, in LangevinKernel.Constants constants)
        {
            using var scope = NewDisposeScope();
            Tensor change = gradient.Times(-constants.Rate);
            Tensor? spread = constants.Noise == 0 ? null : noise.Normal(parameter.shape, parameter.dtype, parameter.device).Times(constants.Noise);
            if (_second is not null)
            {
                using Scalar beta2 = constants.Beta2, newWeight = 1 - constants.Beta2;
                _second.mul_(beta2).addcmul_(gradient, gradient, newWeight);
                Tensor scale = _second.Times(constants.Correction).sqrt().Plus(constants.Epsilon).reciprocal();
                change = change.mul(scale);
                spread = spread?.mul(scale.sqrt());
            }

            if (spread is not null)
                change = change.Plus(spread);
            if (_velocity is not null)
            {
                change = change.Plus(_velocity.Times(constants.Keep));
                _velocity.copy_(change);
            }

            parameter.add_(change, Scalars.One);
        }
    }
}
