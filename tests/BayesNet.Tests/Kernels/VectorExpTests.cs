using System.Numerics;
using BayesNet.Kernels;
using Xunit;

namespace BayesNet.Tests.Kernels;

public sealed class VectorExpTests
{
    /// <summary>Every 4,099th of all float32 numbers, NaN, infinities and subnormal results among them, against float64.</summary>
    [Fact]
    public void SingleIsWithinOneAndAHalfUnitsInTheLastPlace()
    {
        var x = new float[Vector<float>.Count];
        for (ulong bits = 0; bits <= uint.MaxValue; bits += 4_099UL * (ulong)x.Length)
        {
            for (int i = 0; i < x.Length; i++)
                x[i] = BitConverter.UInt32BitsToSingle((uint)Math.Min(uint.MaxValue, bits + 4_099UL * (ulong)i));
            Vector<float> y = VectorExp.Exp(new Vector<float>(x));
            for (int i = 0; i < x.Length; i++)
            {
                double exact = Math.Exp(x[i]);
                float nearest = (float)exact;
                if (float.IsFinite(nearest))
                    Assert.True(Math.Abs(y[i] - exact) <= 1.5 * (MathF.BitIncrement(nearest) - (double)nearest), $"e^{x[i]} is {y[i]}.");
                else
                    Assert.Equal(nearest, y[i]);
            }
        }
    }

    /// <summary>Against .NET's scalar exponential, which is within a unit itself.</summary>
    [Fact]
    public void DoubleIsWithinTwoUnitsOfTheScalarFunction()
    {
        var random = new Random(1);
        double[] special = [0, -0.0, 709.782712893384, 709.782712893385, 1e300, -745.13, -745.14, -1e300, double.NaN, double.PositiveInfinity, double.NegativeInfinity, 1e-300];
        var x = new double[Vector<double>.Count];
        for (int round = 0; round < 200_000; round++)
        {
            for (int i = 0; i < x.Length; i++)
                x[i] = round < special.Length ? special[(round + i) % special.Length] : random.NextDouble() * 1470 - 750;
            Vector<double> y = VectorExp.Exp(new Vector<double>(x));
            for (int i = 0; i < x.Length; i++)
            {
                double expected = Math.Exp(x[i]);
                if (double.IsFinite(expected))
                    Assert.True(Math.Abs(y[i] - expected) <= 2 * (Math.BitIncrement(expected) - expected), $"e^{x[i]} is {y[i]}, not {expected}.");
                else
                    Assert.Equal(expected, y[i]);
            }
        }
    }
}
