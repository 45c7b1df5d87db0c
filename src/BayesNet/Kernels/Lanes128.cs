using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.Arm;
using System.Runtime.Intrinsics.X86;

namespace BayesNet.Kernels;

/// <summary>Four lanes: SSE2, Arm's Neon, and in software any machine.</summary>
internal readonly unsafe struct Lanes128 : ILanes<Vector128<uint>>
{
    public static int Count => Vector128<uint>.Count;

    public static Vector128<uint> Integer(uint value) => Vector128.Create(value);

    public static Vector128<uint> Number(float value) => Vector128.Create(value).AsUInt32();

    public static Vector128<uint> EvenNumbersFrom(ulong value) => (Vector128.Create(value) + (Vector128<ulong>.Indices << 1)).AsUInt32();

    public static Vector128<uint> Xor(Vector128<uint> a, Vector128<uint> b) => a ^ b;

    public static Vector128<uint> And(Vector128<uint> a, Vector128<uint> b) => a & b;

    public static Vector128<uint> AddIntegers(Vector128<uint> a, Vector128<uint> b) => a + b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<uint> ShiftLeft(Vector128<uint> a, int bits) => a << bits;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<uint> ShiftRight(Vector128<uint> a, int bits) => a >> bits;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<uint> ShiftRightSigned(Vector128<uint> a, int bits) => (a.AsInt32() >> bits).AsUInt32();

    public static Vector128<uint> OddToEven(Vector128<uint> a) => (a.AsUInt64() >> 32).AsUInt32();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<uint> MultiplyEven(Vector128<uint> a, Vector128<uint> b)
    {
        if (Sse2.IsSupported)
            return Sse2.Multiply(a, b).AsUInt32();
        if (AdvSimd.IsSupported)
            return AdvSimd.MultiplyWideningLower(AdvSimd.ExtractNarrowingLower(a.AsUInt64()), AdvSimd.ExtractNarrowingLower(b.AsUInt64())).AsUInt32();
        Vector128<ulong> low = Vector128.Create<ulong>(uint.MaxValue);
        return ((a.AsUInt64() & low) * (b.AsUInt64() & low)).AsUInt32();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<uint> Interleave(Vector128<uint> even, Vector128<uint> odd)
        => Vector128.ConditionalSelect(Vector128.Create(0xFFFFFFFF00000000).AsUInt32(), (odd.AsUInt64() << 32).AsUInt32(), even);

    public static Vector128<uint> ToNumbers(Vector128<uint> integers) => Vector128.ConvertToSingle(integers.AsInt32()).AsUInt32();

    public static Vector128<uint> Add(Vector128<uint> a, Vector128<uint> b) => (a.AsSingle() + b.AsSingle()).AsUInt32();

    public static Vector128<uint> Multiply(Vector128<uint> a, Vector128<uint> b) => (a.AsSingle() * b.AsSingle()).AsUInt32();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<uint> MultiplyAdd(Vector128<uint> a, Vector128<uint> b, Vector128<uint> c)
        => Vector128.FusedMultiplyAdd(a.AsSingle(), b.AsSingle(), c.AsSingle()).AsUInt32();

    public static Vector128<uint> SquareRoot(Vector128<uint> a) => Vector128.Sqrt(a.AsSingle()).AsUInt32();

    public static Vector128<uint> Load(void* source) => Vector128.Load((uint*)source);

    public static void Store(Vector128<uint> a, void* destination) => a.Store((uint*)destination);
}
