using BayesNet.Priors;
using static TorchSharp.torch;

namespace BayesNet.TestKit;

/// <summary>A prior for a weight: one line here, and its divergences from every posterior are tested.</summary>
/// <param name="Name">The name in test output.</param>
/// <param name="Create">Makes the prior for a weight of the shape of the argument, float64.</param>
public sealed record PriorCase(string Name, Func<Tensor, Prior> Create)
{
    /// <summary>Every prior.</summary>
    public static IReadOnlyList<PriorCase> All { get; } =
    [
        new("Gaussian", like => new GaussianPrior(0.4, 1.7)),
        new("Gaussian per entry", like => new GaussianPrior(randn_like(like), randn_like(like).mul(0.3).exp())),
        new("learned Gaussian", like => new LearnedGaussianPrior(1.3, dtype: ScalarType.Float64)),
        new("learned Gaussian, closed form", like => new LearnedGaussianPrior(1.3, closedForm: true, dtype: ScalarType.Float64)),
        new("Laplace", like => new LaplacePrior(-0.3, 0.8)),
        new("Student-t", like => new StudentTPrior(3, 0.2, 0.9)),
        new("scale mixture", like => new ScaleMixturePrior(0.25, 1.5, 0.2)),
        new("horseshoe", like => new HorseshoePrior(0.5)),
        new("matrix normal", MatrixNormal),
        new("spike and slab", like => new SpikeAndSlabPrior(0.3, 1.4)),
        new("log-uniform", like => new LogUniformPrior()),
    ];

    /// <summary>The case of the given name.</summary>
    public static PriorCase Named(string name) => All.Single(known => known.Name == name);

    /// <inheritdoc/>
    public override string ToString() => Name;

    private static MatrixNormalPrior MatrixNormal(Tensor like)
    {
        using var scope = NewDisposeScope();
        long rows = like.size(0), columns = like.numel() / rows;
        return new MatrixNormalPrior(randn_like(like), Factor(rows), Factor(columns));

        static Tensor Factor(long size)
        {
            Tensor square = randn(size, size, dtype: ScalarType.Float64) * 0.4;
            return square.tril(-1) + square.diagonal().exp().diag_embed();
        }
    }
}
