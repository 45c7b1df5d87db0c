using BayesNet.Likelihoods;
using BayesNet.Metrics;
using BayesNet.Plotting;
using BayesNet.Prediction;
using ScottPlot;
using ScottPlot.Plottables;
using Xunit;
using static TorchSharp.torch;

namespace BayesNet.Tests.Plotting;

/// <summary>Plots show the numbers they are of, and are written by one call.</summary>
public sealed class PlotTests
{
    private static readonly byte[] PngSignature = [0x89, (byte)'P', (byte)'N', (byte)'G'];

    private static GaussianPredictive Predictive()
    {
        Tensor means = tensor(new[] { 0.0, 1, 2, 3, 1, 2, 3, 4 }, 2, 4, 1);
        using var likelihood = new GaussianLikelihood(noise: 0.5, dtype: ScalarType.Float64);
        return likelihood.Predict(means);
    }

    [Fact]
    public void EachIsWrittenByOneCall()
    {
        using var scope = NewDisposeScope();
        Tensor probabilities = tensor(new[] { 0.9, 0.1, 0.4, 0.6, 0.2, 0.8, 0.7, 0.3 }, 4, 2), classes = tensor(new long[] { 0, 1, 0, 0 });
        using GaussianPredictive predictive = Predictive();
        Written(path => ReliabilityDiagram.OfTopClass(probabilities, classes, bins: 5).SavePlot(path));
        Written(path => ReliabilityDiagram.OfTopClass(probabilities, classes, bins: 2, Binning.EqualMass).SavePlot(path));
        Written(path => QuantileCalibration.Of(predictive, zeros([4, 1], ScalarType.Float64)).SavePlot(path));
        Written(path => RiskCoverageCurve.Of(tensor(new[] { 0.1, 0.5, 0.3 }), tensor(new[] { 0.0, 1, 0 })).SavePlot(path));
        Written(path => predictive.SaveFanChart(path, [0, 1, 2, 3], [(1, 1.5)]));

        static void Written(Action<string> save)
        {
            string path = Path.Combine(Path.GetTempPath(), Path.GetRandomFileName() + ".png");
            try
            {
                save(path);
                Assert.Equal(PngSignature, File.ReadAllBytes(path)[..4]);
            }
            finally
            {
                File.Delete(path);
            }
        }
    }

    [Fact]
    public void AFanHoldsTheIntervalsInTheOrderOfThePositions()
    {
        using var scope = NewDisposeScope();
        using GaussianPredictive predictive = Predictive();
        using Plot plot = predictive.ToFanChart([3, 2, 1, 0], levels: [0.5, 0.9]);
        FillY[] bands = [.. plot.GetPlottables<FillY>()];
        Assert.Equal(["90 %", "50 %"], bands.Select(band => band.LegendText));
        (Tensor lower, Tensor upper) = predictive.Interval(0.9);
        Assert.Equal((0, 3), (bands[0].GetAxisLimits().Left, bands[0].GetAxisLimits().Right));
        Assert.Equal(lower.min().item<double>(), bands[0].GetAxisLimits().Bottom, 1e-12);
        Assert.Equal(upper.max().item<double>(), bands[0].GetAxisLimits().Top, 1e-12);

        // Row 3, the greatest median, stands at position 0.
        Coordinates[] median = [.. plot.GetPlottables<Scatter>().Single().Data.GetScatterPoints()];
        Assert.Equal([0.0, 1, 2, 3], median.Select(point => point.X));
        Assert.Equal(3.5, median[0].Y, 1e-9);
    }

    [Fact]
    public void AReliabilityDiagramHasABarForEachBin()
    {
        using var scope = NewDisposeScope();
        ReliabilityDiagram diagram = ReliabilityDiagram.OfTopClass(
            tensor(new[] { 0.9, 0.1, 0.45, 0.55, 0.95, 0.05 }, 3, 2), tensor(new long[] { 0, 0, 1 }), bins: 10);
        using Plot plot = diagram.ToPlot();
        Rectangle[] bars = [.. plot.GetPlottables<Rectangle>()];
        Assert.Equal(diagram.Bins.Select(bin => bin.Frequency), bars.Select(bar => bar.CoordinateRect.Top));
        Assert.Equal(diagram.Bins.Select(bin => Math.Round(bin.Lower, 12)), bars.Select(bar => Math.Round(bar.CoordinateRect.Left, 12)));
    }

    [Fact]
    public void BadArgumentsAreNamed()
    {
        using var scope = NewDisposeScope();
        using GaussianPredictive predictive = Predictive();
        Assert.Equal("predictive", Assert.Throws<ArgumentException>(() => predictive.ToFanChart([1, 2])).ParamName);
        Assert.Equal("output", Assert.Throws<ArgumentOutOfRangeException>(() => predictive.ToFanChart([0, 1, 2, 3], output: 1)).ParamName);
        Assert.Equal("curves", Assert.Throws<ArgumentException>(() => ScorePlots.RiskCoverage()).ParamName);
        Assert.Equal("path", Assert.Throws<ArgumentException>(() => predictive.SaveFanChart("", [0, 1, 2, 3])).ParamName);
    }
}
