using BayesNet.Likelihoods;
using BayesNet.TestKit;
using Xunit;
using static TorchSharp.torch;

namespace BayesNet.Tests.Likelihoods;

public sealed class CategoricalLikelihoodTests
{
    private static readonly double[,] Logits = { { 1.0, -0.5, 0.2 }, { 100, 0, -100 } };

    [Theory]
    [InlineData(ScalarType.Float32, 1e-6)]
    [InlineData(ScalarType.Float64, 1e-14)]
    public void LogLikelihoodIsTheLogOfTheSoftmax(ScalarType dtype, double tolerance)
    {
        using var scope = NewDisposeScope();
        using var likelihood = new CategoricalLikelihood();
        Tensor computed = likelihood.LogLikelihood(tensor(Logits, dtype: dtype), tensor(new[] { 2L, 2L }));
        double normalizer = Math.Exp(1) + Math.Exp(-0.5) + Math.Exp(0.2);
        Assert.Equal([2], computed.shape);
        Assert.Equal(0.2 - Math.Log(normalizer), computed[0].to(ScalarType.Float64).item<double>(), tolerance);
        Assert.Equal(-200, computed[1].to(ScalarType.Float64).item<double>(), tolerance * 200);
    }

    [Fact]
    public void GradientsAreThoseOfFiniteDifferences()
    {
        using var scope = NewDisposeScope();
        using var likelihood = new CategoricalLikelihood();
        Tensor logits = tensor(Logits, requires_grad: true);
        Tensor target = tensor(new[] { 2L, 0L });
        FiniteDifferences.AssertGradients(() => likelihood.LogLikelihood(logits, target).sum(), ("logits", logits));
    }

    [Fact]
    public void BadArgumentsAreNamed()
    {
        using var scope = NewDisposeScope();
        using var likelihood = new CategoricalLikelihood();
        Tensor logits = zeros(2, 3);
        Assert.Throws<ArgumentNullException>("output", () => likelihood.LogLikelihood(null!, zeros(2)));
        Assert.Throws<ArgumentNullException>("target", () => likelihood.LogLikelihood(logits, null!));
        Assert.Throws<ArgumentNullException>("outputs", () => likelihood.Predict(null!));
        Assert.Throws<ArgumentException>("output", () => likelihood.LogLikelihood(zeros(2, 3, 4), tensor(new[] { 0L, 1L })));
        ArgumentException type = Assert.Throws<ArgumentException>("target", () => likelihood.LogLikelihood(logits, zeros(2)));
        Assert.Contains("Int64", type.Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentException>("target", () => likelihood.LogLikelihood(logits, tensor(new[] { 0L })));
        Assert.Throws<ArgumentException>("target", () => likelihood.LogLikelihood(logits, zeros(2, 3, dtype: ScalarType.Int64)));
        ArgumentException range = Assert.Throws<ArgumentException>("target", () => likelihood.LogLikelihood(logits, tensor(new[] { 0L, 3L })));
        Assert.Contains("class 3", range.Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentException>("target", () => likelihood.LogLikelihood(logits, tensor(new[] { -1L, 0L })));
        Assert.Throws<ArgumentException>("outputs", () => likelihood.Predict(zeros(5, 2)));
    }
}
