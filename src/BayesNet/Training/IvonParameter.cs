using System.Numerics;
using BayesNet.Estimators;
using BayesNet.Kernels;
using BayesNet.Runtime;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace BayesNet.Training;

/// <summary>A parameter under <see cref="Ivon"/>: the posterior's mean, with momentum, Hessian, and what the samples of a step leave behind.</summary>
internal sealed class IvonParameter : OptimizerState, IDisposable
{
    private readonly VersionMark _version = new();
    private readonly ParamGroup _group;
    private readonly Tensor _momentum, _hessian;
    private long _step;

    // While a sample is drawn: the mean. From then to the step: the deviation that was added to it.
    private Tensor? _kept;

    // Of several samples.
    private Tensor? _gradientSum, _productSum;
    private bool _sampled, _hasDeviation, _summed;

    internal IvonParameter(Parameter parameter, ParamGroup group)
        : base(parameter)
    {
        (Parameter, _group) = (parameter, group);
        _momentum = zeros_like(parameter).DetachFromDisposeScope();
        _hessian = zeros_like(parameter).DetachFromDisposeScope();
        Initialize(group.Options);
    }

    internal Parameter Parameter { get; }

    private IvonOptions Options => (IvonOptions)_group.Options;

    /// <summary>1 / sqrt(lambda (h + delta)), of the parameter's shape; a new tensor.</summary>
    internal Tensor StdDev(double effectiveSampleSize)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        return _hessian.Plus(Options.WeightDecay!.Value).Times(effectiveSampleSize).rsqrt().MoveToOuterDisposeScope();
    }

    /// <summary>Adds a fresh deviation to the parameter.</summary>
    internal void Sample(NoiseSource noise, double effectiveSampleSize, bool plain)
    {
        _kept ??= empty_like(Parameter).DetachFromDisposeScope();
        if (!plain && TensorMemory.IsPlain<float>(Parameter))
            Fused<float>();
        else if (!plain && TensorMemory.IsPlain<double>(Parameter))
            Fused<double>();
        else
            SamplePlain(noise, effectiveSampleSize);
        (_sampled, _hasDeviation) = (true, false);

        unsafe void Fused<T>()
            where T : unmanaged, IBinaryFloatingPointIeee754<T>
        {
            IvonKernel.Sample(
                TensorMemory.Pointer<T>(Parameter), TensorMemory.Pointer<T>(_kept!), TensorMemory.Pointer<T>(_hessian), noise.NextDraw(),
                Parameter.numel(), effectiveSampleSize, Options.WeightDecay!.Value);
            GC.KeepAlive(this);
            _version.Changed(Parameter);
        }
    }

    /// <summary>Puts the mean back, to the last bit, and keeps the deviation that was added to it, rounded as it was added.</summary>
    internal void Restore(bool plain)
    {
        if (!_sampled)
            return;
        if (!plain && TensorMemory.IsPlain<float>(Parameter))
            Fused<float>();
        else if (!plain && TensorMemory.IsPlain<double>(Parameter))
            Fused<double>();
        else
        {
            using Tensor deviation = Parameter.sub(_kept!);
            Parameter.copy_(_kept!);
            _kept!.copy_(deviation);
        }

        (_sampled, _hasDeviation) = (false, true);

        unsafe void Fused<T>()
            where T : unmanaged, IBinaryFloatingPointIeee754<T>
        {
            IvonKernel.Restore(TensorMemory.Pointer<T>(Parameter), TensorMemory.Pointer<T>(_kept!), Parameter.numel());
            GC.KeepAlive(this);
            _version.Changed(Parameter);
        }
    }

    /// <summary>Adds the gradient of the sample last drawn, and its product with the deviation, to the sums.</summary>
    internal void Add()
    {
        using Tensor? gradient = Parameter.grad;
        if (gradient is not null && _hasDeviation)
        {
            _gradientSum ??= zeros_like(Parameter).DetachFromDisposeScope();
            _productSum ??= zeros_like(Parameter).DetachFromDisposeScope();
            _gradientSum.add_(gradient, Scalars.One);
            _productSum.addcmul_(gradient, _kept!, Scalars.One);
            _summed = true;
            gradient.zero_();
        }
    }

    /// <summary>The step of <paramref name="samples"/> samples: of the sums, or of the only sample's own gradient.</summary>
    internal void Step(int samples, double effectiveSampleSize, bool plain)
    {
        bool single = samples == 1 && !_summed;
        using Tensor? gradient = single ? Parameter.grad : _summed ? _gradientSum!.alias() : null;
        Tensor? product = !single ? _productSum : _hasDeviation ? _kept : null;
        if (gradient is null || product is null)
            return;
        _step++;
        IvonOptions options = Options;
        double delta = options.WeightDecay!.Value;
        var constants = new IvonKernel.Constants(
            options.Beta1!.Value,
            options.Beta2!.Value,
            options.LearningRate!.Value * (options.InitialHessian!.Value + delta),
            1 - Math.Pow(options.Beta1.Value, _step),
            delta,
            effectiveSampleSize,
            options.ClipRadius!.Value,
            samples);
        if (!plain && Fits<float>(gradient))
            Fused<float>();
        else if (!plain && Fits<double>(gradient))
            Fused<double>();
        else
            StepPlain(gradient, product, single, constants);

        unsafe void Fused<T>()
            where T : unmanaged, IBinaryFloatingPointIeee754<T>
        {
            IvonKernel.Step(
                TensorMemory.Pointer<T>(Parameter), TensorMemory.Pointer<T>(gradient), TensorMemory.Pointer<T>(product), single,
                TensorMemory.Pointer<T>(_momentum), TensorMemory.Pointer<T>(_hessian), Parameter.numel(), constants);
            GC.KeepAlive(gradient);
            GC.KeepAlive(this);
            _version.Changed(Parameter);
        }
    }

    /// <summary>Forgets the samples since the last step.</summary>
    internal void Reset()
    {
        _hasDeviation = false;
        if (_summed)
        {
            _gradientSum!.zero_();
            _productSum!.zero_();
        }

        _summed = false;
    }

    public override void Initialize(OptimizerOptions options)
    {
        using Scalar initial = ((IvonOptions)options).InitialHessian!.Value;
        _step = 0;
        _momentum.zero_();
        _hessian.fill_(initial);
    }

    public override void SaveStateDict(BinaryWriter writer)
    {
        writer.Write(_step);
        _momentum.Save(writer);
        _hessian.Save(writer);
    }

    public override void LoadStateDict(BinaryReader reader)
    {
        _step = reader.ReadInt64();
        _momentum.Load(reader);
        _hessian.Load(reader);
    }

    public override void LoadStateDict(OptimizerState source)
    {
        var other = (IvonParameter)source;
        _step = other._step;
        _momentum.copy_(other._momentum);
        _hessian.copy_(other._hessian);
    }

    public override bool ApproximatelyEquals(OptimizerState other)
        => other is IvonParameter that && _step == that._step && _momentum.allclose(that._momentum) && _hessian.allclose(that._hessian);

    public void Dispose()
    {
        foreach (Tensor? tensor in new[] { _momentum, _hessian, _kept, _gradientSum, _productSum })
            tensor?.Dispose();
        _version.Dispose();
    }

    // The tensors made here have the parameter's layout.
    private bool Fits<T>(Tensor gradient)
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
        => TensorMemory.IsPlain<T>(Parameter) && TensorMemory.IsPlain<T>(gradient);

    private void SamplePlain(NoiseSource noise, double effectiveSampleSize)
    {
        _kept!.copy_(Parameter);
        using Tensor deviation = noise.Normal(Parameter.shape, Parameter.dtype, Parameter.device);
        using Tensor stdDev = StdDev(effectiveSampleSize);
        deviation.mul_(stdDev);
        Parameter.add_(deviation, Scalars.One);
    }

    // h + (h + delta) (x + x^2 / 2) with x = (1 - beta2) (lambda product - h / (h + delta)) is the paper's
    // beta2 h + (1 - beta2) h^ + (1 - beta2)^2 (h - h^)^2 / (2 (h + delta)) with its h^ = lambda (h + delta) product.
    private void StepPlain(Tensor gradient, Tensor product, bool isDeviation, in IvonKernel.Constants constants)
    {
        using var scope = NewDisposeScope();
        using Scalar beta1 = constants.Beta1, newWeight1 = (1 - constants.Beta1) / constants.Samples;
        using Scalar least = -constants.ClipRadius, greatest = constants.ClipRadius, step = -constants.StepSize;
        _momentum.mul_(beta1).add_(gradient, newWeight1);
        Tensor products = isDeviation ? product.mul(gradient) : product;
        Tensor damped = _hessian.Plus(constants.WeightDecay);
        Tensor x = products.Times(constants.EffectiveSampleSize / constants.Samples).sub(_hessian.div(damped)).Times(1 - constants.Beta2);
        _hessian.addcmul_(damped, x.Plus(x.Squared().mul(Scalars.Half)), Scalars.One);
        Tensor direction = _momentum.Times(1 / constants.MomentumCorrection).Plus(Parameter.Times(constants.WeightDecay))
            .div(_hessian.Plus(constants.WeightDecay));
        Parameter.add_(direction.clamp(least, greatest), step);
    }
}
