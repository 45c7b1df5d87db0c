using BayesNet.Posteriors;
using static TorchSharp.torch;

namespace BayesNet.TestKit;

/// <summary>
/// A posterior with random parameters and the dense covariance that it stands for: one line here, and the posterior goes through the
/// whole battery on every map with every estimator.
/// </summary>
/// <param name="Name">The name in test output.</param>
/// <param name="Create">Makes the posterior for a mean of any shape, float64, its other parameters drawn from the seed.</param>
/// <param name="Covariance">Cov[vec(w)] as the posterior's parameters say it, (P, P), written without the posterior's own sampling code.</param>
public sealed record PosteriorCase(string Name, Func<Tensor, Posterior> Create, Func<Posterior, Tensor> Covariance)
{
    /// <summary>Every posterior.</summary>
    public static IReadOnlyList<PosteriorCase> All { get; } =
    [
        new("mean-field Gaussian, log scale", mean => MeanField(mean, ScaleParameterization.Log), posterior => MeanFieldCovariance(posterior, rho => rho.exp())),
        new("mean-field Gaussian, softplus", mean => MeanField(mean, ScaleParameterization.Softplus), posterior => MeanFieldCovariance(posterior, rho => rho.exp().log1p())),
    ];

    /// <summary>The case of the given name.</summary>
    public static PosteriorCase Named(string name) => All.Single(known => known.Name == name);

    /// <inheritdoc/>
    public override string ToString() => Name;

    private static MeanFieldGaussian MeanField(Tensor mean, ScaleParameterization scale)
    {
        var posterior = new MeanFieldGaussian(mean, 0.5, scale);
        using (NewDisposeScope())
        using (no_grad())
            posterior.ScaleParameter.add_(randn_like(mean) * 0.3);
        return posterior;
    }

    private static Tensor MeanFieldCovariance(Posterior posterior, Func<Tensor, Tensor> scale)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        return diag(scale(((MeanFieldGaussian)posterior).ScaleParameter).square().flatten()).MoveToOuterDisposeScope();
    }
}
