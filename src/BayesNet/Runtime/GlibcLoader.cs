using System.Runtime.InteropServices;

namespace BayesNet.Runtime;

/// <summary>What glibc's dynamic loader can do beyond <see cref="NativeLibrary"/>.</summary>
internal static unsafe partial class GlibcLoader
{
    private const string LibC = "libc.so.6";
    private const int BindNow = 2; // RTLD_NOW
    private const int RequestLinkMap = 2; // RTLD_DI_LINKMAP

    /// <summary>Makes the loader take a loaded library for the file at another path: loading that path returns the library at hand.</summary>
    /// <remarks>
    /// TorchSharp loads torch_cpu and torch_cuda by name, and the runtime finds the application's package first. Two copies of libtorch in
    /// one process end it: both register their operators. glibc compares a path with the names of what is loaded (<c>l_name</c> of its
    /// public <c>struct link_map</c>) before it opens a file.
    /// </remarks>
    internal static void SetAlias(nint library, string path)
    {
        nint* map; // struct link_map { ElfW(Addr) l_addr; char *l_name; ... }
        if (DlInfo(library, RequestLinkMap, &map) != 0)
            throw new DllNotFoundException($"The loader does not know the library that stands for {path}.");

        // The name before it is left to leak: the loader may have handed it out. This one is from malloc, as the loader's own names are.
        map[1] = Marshal.StringToCoTaskMemUTF8(path);
    }

    /// <summary>Loads a library and looks up every function it calls, where <see cref="NativeLibrary"/> leaves each to its first call.</summary>
    /// <returns>Null; or the loader's reason why not, and then none of the library's code has run.</returns>
    internal static string? LoadBound(string path)
    {
        _ = DlError(); // The first call looks dlerror up, which would clear the error that it is to tell.
        return DlOpen(path, BindNow) != 0 ? null : Marshal.PtrToStringUTF8(DlError()) ?? $"{path}: unknown error";
    }

    [LibraryImport(LibC, EntryPoint = "dlinfo")]
    private static partial int DlInfo(nint handle, int request, void* information);

    [LibraryImport(LibC, EntryPoint = "dlerror")]
    private static partial nint DlError();

    [LibraryImport(LibC, EntryPoint = "dlopen", StringMarshalling = StringMarshalling.Utf8)]
    private static partial nint DlOpen(string path, int flags);
}
