using BayesNet.Kernels;
using BayesNet.Posteriors;
using BayesNet.Priors;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace BayesNet.Training;

/// <summary>
/// A Gaussian prior N(0, s^2) on a model's deterministic parameters, of which training then finds the maximum a posteriori: |w|^2 / (2 s^2) in
/// nats, up to the constant of the density, and w / s^2 for a gradient.
/// </summary>
/// <remarks>Keeps the parameters, as the optimizer does: a model that is moved after its trainer was built needs a new one.</remarks>
internal sealed class PointPrior
{
    private readonly Parameter[] _parameters;

    internal PointPrior(nn.Module model, double stdDev)
    {
        _parameters = [.. Deterministic(model)];
        Precision = 1 / (stdDev * stdDev);
    }

    /// <summary>1 / s^2.</summary>
    internal double Precision { get; }

    /// <summary>|w|^2 / (2 s^2) over the parameters that are trained.</summary>
    internal double Value()
    {
        double squares = 0;
        foreach (Parameter parameter in _parameters)
        {
            if (parameter.requires_grad)
                squares += SquaredNorm.Of(parameter);
        }

        return 0.5 * Precision * squares;
    }

    /// <summary>Adds <paramref name="weight"/> times the gradient to the parameters' <c>.grad</c>, and returns <see cref="Value"/>.</summary>
    internal double Accumulate(double weight)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        using Scalar factor = weight * Precision;
        foreach (Parameter parameter in _parameters)
        {
            if (!parameter.requires_grad)
                continue;
            if (parameter.grad is { } gradient)
                gradient.add_(parameter, factor);
            else
                parameter.grad = parameter.mul(factor);
        }

        return Value();
    }

    /// <summary>
    /// The parameters that no posterior and no prior holds, each once; none of a Bayesian module that has its weights' distribution in other
    /// parts than those.
    /// </summary>
    private static IEnumerable<Parameter> Deterministic(nn.Module model)
    {
        nn.Module[] modules = [model, .. model.modules()];
        var seen = new HashSet<nint>(
            from module in modules
            where module is Posterior or Prior || (module is IBayesianModule && !module.modules().Any(part => part is Posterior))
            from parameter in module.parameters()
            select parameter.Handle);
        return [.. model.parameters().Where(parameter => parameter.is_floating_point() && seen.Add(parameter.Handle))];
    }
}
