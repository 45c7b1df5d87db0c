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
        new("mean-field Gaussian, log scale", mean => MeanField(mean, ScaleParameterization.Log), q => Diagonal(Named(q, "log_scale").exp().square())),
        new("mean-field Gaussian, softplus", mean => MeanField(mean, ScaleParameterization.Softplus), q => Diagonal(Named(q, "rho").exp().log1p().square())),
        new("Laplace", mean => Jitter(new MeanFieldLaplace(mean, 0.4)), q => Diagonal(2 * Named(q, "log_scale").exp().square())),
        new("logistic", mean => Jitter(new MeanFieldLogistic(mean, 0.3)), q => Diagonal(Math.PI * Math.PI / 3 * Named(q, "log_scale").exp().square())),
        new("uniform", mean => Jitter(new MeanFieldUniform(mean, 1.5)), q => Diagonal(Named(q, "log_scale").exp().square() / 12)),
        new("Student-t", mean => Jitter(new MeanFieldStudentT(mean, 0.4, 12)), q => Diagonal(1.2 * Named(q, "log_scale").exp().square())),
        new("full covariance per output", mean => Jitter(new FullCovarianceGaussian(mean, 0.4)), FullCovariance),
        new("full covariance per layer", mean => Jitter(new FullCovarianceGaussian(mean, 0.3, CovarianceGroups.PerLayer)), FullCovariance),
        new("low rank per output", mean => Jitter(new LowRankGaussian(mean, 0.5, 2)), LowRankCovariance),
        new("low rank per layer", mean => Jitter(new LowRankGaussian(mean, 0.5, 3, CovarianceGroups.PerLayer)), LowRankCovariance),
        new("matrix normal", mean => Jitter(new MatrixNormalSpecification { InitialStdDev = 0.4 }.Create(mean)), MatrixNormalCovariance) { KeepsChannels = true },
        new("variational dropout per weight", mean => Dropout(mean, ParameterSharing.PerWeight), DropoutCovariance),
        new("variational dropout per output", mean => Dropout(mean, ParameterSharing.PerOutput), DropoutCovariance),
        new("variational dropout per input", mean => Dropout(mean, ParameterSharing.PerInput), DropoutCovariance),
        new("variational dropout per layer", mean => Dropout(mean, ParameterSharing.PerLayer), DropoutCovariance),
        new("concrete dropout", mean => Jitter(new ConcreteDropoutSpecification { InitialRate = 0.3, Temperature = 0.6 }.Create(mean)), ConcreteDropoutCovariance) { HasDensity = false },
        new("concrete dropout per input", mean => Jitter(new ConcreteDropoutSpecification { InitialRate = 0.2, RatePerInput = true, Temperature = 0.6 }.Create(mean)), ConcreteDropoutCovariance) { HasDensity = false },
        new("gates per weight", mean => Jitter(new SpikeAndSlab(mean, 0.4, 0.6)), SpikeAndSlabCovariance) { HasDensity = false },
        new("gates per output", mean => Jitter(new SpikeAndSlab(mean, 0.3, 0.7, ParameterSharing.PerOutput)), SpikeAndSlabCovariance) { HasDensity = false },
        new("gates per input", mean => Jitter(new SpikeAndSlab(mean, 0.3, 0.7, ParameterSharing.PerInput)), SpikeAndSlabCovariance) { HasDensity = false },
    ];

    /// <summary>Whether the posterior has a density; those that have none are draws of the posterior in evaluation mode alone.</summary>
    public bool HasDensity { get; init; } = true;

    /// <summary>Whether local reparameterization keeps the covariance of the outputs of one example and position.</summary>
    public bool KeepsChannels { get; init; }

    /// <summary>The case of the given name.</summary>
    public static PosteriorCase Named(string name) => All.Single(known => known.Name == name);

    /// <inheritdoc/>
    public override string ToString() => Name;

    private static Posterior MeanField(Tensor mean, ScaleParameterization scale) => Jitter(new MeanFieldGaussian(mean, 0.5, scale));

    private static Posterior Dropout(Tensor mean, ParameterSharing sharing) => Jitter(new VariationalDropout(mean, 0.3, sharing));

    /// <summary>Moves every parameter but the mean away from its initial value, at which much is special.</summary>
    private static Posterior Jitter(Posterior posterior)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        foreach ((string name, TorchSharp.Modules.Parameter parameter) in posterior.named_parameters())
        {
            if (name != "mean")
                parameter.add_(randn_like(parameter) * 0.2);
        }

        return posterior;
    }

    private static Tensor Named(Posterior posterior, string parameter)
        => posterior.named_parameters().Single(entry => entry.name == parameter).parameter.detach();

    private static Tensor Diagonal(Tensor variance) => diag(variance.flatten());

    private static Tensor FullCovariance(Posterior posterior)
    {
        Tensor l = Lower(Named(posterior, "factor"));
        return Blocks(l.matmul(l.transpose(1, 2)));
    }

    private static Tensor LowRankCovariance(Posterior posterior)
    {
        Tensor p = Named(posterior, "factor");
        return Blocks(p.matmul(p.transpose(1, 2))) + Diagonal(Named(posterior, "log_scale").exp().square());
    }

    private static Tensor MatrixNormalCovariance(Posterior posterior)
    {
        if (posterior is MeanFieldGaussian)
            return Diagonal(Named(posterior, "log_scale").exp().square());
        Tensor a = Lower(Named(posterior, "output_factor")), b = Lower(Named(posterior, "input_factor"));
        return kron(a.mm(a.t()), b.mm(b.t()));
    }

    private static Tensor DropoutCovariance(Posterior posterior)
        => Diagonal(Named(posterior, "log_alpha").exp() * Named(posterior, "mean").square());

    /// <summary>Columns that share a mask z / (1 - p): m m' Var[z] / (1 - p)^2 = m m' p / (1 - p) within one, 0 between two.</summary>
    private static Tensor ConcreteDropoutCovariance(Posterior posterior)
    {
        if (posterior is MeanFieldGaussian)
            return Diagonal(Named(posterior, "log_scale").exp().square());
        Tensor mean = Named(posterior, "mean"), p = Named(posterior, "logit").sigmoid();
        return Outer(mean * (p / (1 - p)).sqrt()) * SameIndex(mean, Index(mean, 1));
    }

    /// <summary>pi (1 - pi) mu mu' between weights that share a gate, and pi sigma^2 each.</summary>
    private static Tensor SpikeAndSlabCovariance(Posterior posterior)
    {
        Tensor mean = Named(posterior, "mean"), gate = Named(posterior, "gate"), p = gate.sigmoid();
        Tensor which = arange(gate.numel()).reshape(gate.shape).expand(mean.shape);
        return Outer(mean * (p * (1 - p)).sqrt()) * SameIndex(mean, which) + Diagonal(p * Named(posterior, "log_scale").exp().square());
    }

    private static Tensor Outer(Tensor value) => value.flatten().outer(value.flatten());

    private static Tensor Index(Tensor like, int dimension)
    {
        long[] shape = [.. Enumerable.Repeat(1L, (int)like.dim())];
        shape[dimension] = like.size(dimension);
        return arange(like.size(dimension)).reshape(shape).expand(like.shape);
    }

    private static Tensor SameIndex(Tensor like, Tensor index)
        => index.flatten().unsqueeze(0).eq(index.flatten().unsqueeze(1)).to(like.dtype);

    private static Tensor Lower(Tensor unconstrained)
        => unconstrained.tril(-1) + unconstrained.diagonal(0, -2, -1).exp().diag_embed();

    /// <summary>(groups, n, n) as one matrix of blocks.</summary>
    private static Tensor Blocks(Tensor blocks) => block_diag([.. blocks.unbind()]);
}
