using System.Numerics;
using BayesNet.Kernels;
using BayesNet.Runtime;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace BayesNet.Training;

/// <summary>
/// Adam (Kingma and Ba 2015, algorithm 1) with one pass over memory for each parameter on the CPU; the trainer's default optimizer.
/// </summary>
/// <remarks>
/// It is TorchSharp's <see cref="Adam"/> with another <see cref="step"/>: the same options, state and numbers to rounding, so
/// parameter groups, learning-rate schedulers and <c>state_dict()</c> serve both (a saved file names the class that wrote it). Float32 and
/// float64 parameters that are contiguous on the CPU take the fused pass; all others, and AMSGrad, plain tensor operations. Unlike the base
/// class, it may run beside garbage collections: no native object that it uses can be finalised under it.
/// </remarks>
public sealed class FusedAdam : Adam
{
    // An empty view of each parameter: writing to it tells autograd that the parameter has changed, which the fused pass does not.
    private readonly Dictionary<nint, Tensor> _versionMarks = [];

    /// <summary>Creates an optimizer with one group of parameters.</summary>
    /// <param name="parameters">What to optimise.</param>
    /// <param name="learningRate">The learning rate.</param>
    /// <param name="beta1">The decay of the first moment.</param>
    /// <param name="beta2">The decay of the second moment.</param>
    /// <param name="epsilon">What is added to the root of the second moment.</param>
    /// <param name="weightDecay">The factor of the parameter that is added to the gradient (an L2 penalty, not AdamW's decay).</param>
    /// <param name="amsgrad">Whether to divide by the largest second moment so far (Reddi et al. 2018).</param>
    /// <param name="maximize">Whether to climb instead of descend.</param>
    public FusedAdam(
        IEnumerable<Parameter> parameters, double learningRate = 1e-3, double beta1 = 0.9, double beta2 = 0.999, double epsilon = 1e-8,
        double weightDecay = 0, bool amsgrad = false, bool maximize = false)
        : base(parameters, learningRate, beta1, beta2, epsilon, weightDecay, amsgrad, maximize)
    {
    }

    /// <summary>Creates an optimizer with groups of parameters; what a group's options leave null is taken from the arguments.</summary>
    /// <inheritdoc cref="FusedAdam(IEnumerable{Parameter}, double, double, double, double, double, bool, bool)"/>
    public FusedAdam(
        IEnumerable<ParamGroup> parameters, double learningRate = 1e-3, double beta1 = 0.9, double beta2 = 0.999, double epsilon = 1e-8,
        double weightDecay = 0, bool amsgrad = false, bool maximize = false)
        : base(parameters, learningRate, beta1, beta2, epsilon, weightDecay, amsgrad, maximize)
    {
    }

    /// <summary>Updates every parameter that has a gradient.</summary>
    /// <param name="closure">Evaluates the model again and returns the loss; null, as a rule.</param>
    /// <returns>What the closure returned, or null without one.</returns>
    public override Tensor step(Func<Tensor>? closure = null)
        => _step<ParamGroup>(
            group =>
            {
                foreach (Parameter parameter in group.Parameters)
                    Update(parameter, group.Options);
            },
            closure);

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            foreach (Tensor mark in _versionMarks.Values)
                mark.Dispose();
            _versionMarks.Clear();
        }

        base.Dispose(disposing);
    }

    /// <summary>Starts a step of one parameter that a kernel elsewhere carries out: counts it, and gives its constants and moments.</summary>
    internal AdamKernel.Constants Advance(Parameter parameter, out Tensor firstMoment, out Tensor secondMoment)
    {
        ParamGroup group = _parameter_groups.OfType<ParamGroup>().First(group => group.Parameters.Any(own => ReferenceEquals(own, parameter)));
        var state = (State)_state[parameter.Handle];
        (firstMoment, secondMoment) = (state.exp_avg, state.exp_avg_sq);
        return Advance(group.Options, state);
    }

    private static AdamKernel.Constants Advance(Options options, State state)
    {
        state.step++;
        return new AdamKernel.Constants(
            options.beta1!.Value,
            options.beta2!.Value,
            options.LearningRate!.Value / (1 - Math.Pow(options.beta1.Value, state.step)),
            Math.Sqrt(1 - Math.Pow(options.beta2.Value, state.step)),
            options.eps!.Value,
            options.weight_decay!.Value,
            options.maximize!.Value ? -1 : 1);
    }

    private void Update(Parameter parameter, Options options)
    {
        using Tensor? gradient = parameter.grad;
        if (gradient is null)
            return;
        var state = (State)_state[parameter.Handle];
        AdamKernel.Constants constants = Advance(options, state);
        bool amsgrad = options.amsgrad!.Value;
        if (!amsgrad && parameter.dtype == ScalarType.Float32 && Fits<float>(parameter, gradient, state))
            UpdateFused<float>(parameter, gradient, state, constants);
        else if (!amsgrad && parameter.dtype == ScalarType.Float64 && Fits<double>(parameter, gradient, state))
            UpdateFused<double>(parameter, gradient, state, constants);
        else
            UpdatePlain(parameter, gradient, state, constants, amsgrad);
    }

    private static bool Fits<T>(Parameter parameter, Tensor gradient, State state)
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
        => TensorMemory.IsPlain<T>(parameter) && TensorMemory.IsPlain<T>(gradient)
            && TensorMemory.IsPlain<T>(state.exp_avg) && TensorMemory.IsPlain<T>(state.exp_avg_sq);

    private void UpdateFused<T>(Parameter parameter, Tensor gradient, State state, in AdamKernel.Constants constants)
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        AdamKernel.Step(
            TensorMemory.Span<T>(parameter), TensorMemory.Span<T>(gradient), TensorMemory.Span<T>(state.exp_avg), TensorMemory.Span<T>(state.exp_avg_sq),
            constants);
        GC.KeepAlive(parameter);
        GC.KeepAlive(gradient);
        GC.KeepAlive(state);
        MarkChanged(parameter);
    }

    internal void MarkChanged(Parameter parameter)
    {
        if (!_versionMarks.TryGetValue(parameter.Handle, out Tensor? mark))
        {
            using Tensor flat = parameter.view(-1);
            mark = flat.narrow(0, 0, 0).DetachFromDisposeScope();
            _versionMarks.Add(parameter.Handle, mark);
        }

        mark.zero_();
    }

    private static void UpdatePlain(Parameter parameter, Tensor gradient, State state, in AdamKernel.Constants constants, bool amsgrad)
    {
        using var scope = NewDisposeScope();
        using Scalar beta1 = constants.Beta1, newWeight1 = 1 - constants.Beta1, beta2 = constants.Beta2, newWeight2 = 1 - constants.Beta2;
        using Scalar correction = 1 / constants.RootCorrection, epsilon = constants.Epsilon, change = -constants.StepSize;
        using Scalar decay = constants.WeightDecay;
        Tensor g = constants.Sign < 0 ? gradient.neg() : gradient;
        if (constants.WeightDecay != 0)
            g = g.add(parameter, decay);
        state.exp_avg.mul_(beta1).add_(g, newWeight1);
        state.exp_avg_sq.mul_(beta2).addcmul_(g, g, newWeight2);
        Tensor second = state.exp_avg_sq;
        if (amsgrad)
        {
            Tensor greatest = maximum(state.max_exp_avg_sq, second);
            state.max_exp_avg_sq.copy_(greatest);
            second = state.max_exp_avg_sq;
        }

        parameter.addcdiv_(state.exp_avg, second.sqrt().mul_(correction).add_(epsilon, Scalars.One), change);
    }
}
