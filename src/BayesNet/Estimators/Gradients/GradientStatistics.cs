using BayesNet.Reparameterization;
using BayesNet.Runtime;
using static TorchSharp.torch;

namespace BayesNet.Estimators.Gradients;

/// <summary>The mean and variance of a gradient estimator, measured on independent repetitions.</summary>
/// <param name="Estimator">The estimator's name.</param>
/// <param name="Repetitions">R.</param>
/// <param name="EvaluationsPerRepetition">Evaluations of f in one estimate: what estimators of equal cost have in common.</param>
/// <param name="Parameters">The gradient in each parameter, in the distribution's order. The tensors are in the caller's dispose scope.</param>
public sealed record GradientStatistics(
    string Estimator, long Repetitions, int EvaluationsPerRepetition, IReadOnlyList<GradientMoments> Parameters)
{
    // The repetitions of one pass are one batch: about this many numbers of noise are drawn at once.
    private const long EntriesPerPass = 1 << 20;

    /// <summary>Measures an estimator: R independent estimates of the gradient of E_q[f(z)] at the parameters as they are.</summary>
    /// <param name="estimator">The estimator.</param>
    /// <param name="q">The distribution; its parameters are copied and left alone.</param>
    /// <param name="f">
    /// As <see cref="GradientEstimator"/> takes it, but for a batch shape (R', B) in place of B: z is (S, R', B, E), and the value is
    /// (S, R', B), or (S, R') where it is a sum over B.
    /// </param>
    /// <param name="noise">Where the noise comes from.</param>
    /// <param name="repetitions">R, at least 2.</param>
    /// <param name="samples">Evaluations of f in one estimate.</param>
    /// <remarks>
    /// Repetitions are batch elements with parameters of their own, so that one backward pass gives them all; passes of about a million
    /// noise entries bound the memory whatever R is. A running mean baseline moves once a pass; move it to where it is to be measured by
    /// estimates beforehand.
    /// </remarks>
    /// <exception cref="ArgumentException"><paramref name="f"/> returned one value for several repetitions.</exception>
    /// <exception cref="ArgumentOutOfRangeException">
    /// <paramref name="repetitions"/> is below 2, or <paramref name="samples"/> does not suit the estimator.
    /// </exception>
    public static GradientStatistics Measure(
        GradientEstimator estimator, ReparameterizedDistribution q, Func<Tensor, Tensor> f, NoiseSource noise, long repetitions, int samples = 1)
    {
        ArgumentNullException.ThrowIfNull(estimator);
        ArgumentNullException.ThrowIfNull(q);
        ArgumentNullException.ThrowIfNull(f);
        if (repetitions < 2)
            throw new ArgumentOutOfRangeException(nameof(repetitions), repetitions, "repetitions must be at least 2: one estimate has no variance.");

        using var scope = NewDisposeScope();
        long entries = samples;
        foreach (long size in (ReadOnlySpan<long>)[.. q.BatchShape, .. q.NoiseShape])
            entries *= size;
        long perPass = Math.Max(1, EntriesPerPass / Math.Max(1, entries));
        PowerSums[] sums = [.. q.Parameters.Select(_ => new PowerSums())];
        for (long done = 0; done < repetitions; done += perPass)
        {
            using var pass = NewDisposeScope();
            Tensor[] gradients = Gradients(estimator, q, f, noise, Math.Min(perPass, repetitions - done), samples);
            for (int i = 0; i < sums.Length; i++)
                sums[i].Add(gradients[i].reshape([-1, .. q.Parameters[i].Value.shape]));
        }

        GradientMoments[] moments = [.. sums.Select((sum, i) => sum.Moments(q.Parameters[i].Name))];
        foreach (GradientMoments moment in moments)
        {
            foreach (Tensor value in new[] { moment.Mean, moment.Variance, moment.StandardError, moment.VarianceStandardError })
                value.MoveToOuterDisposeScope();
        }

        return new GradientStatistics(estimator.Name, repetitions, samples, moments);
    }

    // Shape (R', padded parameter shape) for each parameter.
    private static Tensor[] Gradients(
        GradientEstimator estimator, ReparameterizedDistribution q, Func<Tensor, Tensor> f, NoiseSource noise, long repetitions, int samples)
    {
        int batchDimensions = q.BatchShape.Length;
        Tensor[] leaves = [.. q.Parameters.Select(Repeat)];
        estimator.Estimate(q.WithParameters(leaves), PerRepetition, noise, samples).backward();
        return [.. leaves.Select(leaf => leaf.grad ?? zeros_like(leaf))];

        Tensor PerRepetition(Tensor z)
        {
            Tensor values = f(z);
            return values is null || values.dim() >= 2
                ? values!
                : throw new ArgumentException("f returned one value for several repetitions; keep the second dimension of z.", nameof(f));
        }

        Tensor Repeat(DistributionParameter parameter)
        {
            // (b, e) becomes (R', 1, ..., b, e), so that b still meets the last batch dimensions.
            long[] shape = parameter.Value.shape;
            var padding = new long[batchDimensions - (shape.Length - parameter.EventDimensions)];
            Array.Fill(padding, 1);
            long[] padded = [.. padding, .. shape];
            return parameter.Value.detach().reshape([1, .. padded]).expand([repetitions, .. padded]).clone().requires_grad_(true);
        }
    }

    /// <summary>Sums of the first four powers of deviations from the first pass's mean, near enough to the mean that nothing cancels.</summary>
    private sealed class PowerSums
    {
        private readonly Tensor[] _sums = new Tensor[4];
        private Tensor? _shift;
        private long _count;

        // Called inside the pass's scope, whose outer scope is the measurement's.
        public void Add(Tensor gradients)
        {
            Tensor wide = gradients.to(ScalarType.Float64);
            _shift ??= wide.mean([0]).MoveToOuterDisposeScope();
            Tensor deviation = wide.sub(_shift), power = deviation;
            for (int i = 0; i < _sums.Length; i++)
            {
                Tensor sum = power.sum(dim: 0);
                if (_count == 0)
                    _sums[i] = sum.MoveToOuterDisposeScope();
                else
                    _sums[i].add_(sum, Scalars.One);
                power = power.mul(deviation);
            }

            _count += gradients.size(0);
        }

        public GradientMoments Moments(string name)
        {
            Tensor[] raw = [.. _sums.Select(sum => sum.Times(1.0 / _count))];
            Tensor d = raw[0], d2 = d.Squared();
            Tensor second = raw[1].sub(d2).clamp_min(Scalars.Zero);
            Tensor fourth = raw[3].sub(raw[2].mul(d).Times(4)).Plus(raw[1].mul(d2).Times(6)).sub(d2.Squared().Times(3));
            Tensor variance = second.Times(_count / (_count - 1.0));
            Tensor varianceOfVariance = fourth.sub(second.Squared()).clamp_min(Scalars.Zero).Times(1.0 / _count);
            return new GradientMoments(name, _shift!.Plus(d), variance, variance.Times(1.0 / _count).sqrt(), varianceOfVariance.sqrt());
        }
    }
}

/// <summary>The moments of the estimate of one parameter's gradient; float64 tensors of the parameter's shape.</summary>
/// <param name="Name">The parameter's name.</param>
/// <param name="Mean">The mean over repetitions.</param>
/// <param name="Variance">The unbiased variance over repetitions, of one estimate.</param>
/// <param name="StandardError">The standard error of <paramref name="Mean"/>.</param>
/// <param name="VarianceStandardError">
/// The standard error of <paramref name="Variance"/>, from the fourth moment; meaningless where that diverges.
/// </param>
public sealed record GradientMoments(string Name, Tensor Mean, Tensor Variance, Tensor StandardError, Tensor VarianceStandardError);
