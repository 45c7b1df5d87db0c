using BayesNet.Estimators;
using BayesNet.Likelihoods;
using BayesNet.Runtime;
using static TorchSharp.torch;

namespace BayesNet.Prediction;

/// <summary>
/// A mixture of Laplace or Student-t laws, one of equal weight for each posterior sample: the predictive of <see cref="LaplaceLikelihood"/> and
/// of <see cref="StudentTLikelihood"/>.
/// </summary>
/// <remarks>
/// Student-t noise with nu &lt;= 2 has no finite variance: <see cref="Aleatoric"/> and <see cref="Predictive.StdDev"/> are then infinite, and for
/// nu &lt;= 1 there is no mean either, so that all four moments are NaN. Quantiles, intervals, densities and draws exist always; the median is
/// <c>Quantile(0.5)</c>.
/// </remarks>
public sealed class LocationScalePredictive : ContinuousPredictive
{
    // The law of consecutive samples, as many as are given; a likelihood's own is that of all.
    private readonly (PredictiveLaw Law, long Samples)[] _laws;
    private readonly MissingTargets _missing;

    /// <summary>Copies its arguments.</summary>
    /// <param name="locations">(samples, batch, ...).</param>
    /// <param name="logScale">The logarithm of the noise's scale, with the dimensions of the locations, each of their size or 1.</param>
    /// <param name="law">The noise.</param>
    /// <param name="missing">What NaN in a target means.</param>
    internal LocationScalePredictive(Tensor locations, Tensor logScale, PredictiveLaw law, MissingTargets missing)
        : this(locations, logScale, [(law, locations.size(0))], missing)
    {
    }

    private LocationScalePredictive(Tensor locations, Tensor logScale, (PredictiveLaw Law, long Samples)[] laws, MissingTargets missing)
        : base(locations)
    {
        (_laws, _missing) = (laws, missing);
        Keep(nameof(Components), locations);
        Keep(nameof(LogScale), logScale);
    }

    internal LocationScalePredictive(long samples, long[] settings, Tensor mean, Tensor epistemic, Tensor aleatoric)
        : base(samples)
    {
        (_laws, _missing) = ([], (MissingTargets)settings[0]);
        Keep(nameof(Mean), mean);
        Keep(nameof(Epistemic), epistemic);
        Keep(nameof(Aleatoric), aleatoric);
    }

    /// <summary>The location, which is the median, of each component, (samples, batch, outputs).</summary>
    /// <exception cref="InvalidOperationException">The samples were not kept.</exception>
    public Tensor Components => Kept(nameof(Components));

    /// <summary>The noise's scale around each component, in units of the target; shape of <see cref="Components"/>.</summary>
    /// <exception cref="InvalidOperationException">The samples were not kept.</exception>
    public Tensor Scale => Once(nameof(Scale), () => LogScale.exp().expand_as(Components).contiguous());

    /// <summary>The mean of the mixture, (batch, outputs); NaN where the noise has none.</summary>
    public override Tensor Mean => Once(nameof(Mean), () => ByLaw(Components, static (law, c) => c.Plus(law.Standard.Mean)).mean([0]));

    /// <summary>The standard deviation of the components' means over the samples, (batch, outputs); NaN where the noise has no mean.</summary>
    public override Tensor Epistemic => Once(nameof(Epistemic), () => Components.sub(Mean).Squared().mean([0]).sqrt());

    /// <summary>The standard deviation of the noise, (batch, outputs): infinite or NaN where its variance is.</summary>
    public override Tensor Aleatoric => Once(
        nameof(Aleatoric),
        () => LogMeanExp(ByLaw(LogScale, static (law, s) => s.mul(Scalars.Two).Plus(Math.Log(law.Standard.Variance))))
            .mul(Scalars.Half).exp().expand_as(Mean).contiguous());

    private Tensor LogScale => Kept(nameof(LogScale));

    internal override Tensor[] Averages => [Aleatoric.Squared()];

    /// <inheritdoc/>
    public override LocationScalePredictive Rescale(double scale, double offset)
    {
        Guard.Positive(scale);
        Guard.Finite(offset);
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        return HasSamples
            ? new LocationScalePredictive(
                Components.to(ScalarType.Float64).Times(scale).Plus(offset), LogScale.to(ScalarType.Float64).Plus(Math.Log(scale)), _laws, _missing)
            : new LocationScalePredictive(
                Samples,
                Settings,
                Mean.to(ScalarType.Float64).Times(scale).Plus(offset),
                Epistemic.to(ScalarType.Float64).Times(scale),
                Aleatoric.to(ScalarType.Float64).Times(scale));
    }

    /// <inheritdoc/>
    /// <remarks>The joint density of an example's outputs, independent given the sample.</remarks>
    public override Tensor LogDensity(Tensor target)
    {
        ArgumentNullException.ThrowIfNull(target);
        GaussianDensity.RequireSameShape(Mean, target, "predicted location");
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        Tensor perOutput = ObservedEntries.LogDensity(
            target.unsqueeze(0), _missing, y => ByLaw(y.sub(Components).mul(LogScale.neg().exp()), static (law, z) => law.Standard.LogDensity(z)).sub(LogScale));
        return LogMeanExp(GaussianDensity.SumOverOutputs(perOutput, 2)).MoveToOuterDisposeScope();
    }

    internal override LocationScalePredictive WithoutSamples(long samples, Tensor mean, Tensor epistemic, Tensor[] averages)
        => new(samples, Settings, mean, epistemic, averages[0].sqrt());

    private protected override (Tensor Components, Tensor Scale, Func<Tensor, Tensor> Cdf) Mixture()
    {
        Tensor components = Components.to(ScalarType.Float64), scale = LogScale.to(ScalarType.Float64).exp();
        return (components, scale, y => ByLaw(y.sub(components).div(scale), static (law, z) => law.Cdf(z)).mean([0]));
    }

    /// <remarks>The last part tells the samples' laws apart.</remarks>
    internal override Tensor[] SampleParts
        => [Components, LogScale, tensor([.. _laws.SelectMany(law => Enumerable.Repeat(law.Law.DegreesOfFreedom, (int)law.Samples))], device: Components.device)];

    internal override long[] Settings => [(long)_missing];

    internal override LocationScalePredictive WithSamples(Tensor[] parts)
    {
        var laws = new List<(PredictiveLaw Law, long Samples)>();
        foreach (double freedom in parts[2].cpu().data<double>())
        {
            if (laws.Count > 0 && laws[^1].Law.DegreesOfFreedom.Equals(freedom))
                laws[^1] = (laws[^1].Law, laws[^1].Samples + 1);
            else
                laws.Add((PredictiveLaw.Of(freedom), 1));
        }

        return new LocationScalePredictive(parts[0], parts[1], [.. laws], _missing);
    }

    private protected override Tensor Draw(Tensor components, NoiseSource noise)
    {
        Tensor locations = Components.index_select(0, components);
        Tensor eps = ByDraw(components, law => law.Standard.Noise.Draw(noise, locations.shape, locations.dtype, locations.device));
        return addcmul(locations, Scale.index_select(0, components), eps, Scalars.One);
    }

    /// <summary>A function of each sample's law and its part of a tensor whose first dimension is the samples.</summary>
    private Tensor ByLaw(Tensor x, Func<PredictiveLaw, Tensor, Tensor> f)
    {
        if (_laws.Length == 1)
            return f(_laws[0].Law, x);
        var parts = new List<Tensor>(_laws.Length);
        long first = 0;
        foreach ((PredictiveLaw law, long samples) in _laws)
        {
            parts.Add(f(law, x.narrow(0, first, samples)));
            first += samples;
        }

        return cat(parts, 0);
    }

    /// <summary>Of what is drawn from each law, (draws, ...), the draw from the law of each chosen sample.</summary>
    private Tensor ByDraw(Tensor components, Func<PredictiveLaw, Tensor> draw)
    {
        Tensor chosen = draw(_laws[0].Law);
        long first = _laws[0].Samples;
        foreach ((PredictiveLaw law, long samples) in _laws.Skip(1))
        {
            using TorchSharp.Scalar begin = first;
            Tensor behind = components.ge(begin).reshape([-1, .. Enumerable.Repeat(1L, (int)chosen.dim() - 1)]);
            chosen = where(behind, draw(law), chosen);
            first += samples;
        }

        return chosen;
    }
}
