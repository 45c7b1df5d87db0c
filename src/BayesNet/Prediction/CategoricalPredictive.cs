using BayesNet.Estimators;
using BayesNet.Likelihoods;
using BayesNet.Reparameterization;
using BayesNet.Runtime;
using static TorchSharp.torch;

namespace BayesNet.Prediction;

/// <summary>Class probabilities averaged over posterior samples, with the entropies that split their uncertainty.</summary>
public sealed class CategoricalPredictive : Predictive
{
    private readonly long? _ignoreIndex;

    internal CategoricalPredictive(Tensor outputs, long? ignoreIndex = null)
        : base(outputs)
    {
        _ignoreIndex = ignoreIndex;
        if (outputs.dim() != 3)
        {
            throw new ArgumentException(
                $"The outputs have shape {Guard.Format(outputs.shape)}; they must be logits of shape (samples, batch, classes).", nameof(outputs));
        }

        Once(nameof(LogProbabilities), () => outputs.detach().log_softmax(2));
    }

    internal CategoricalPredictive(long samples, long[] settings, Tensor mean, Tensor epistemic, Tensor aleatoric, Tensor expectedEntropy)
        : base(samples)
    {
        _ignoreIndex = settings is [long index] ? index : null;
        Keep(nameof(Mean), mean);
        Keep(nameof(Epistemic), epistemic);
        Keep(nameof(Aleatoric), aleatoric);
        Keep(nameof(ExpectedEntropy), expectedEntropy);
    }

    /// <summary>ln p(class | sample), (samples, batch, classes).</summary>
    /// <exception cref="InvalidOperationException">The samples were not kept.</exception>
    public Tensor LogProbabilities => Kept(nameof(LogProbabilities));

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
        return OverSamples(LogProbabilities.exp(), probability).MoveToOuterDisposeScope();
    }

    internal override Tensor[] Averages => [Aleatoric.Squared(), ExpectedEntropy];

    internal override CategoricalPredictive WithoutSamples(long samples, Tensor mean, Tensor epistemic, Tensor[] averages)
        => new(samples, Settings, mean, epistemic, averages[0].sqrt(), averages[1]);

    /// <inheritdoc/>
    public override Tensor LogDensity(Tensor target)
    {
        ArgumentNullException.ThrowIfNull(target);
        CategoricalLikelihood.RequireClasses(target, LogProbabilities.size(1), LogProbabilities.size(2), _ignoreIndex);
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        Tensor mixture = LogMeanExp(LogProbabilities);
        return ObservedEntries.LogDensity(target, _ignoreIndex, y => mixture.gather(1, y.unsqueeze(1)).squeeze(1)).MoveToOuterDisposeScope();
    }

    internal override Tensor[] SampleParts => [LogProbabilities];

    internal override long[] Settings => _ignoreIndex is { } index ? [index] : [];

    // Logarithms of probabilities are logits of themselves.
    internal override CategoricalPredictive WithSamples(Tensor[] parts) => new(parts[0], _ignoreIndex);

    // The greatest of Gumbel-perturbed logarithms is a class with its probability (Gumbel 1954).
    private protected override Tensor Draw(Tensor components, NoiseSource noise)
    {
        Tensor chosen = LogProbabilities.index_select(0, components);
        return chosen.Plus(BaseNoise.Gumbel.Draw(noise, chosen.shape, chosen.dtype, chosen.device)).argmax(2);
    }
}
