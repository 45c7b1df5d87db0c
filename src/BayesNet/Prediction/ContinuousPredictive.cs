using BayesNet.Runtime;
using static TorchSharp.torch;

namespace BayesNet.Prediction;

/// <summary>A predictive of real numbers with a density: a mixture of Gaussian, Laplace or Student-t laws, one for each posterior sample.</summary>
public abstract class ContinuousPredictive : Predictive
{
    private protected ContinuousPredictive(Tensor components)
        : base(components)
    {
    }

    private protected ContinuousPredictive(long samples)
        : base(samples)
    {
    }

    /// <summary>
    /// The same prediction in other units: the distribution of <paramref name="offset"/> + <paramref name="scale"/> * y. A network trained on
    /// standardised targets, (target - mean) / standard deviation, is read in the target's own units by Rescale(standard deviation, mean).
    /// </summary>
    /// <param name="scale">Above zero; densities become those per new unit.</param>
    /// <param name="offset">In new units.</param>
    /// <returns>
    /// A predictive of its own, the caller's to dispose; this one stays as it is. It is held in float64, so that an offset that is large
    /// against the scale costs no digits.
    /// </returns>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="scale"/> is not a finite number above zero, or <paramref name="offset"/> not a finite one.</exception>
    public abstract ContinuousPredictive Rescale(double scale, double offset);

    /// <summary>F(y) = P(Y &lt;= y), the mixture's distribution function, output by output.</summary>
    /// <param name="value">y, in units of the target; broadcast against <see cref="Predictive.Mean"/>.</param>
    /// <returns>float64; the caller's to dispose.</returns>
    /// <exception cref="InvalidOperationException">The samples were not kept.</exception>
    public Tensor Cdf(Tensor value)
    {
        ArgumentNullException.ThrowIfNull(value);
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        return Mixture().Cdf(value.to(ScalarType.Float64)).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    /// <remarks>The quantile of the mixture, found by bisection to rounding; not that of a law with the mixture's moments.</remarks>
    public override Tensor Quantile(double probability)
    {
        Guard.OpenUnitInterval(probability);
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        (Tensor components, Tensor scale, Func<Tensor, Tensor> cdf) = Mixture();
        return MixtureQuantile.Continuous(components, scale, probability, cdf).to(Mean.dtype).MoveToOuterDisposeScope();
    }

    /// <summary>
    /// Locations and scales of the components, (samples, batch, outputs) or broadcast to it, and the mixture's distribution function of (batch, outputs), all
    /// in float64; called inside a dispose scope.
    /// </summary>
    private protected abstract (Tensor Components, Tensor Scale, Func<Tensor, Tensor> Cdf) Mixture();
}
