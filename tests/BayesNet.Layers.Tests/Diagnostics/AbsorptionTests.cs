using BayesNet.Diagnostics;
using BayesNet.Estimators;
using BayesNet.Posteriors;
using BayesNet.TestKit;
using Xunit;
using static TorchSharp.torch;

namespace BayesNet.Layers.Tests.Diagnostics;

public sealed class AbsorptionTests
{
    /// <summary>float32 at mu = 1.5: the shares and variance ratios of the closed form, to the digits that are known, and as measured.</summary>
    [Theory]
    [InlineData(1e-8, 1.00, 2, double.NaN, 0)]
    [InlineData(3e-8, 0.953, 3, 0.741, 3)]
    [InlineData(1e-7, 0.449, 3, 1.118, 3)]
    [InlineData(1e-6, 0.0475, 4, 1.0012, 4)]
    public void Float32LosesWhatTheFormulaSays(double stdDev, double share, int shareDigits, double ratio, int ratioDigits)
    {
        using BayesLinear layer = Constant(1.5, stdDev);
        AbsorptionReport report = layer.Absorption(draws: 100, seed: 81);
        AbsorptionEntry entry = Assert.Single(report.Posteriors);
        Assert.Equal(share, Math.Round(entry.AbsorbedShare.Predicted, shareDigits));
        if (!double.IsNaN(ratio))
            Assert.Equal(ratio, Math.Round(entry.VarianceRatio.Predicted, ratioDigits));
        AssertMeasured(entry);
    }

    /// <summary>The half-spacings are those of the type's neighbouring numbers, at a power of two, which has unequal ones, and elsewhere.</summary>
    [Theory]
    [InlineData(ScalarType.Float32, 1.5, 1e-7)]
    [InlineData(ScalarType.Float32, 1, 7e-8)]
    [InlineData(ScalarType.Float32, -0.25, 2e-8)]
    [InlineData(ScalarType.Float16, 1.5, 1e-3)]
    [InlineData(ScalarType.Float16, 2, 7e-4)]
    [InlineData(ScalarType.Float16, 3e-5, 5e-8)]
    [InlineData(ScalarType.BFloat16, -1.5, 5e-3)]
    [InlineData(ScalarType.BFloat16, 1, 2e-2)]
    public void TheShareFollowsFromTheNeighbours(ScalarType dtype, double mean, double stdDev)
    {
        using BayesLinear layer = Constant(mean, stdDev);
        AbsorptionEntry entry = layer.Absorption(dtype, draws: 20, seed: 82).Total;
        (double below, double rounded, double above) = Neighbours(dtype, mean);
        using var scope = NewDisposeScope();
        double sigma = tensor(stdDev).to(dtype).to(ScalarType.Float64).item<double>();
        double expected = (Erf((above - rounded) / 2 / (sigma * Math.Sqrt(2))) + Erf((rounded - below) / 2 / (sigma * Math.Sqrt(2)))) / 2;
        Assert.Equal(expected, entry.AbsorbedShare.Predicted, 1e-5);
        AssertMeasured(entry);
    }

    /// <summary>Layers with means of all sizes and standard deviations over six decades: prediction and measurement agree, layer by layer.</summary>
    [Theory]
    [InlineData(ScalarType.Float32, 1e-7)]
    [InlineData(ScalarType.Float16, 1e-3)]
    [InlineData(ScalarType.BFloat16, 1e-2)]
    public void PredictionsHoldForAWholeModel(ScalarType dtype, double typical)
    {
        using var scope = NewDisposeScope();
        manual_seed(83);
        using var model = nn.Sequential(("hidden", bnn.Linear(40, 50)), ("relu", nn.ReLU()), ("out", bnn.Linear(50, 20)));
        using (no_grad())
        {
            foreach (BayesianLayer layer in model.BayesianModules().Select(entry => (BayesianLayer)entry.Module))
            {
                var weight = (MeanFieldGaussian)layer.WeightPosterior;
                weight.ScaleParameter.copy_((rand_like(weight.Mean) - 0.5) * Math.Log(1e6) + Math.Log(typical));
            }
        }

        AbsorptionReport report = model.Absorption(dtype, draws: 100, seed: 84);
        Assert.Equal(["hidden.weight", "hidden.bias", "out.weight", "out.bias"], report.Posteriors.Select(entry => entry.Name));
        Assert.All(report.Posteriors, AssertMeasured);
        Assert.Equal(40 * 50 + 50 + 50 * 20 + 20, report.Total.Count);
        Assert.Equal(report.Posteriors.Sum(entry => entry.Count * entry.AbsorbedShare.Measured) / report.Total.Count, report.Total.AbsorbedShare.Measured, 1e-12);
        AssertMeasured(report.Total);
        string text = report.ToString();
        Assert.Contains("hidden.weight", text);
        Assert.Contains("Flipout", text);
    }

    /// <summary>2^-7 is where sigma^2 leaves the normal numbers of float16.</summary>
    [Theory]
    [InlineData(7.7e-3, 1)]
    [InlineData(7.9e-3, 0)]
    public void SubnormalVariancesAreCounted(double stdDev, double share)
    {
        using BayesLinear layer = Constant(1e-3, stdDev);
        Assert.Equal(share, layer.Absorption(ScalarType.Float16, draws: 2).Total.SubnormalVarianceShare);
        Assert.Equal(0, layer.Absorption(ScalarType.Float32, draws: 2).Total.SubnormalVarianceShare);
        Assert.Equal(share == 1, layer.Absorption(ScalarType.Float16, draws: 2).ToString().Contains("subnormal", StringComparison.Ordinal));
    }

    /// <summary>A standard deviation that the type rounds to zero leaves no noise, and one far above the spacing all of it.</summary>
    [Fact]
    public void TheEndsAreExact()
    {
        using BayesLinear none = Constant(1, 1e-9), all = Constant(0, 1e-3);
        AbsorptionEntry lost = none.Absorption(ScalarType.Float16, draws: 2).Total, kept = all.Absorption(draws: 10, seed: 85).Total;
        Assert.Equal((1, 1, 0), (lost.AbsorbedShare.Predicted, lost.AbsorbedShare.Measured, lost.AbsorbedShare.StandardError));
        Assert.Equal((0, 0, 0), (lost.VarianceRatio.Predicted, lost.VarianceRatio.Measured, lost.VarianceRatio.StandardError));
        Assert.Equal(0, kept.AbsorbedShare.Measured);
        Assert.Equal(1, kept.VarianceRatio.Predicted, 1e-9);
        AssertMeasured(kept);
    }

    [Fact]
    public void BadInputIsNamed()
    {
        using BayesLinear layer = Constant(1, 0.1);
        using var heavy = bnn.Linear(2, 2, options: new BayesOptions { Posterior = new MeanFieldLaplaceSpecification(), Estimator = Estimator.SharedWeights });
        using var both = nn.Sequential(("gaussian", Constant(1, 0.1)), ("laplace", heavy));
        Assert.Throws<NotSupportedException>(() => layer.Absorption(ScalarType.Float64));
        Assert.Throws<ArgumentOutOfRangeException>("draws", () => layer.Absorption(draws: 1));
        Assert.Throws<InvalidOperationException>(() => heavy.Absorption());
        Assert.Equal(["laplace.weight", "laplace.bias"], both.Absorption(draws: 2).Skipped);
    }

    private static BayesLinear Constant(double mean, double stdDev)
    {
        using var scope = NewDisposeScope();
        return new BayesLinear(
            full([100, 100], mean, dtype: ScalarType.Float32),
            options: new BayesOptions { Posterior = new MeanFieldGaussianSpecification { InitialStdDev = stdDev } });
    }

    private static void AssertMeasured(AbsorptionEntry entry)
    {
        AssertClose(entry.AbsorbedShare);
        AssertClose(entry.VarianceRatio);

        // An event that the prediction gives less than one draw in expectation can leave no standard error.
        void AssertClose(MeasuredValue value)
            => Assert.True(
                Math.Abs(value.Measured - value.Predicted) <= SampleMoments.StandardErrors * value.StandardError + 1e-6, $"{entry.Name}: {value}");
    }

    private static (double Below, double Rounded, double Above) Neighbours(ScalarType dtype, double value)
    {
        double magnitude = Math.Abs(value);
        switch (dtype)
        {
            case ScalarType.Float32:
                float single = (float)magnitude;
                return (MathF.BitDecrement(single), single, MathF.BitIncrement(single));
            case ScalarType.Float16:
                var half = (Half)magnitude;
                return ((double)Half.BitDecrement(half), (double)half, (double)Half.BitIncrement(half));
            default:
                // The upper half of a float32; the values of the tests are bfloat16 numbers.
                int bits = BitConverter.SingleToInt32Bits((float)magnitude);
                Assert.Equal(0, bits & 0xFFFF);
                return (BitConverter.Int32BitsToSingle(bits - 0x10000), magnitude, BitConverter.Int32BitsToSingle(bits + 0x10000));
        }
    }

    private static double Erf(double x)
    {
        using Tensor value = tensor(x, dtype: ScalarType.Float64);
        using Tensor erf = value.erf();
        return erf.item<double>();
    }
}
