using BayesNet.Estimators;
using BayesNet.Posteriors;
using BayesNet.Runtime;
using static TorchSharp.torch;

namespace BayesNet.Diagnostics;

/// <summary>
/// How much of a model's weight noise is lost to rounding: fl(mu + sigma eps) equals mu where |sigma eps| is below half the spacing of the
/// floating-point numbers around mu.
/// </summary>
/// <remarks>
/// <para>
/// Absorption does not shrink the noise evenly. At float32 and mu = 1.5, sigma = 3e-8 loses 95 % of its draws, and what is left has 0.74 of
/// the variance; sigma = 1e-7 loses 45 % and has 1.12 of it, since the draws that survive are rounded up.
/// </para>
/// <para>
/// What helps. (a) The sum in float64: keep the layer in float64, or add and multiply there; a float64 sum stored in float32 is absorbed
/// as before. (b) Not forming the sum: flipout multiplies the input by the mean and by the deviation apart, and so does any layer that
/// holds fixed reference weights beside a posterior of the residual, whose mean is small. (c) Local reparameterization, which draws the
/// noise at the outputs. With (b) and (c) the noise is still added to an output: it is kept where the outputs are small beside
/// sqrt(sum mu^2 x^2), as they are where the terms cancel, and absorbed there too where a single weight or terms of one sign make the
/// output. (d) A larger sigma: a prior that does not drive it down, or a floor.
/// </para>
/// <para>
/// What does not. A fused multiply-add rounds once in place of twice, but rounds the same sum to the same grid. Scaling the weights
/// (w = c w') scales mu and sigma alike and leaves the share as it is, but for where mu stands between two powers of two.
/// The gradient in sigma, g eps, is not absorbed by any of this: training sees noise that the forward pass did not have.
/// </para>
/// </remarks>
public static class AbsorptionDiagnostics
{
    /// <summary>Measures and predicts absorption in every mean-field Gaussian posterior of the model; the model is left alone.</summary>
    /// <param name="model">A model with Bayesian layers. Posteriors of other families are listed in the report as skipped.</param>
    /// <param name="dtype">
    /// The type of the arithmetic, float32, float16 or bfloat16: mean, standard deviation and noise are rounded to it, as are their product
    /// and the sum, each to nearest even. The measurement takes place on the CPU.
    /// </param>
    /// <param name="draws">Noise draws a weight.</param>
    /// <param name="seed">The seed of the noise; null for libtorch's global generator.</param>
    /// <remarks>
    /// The predictions are exact for exact noise: sigma eps is taken as it is, where the measurement rounds it to the type's precision first,
    /// which in bfloat16 can move the share by some tenths of a per cent. A mean within a few spacings of a power of two has neighbours of
    /// another spacing further out, which the predicted variance leaves aside (a power of two itself is handled).
    /// </remarks>
    /// <exception cref="InvalidOperationException">No Bayesian layer has a mean-field Gaussian posterior.</exception>
    /// <exception cref="NotSupportedException"><paramref name="dtype"/> is another type.</exception>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="draws"/> is below 2.</exception>
    public static AbsorptionReport Absorption(this nn.Module model, ScalarType dtype = ScalarType.Float32, int draws = 100, ulong? seed = null)
    {
        ArgumentNullException.ThrowIfNull(model);
        Rounding rounding = Rounding.Of(dtype);
        if (draws < 2)
            throw new ArgumentOutOfRangeException(nameof(draws), draws, "draws must be at least 2: one draw has no standard error.");
        using var noise = new NoiseSource(seed);
        var entries = new List<AbsorptionEntry>();
        var skipped = new List<string>();
        foreach ((string name, IBayesianModule module, string part, Posterior posterior) in model.Posteriors())
        {
            string full = name.Length == 0 ? part : $"{name}.{part}";
            if (posterior is MeanFieldGaussian gaussian)
                entries.Add(Measure(full, module.Estimator.Name, gaussian, dtype, rounding, draws, noise));
            else
                skipped.Add(full);
        }

        return entries.Count > 0
            ? new AbsorptionReport(dtype, draws, entries, skipped)
            : throw new InvalidOperationException(
                $"The model {model.GetName()} has no Bayesian layer with a mean-field Gaussian posterior, which is what absorption is measured for.");
    }

    private static AbsorptionEntry Measure(
        string name, string estimator, MeanFieldGaussian posterior, ScalarType dtype, Rounding rounding, int draws, NoiseSource noise)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        Tensor mean = posterior.Mean.detach().cpu().to(dtype);
        Tensor asked = posterior.StdDev.cpu();
        Tensor stdDev = asked.to(dtype);
        Tensor exactMean = mean.to(ScalarType.Float64), exactStdDev = stdDev.to(ScalarType.Float64);
        Tensor variance = asked.to(ScalarType.Float64).Squared();

        (Tensor, Tensor) half = rounding.HalfSpacings(exactMean);
        Tensor lost = Rounding.AbsorbedShare(half, exactStdDev);
        Tensor ratio = Rounding.EffectiveVariance(half, exactStdDev).div(variance);
        using TorchSharp.Scalar leastNormal = rounding.LeastNormal;

        var share = new WeightMoments(variance);
        var square = new WeightMoments(variance);
        for (int i = 0; i < draws; i++)
        {
            using var draw = NewDisposeScope();
            Tensor eps = noise.Normal(posterior.Shape, ScalarType.Float32, CPU).to(dtype);
            Tensor weight = mean.Plus(stdDev.mul(eps));
            share.Add(weight.eq(mean).to(ScalarType.Float64));
            square.Add(weight.to(ScalarType.Float64).sub(exactMean).Squared().div(variance));
        }

        return new AbsorptionEntry(
            name,
            estimator,
            mean.numel(),
            new MeasuredValue(lost.mean().item<double>(), share.Mean(draws), share.StandardError(draws)),
            new MeasuredValue(ratio.mean().item<double>(), square.Mean(draws), square.StandardError(draws)),
            variance.lt(leastNormal).to(ScalarType.Float64).mean().item<double>());
    }

    /// <summary>Sums over the draws of each weight, so that the standard error does not hold the differences between weights.</summary>
    private sealed class WeightMoments(Tensor like)
    {
        private readonly Tensor _sum = zeros_like(like);
        private readonly Tensor _squares = zeros_like(like);

        public void Add(Tensor values)
        {
            _sum.add_(values);
            _squares.add_(values.Squared());
        }

        public double Mean(int draws) => _sum.mean().item<double>() / draws;

        public double StandardError(int draws)
        {
            using var scope = NewDisposeScope();
            Tensor variance = _squares.sub(_sum.Squared().Times(1.0 / draws)).Times(1.0 / (draws - 1)).clamp_min(Scalars.Zero);
            return Math.Sqrt(variance.sum().item<double>() / draws) / variance.numel();
        }
    }
}
