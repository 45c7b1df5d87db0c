using System.Runtime.InteropServices;

namespace BayesNet.Runtime;

/// <summary>What the C library does with the memory of freed tensors; for programs to call, nothing in this library does.</summary>
/// <remarks>
/// glibc gives freed blocks of the size of a weight matrix back to the kernel, and fetches the next one page fault by page fault, each page
/// cleared: a step that makes large tensors pays for that at every one of them.
/// </remarks>
public static partial class MemoryAllocation
{
    private const string LibC = "libc.so.6";
    private const int TrimThreshold = -1; // M_TRIM_THRESHOLD
    private const int MappedBlocks = -4; // M_MMAP_MAX

    /// <summary>
    /// Makes glibc keep freed memory for the next allocation, for the rest of the process, in place of giving large blocks back to the kernel.
    /// </summary>
    /// <remarks>
    /// <para>
    /// It holds for every allocation of the C library in the process, tensors above all; .NET's own heap has nothing to do with it. Call it
    /// first thing: blocks made before keep their old kind. Further calls set the bound anew.
    /// </para>
    /// <para>
    /// What it gives: a textbook step of 784-1200-1200-10 took 84 ms in place of 113, and operations on matrices of 64 MB a third of their time
    /// (two cores, glibc 2.36, one run after the other). A step that makes no large tensors has nothing to gain.
    /// </para>
    /// <para>
    /// What it costs: the process stays as large as it once was, and may peak higher, by two thirds in that second measurement. Blocks are cut
    /// from one heap, so that a small block that lives long holds back a large one freed below it; it settles once there are holes enough.
    /// <see cref="ReleaseFreedMemory"/> gives back what is free at the moment, between training and serving say. The settings (<c>mallopt</c>'s
    /// M_MMAP_MAX and M_TRIM_THRESHOLD) also end glibc's own adjustment of its thresholds, and nothing starts that again: to undo it for good
    /// takes a new process. M_MMAP_THRESHOLD alone, at its greatest, helps blocks up to 32 MB as much and larger ones not at all.
    /// </para>
    /// </remarks>
    /// <param name="mostBytes">
    /// How much free memory may stay at the end of the heap before it is given back, a bound on what is kept there, not on holes further down.
    /// At most 2^31 - 1, the default, which glibc takes for no bound in practice.
    /// </param>
    /// <returns>
    /// Whether the allocator does it: true on Linux with glibc's own allocator; false elsewhere (Windows, macOS, musl, or another allocator that
    /// is loaded in its place), where nothing changes.
    /// </returns>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="mostBytes"/> is below 1.</exception>
    public static bool KeepFreedMemory(int mostBytes = int.MaxValue)
    {
        Guard.AtLeastOne(mostBytes);
        return AllocatorIsGlibc() && SetOption(MappedBlocks, 0) == 1 && SetOption(TrimThreshold, mostBytes) == 1;
    }

    /// <summary>Gives the kernel what the C library holds free at the moment (<c>malloc_trim</c>); tensors that are in use stay.</summary>
    /// <returns>Whether the allocator can do it; see <see cref="KeepFreedMemory"/>.</returns>
    public static bool ReleaseFreedMemory()
    {
        if (!AllocatorIsGlibc())
            return false;
        _ = Trim(0);
        return true;
    }

    // Where another allocator was loaded before glibc (LD_PRELOAD), the program's malloc is not glibc's, and glibc's mallopt would do nothing.
    private static bool AllocatorIsGlibc()
        => OperatingSystem.IsLinux()
            && NativeLibrary.TryLoad(LibC, out nint glibc)
            && NativeLibrary.TryGetExport(glibc, "mallopt", out _)
            && NativeLibrary.TryGetExport(glibc, "malloc", out nint own)
            && NativeLibrary.TryGetExport(NativeLibrary.GetMainProgramHandle(), "malloc", out nint used)
            && own == used;

    [LibraryImport(LibC, EntryPoint = "mallopt")]
    private static partial int SetOption(int option, int value);

    [LibraryImport(LibC, EntryPoint = "malloc_trim")]
    private static partial int Trim(nuint pad);
}
