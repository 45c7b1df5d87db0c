using BayesNet.Samples.Regression;
using BayesNet.Samples.Regression.Data;
using TorchSharp;
using Xunit;

namespace BayesNet.Samples.Tests.Regression;

public sealed class PreparationTests
{
    private static Table Rows(int rows, Func<int, double> input, Func<int, double> target) => new(
        "f", ["x", "index"], "y", [.. Enumerable.Range(0, rows).Select(row => new[] { input(row), row })], [.. Enumerable.Range(0, rows).Select(target)]);

    private static Table Varied(int rows) => Rows(rows, row => 3 + Math.Sin(row), row => 1e6 + row % 7);

    [Fact]
    public void TheSameSeedGivesTheSameDivision()
    {
        Split first = Split.Random(Varied(100), 0.1, 5), again = Split.Random(Varied(100), 0.1, 5), other = Split.Random(Varied(100), 0.1, 6);
        Assert.Equal(first.Training, again.Training);
        Assert.Equal(first.HeldOut, again.HeldOut);
        Assert.NotEqual(first.HeldOut, other.HeldOut);
        Assert.Equal(Enumerable.Range(0, 100), first.Training.Concat(first.HeldOut).Order());
    }

    [Theory]
    [InlineData(100, 0.1, 10)]
    [InlineData(100, 0.99, 98)]
    [InlineData(5, 0.01, 1)]
    [InlineData(3, 0.9, 1)]
    [InlineData(15, 0.3, 4)]
    public void TheHeldOutPartHasItsShareAndLeavesTwoRows(int rows, double fraction, int heldOut)
        => Assert.Equal(heldOut, Split.Random(Varied(rows), fraction, 1).HeldOut.Length);

    [Fact]
    public void UnitsComeFromTheTrainingPartAlone()
    {
        Preparation data = Preparation.Of(Varied(50), 0.2, 3);
        Assert.Equal(40, data.Training.Rows);
        Assert.Equal(10, data.HeldOut.Rows);
        double[] standardised = [.. data.Training.Targets.Select(data.Target.Apply)];
        Assert.Equal(0, standardised.Average(), 1e-9);
        Assert.Equal(1, standardised.Average(value => value * value), 1e-9);
        Assert.Equal(data.Training.Targets.Average(), data.Target.Mean, 1e-9);

        using torch.Tensor inputs = data.InputTensor(data.Training.Inputs);
        Assert.Equal([40, 2], inputs.shape);
        for (int column = 0; column < 2; column++)
        {
            float[] values = [.. Enumerable.Range(0, 40).Select(row => inputs[row, column].item<float>())];
            Assert.Equal(0, values.Average(), 1e-5);
            Assert.Equal(1, values.Average(value => value * value), 1e-5);
        }
    }

    [Theory]
    [InlineData(1e9, 1)]
    [InlineData(-3, 1e-6)]
    public void StandardisingGoesBothWays(double offset, double scale)
    {
        double[] values = [offset - scale, offset, offset + 4 * scale];
        Standardizer units = Standardizer.Of(values);
        foreach (double value in values)
            Assert.Equal(value, units.Invert(units.Apply(value)), Math.Abs(offset) * 1e-15 + scale * 1e-12);
    }

    [Fact]
    public void ConstantInputsAreLeftOutAndNamed()
    {
        Preparation data = Preparation.Of(Rows(10, _ => 4, row => row), 0.2, 1);
        Assert.Equal(["x"], data.DroppedColumns);
        Assert.Equal(["index"], data.Training.InputNames);
        Assert.All(data.HeldOut.Inputs, row => Assert.Single(row));
        Assert.Empty(Preparation.Of(Varied(10), 0.2, 1).DroppedColumns);
    }

    [Fact]
    public void UnusableTablesAreRefused()
    {
        Refused(Varied(1), "f: there is 1 row; at least 3 are needed");
        Refused(Varied(2), "f: there are 2 rows; at least 3 are needed");
        Refused(Rows(10, row => row, _ => 2.5), "f: the target, y, has the value 2.5 in all 9 training rows");
        Table constant = Rows(10, _ => 1, row => row).Without(new HashSet<int> { 1 });
        Refused(constant, "f: every input column is constant");

        static void Refused(Table table, string message)
            => Assert.StartsWith(message, Assert.Throws<InputException>(() => Preparation.Of(table, 0.1, 1)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void TheCurveLeavesItsGapEmptyAndHasItsMoments()
    {
        const int Rows = 20000;
        Table table = SyntheticCurve.Draw(Rows, 4);
        Assert.Equal(table.Targets, SyntheticCurve.Draw(Rows, 4).Targets);
        Assert.All(table.Inputs, row => Assert.Contains(SyntheticCurve.Observed, stretch => row[0] >= stretch.From && row[0] <= stretch.To));
        double[] noise = [.. Enumerable.Range(0, Rows).Select(row => (table.Targets[row] - SyntheticCurve.Mean(table.Inputs[row][0])) / SyntheticCurve.Noise(table.Inputs[row][0]))];

        // Standard normals: the mean's standard error is 1 / sqrt n, the mean square's sqrt(2 / n).
        Assert.InRange(noise.Average(), -5 / Math.Sqrt(Rows), 5 / Math.Sqrt(Rows));
        Assert.InRange(noise.Average(value => value * value) - 1, -5 * Math.Sqrt(2.0 / Rows), 5 * Math.Sqrt(2.0 / Rows));
    }
}
