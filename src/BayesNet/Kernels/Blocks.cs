namespace BayesNet.Kernels;

/// <summary>
/// How a layer's matrix products are cut into tasks: small enough that what a product leaves is still in the cache when the pass behind it
/// reads it, of nearly equal size, and as many as two or four threads can share evenly.
/// </summary>
/// <param name="Extent">The rows or columns that are cut.</param>
/// <param name="Count">The number of blocks.</param>
internal readonly record struct Blocks(int Extent, int Count)
{
    private const int EntriesPerBlock = 1 << 17;
    private const int LeastSize = 32;

    // Blocks begin at whole vectors.
    private const int Alignment = 16;

    // Multiplications below which a second thread costs more than it does.
    private const long MultiplicationsPerThread = 1 << 19;

    /// <summary>What no block has more rows or columns than.</summary>
    public int Size => (Extent + Count - 1) / Count + Alignment;

    /// <summary>Room for one block, each row or column with <paramref name="other"/> entries: whole cache lines, so that every thread's is aligned alike.</summary>
    public long Room(int other) => ((long)Size * other + Alignment - 1) / Alignment * Alignment;

    /// <summary>Blocks of <paramref name="extent"/> rows or columns, each with <paramref name="other"/> entries.</summary>
    public static Blocks Of(int extent, int other)
    {
        int size = Math.Max(LeastSize, EntriesPerBlock / other), count = (extent + size - 1) / size;
        return new Blocks(extent, count <= 2 ? count : Math.Min((count + 3) / 4 * 4, (extent + LeastSize - 1) / LeastSize));
    }

    /// <summary>The grain of a parallel loop over the blocks, for a product with <paramref name="inner"/> as its inner extent.</summary>
    public long Grain(int other, int inner) => Math.Max(1, MultiplicationsPerThread / Math.Max(1, (long)Size * other * inner));

    public (int First, int Size) At(long index)
    {
        int first = Boundary(index);
        return (first, Boundary(index + 1) - first);
    }

    private int Boundary(long index) => index == Count ? Extent : (int)(index * Extent / Count) / Alignment * Alignment;
}
