using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace BayesNet.Kernels;

/// <summary>Eight lanes: AVX2.</summary>
internal readonly unsafe struct Lanes256 : ILanes<Vector256<uint>>
{
    public static int Count => Vector256<uint>.Count;

    public static Vector256<uint> Integer(uint value) => Vector256.Create(value);

    public static Vector256<uint> Number(float value) => Vector256.Create(value).AsUInt32();

    public static Vector256<uint> EvenNumbersFrom(ulong value) => (Vector256.Create(value) + (Vector256<ulong>.Indices << 1)).AsUInt32();

    public static Vector256<uint> Xor(Vector256<uint> a, Vector256<uint> b) => a ^ b;

    public static Vector256<uint> And(Vector256<uint> a, Vector256<uint> b) => a & b;

    public static Vector256<uint> AddIntegers(Vector256<uint> a, Vector256<uint> b) => a + b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<uint> ShiftLeft(Vector256<uint> a, int bits) => a << bits;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<uint> ShiftRight(Vector256<uint> a, int bits) => a >> bits;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<uint> ShiftRightSigned(Vector256<uint> a, int bits) => (a.AsInt32() >> bits).AsUInt32();

    public static Vector256<uint> OddToEven(Vector256<uint> a) => (a.AsUInt64() >> 32).AsUInt32();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<uint> MultiplyEven(Vector256<uint> a, Vector256<uint> b)
        => Avx2.IsSupported
            ? Avx2.Multiply(a, b).AsUInt32()
            : Vector256.Create(Lanes128.MultiplyEven(a.GetLower(), b.GetLower()), Lanes128.MultiplyEven(a.GetUpper(), b.GetUpper()));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<uint> Interleave(Vector256<uint> even, Vector256<uint> odd)
        => Avx2.IsSupported
            ? Avx2.Blend(even, (odd.AsUInt64() << 32).AsUInt32(), 0b10101010)
            : Vector256.Create(Lanes128.Interleave(even.GetLower(), odd.GetLower()), Lanes128.Interleave(even.GetUpper(), odd.GetUpper()));

    public static Vector256<uint> ToNumbers(Vector256<uint> integers) => Vector256.ConvertToSingle(integers.AsInt32()).AsUInt32();

    public static Vector256<uint> Add(Vector256<uint> a, Vector256<uint> b) => (a.AsSingle() + b.AsSingle()).AsUInt32();

    public static Vector256<uint> Multiply(Vector256<uint> a, Vector256<uint> b) => (a.AsSingle() * b.AsSingle()).AsUInt32();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<uint> MultiplyAdd(Vector256<uint> a, Vector256<uint> b, Vector256<uint> c)
        => Vector256.FusedMultiplyAdd(a.AsSingle(), b.AsSingle(), c.AsSingle()).AsUInt32();

    public static Vector256<uint> SquareRoot(Vector256<uint> a) => Vector256.Sqrt(a.AsSingle()).AsUInt32();

    public static Vector256<uint> Load(void* source) => Vector256.Load((uint*)source);

    public static void Store(Vector256<uint> a, void* destination) => a.Store((uint*)destination);
}
