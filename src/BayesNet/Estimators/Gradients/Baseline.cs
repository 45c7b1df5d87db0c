using System.Globalization;
using BayesNet.Runtime;
using static TorchSharp.torch;

namespace BayesNet.Estimators.Gradients;

/// <summary>
/// What the score function estimator subtracts from f(z). Any number that does not depend on the draw leaves the gradient unbiased, as the
/// score has mean zero; one near E[f] takes variance away.
/// </summary>
public abstract class Baseline
{
    private Baseline()
    {
    }

    /// <summary>No baseline.</summary>
    public static Baseline None { get; } = new NoBaseline();

    /// <summary>The mean of f over the other draws of the estimate (Kool, van Hoof and Welling 2019); of the other pairs, in pairs.</summary>
    public static Baseline LeaveOneOut { get; } = new LeaveOneOutBaseline();

    /// <summary>A constant, in units of f.</summary>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="value"/> is not finite.</exception>
    public static Baseline Constant(double value) => new ConstantBaseline(Guard.Finite(value));

    /// <summary>
    /// An exponential running mean of f over the estimates before this one; each estimate moves it once, by its mean over draws and batch
    /// elements. It has a state, so each gradient that is estimated needs its own.
    /// </summary>
    /// <param name="decay">The share that stays at each estimate, above 0 and below 1.</param>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="decay"/> is not strictly between 0 and 1.</exception>
    public static Baseline RunningMean(double decay = 0.9) => new RunningMeanBaseline(Guard.OpenUnitInterval(decay));

    /// <summary>The fewest draws an estimate takes.</summary>
    internal virtual int MinimumSamples(bool antithetic) => antithetic ? 2 : 1;

    /// <summary>b for each value, in a shape that broadcasts to that of the values; no gradient.</summary>
    /// <param name="values">f(z), draws first.</param>
    /// <param name="antithetic">Whether draw i and draw i + S/2 are a pair.</param>
    internal abstract Tensor Values(Tensor values, bool antithetic);

    /// <summary>Is told the values of f once the baselines of this estimate have been read.</summary>
    internal virtual void Observe(Tensor values)
    {
    }

    private sealed class NoBaseline : Baseline
    {
        public override string ToString() => "no baseline";

        internal override Tensor Values(Tensor values, bool antithetic) => zeros([], dtype: values.dtype, device: values.device);
    }

    private sealed class ConstantBaseline(double value) : Baseline
    {
        public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"constant baseline {value}");

        internal override Tensor Values(Tensor values, bool antithetic) => tensor(value, dtype: values.dtype, device: values.device);
    }

    private sealed class RunningMeanBaseline(double decay) : Baseline
    {
        private double? _mean;

        public override string ToString() => "running mean baseline";

        internal override Tensor Values(Tensor values, bool antithetic) => tensor(_mean ?? 0, dtype: values.dtype, device: values.device);

        internal override void Observe(Tensor values)
        {
            double mean = values.mean().to(ScalarType.Float64).item<double>();
            _mean = _mean is { } before ? decay * before + (1 - decay) * mean : mean;
        }
    }

    private sealed class LeaveOneOutBaseline : Baseline
    {
        public override string ToString() => "leave-one-out baseline";

        internal override int MinimumSamples(bool antithetic) => antithetic ? 4 : 2;

        // The twin of a draw depends on the same noise, so a pair leaves out both.
        internal override Tensor Values(Tensor values, bool antithetic)
        {
            long samples = values.size(0), left = antithetic ? 2 : 1;
            Tensor own = values;
            if (antithetic)
            {
                Tensor pair = values.narrow(0, 0, samples / 2).Plus(values.narrow(0, samples / 2, samples / 2));
                own = cat([pair, pair], 0);
            }

            return values.sum(0, keepdim: true).sub(own).Times(1.0 / (samples - left));
        }
    }
}
