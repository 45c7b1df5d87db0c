using System.Numerics;
using BayesNet.Kernels;
using BayesNet.Runtime;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace BayesNet.Training;

/// <summary>An Adam whose steps a kernel with further work to do can take over, parameter by parameter.</summary>
internal interface IFusedAdam
{
    /// <summary>The greatest norm of all gradients together; null where they are not clipped.</summary>
    double? MaxGradientNorm { get; }

    /// <summary>The parameters, with their moments.</summary>
    AdamParameters Fused { get; }
}

/// <summary>The parameters of a <see cref="FusedAdam"/> or a <see cref="FusedAdamW"/>: what the two have in common.</summary>
internal sealed class AdamParameters : IDisposable
{
    private readonly List<AdamParameter> _all = [];
    private readonly Dictionary<nint, AdamParameter> _byHandle = [];

    /// <summary>All of them, in the order of the groups.</summary>
    internal IReadOnlyList<AdamParameter> All => _all;

    /// <summary>A parameter with its moments; null where the optimizer does not have it.</summary>
    internal AdamParameter? Find(Parameter parameter) => _byHandle.GetValueOrDefault(parameter.Handle);

    internal void Add(AdamParameter parameter)
    {
        _all.Add(parameter);
        _byHandle[parameter.Parameter.Handle] = parameter;
    }

    /// <summary>Updates every parameter that has a gradient.</summary>
    /// <param name="maxGradientNorm">The norm that all gradients together are scaled down to; null for as they are.</param>
    /// <param name="closure">Evaluates the model again and returns the loss; null, as a rule.</param>
    /// <returns>What the closure returned.</returns>
    /// <exception cref="NonFiniteGradientException">Gradients are to be clipped, and their norm is NaN or infinite.</exception>
    internal Tensor? Step(double? maxGradientNorm, Func<Tensor>? closure)
    {
        Tensor? loss = null;
        if (closure is not null)
        {
            using (enable_grad())
                loss = closure();
        }

        using var _ = no_grad();
        double factor = maxGradientNorm is { } most ? GradientNorm.ClippingFactor(GradientNorm.Of(_all.Select(each => each.Parameter)), most) : 1;
        foreach (AdamParameter parameter in _all)
            parameter.Step(factor);
        return loss;
    }

    /// <summary>Sets the gradients to zero where there are any.</summary>
    internal void ZeroGradients()
    {
        foreach (AdamParameter parameter in _all)
        {
            using Tensor? gradient = parameter.Parameter.grad;
            if (gradient is not null)
                TensorMemory.Zero(gradient);
        }
    }

    public void Dispose()
    {
        foreach (AdamParameter parameter in _all)
            parameter.Dispose();
        _all.Clear();
        _byHandle.Clear();
    }
}

/// <summary>A parameter with its moments and the options of its group.</summary>
internal abstract class AdamParameter(Parameter parameter) : IDisposable
{
    private readonly VersionMark _version = new();

    internal Parameter Parameter { get; } = parameter;

    internal abstract Tensor FirstMoment { get; }

    internal abstract Tensor SecondMoment { get; }

    /// <summary>The greatest second moment so far; null but for AMSGrad (Reddi et al. 2018), which no kernel does.</summary>
    internal abstract Tensor? GreatestMoment { get; }

    /// <summary>1 - beta1^t and 1 - beta2^t, by which the moments are too small; null before the first step.</summary>
    internal abstract (double First, double Second)? Corrections { get; }

    /// <summary>Counts a step and returns its constants; whoever calls it does the step.</summary>
    internal abstract AdamKernel.Constants Advance();

    /// <summary>Tells autograd that the parameter has changed, so that a graph which saved it is refused. With gradients off.</summary>
    internal void MarkChanged() => _version.Changed(Parameter);

    /// <summary>Whether a kernel over memory of <typeparamref name="T"/> can do the step.</summary>
    internal bool Fits<T>(Tensor gradient)
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
        => TensorMemory.IsPlain<T>(Parameter) && GreatestMoment is null && TensorMemory.IsPlain<T>(gradient)
            && TensorMemory.IsPlain<T>(FirstMoment) && TensorMemory.IsPlain<T>(SecondMoment);

    /// <summary>The step, where there is a gradient.</summary>
    /// <param name="factor">What the gradient is multiplied by.</param>
    internal void Step(double factor)
    {
        using Tensor? gradient = Parameter.grad;
        if (gradient is null)
            return;
        AdamKernel.Constants constants = Advance();
        constants = constants with { GradientFactor = constants.GradientFactor * factor };
        if (Fits<float>(gradient))
            StepFused<float>(gradient, constants);
        else if (Fits<double>(gradient))
            StepFused<double>(gradient, constants);
        else
            StepPlain(gradient, constants);
    }

    public void Dispose() => _version.Dispose();

    private unsafe void StepFused<T>(Tensor gradient, in AdamKernel.Constants constants)
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        AdamKernel.Step(
            TensorMemory.Pointer<T>(Parameter), TensorMemory.Pointer<T>(gradient), TensorMemory.Pointer<T>(FirstMoment),
            TensorMemory.Pointer<T>(SecondMoment), Parameter.numel(), constants);
        GC.KeepAlive(gradient);
        GC.KeepAlive(this);
        MarkChanged();
    }

    private void StepPlain(Tensor gradient, in AdamKernel.Constants constants)
    {
        using var scope = NewDisposeScope();
        using Scalar beta1 = constants.Beta1, newWeight1 = 1 - constants.Beta1, beta2 = constants.Beta2, newWeight2 = 1 - constants.Beta2;
        using Scalar correction = 1 / constants.RootCorrection, epsilon = constants.Epsilon, change = -constants.StepSize;
        using Scalar decay = constants.WeightDecay, shrinkage = constants.Shrinkage;
        Tensor g = constants.GradientFactor == 1 ? gradient : gradient.Times(constants.GradientFactor);
        if (constants.WeightDecay != 0)
            g = g.add(Parameter, decay);
        FirstMoment.mul_(beta1).add_(g, newWeight1);
        SecondMoment.mul_(beta2).addcmul_(g, g, newWeight2);
        Tensor second = SecondMoment;
        if (GreatestMoment is { } greatest)
        {
            greatest.copy_(maximum(greatest, second));
            second = greatest;
        }

        Parameter.mul_(shrinkage).addcdiv_(FirstMoment, second.sqrt().mul_(correction).add_(epsilon, Scalars.One), change);
    }
}
