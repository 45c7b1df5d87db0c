using BayesNet.Estimators;
using BayesNet.Likelihoods;
using BayesNet.Runtime;
using static TorchSharp.torch;

namespace BayesNet.Prediction;

/// <summary>Label probabilities averaged over posterior samples, with the entropies that split their uncertainty, label by label.</summary>
public sealed class BernoulliPredictive : Predictive
{
    private readonly MissingTargets _missing;

    internal BernoulliPredictive(Tensor outputs, MissingTargets missing)
        : base(outputs)
    {
        _missing = missing;
        Keep(nameof(Logits), outputs);
    }

    internal BernoulliPredictive(long samples, long[] settings, Tensor mean, Tensor epistemic, Tensor aleatoric, Tensor expectedEntropy)
        : base(samples)
    {
        _missing = (MissingTargets)settings[0];
        Keep(nameof(Mean), mean);
        Keep(nameof(Epistemic), epistemic);
        Keep(nameof(Aleatoric), aleatoric);
        Keep(nameof(ExpectedEntropy), expectedEntropy);
    }

    /// <summary>The network's logits, (samples, batch, labels).</summary>
    /// <exception cref="InvalidOperationException">The samples were not kept.</exception>
    public Tensor Logits => Kept(nameof(Logits));

    /// <summary>The probability that a label is 1, (batch, labels).</summary>
    public override Tensor Mean => Once(nameof(Mean), () => Logits.sigmoid().mean([0]));

    /// <summary>The standard deviation of each label's probability over the samples, (batch, labels).</summary>
    public override Tensor Epistemic => Once(nameof(Epistemic), () => Logits.sigmoid().sub(Mean).Squared().mean([0]).sqrt());

    /// <summary>The root of the mean over samples of p (1 - p), (batch, labels).</summary>
    public override Tensor Aleatoric => Once(nameof(Aleatoric), () => Logits.sigmoid().mul(Logits.neg().sigmoid()).mean([0]).sqrt());

    /// <summary>The entropy of the averaged probability in nats, (batch, labels): the whole uncertainty.</summary>
    public Tensor PredictiveEntropy => Once(nameof(PredictiveEntropy), () => Entropy(Mean, Mean.neg().Plus(1)));

    /// <summary>The mean entropy of the samples in nats, (batch, labels): the aleatoric part.</summary>
    public Tensor ExpectedEntropy
        => Once(nameof(ExpectedEntropy), () => Entropy(Logits.sigmoid(), Logits.neg().sigmoid()).mean([0]));

    /// <summary>The mutual information of label and weights in nats, (batch, labels): the epistemic part (Houlsby et al. 2011).</summary>
    public Tensor MutualInformation
        => Once(nameof(MutualInformation), () => PredictiveEntropy.sub(ExpectedEntropy).clamp_min(Scalars.Zero));

    internal override Tensor[] Averages => [Aleatoric.Squared(), ExpectedEntropy];

    /// <inheritdoc/>
    /// <remarks>The quantile, over the posterior samples, of each label's probability: a credible bound for the probability.</remarks>
    public override Tensor Quantile(double probability)
    {
        Guard.OpenUnitInterval(probability);
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        return OverSamples(Logits.sigmoid(), probability).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    /// <remarks>The joint probability of an example's labels, independent given the sample.</remarks>
    public override Tensor LogDensity(Tensor target)
    {
        ArgumentNullException.ThrowIfNull(target);
        GaussianDensity.RequireSameShape(Mean, target, "predicted probability");
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        Tensor perLabel = BernoulliLikelihood.LogDensity(
            target.unsqueeze(0), nn.functional.logsigmoid(Logits), nn.functional.logsigmoid(Logits.neg()), _missing);
        return LogMeanExp(GaussianDensity.SumOverOutputs(perLabel, 2)).MoveToOuterDisposeScope();
    }

    internal override BernoulliPredictive WithoutSamples(long samples, Tensor mean, Tensor epistemic, Tensor[] averages)
        => new(samples, Settings, mean, epistemic, averages[0].sqrt(), averages[1]);

    internal override Tensor[] SampleParts => [Logits];

    internal override long[] Settings => [(long)_missing];

    internal override BernoulliPredictive WithSamples(Tensor[] parts) => new(parts[0], _missing);

    private protected override Tensor Draw(Tensor components, NoiseSource noise)
    {
        Tensor probabilities = Logits.index_select(0, components).sigmoid();
        return noise.Uniform(probabilities.shape, probabilities.dtype, probabilities.device).lt(probabilities).to(probabilities.dtype);
    }

    private static Tensor Entropy(Tensor one, Tensor zero) => special.entr(one).Plus(special.entr(zero));
}
