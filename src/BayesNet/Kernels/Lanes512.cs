using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace BayesNet.Kernels;

/// <summary>Sixteen lanes: AVX-512.</summary>
internal readonly unsafe struct Lanes512 : ILanes<Vector512<uint>>
{
    public static int Count => Vector512<uint>.Count;

    public static Vector512<uint> Integer(uint value) => Vector512.Create(value);

    public static Vector512<uint> Number(float value) => Vector512.Create(value).AsUInt32();

    public static Vector512<uint> EvenNumbersFrom(ulong value) => (Vector512.Create(value) + (Vector512<ulong>.Indices << 1)).AsUInt32();

    public static Vector512<uint> Xor(Vector512<uint> a, Vector512<uint> b) => a ^ b;

    public static Vector512<uint> And(Vector512<uint> a, Vector512<uint> b) => a & b;

    public static Vector512<uint> AddIntegers(Vector512<uint> a, Vector512<uint> b) => a + b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<uint> ShiftLeft(Vector512<uint> a, int bits) => a << bits;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<uint> ShiftRight(Vector512<uint> a, int bits) => a >> bits;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<uint> ShiftRightSigned(Vector512<uint> a, int bits) => (a.AsInt32() >> bits).AsUInt32();

    public static Vector512<uint> OddToEven(Vector512<uint> a) => (a.AsUInt64() >> 32).AsUInt32();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<uint> MultiplyEven(Vector512<uint> a, Vector512<uint> b)
        => Avx512F.IsSupported
            ? Avx512F.Multiply(a, b).AsUInt32()
            : Vector512.Create(Lanes256.MultiplyEven(a.GetLower(), b.GetLower()), Lanes256.MultiplyEven(a.GetUpper(), b.GetUpper()));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<uint> Interleave(Vector512<uint> even, Vector512<uint> odd)
        => Vector512.ConditionalSelect(Vector512.Create(0xFFFFFFFF00000000).AsUInt32(), (odd.AsUInt64() << 32).AsUInt32(), even);

    public static Vector512<uint> ToNumbers(Vector512<uint> integers) => Vector512.ConvertToSingle(integers.AsInt32()).AsUInt32();

    public static Vector512<uint> Add(Vector512<uint> a, Vector512<uint> b) => (a.AsSingle() + b.AsSingle()).AsUInt32();

    public static Vector512<uint> Multiply(Vector512<uint> a, Vector512<uint> b) => (a.AsSingle() * b.AsSingle()).AsUInt32();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<uint> MultiplyAdd(Vector512<uint> a, Vector512<uint> b, Vector512<uint> c)
        => Vector512.FusedMultiplyAdd(a.AsSingle(), b.AsSingle(), c.AsSingle()).AsUInt32();

    public static Vector512<uint> SquareRoot(Vector512<uint> a) => Vector512.Sqrt(a.AsSingle()).AsUInt32();

    public static Vector512<uint> Load(void* source) => Vector512.Load((uint*)source);

    public static void Store(Vector512<uint> a, void* destination) => a.Store((uint*)destination);
}
