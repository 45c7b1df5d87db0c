using BayesNet.Likelihoods;
using BayesNet.Prediction;
using BayesNet.TestKit;
using Xunit;
using static TorchSharp.torch;

namespace BayesNet.Tests.Prediction;

public sealed class CategoricalPredictiveTests
{
    // [sample][example][class]; the second example is certain in each sample, and the samples disagree about it.
    private static readonly double[,,] Probabilities =
    {
        { { 0.7, 0.2, 0.1 }, { 1, 0, 0 } },
        { { 0.5, 0.1, 0.4 }, { 0, 1, 0 } },
    };

    private static CategoricalPredictive Create(ScalarType dtype = ScalarType.Float64)
    {
        using var scope = NewDisposeScope();
        using var likelihood = new CategoricalLikelihood();

        // Any constant added to the logits of an example leaves its probabilities as they are. ln 0 is minus infinity.
        return (CategoricalPredictive)likelihood.Predict((tensor(Probabilities).log() + 3).to(dtype));
    }

    private static double Entropy(params double[] probabilities) => -probabilities.Where(p => p > 0).Sum(p => p * Math.Log(p));

    [Theory]
    [InlineData(ScalarType.Float32, 1e-6)]
    [InlineData(ScalarType.Float64, 1e-14)]
    public void ProbabilitiesAndTheirDeviationsAreThoseByHand(ScalarType dtype, double tolerance)
    {
        using var scope = NewDisposeScope();
        using CategoricalPredictive predictive = Create(dtype);
        Check(predictive.Mean, [0.6, 0.15, 0.25, 0.5, 0.5, 0]);
        Check(predictive.Epistemic, [0.1, 0.05, 0.15, 0.5, 0.5, 0]);

        // p (1 - p) averaged over the samples: (0.21 + 0.25) / 2, (0.16 + 0.09) / 2, (0.09 + 0.24) / 2.
        Check(predictive.Aleatoric, [Math.Sqrt(0.23), Math.Sqrt(0.125), Math.Sqrt(0.165), 0, 0, 0]);

        // The two parts add up to the variance of the averaged class's indicator.
        Check(predictive.StdDev, [Math.Sqrt(0.24), Math.Sqrt(0.1275), Math.Sqrt(0.1875), 0.5, 0.5, 0]);
        Assert.Equal(0, predictive.PredictedClass[0].item<long>());

        void Check(Tensor computed, double[] expected)
        {
            Assert.Equal(dtype, computed.dtype);
            Assert.Equal([2, 3], computed.shape);
            Assert.True((computed.to(ScalarType.Float64).flatten() - tensor(expected)).abs().max().item<double>() < tolerance);
        }
    }

    [Fact]
    public void EntropiesSplitTheUncertainty()
    {
        using var scope = NewDisposeScope();
        using CategoricalPredictive predictive = Create();
        double whole = Entropy(0.6, 0.15, 0.25), expected = (Entropy(0.7, 0.2, 0.1) + Entropy(0.5, 0.1, 0.4)) / 2;
        Check(predictive.PredictiveEntropy, whole, Math.Log(2));
        Check(predictive.ExpectedEntropy, expected, 0);
        Check(predictive.MutualInformation, whole - expected, Math.Log(2));

        static void Check(Tensor computed, double first, double second)
        {
            Assert.Equal([2], computed.shape);
            Assert.Equal(first, computed[0].item<double>(), 1e-14);
            Assert.Equal(second, computed[1].item<double>(), 1e-14);
        }
    }

    [Fact]
    public void LogDensityIsTheLogOfTheMeanProbability()
    {
        using var scope = NewDisposeScope();
        using CategoricalPredictive predictive = Create();
        Tensor computed = predictive.LogDensity(tensor(new[] { 1L, 0L }));
        Assert.Equal([2], computed.shape);
        Assert.Equal(Math.Log(0.15), computed[0].item<double>(), 1e-14);
        Assert.Equal(Math.Log(0.5), computed[1].item<double>(), 1e-14);

        // Probabilities of exp(-2000) and exp(-3000), zero in any type.
        using var likelihood = new CategoricalLikelihood();
        using Predictive extreme = likelihood.Predict(tensor(new[] { 0f, -2000f, 0f, -3000f }).reshape(2, 1, 2));
        Assert.Equal(-2000 - Math.Log(2), extreme.LogDensity(tensor(new[] { 1L })).item<float>(), 1e-3);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(9)]
    public void QuantilesAreThoseOfTorch(int samples)
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(3, CPU);
        using var likelihood = new CategoricalLikelihood();
        Tensor logits = randn([samples, 4, 3], ScalarType.Float64, generator: generator);
        using Predictive predictive = likelihood.Predict(logits);
        foreach (double probability in new[] { 0.001, 0.25, 0.5, 0.7, 0.999 })
        {
            Tensor expected = quantile(logits.softmax(2), tensor(probability), dim: 0);
            Assert.True((predictive.Quantile(probability) - expected).abs().max().item<double>() < 1e-15);
        }
    }

    [Fact]
    public void NothingIsLeftBehind()
    {
        Use();
        long before = LiveTensors.Settled();
        for (int i = 0; i < 3; i++)
            Use();
        Assert.Equal(before, Tensor.TotalCount);

        static void Use()
        {
            using CategoricalPredictive predictive = Create();
            _ = (predictive.StdDev, predictive.PredictedClass, predictive.MutualInformation);
            (Tensor lower, Tensor upper) = predictive.Interval();
            using (lower)
            using (upper)
            using (Tensor target = tensor(new[] { 1L, 0L }))
            using (Tensor density = predictive.LogDensity(target))
                Assert.Equal(2, density.numel());
        }
    }

    [Fact]
    public void BadArgumentsAreNamed()
    {
        using var scope = NewDisposeScope();
        CategoricalPredictive predictive = Create();
        Assert.Throws<ArgumentOutOfRangeException>("probability", () => predictive.Quantile(1));
        Assert.Throws<ArgumentOutOfRangeException>("level", () => predictive.Interval(0));
        Assert.Throws<ArgumentNullException>("target", () => predictive.LogDensity(null!));
        Assert.Throws<ArgumentException>("target", () => predictive.LogDensity(zeros(2)));
        Assert.Throws<ArgumentException>("target", () => predictive.LogDensity(tensor(new[] { 0L })));
        Assert.Throws<ArgumentException>("target", () => predictive.LogDensity(tensor(new[] { 0L, 3L })));
        predictive.Dispose();
        Assert.Throws<ObjectDisposedException>(() => predictive.Mean);
        Assert.Throws<ObjectDisposedException>(() => predictive.Quantile(0.5));
        Assert.Throws<ObjectDisposedException>(() => predictive.LogDensity(tensor(new[] { 0L, 1L })));
    }
}
