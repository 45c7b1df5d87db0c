using BayesNet.Kernels;
using static TorchSharp.torch;

namespace BayesNet.Distributed;

/// <summary>Files of rank 0's for all ranks, whether they have a disk in common or not.</summary>
internal static class FileExchange
{
    private const long Piece = 1L << 26;

    /// <summary>The path of a file on rank 0, and of a temporary copy, the caller's to delete, on the others; null where rank 0 has none.</summary>
    /// <exception cref="CollectiveException">Another rank can't read or write.</exception>
    internal static string? Fetch(this ICollectives ranks, string path)
    {
        bool reads = ranks.Rank == 0;
        using FileStream? file = ranks.Together(
            () => !reads ? File.Create(Path.GetTempFileName()) : File.Exists(path) ? File.OpenRead(path) : null, Discard);
        long[] length = [reads ? file?.Length ?? -1 : 0];
        ranks.Spread(length, 0);
        Exception? failure = null;
        for (long at = 0; at < length[0]; at += Piece)
        {
            // A rank that has failed takes part to the end, and says so then.
            using Tensor piece = zeros([Math.Min(Piece, length[0] - at)], ScalarType.Byte, CPU).DetachFromDisposeScope();
            try
            {
                if (reads)
                    file!.ReadExactly(TensorMemory.Span<byte>(piece));
                ranks.Broadcast(piece);
                if (!reads && failure is null)
                    file!.Write(TensorMemory.Span<byte>(piece));
            }
            catch (IOException error)
            {
                failure ??= error;
            }
        }

        try
        {
            ranks.ThrowIfAny(failure);
        }
        catch
        {
            Discard(file);
            throw;
        }

        if (length[0] >= 0)
            return file!.Name;
        Discard(file);
        return null;

        void Discard(FileStream? own)
        {
            own?.Dispose();
            if (own is not null && !reads)
                File.Delete(own.Name);
        }
    }
}
