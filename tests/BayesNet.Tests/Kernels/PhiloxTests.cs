using System.Runtime.Intrinsics;
using BayesNet.Kernels;
using Xunit;

namespace BayesNet.Tests.Kernels;

public sealed unsafe class PhiloxTests
{
    /// <summary>The test vectors that the authors of the paper publish with their library.</summary>
    [Theory]
    [InlineData(0UL, 0UL, 0UL, 0x6627e8d5u, 0xe169c58du, 0xbc57ac4cu, 0x9b00dbd8u)]
    [InlineData(ulong.MaxValue, ulong.MaxValue, ulong.MaxValue, 0x408f276du, 0x41c83b0eu, 0xa20bc7c6u, 0x6d5451fdu)]
    [InlineData(0x299f31d0_a4093822UL, 0x03707344_13198a2eUL, 0x85a308d3_243f6a88UL, 0xd16cfe09u, 0x94fdccebu, 0x5001e420u, 0x24126ea1u)]
    public void ABlockIsThePublishedOne(ulong key, ulong high, ulong low, uint x0, uint x1, uint x2, uint x3)
        => Assert.Equal((x0, x1, x2, x3), Philox.Block(key, high, low));

    [Theory]
    [InlineData(0UL, 0UL, 0L)]
    [InlineData(0x123456789abcdef0UL, 77UL, 5L)]
    [InlineData(ulong.MaxValue, ulong.MaxValue, (1L << 36) - 2)]
    public void EveryWidthGivesTheSameBlocks(ulong key, ulong draw, long group)
    {
        const int groups = 4;
        var expected = new uint[groups * Philox.GroupWords];
        for (int block = 0; block < groups * Philox.GroupBlocks; block++)
        {
            (uint x0, uint x1, uint x2, uint x3) = Philox.Block(key, draw, (ulong)group * Philox.GroupBlocks + (uint)block);
            int at = block / Philox.GroupBlocks * Philox.GroupWords + block % Philox.GroupBlocks;
            (expected[at], expected[at + 16], expected[at + 32], expected[at + 48]) = (x0, x1, x2, x3);
        }

        var actual = new uint[expected.Length];
        fixed (uint* pointer = actual)
        {
            Philox.Groups<Vector128<uint>, Lanes128>(key, draw, group, groups, pointer);
            Assert.Equal(expected, actual);
            Array.Clear(actual);
            Philox.Groups<Vector256<uint>, Lanes256>(key, draw, group, groups, pointer);
            Assert.Equal(expected, actual);
            Array.Clear(actual);
            Philox.Groups<Vector512<uint>, Lanes512>(key, draw, group, groups, pointer);
            Assert.Equal(expected, actual);
        }
    }
}
