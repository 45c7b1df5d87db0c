using BayesNet.Prediction;
using BayesNet.Runtime;
using static TorchSharp.torch;

namespace BayesNet.Likelihoods;

/// <summary>
/// y in {0, 1} with probability sigmoid(f) of 1, label by label: two classes, or any number of labels that do not exclude each other.
/// </summary>
/// <remarks>
/// Output, logits, and target have the same shape, (batch, labels) or (batch); the target holds 0 and 1 in any type.
/// ln p = y ln sigmoid(f) + (1 - y) ln sigmoid(-f), both logarithms taken without forming the probability. The gradient in f is bounded.
/// </remarks>
public sealed class BernoulliLikelihood : Likelihood
{
    /// <summary>Creates the likelihood.</summary>
    /// <param name="missing">What NaN in a target means.</param>
    public BernoulliLikelihood(MissingTargets missing = MissingTargets.Refused)
        : base(nameof(BernoulliLikelihood))
    {
        Missing = missing;
        RegisterComponents();
    }

    /// <summary>What NaN in a target means.</summary>
    public MissingTargets Missing { get; }

    /// <inheritdoc/>
    public override Tensor LogLikelihood(Tensor output, Tensor target)
    {
        ArgumentNullException.ThrowIfNull(output);
        ArgumentNullException.ThrowIfNull(target);
        if (output.dim() == 0)
            throw new ArgumentException("The network's output has no dimensions; its first must be the batch. Use output.unsqueeze(0).", nameof(output));
        GaussianDensity.RequireSameShape(output, target, "network's output");
        using var scope = NewDisposeScope();
        Tensor perLabel = LogDensity(target, nn.functional.logsigmoid(output), nn.functional.logsigmoid(output.neg()), Missing);
        return GaussianDensity.SumOverOutputs(perLabel, 1).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public override BernoulliPredictive Predict(Tensor outputs)
    {
        ArgumentNullException.ThrowIfNull(outputs);
        return new BernoulliPredictive(outputs, Missing);
    }

    /// <summary>y ln p + (1 - y) ln(1 - p), by the logarithms; the arguments broadcast.</summary>
    internal static Tensor LogDensity(Tensor target, Tensor logOne, Tensor logZero, MissingTargets missing)
    {
        ObservedEntries.Require(
            target, missing, y => y.eq(Scalars.Zero).logical_or(y.eq(Scalars.One)), "a label is 0 or 1; use CategoricalLikelihood for more classes that exclude each other");

        // A choice, not a sum of products: 0 times a logarithm of minus infinity is not a number.
        return ObservedEntries.LogDensity(target, missing, y => where(y.ne(Scalars.Zero), logOne, logZero));
    }
}
