using BayesNet.Likelihoods;
using Xunit;
using static TorchSharp.torch;

namespace BayesNet.Tests.Likelihoods;

/// <summary>Every likelihood with an output and a target that fit it: what tests of the contract run over.</summary>
internal static class LikelihoodCases
{
    internal const int Batch = 4;

    internal static TheoryData<string> Names { get; } =
    [
        "gaussian", "gaussian per output", "heteroscedastic", "heteroscedastic unbounded", "student-t", "cauchy", "laplace", "poisson", "poisson with exposure",
        "negative binomial",
        "negative binomial with exposure", "bernoulli", "categorical", "ordinal",
    ];

    internal static Likelihood Create(string name, ScalarType dtype = ScalarType.Float64, MissingTargets missing = MissingTargets.Refused) => name switch
    {
        "gaussian" => new GaussianLikelihood(noise: 0.6, missing: missing, dtype: dtype),
        "gaussian per output" => new GaussianLikelihood([0.6, 1.5], missing: missing, dtype: dtype),
        "heteroscedastic" => new HeteroscedasticGaussianLikelihood(minNoise: 0.1, missing: missing),
        "heteroscedastic unbounded" => new HeteroscedasticGaussianLikelihood(missing: missing),
        "student-t" => new StudentTLikelihood(scale: 0.7, learnDegreesOfFreedom: true, degreesOfFreedom: 5.5, missing: missing, dtype: dtype),
        "cauchy" => new StudentTLikelihood(scale: 0.7, degreesOfFreedom: 1, minDegreesOfFreedom: 0, missing: missing, dtype: dtype),
        "laplace" => new LaplaceLikelihood(scale: 0.7, missing: missing, dtype: dtype),
        "poisson" => new PoissonLikelihood(missing: missing),
        "poisson with exposure" => new PoissonLikelihood(hasExposure: true, missing: missing),
        "negative binomial" => new NegativeBinomialLikelihood(dispersion: 0.3, missing: missing, dtype: dtype),
        "negative binomial with exposure" => new NegativeBinomialLikelihood(dispersion: 0.3, hasExposure: true, missing: missing, dtype: dtype),
        "bernoulli" => new BernoulliLikelihood(missing),
        "categorical" => new CategoricalLikelihood(missing == MissingTargets.Masked ? -1 : null),
        "ordinal" => new OrdinalLikelihood(4, missing == MissingTargets.Masked ? -1 : null, dtype),
        _ => throw new ArgumentOutOfRangeException(nameof(name)),
    };

    internal static bool IsOfClasses(string name) => name is "categorical" or "ordinal";

    internal static bool IsOfCounts(string name) => name.Contains("poisson", StringComparison.Ordinal) || name.Contains("binomial", StringComparison.Ordinal);

    /// <summary>(samples, Batch, ...), of two outputs where the likelihood takes several.</summary>
    internal static Tensor Outputs(string name, int samples, ScalarType dtype = ScalarType.Float64)
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(21, CPU);
        long width = name switch { "heteroscedastic" or "heteroscedastic unbounded" or "categorical" => 4, "ordinal" => 1, _ => 2 };
        return randn([samples, Batch, width], ScalarType.Float64, generator: generator).to(dtype).MoveToOuterDisposeScope();
    }

    internal static Tensor Target(string name, ScalarType dtype = ScalarType.Float64)
    {
        double[,] counts = { { 0, 3 }, { 1, 0 }, { 12, 2 }, { 5, 1 } };
        double[,] withExposure = { { 0, 3, 0.5, 2 }, { 1, 0, 1, 1 }, { 12, 2, 3, 0.1 }, { 5, 1, 2, 2 } };
        if (IsOfClasses(name))
            return tensor(new[] { 2L, 0, 3, 1 });
        if (IsOfCounts(name))
            return tensor(name.EndsWith("exposure", StringComparison.Ordinal) ? withExposure : counts, dtype: dtype);
        return name == "bernoulli"
            ? tensor(new double[,] { { 0, 1 }, { 1, 1 }, { 0, 0 }, { 1, 0 } }, dtype: dtype)
            : tensor(new[,] { { 0.3, -1.1 }, { 2.5, 0.2 }, { -0.4, 0.9 }, { 0.05, -7.5 } }, dtype: dtype);
    }
}
