using BayesNet.Prediction;
using BayesNet.Runtime;
using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace BayesNet.Likelihoods;

/// <summary>
/// y = f + scale * eps with noise of a fixed law: what the heavy-tailed likelihoods of regression, <see cref="StudentTLikelihood"/> and
/// <see cref="LaplaceLikelihood"/>, share.
/// </summary>
/// <remarks>
/// Output and target have the same shape, (batch, outputs) or (batch). One scale for every example and output; learned, it
/// is a point estimate whose logarithm is the parameter <c>log_scale</c>.
/// </remarks>
public abstract class LocationScaleLikelihood : Likelihood
{
    [ComponentName(Name = "log_scale")]
    private readonly Parameter _logScale;

    private protected LocationScaleLikelihood(string name, bool learnScale, double scale, MissingTargets missing, ScalarType? dtype)
        : base(name)
    {
        Guard.Positive(scale);
        LearnScale = learnScale;
        Missing = missing;
        _logScale = LogParameter.Create([scale], learnScale, dtype);
    }

    /// <summary>Whether the scale is trained with the network.</summary>
    public bool LearnScale { get; }

    /// <summary>What NaN in a target means.</summary>
    public MissingTargets Missing { get; }

    /// <summary>The noise's scale now, in units of the target.</summary>
    public double Scale => LogParameter.Values(_logScale)[0];

    /// <summary>The law of the noise as it is now.</summary>
    private protected abstract PredictiveLaw Law { get; }

    /// <inheritdoc/>
    public override Tensor LogLikelihood(Tensor output, Tensor target)
    {
        ArgumentNullException.ThrowIfNull(output);
        ArgumentNullException.ThrowIfNull(target);
        if (output.dim() == 0)
            throw new ArgumentException("The network's output has no dimensions; its first must be the batch. Use output.unsqueeze(0).", nameof(output));
        GaussianDensity.RequireSameShape(output, target, "network's output");
        using var scope = NewDisposeScope();
        Tensor perOutput = ObservedEntries.LogDensity(
            target, Missing, y => StandardLogDensity(y.sub(output).mul(_logScale.neg().exp())).sub(_logScale));
        return GaussianDensity.SumOverOutputs(perOutput, 1).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    /// <returns>A <see cref="LocationScalePredictive"/> whose components share the scale as it is now.</returns>
    public override LocationScalePredictive Predict(Tensor outputs)
    {
        ArgumentNullException.ThrowIfNull(outputs);
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        return new LocationScalePredictive(outputs, LogParameter.Beside(_logScale, outputs), Law, Missing);
    }

    /// <summary>The log density of the noise at scale 1, differentiable in what the law learns.</summary>
    private protected abstract Tensor StandardLogDensity(Tensor standard);
}
