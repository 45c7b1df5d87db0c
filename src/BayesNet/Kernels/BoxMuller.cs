using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace BayesNet.Kernels;

/// <summary>
/// Standard normals from random words, by Box and Muller (1958): z1 = r cos(t), z2 = r sin(t), with r = sqrt(-2 ln u) and t uniform on the
/// circle.
/// </summary>
/// <remarks>
/// float32: one word for r and one for t. The radius has 31 bits, u = (k + 1/2) / 2^31, so that |z| is at most sqrt(64 ln 2) = 6.66, where a
/// normal lies beyond once in 4e10 draws; logarithm, sine and cosine are polynomials, relative errors below 2e-7 (minimax, by Remez'
/// exchange). float64: two words each, u = (k + 1/2) / 2^53 and |z| at most 8.65.
/// </remarks>
internal static unsafe class BoxMuller
{
    /// <summary>The largest |z| in float32.</summary>
    internal const double LargestSingle = 6.660434;

    /// <summary>The largest |z| in float64.</summary>
    internal const double LargestDouble = 8.652161;

    private const float MinusTwoLn2 = -1.38629436f;

    // The bits of sqrt(1/2): a mantissa taken from here on is in [sqrt(1/2), sqrt(2)), where the logarithm has one sign on either side of 1.
    private const uint RootHalfBits = 0x3F3504F3;

    /// <summary>Two normals a lane from two random words a lane.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static void Transform<TVector, TLanes>(TVector radiusBits, TVector angleBits, out TVector first, out TVector second)
        where TVector : unmanaged
        where TLanes : struct, ILanes<TVector>
    {
        // k + 1/2 = m 2^e, hence -2 ln u = -2 ln m - 2 ln 2 (e - 31).
        TVector bits = TLanes.Add(TLanes.ToNumbers(TLanes.ShiftRight(radiusBits, 1)), TLanes.Number(0.5f));
        bits = TLanes.AddIntegers(bits, TLanes.Integer(unchecked(0u - RootHalfBits - (31u << 23))));
        TVector exponent = TLanes.ToNumbers(TLanes.ShiftRightSigned(bits, 23));
        TVector mantissa = TLanes.AddIntegers(TLanes.And(bits, TLanes.Integer(0x7FFFFF)), TLanes.Integer(RootHalfBits));
        TVector x = TLanes.Add(mantissa, TLanes.Number(-1));

        // -2 ln(1 + x) / x
        TVector p = TLanes.Number(0.2021379664f);
        p = TLanes.MultiplyAdd(p, x, TLanes.Number(-0.3244516081f));
        p = TLanes.MultiplyAdd(p, x, TLanes.Number(0.3450165783f));
        p = TLanes.MultiplyAdd(p, x, TLanes.Number(-0.3980033107f));
        p = TLanes.MultiplyAdd(p, x, TLanes.Number(0.4993981827f));
        p = TLanes.MultiplyAdd(p, x, TLanes.Number(-0.6667011788f));
        p = TLanes.MultiplyAdd(p, x, TLanes.Number(1.000007302f));
        p = TLanes.MultiplyAdd(p, x, TLanes.Number(-1.999999891f));
        TVector radius = TLanes.SquareRoot(TLanes.MultiplyAdd(exponent, TLanes.Number(MinusTwoLn2), TLanes.Multiply(p, x)));

        // The lower 31 bits are an angle pi/2 y, y in [-1, 1), in the right half of the circle; the highest one mirrors it to the left.
        TVector y = TLanes.Multiply(TLanes.ToNumbers(TLanes.ShiftLeft(angleBits, 1)), TLanes.Number(1f / (1L << 31)));
        TVector mirror = TLanes.And(angleBits, TLanes.Integer(0x80000000));
        TVector square = TLanes.Multiply(y, y);

        // sin(pi/2 y) / y and cos(pi/2 y) / (1 - y^2)
        TVector sine = TLanes.Number(0.0001514851305f);
        sine = TLanes.MultiplyAdd(sine, square, TLanes.Number(-0.004673766612f));
        sine = TLanes.MultiplyAdd(sine, square, TLanes.Number(0.07968967895f));
        sine = TLanes.MultiplyAdd(sine, square, TLanes.Number(-0.6459637106f));
        sine = TLanes.MultiplyAdd(sine, square, TLanes.Number(1.570796318f));
        TVector cosine = TLanes.Number(-0.0008456496877f);
        cosine = TLanes.MultiplyAdd(cosine, square, TLanes.Number(0.01993807027f));
        cosine = TLanes.MultiplyAdd(cosine, square, TLanes.Number(-0.2336942126f));
        cosine = TLanes.MultiplyAdd(cosine, square, TLanes.Number(0.9999997923f));
        TVector factor = TLanes.Xor(TLanes.MultiplyAdd(TLanes.Multiply(y, TLanes.Number(-1)), y, TLanes.Number(1)), mirror);

        first = TLanes.Multiply(TLanes.Multiply(radius, factor), cosine);
        second = TLanes.Multiply(TLanes.Multiply(radius, y), sine);
    }

    /// <summary>Whole groups of float32 normals, 64 each: the cosines of the first and second words, their sines, those of the third and fourth.</summary>
    internal static void Groups<TVector, TLanes>(ulong key, ulong draw, long firstGroup, long count, float* destination)
        where TVector : unmanaged
        where TLanes : struct, ILanes<TVector>
    {
        // A tile of words, then the tile in place: two short loops keep their constants in reach, where one long one would spill them.
        const int tile = 8;
        for (long done = 0; done < count; done += tile)
        {
            long groups = Math.Min(tile, count - done);
            Philox.Groups<TVector, TLanes>(key, draw, firstGroup + done, groups, (uint*)destination);
            float* end = destination + groups * Philox.GroupWords;
            for (int lane = 0; lane < Philox.GroupBlocks; lane += TLanes.Count)
            {
                for (float* radius = destination + lane; radius < end; radius += 2 * Philox.GroupBlocks)
                {
                    float* angle = radius + Philox.GroupBlocks;
                    Transform<TVector, TLanes>(TLanes.Load(radius), TLanes.Load(angle), out TVector first, out TVector second);
                    TLanes.Store(first, radius);
                    TLanes.Store(second, angle);
                }
            }

            destination = end;
        }
    }

    /// <summary>Two float64 normals a lane from two 53-bit integers a lane.</summary>
    internal static (Vector256<double> First, Vector256<double> Second) Transform(Vector256<ulong> radius53, Vector256<ulong> angle53)
    {
        Vector256<double> uniform = (Vector256.ConvertToDouble(radius53) + Vector256.Create(0.5)) * Math.ScaleB(1, -53);
        Vector256<double> radius = Vector256.Sqrt(Vector256.Log(uniform) * -2.0);
        (Vector256<double> sine, Vector256<double> cosine) = Vector256.SinCos(Vector256.ConvertToDouble(angle53) * (Math.PI * Math.ScaleB(1, -52)));
        return (radius * cosine, radius * sine);
    }
}
