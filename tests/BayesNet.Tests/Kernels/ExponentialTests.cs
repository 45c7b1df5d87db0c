using System.Numerics;
using BayesNet.Kernels;
using Xunit;

namespace BayesNet.Tests.Kernels;

public sealed class ExponentialTests
{
    /// <summary>Twice the error of the exponential itself, and the square's: four units in the last place.</summary>
    [Fact]
    public void ItIsTheSquareOfTheExponential()
    {
        Assert.InRange(MostError(Enumerable.Range(-4300, 8700).Select(i => i * 0.01f), float.BitIncrement(1) - 1), 0, 4);
        Assert.InRange(MostError(Enumerable.Range(-35300, 70700).Select(i => i * 0.01), double.BitIncrement(1) - 1), 0, 4);
    }

    [Fact]
    public void BeyondTheRangeOfNormalNumbersIsZeroOrInfinity()
    {
        foreach (float x in new[] { -44f, -60, -1e30f, float.NegativeInfinity })
            Assert.Equal(0, Of(x));
        foreach (float x in new[] { 44.5f, 60, 1e30f, float.PositiveInfinity })
            Assert.Equal(float.PositiveInfinity, Of(x));
        foreach (double x in new[] { -355.0, -1e200, double.NegativeInfinity })
            Assert.Equal(0, Of(x));
        foreach (double x in new[] { 356.0, 1e200, double.PositiveInfinity })
            Assert.Equal(double.PositiveInfinity, Of(x));
        Assert.Equal(float.NaN, Of(float.NaN));
        Assert.Equal(double.NaN, Of(double.NaN));
        Assert.Equal(1, Of(0f));
        Assert.Equal(1, Of(0.0));
    }

    private static T Of<T>(T x)
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
        => new Exponential<T>().OfTwice(new Vector<T>(x))[0];

    private static double MostError<T>(IEnumerable<T> points, T unit)
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
        => points.Max(x =>
        {
            double exact = Math.Exp(2 * double.CreateChecked(x));
            return Math.Abs((double.CreateChecked(Of(x)) - exact) / exact) / double.CreateChecked(unit);
        });
}
