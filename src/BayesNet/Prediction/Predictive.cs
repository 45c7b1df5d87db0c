using BayesNet.Estimators;
using BayesNet.Runtime;
using static TorchSharp.torch;

namespace BayesNet.Prediction;

/// <summary>
/// What a model predicts for a batch: the equal-weight mixture, over samples of the posterior, of the likelihood around each sampled
/// output. Its variance splits by the law of total variance into what more data would remove (epistemic: the variance of the means) and
/// what it would not (aleatoric: the mean of the variances).
/// </summary>
/// <remarks>
/// Every property is one tensor, computed once, on the model's device, without gradients, owned by this object and freed with it; copy
/// what is to outlive it.
/// </remarks>
public abstract class Predictive : IDisposable
{
    private readonly DisposableTensors _owned = new();

    private protected Predictive(Tensor outputs)
    {
        if (outputs.dim() < 2 || outputs.size(0) < 1)
        {
            throw new ArgumentException(
                $"The outputs have shape {Guard.Format(outputs.shape)}; they must be (samples, batch, ...) with at least one sample.", nameof(outputs));
        }

        Samples = outputs.size(0);
        HasSamples = true;
    }

    /// <summary>A predictive that has moments alone, which the derived class keeps.</summary>
    private protected Predictive(long samples) => Samples = samples;

    /// <summary>The number of posterior samples S.</summary>
    public long Samples { get; }

    /// <summary>
    /// Whether the samples' outputs are here; without them (<see cref="PredictionOptions.KeepSamples"/>) quantiles, intervals and log densities
    /// throw an <see cref="InvalidOperationException"/>.
    /// </summary>
    public bool HasSamples { get; }

    /// <summary>The mean of the mixture; (batch, outputs), for classes their probabilities.</summary>
    public abstract Tensor Mean { get; }

    /// <summary>The standard deviation that the posterior gives the mean; shape of <see cref="Mean"/>.</summary>
    public abstract Tensor Epistemic { get; }

    /// <summary>The standard deviation of the noise: the root of the mean over samples of its variance; shape of <see cref="Mean"/>.</summary>
    public abstract Tensor Aleatoric { get; }

    /// <summary>The standard deviation of the mixture: the root of Epistemic^2 + Aleatoric^2; shape of <see cref="Mean"/>.</summary>
    public Tensor StdDev => Once(nameof(StdDev), () => Epistemic.Squared().Plus(Aleatoric.Squared()).sqrt());

    /// <summary>A central interval that holds <paramref name="level"/> of the predictive distribution, output by output.</summary>
    /// <param name="level">Between 0 and 1, such as 0.95.</param>
    /// <returns>Lower and upper bounds, shape of <see cref="Mean"/>; the caller's to dispose.</returns>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="level"/> is not strictly between 0 and 1.</exception>
    /// <exception cref="InvalidOperationException">The samples were not kept.</exception>
    public (Tensor Lower, Tensor Upper) Interval(double level = 0.95)
    {
        Guard.OpenUnitInterval(level);
        return (Quantile((1 - level) / 2), Quantile((1 + level) / 2));
    }

    /// <summary>The quantile of the predictive distribution, output by output; what it is of is said by the derived class.</summary>
    /// <param name="probability">Strictly between 0 and 1.</param>
    /// <returns>Shape of <see cref="Mean"/>; the caller's to dispose.</returns>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="probability"/> is not strictly between 0 and 1.</exception>
    /// <exception cref="InvalidOperationException">The samples were not kept.</exception>
    public abstract Tensor Quantile(double probability);

    /// <summary>The log predictive density of targets in nats, ln (1/S) sum_s p(y | f_s), by log-mean-exp.</summary>
    /// <param name="target">As the likelihood takes it, (batch, ...).</param>
    /// <returns>Shape (batch); the caller's to dispose.</returns>
    /// <exception cref="InvalidOperationException">The samples were not kept; <see cref="Predictor.LogDensity"/> does without.</exception>
    public abstract Tensor LogDensity(Tensor target);

    /// <summary>
    /// Independent draws from the predictive distribution: for each a posterior sample, common to all rows, and then the likelihood's noise,
    /// each entry its own. Where the network's noise is common to the rows too (shared weights), a draw is a function plus noise.
    /// </summary>
    /// <param name="count">How many.</param>
    /// <param name="seed">The same seed gives the same draws; null for fresh ones.</param>
    /// <returns>(count, batch, ...), each draw as <see cref="LogDensity"/> takes a target; the caller's to dispose.</returns>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="count"/> is below 1.</exception>
    /// <exception cref="InvalidOperationException">The samples were not kept.</exception>
    public Tensor Sample(int count, ulong? seed = null)
    {
        Guard.AtLeastOne(count);
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        using var noise = new NoiseSource(seed);
        using Tensor uniform = noise.Uniform([count], ScalarType.Float64, Mean.device);
        return Draw(uniform.Times(Samples).to(ScalarType.Int64), noise).MoveToOuterDisposeScope();
    }

    /// <summary>What, beside mean and variance of the samples, is the average of a value of each: shape (batch, ...), owned by this object or new.</summary>
    internal abstract Tensor[] Averages { get; }

    /// <summary>A predictive of the same kind with these moments and no samples; copies its arguments.</summary>
    /// <param name="samples">S.</param>
    /// <param name="mean">As <see cref="Mean"/>.</param>
    /// <param name="epistemic">As <see cref="Epistemic"/>.</param>
    /// <param name="averages">As <see cref="Averages"/>.</param>
    internal abstract Predictive WithoutSamples(long samples, Tensor mean, Tensor epistemic, Tensor[] averages);

    /// <summary>
    /// What a predictive with samples is made of, each (samples, ...), or with a first dimension of 1 for what all samples share; owned by this object or new.
    /// </summary>
    internal abstract Tensor[] SampleParts { get; }

    /// <summary>A predictive of the same kind with these <see cref="SampleParts"/>; copies them.</summary>
    internal abstract Predictive WithSamples(Tensor[] parts);

    /// <summary>What the kind has beside tensors: how missing targets are marked, say.</summary>
    internal abstract long[] Settings { get; }

    /// <summary>A predictive with moments of no samples, to call <see cref="WithSamples"/> and <see cref="WithoutSamples"/> on.</summary>
    /// <param name="kind">The name of the class.</param>
    /// <param name="settings">Its <see cref="Settings"/>.</param>
    internal static Predictive OfKind(string kind, long[] settings)
    {
        using var scope = NewDisposeScope();
        Tensor none = zeros([0, 0]);
        return kind switch
        {
            nameof(GaussianPredictive) => new GaussianPredictive(0, settings, none, none, none),
            nameof(LocationScalePredictive) => new LocationScalePredictive(0, settings, none, none, none),
            nameof(CategoricalPredictive) => new CategoricalPredictive(0, settings, none, none, none, none),
            nameof(BernoulliPredictive) => new BernoulliPredictive(0, settings, none, none, none, none),
            nameof(CountPredictive) => new CountPredictive(0, settings, none, none, none),
            _ => throw new NotSupportedException($"'{kind}' is no predictive of this version of BayesNet."),
        };
    }

    /// <summary>One of <see cref="SampleParts"/> with a row for every sample.</summary>
    internal Tensor SamplePart(int index)
    {
        Tensor part = SampleParts[index];
        return part.expand([Samples, .. part.shape.AsSpan(1)]);
    }

    /// <summary>The mixture of the samples of several predictives of one kind for the same rows, each sample of the same weight.</summary>
    /// <param name="parts">At least one; disposed. Where one has moments alone, so has the mixture.</param>
    internal static Predictive Join(IReadOnlyList<Predictive> parts)
    {
        if (parts.Count == 1)
            return parts[0];
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        using var moments = new RunningMoments();
        try
        {
            if (parts.All(part => part.HasSamples))
                return parts[0].WithSamples([.. parts[0].SampleParts.Select((_, i) => cat([.. parts.Select(part => part.SamplePart(i))], 0))]);
            foreach (Predictive part in parts)
                moments.Add(part);
            return moments.Result();
        }
        finally
        {
            foreach (Predictive part in parts)
                part.Dispose();
        }
    }

    /// <summary>One draw of the likelihood's noise around each given component.</summary>
    /// <param name="components">Indices of samples, (draws), int64.</param>
    /// <param name="noise">Where the noise comes from.</param>
    private protected abstract Tensor Draw(Tensor components, NoiseSource noise);

    /// <inheritdoc/>
    public void Dispose()
    {
        _owned.Dispose();
        GC.SuppressFinalize(this);
    }

    /// <summary>Computes a tensor on first use, without gradients, and keeps it for the life of this object.</summary>
    private protected Tensor Once(string name, Func<Tensor> compute) => _owned.Once(name, compute);

    /// <summary>Copies a tensor and keeps it for the life of this object; <see cref="Kept"/> gives it back.</summary>
    private protected void Keep(string name, Tensor value) => _owned.Once(name, () => value.detach().clone());

    /// <summary>The tensor that <see cref="Keep"/> was given under this name, one entry for each sample.</summary>
    /// <exception cref="InvalidOperationException">The samples were not kept.</exception>
    private protected Tensor Kept(string name) => _owned.Once(name, () => throw new InvalidOperationException(
        "This predictive holds moments alone: quantiles, intervals, log densities and the samples themselves need every sample's output. Predict "
        + "with PredictionOptions.KeepSamples = true to have them; for log densities alone, Predictor.LogDensity needs no samples kept."));

    /// <summary>ln (1/S) sum_s exp(x_s) over the first dimension.</summary>
    private protected static Tensor LogMeanExp(Tensor x) => x.logsumexp(0L).Plus(-Math.Log(x.size(0)));

    /// <summary>
    /// The quantile over the first dimension, interpolated between order statistics as torch.quantile does, which refuses more than 2^24 entries.
    /// </summary>
    private protected static Tensor OverSamples(Tensor values, double probability)
    {
        double position = probability * (values.size(0) - 1);
        long below = (long)position;
        Tensor ordered = values.sort(0).Values;
        Tensor lower = ordered.select(0, below);
        Tensor upper = ordered.select(0, Math.Min(below + 1, values.size(0) - 1));
        return lower.Plus(upper.sub(lower).Times(position - below));
    }

    private sealed class DisposableTensors : IDisposable
    {
        private readonly Dictionary<string, Tensor> _tensors = [];
        private bool _disposed;

        public Tensor Once(string name, Func<Tensor> compute)
        {
            ObjectDisposedException.ThrowIf(_disposed, typeof(Predictive));
            if (!_tensors.TryGetValue(name, out Tensor? value))
            {
                using var scope = NewDisposeScope();
                using var _ = no_grad();
                value = compute().DetachFromDisposeScope();
                _tensors.Add(name, value);
            }

            return value;
        }

        public void Dispose()
        {
            foreach (Tensor tensor in _tensors.Values)
                tensor.Dispose();
            _tensors.Clear();
            _disposed = true;
        }
    }
}
