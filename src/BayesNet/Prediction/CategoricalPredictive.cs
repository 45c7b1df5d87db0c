using BayesNet.Likelihoods;
using BayesNet.Runtime;
using static TorchSharp.torch;

namespace BayesNet.Prediction;

/// <summary>Class probabilities averaged over posterior samples, with the entropies that split their uncertainty.</summary>
public sealed class CategoricalPredictive : Predictive
{
    internal CategoricalPredictive(Tensor logits)
        : base(logits)
    {
        if (logits.dim() != 3)
            throw new ArgumentException($"The logits have shape {Guard.Format(logits.shape)}; they must be (samples, batch, classes).", nameof(logits));
        Once(nameof(LogProbabilities), () => logits.log_softmax(2));
    }

    /// <summary>ln p(class | sample), (samples, batch, classes).</summary>
    public Tensor LogProbabilities => Once(nameof(LogProbabilities), () => throw new InvalidOperationException());

    /// <summary>Class probabilities, (batch, classes).</summary>
    public override Tensor Mean => Once(nameof(Mean), () => LogProbabilities.exp().mean([0]));

    /// <summary>The standard deviation of each class's probability over the samples, (batch, classes).</summary>
    public override Tensor Epistemic => Once(nameof(Epistemic), () => LogProbabilities.exp().sub(Mean).Squared().mean([0]).sqrt());

    /// <summary>The root of the mean over samples of p (1 - p), the variance of each class's indicator, (batch, classes).</summary>
    public override Tensor Aleatoric => Once(nameof(Aleatoric), () =>
    {
        Tensor probabilities = LogProbabilities.exp();
        return probabilities.sub(probabilities.Squared()).mean([0]).clamp_min(Scalars.Zero).sqrt();
    });

    /// <summary>The most probable class of each example, (batch), int64.</summary>
    public Tensor PredictedClass => Once(nameof(PredictedClass), () => Mean.argmax(1));

    /// <summary>The entropy of the averaged probabilities in nats, (batch): the whole uncertainty.</summary>
    public Tensor PredictiveEntropy => Once(nameof(PredictiveEntropy), () => special.entr(Mean).sum(dim: 1));

    /// <summary>The mean entropy of the samples in nats, (batch): the aleatoric part.</summary>
    public Tensor ExpectedEntropy => Once(nameof(ExpectedEntropy), () => special.entr(LogProbabilities.exp()).sum(dim: 2).mean([0]));

    /// <summary>The mutual information of class and weights in nats, (batch): the epistemic part (Houlsby et al. 2011).</summary>
    public Tensor MutualInformation
        => Once(nameof(MutualInformation), () => PredictiveEntropy.sub(ExpectedEntropy).clamp_min(Scalars.Zero));

    /// <inheritdoc/>
    /// <remarks>The quantile, over the posterior samples, of each class's probability: a credible bound for the probability.</remarks>
    public override Tensor Quantile(double probability)
    {
        Guard.OpenUnitInterval(probability);
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        Tensor probabilities = LogProbabilities.exp();
        return quantile(probabilities, tensor(probability, probabilities.dtype).to(probabilities.device), dim: 0).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public override Tensor LogDensity(Tensor target)
    {
        ArgumentNullException.ThrowIfNull(target);
        CategoricalLikelihood.RequireClasses(target, LogProbabilities.size(1), LogProbabilities.size(2));
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        return LogMeanExp(LogProbabilities).gather(1, target.unsqueeze(1)).squeeze(1).MoveToOuterDisposeScope();
    }
}
