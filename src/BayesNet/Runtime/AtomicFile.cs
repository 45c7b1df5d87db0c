namespace BayesNet.Runtime;

/// <summary>Files that a reader sees whole or not at all, whenever their writer is stopped.</summary>
internal static class AtomicFile
{
    /// <summary>Writes a file beside its place, has the system put it on the disk, and moves it there, in the place of one that exists.</summary>
    /// <param name="path">The file; its folder must exist.</param>
    /// <param name="temporary">The file beside it, in the same folder, which is gone afterwards; left by a process that was killed, it is written over.</param>
    /// <param name="write">Writes the content.</param>
    internal static void Write(string path, string temporary, Action<FileStream> write)
    {
        try
        {
            using (var stream = new FileStream(temporary, FileMode.Create, FileAccess.Write, FileShare.None, 1 << 16))
            {
                write(stream);
                stream.Flush(flushToDisk: true);
            }

            File.Move(temporary, path, overwrite: true);
        }
        finally
        {
            File.Delete(temporary);
        }
    }
}
