using BayesNet.Likelihoods;
using BayesNet.Prediction;
using BayesNet.Runtime;
using TorchSharp;
using static TorchSharp.torch;

namespace BayesNet.Metrics;

/// <summary>
/// Probabilities softmax(logits / T) with the one temperature T that makes held-out classes most likely (Guo et al. 2017). The most probable
/// class stays as it is; T above 1 says that the probabilities were too sure.
/// </summary>
/// <remarks>
/// A predictive is scaled after its samples were averaged, with ln of the mean probabilities as logits: calibrating each sample
/// before would leave their average too unsure (Rahaman and Thiery 2021, "Uncertainty quantification and deep ensembles").
/// </remarks>
public sealed record TemperatureScaling
{
    private const int NewtonSteps = 200;
    private const double Tolerance = 1e-12;

    private TemperatureScaling(double temperature, double before, double after)
    {
        Temperature = temperature;
        NegativeLogLikelihoodBefore = before;
        NegativeLogLikelihoodAfter = after;
    }

    /// <summary>T, above zero.</summary>
    public double Temperature { get; }

    /// <summary>The held-out examples' mean negative log likelihood at T = 1, in nats.</summary>
    public double NegativeLogLikelihoodBefore { get; }

    /// <summary>The same at <see cref="Temperature"/>; never above <see cref="NegativeLogLikelihoodBefore"/>.</summary>
    public double NegativeLogLikelihoodAfter { get; }

    /// <summary>Fits T to the logits of held-out examples.</summary>
    /// <param name="logits">(batch, classes), of examples that the model was not trained on.</param>
    /// <param name="target">Class indices, (batch), int64.</param>
    /// <remarks>
    /// The mean of logsumexp(b z) - b z_class is convex in b = 1/T, with the mean over examples of Var_p z as its second derivative: Newton's
    /// method, by bisection where a step would leave the bracket of the minimum.
    /// </remarks>
    /// <exception cref="ArgumentException">
    /// The shapes don't fit, some logits are not finite, or no temperature is best: the most probable class is always right, or the logits tell
    /// no more than chance.
    /// </exception>
    public static TemperatureScaling Fit(Tensor logits, Tensor target)
    {
        RequireLogits(logits);
        ArgumentNullException.ThrowIfNull(target);
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        Tensor classes = target.cpu();
        CategoricalLikelihood.RequireClasses(classes, logits.size(0), logits.size(1), ignoreIndex: null);

        // Seen from the class that came true, z_c - z_class, so that the mean loss is that of logsumexp(b z) alone.
        Tensor z = MetricInputs.Double(logits);
        z = z.sub(z.gather(1, classes.to(z.device).unsqueeze(1)));
        if (z.max().item<double>() <= 0)
        {
            throw new ArgumentException(
                "Every example's most probable class is right, so that the likelihood grows for ever as T falls to 0; hold out more examples.", nameof(target));
        }

        if (z.mean().item<double>() >= 0)
        {
            throw new ArgumentException(
                "The logits tell the classes no better than chance, so that the best temperature is infinite; see whether they belong to these targets.",
                nameof(logits));
        }

        double inverse = Minimise(z);
        double before = Loss(z, 1).Value, after = Loss(z, inverse).Value;
        return new TemperatureScaling(1 / inverse, before, Math.Min(before, after));
    }

    /// <summary>Fits T to the mean probabilities of held-out examples.</summary>
    /// <param name="predictive">Of examples that the model was not trained on; without samples, probabilities that underflow count as the least number.</param>
    /// <param name="target">Class indices, (batch), int64.</param>
    /// <exception cref="ArgumentException">The target does not fit, or no temperature is best; see <see cref="Fit(Tensor, Tensor)"/>.</exception>
    public static TemperatureScaling Fit(CategoricalPredictive predictive, Tensor target)
    {
        using Tensor logits = LogMean(predictive);
        return Fit(logits, target);
    }

    /// <summary>Calibrated log probabilities, log softmax(logits / T).</summary>
    /// <param name="logits">(batch, classes).</param>
    /// <returns>Shape and type of <paramref name="logits"/>; the caller's to dispose.</returns>
    /// <exception cref="ArgumentException">The shape is another, or some logits are not finite.</exception>
    public Tensor Apply(Tensor logits)
    {
        RequireLogits(logits);
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        return logits.detach().Times(1 / Temperature).log_softmax(1).MoveToOuterDisposeScope();
    }

    /// <summary>Calibrated log probabilities of a predictive's averaged probabilities, (batch, classes).</summary>
    /// <returns>The caller's to dispose.</returns>
    public Tensor Apply(CategoricalPredictive predictive)
    {
        using Tensor logits = LogMean(predictive);
        return Apply(logits);
    }

    private static Tensor LogMean(CategoricalPredictive predictive)
    {
        ArgumentNullException.ThrowIfNull(predictive);
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        if (predictive.HasSamples)
            return predictive.LogProbabilities.logsumexp(0L).Plus(-Math.Log(predictive.Samples)).MoveToOuterDisposeScope();
        using Scalar least = finfo(predictive.Mean.dtype).tiny;
        return predictive.Mean.clamp_min(least).log().MoveToOuterDisposeScope();
    }

    private static double Minimise(Tensor z)
    {
        double low = 0, high = 1;
        while (Loss(z, high).Slope < 0)
            (low, high) = (high, 2 * high);
        double b = high;
        for (int step = 0; step < NewtonSteps && high - low > Tolerance * high; step++)
        {
            (_, double slope, double curvature) = Loss(z, b);
            (low, high) = slope < 0 ? (b, high) : (low, b);
            double next = b - slope / curvature;
            bool inside = next > low && next < high;
            if (inside && Math.Abs(next - b) <= Tolerance * b)
                return next;
            b = inside ? next : (low + high) / 2;
        }

        return b;
    }

    /// <summary>The mean of logsumexp(b z) and its first two derivatives in b.</summary>
    private static (double Value, double Slope, double Curvature) Loss(Tensor z, double b)
    {
        using var scope = NewDisposeScope();
        Tensor scaled = z.Times(b);
        Tensor p = scaled.softmax(1);
        Tensor mean = p.mul(z).sum(dim: 1, keepdim: true);
        return (scaled.logsumexp(1L).mean().item<double>(),
            mean.mean().item<double>(),
            p.mul(z.sub(mean).Squared()).sum(dim: 1).mean().item<double>());
    }

    private static void RequireLogits(Tensor logits)
    {
        MetricInputs.Finite(logits);
        if (logits.dim() != 2)
            throw new ArgumentException($"logits has shape {Guard.Format(logits.shape)}; it must be (batch, classes).", nameof(logits));
    }
}
