using System.Runtime.CompilerServices;

namespace BayesNet.Kernels;

/// <summary>
/// Philox 4x32-10 (Salmon, Moraes, Dror and Shaw 2011, section 3.3): a bijection of 128-bit counters, one for each 64-bit key, whose values
/// at 0, 1, 2, ... are random numbers that need no state and can be had in any order.
/// </summary>
/// <remarks>
/// The counter's upper half is the number of a draw and its lower half that of a block of four words within it. Sixteen blocks make a
/// <em>group</em> of 64 words, in the order: the first words of the sixteen, their second words, third, fourth. A register of any width
/// stores into that order without a shuffle.
/// </remarks>
internal static unsafe class Philox
{
    /// <summary>The words of a group.</summary>
    internal const int GroupWords = 4 * GroupBlocks;

    /// <summary>The blocks of a group.</summary>
    internal const int GroupBlocks = 16;

    private const uint Multiplier0 = 0xD2511F53, Multiplier1 = 0xCD9E8D57;
    private const uint Weyl0 = 0x9E3779B9, Weyl1 = 0xBB67AE85;
    private const int Rounds = 10;

    /// <summary>One block, as the paper has it.</summary>
    internal static (uint X0, uint X1, uint X2, uint X3) Block(ulong key, ulong counterHigh, ulong counterLow)
    {
        (uint x0, uint x1, uint x2, uint x3) = ((uint)counterLow, (uint)(counterLow >> 32), (uint)counterHigh, (uint)(counterHigh >> 32));
        (uint k0, uint k1) = ((uint)key, (uint)(key >> 32));
        for (int round = 0; round < Rounds; round++)
        {
            ulong product0 = (ulong)Multiplier0 * x0, product1 = (ulong)Multiplier1 * x2;
            (x0, x1, x2, x3) = ((uint)(product1 >> 32) ^ x1 ^ k0, (uint)product1, (uint)(product0 >> 32) ^ x3 ^ k1, (uint)product0);
            k0 += Weyl0;
            k1 += Weyl1;
        }

        return (x0, x1, x2, x3);
    }

    /// <summary>As many blocks as a register has lanes, from an even one on: their first words, second, third and fourth.</summary>
    /// <remarks>
    /// A product needs 64 bits, so the even blocks and the odd ones are computed apart, one in each pair of lanes; what the upper lane of a
    /// pair holds is never read.
    /// </remarks>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static void Blocks<TVector, TLanes>(
        ulong key, ulong draw, ulong firstBlock, out TVector x0, out TVector x1, out TVector x2, out TVector x3)
        where TVector : unmanaged
        where TLanes : struct, ILanes<TVector>
    {
        TVector multiplier0 = TLanes.Integer(Multiplier0), multiplier1 = TLanes.Integer(Multiplier1);
        TVector key0 = TLanes.Integer((uint)key), key1 = TLanes.Integer((uint)(key >> 32));
        TVector weyl0 = TLanes.Integer(Weyl0), weyl1 = TLanes.Integer(Weyl1);
        TVector even0 = TLanes.EvenNumbersFrom(firstBlock), odd0 = TLanes.EvenNumbersFrom(firstBlock + 1);
        TVector even1 = TLanes.OddToEven(even0), odd1 = TLanes.OddToEven(odd0);
        TVector even2 = TLanes.Integer((uint)draw), odd2 = even2;
        TVector even3 = TLanes.Integer((uint)(draw >> 32)), odd3 = even3;
        for (int round = 0; round < Rounds; round += 2)
        {
            Round<TVector, TLanes>(ref even0, ref even1, ref even2, ref even3, multiplier0, multiplier1, key0, key1);
            Round<TVector, TLanes>(ref odd0, ref odd1, ref odd2, ref odd3, multiplier0, multiplier1, key0, key1);
            key0 = TLanes.AddIntegers(key0, weyl0);
            key1 = TLanes.AddIntegers(key1, weyl1);
            Round<TVector, TLanes>(ref even0, ref even1, ref even2, ref even3, multiplier0, multiplier1, key0, key1);
            Round<TVector, TLanes>(ref odd0, ref odd1, ref odd2, ref odd3, multiplier0, multiplier1, key0, key1);
            key0 = TLanes.AddIntegers(key0, weyl0);
            key1 = TLanes.AddIntegers(key1, weyl1);
        }

        x0 = TLanes.Interleave(even0, odd0);
        x1 = TLanes.Interleave(even1, odd1);
        x2 = TLanes.Interleave(even2, odd2);
        x3 = TLanes.Interleave(even3, odd3);
    }

    /// <summary>Whole groups of words.</summary>
    internal static void Groups<TVector, TLanes>(ulong key, ulong draw, long firstGroup, long count, uint* destination)
        where TVector : unmanaged
        where TLanes : struct, ILanes<TVector>
    {
        for (long group = firstGroup; group < firstGroup + count; group++, destination += GroupWords)
        {
            for (int lane = 0; lane < GroupBlocks; lane += TLanes.Count)
            {
                Blocks<TVector, TLanes>(
                    key, draw, (ulong)group * GroupBlocks + (uint)lane, out TVector x0, out TVector x1, out TVector x2, out TVector x3);
                TLanes.Store(x0, destination + lane);
                TLanes.Store(x1, destination + lane + GroupBlocks);
                TLanes.Store(x2, destination + lane + 2 * GroupBlocks);
                TLanes.Store(x3, destination + lane + 3 * GroupBlocks);
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Round<TVector, TLanes>(
        ref TVector x0, ref TVector x1, ref TVector x2, ref TVector x3, TVector multiplier0, TVector multiplier1, TVector key0, TVector key1)
        where TVector : unmanaged
        where TLanes : struct, ILanes<TVector>
    {
        TVector product0 = TLanes.MultiplyEven(x0, multiplier0), product1 = TLanes.MultiplyEven(x2, multiplier1);
        x0 = TLanes.Xor(TLanes.OddToEven(product1), TLanes.Xor(x1, key0));
        x2 = TLanes.Xor(TLanes.OddToEven(product0), TLanes.Xor(x3, key1));
        x1 = product1;
        x3 = product0;
    }
}
