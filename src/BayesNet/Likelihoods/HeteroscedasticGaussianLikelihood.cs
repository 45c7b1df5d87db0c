using BayesNet.Kernels;
using BayesNet.Prediction;
using BayesNet.Reparameterization;
using BayesNet.Runtime;
using static TorchSharp.torch;

namespace BayesNet.Likelihoods;

/// <summary>
/// y = m(x) + noise(x) * eps, eps ~ N(0, 1): regression with a noise level that the network predicts for every example and output (Nix
/// and Weigend 1994; Kendall and Gal 2017, equation 5).
/// </summary>
/// <remarks>
/// For K outputs the network's last dimension has 2 K entries: the first K are the means m, the last K the logarithms s of the noise's
/// standard deviation, noise = exp(s) + <see cref="MinNoise"/>. Output (batch, ..., 2 K), target (batch, ..., K). The likelihood has no
/// parameters of its own. ln p = -1/2 ((y - m) / noise)^2 - ln noise - 1/2 ln 2 pi is computed from s, with no division and no logarithm
/// of an exponential.
/// </remarks>
public sealed class HeteroscedasticGaussianLikelihood : Likelihood
{
    /// <summary>Creates the likelihood.</summary>
    /// <param name="minNoise">
    /// What the noise's standard deviation never falls below, in units of the target; 0, the default, for no bound. A bound keeps the
    /// density finite where a flexible network meets targets exactly; choose it below any noise you expect.
    /// </param>
    /// <param name="missing">What NaN in a target means.</param>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="minNoise"/> is below zero or not finite.</exception>
    public HeteroscedasticGaussianLikelihood(double minNoise = 0, MissingTargets missing = MissingTargets.Refused)
        : base(nameof(HeteroscedasticGaussianLikelihood))
    {
        if (!double.IsFinite(minNoise) || minNoise < 0)
            throw new ArgumentOutOfRangeException(nameof(minNoise), minNoise, "minNoise must be zero or a finite number above it.");
        MinNoise = minNoise;
        Missing = missing;
        RegisterComponents();
    }

    /// <summary>What the noise's standard deviation never falls below, in units of the target; 0 for no bound.</summary>
    public double MinNoise { get; }

    /// <summary>What NaN in a target means.</summary>
    public MissingTargets Missing { get; }

    /// <inheritdoc/>
    public override Tensor LogLikelihood(Tensor output, Tensor target)
    {
        ArgumentNullException.ThrowIfNull(output);
        ArgumentNullException.ThrowIfNull(target);
        RequireEvenOutputs(output, leading: 1, nameof(output));
        using var scope = NewDisposeScope();
        (Tensor mean, Tensor logNoise) = Split(output);
        GaussianDensity.RequireSameShape(mean, target, "mean, the first half of the network's output,");
        Tensor perOutput = ObservedEntries.LogDensity(target, Missing, y => GaussianDensity.Log(y, mean, logNoise));
        return GaussianDensity.SumOverOutputs(perOutput, 1).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    internal override bool HasClosedForm => true;

    /// <inheritdoc/>
    /// <remarks>With noise = exp(s) + c and z = (y - m) / noise: d/dm = z / noise, d/ds = (z^2 - 1) exp(s) / noise.</remarks>
    internal override LossGradient? Differentiate<T>(ReadOnlySpan<T> output, ReadOnlySpan<long> shape, Tensor target, double factor, Span<T> gradient)
    {
        int outputs = (int)shape[1] / 2;
        if (shape[1] == 0 || shape[1] % 2 != 0 || !TensorMemory.IsPlain<T>(target) || !target.shape.AsSpan().SequenceEqual([shape[0], outputs]))
            return null;
        ReadOnlySpan<T> y = TensorMemory.Span<T>(target);
        T scale = T.CreateTruncating(factor), logBound = T.CreateTruncating(Math.Log(MinNoise));
        double squares = 0, logNoises = 0;
        int observed = 0;
        for (int i = 0; i < y.Length; i++)
        {
            int mean = i / outputs * 2 * outputs + i % outputs, log = mean + outputs;
            if (Missing == MissingTargets.Masked && T.IsNaN(y[i]))
            {
                gradient[mean] = gradient[log] = T.Zero;
                continue;
            }

            T logNoise = MinNoise == 0 ? output[log] : LogAddExp(output[log], logBound);
            T inverse = T.Exp(-logNoise), standard = (y[i] - output[mean]) * inverse, square = standard * standard;
            T share = MinNoise == 0 ? T.One : T.Exp(output[log] - logNoise);
            gradient[mean] = scale * standard * inverse;
            gradient[log] = scale * (square - T.One) * share;
            squares += double.CreateTruncating(square);
            logNoises += double.CreateTruncating(logNoise);
            observed++;
        }

        GC.KeepAlive(target);
        return new LossGradient(-0.5 * squares - logNoises - observed * LocationScaleLaw.HalfLogTwoPi);

        static T LogAddExp(T a, T b)
        {
            T most = T.Max(a, b);
            return most + T.LogP1(T.Exp(T.Min(a, b) - most));
        }
    }

    /// <inheritdoc/>
    /// <returns>A <see cref="GaussianPredictive"/> whose components have a noise level for each sample, example and output.</returns>
    /// <exception cref="ArgumentException">The last dimension of <paramref name="outputs"/> has an odd size, or is the batch.</exception>
    public override GaussianPredictive Predict(Tensor outputs)
    {
        ArgumentNullException.ThrowIfNull(outputs);
        RequireEvenOutputs(outputs, leading: 2, nameof(outputs));
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        (Tensor means, Tensor logNoise) = Split(outputs);
        return new GaussianPredictive(means, logNoise, Missing);
    }

    private (Tensor Mean, Tensor LogNoise) Split(Tensor output)
    {
        long half = output.size(-1) / 2;
        Tensor logNoise = output.narrow(-1, half, half);

        // ln(exp(s) + c) without the exponential, which overflows or vanishes where the sum does neither.
        return (output.narrow(-1, 0, half), MinNoise == 0 ? logNoise : logNoise.logaddexp(zeros_like(logNoise).Plus(Math.Log(MinNoise))));
    }

    private static void RequireEvenOutputs(Tensor output, int leading, string name)
    {
        if (output.dim() <= leading || output.size(-1) == 0 || output.size(-1) % 2 != 0)
        {
            throw new ArgumentException(
                $"The network's output has shape {Guard.Format(output.shape)}; the heteroscedastic likelihood takes ({(leading == 2 ? "samples, " : "")}batch, "
                + "..., 2 K), K means and then K logarithms of the noise's standard deviation: give the last layer twice as many outputs as the target has.", name);
        }
    }
}
