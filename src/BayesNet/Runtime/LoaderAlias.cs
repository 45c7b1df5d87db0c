using System.Runtime.InteropServices;

namespace BayesNet.Runtime;

/// <summary>Makes glibc take a loaded library for the file at another path, so that loading that path returns the library at hand.</summary>
/// <remarks>
/// TorchSharp loads torch_cpu and torch_cuda by name, and the runtime finds the application's package first. Two copies of libtorch in one
/// process end it: both register their operators. glibc compares a path with the names of what is loaded (<c>l_name</c> of its public
/// <c>struct link_map</c>) before it opens a file.
/// </remarks>
internal static unsafe partial class LoaderAlias
{
    private const int RequestLinkMap = 2; // RTLD_DI_LINKMAP

    /// <summary>From now on, <paramref name="path"/> is <paramref name="library"/>.</summary>
    internal static void Set(nint library, string path)
    {
        nint* map; // struct link_map { ElfW(Addr) l_addr; char *l_name; ... }
        if (DlInfo(library, RequestLinkMap, &map) != 0)
            throw new DllNotFoundException($"The loader does not know the library that stands for {path}.");

        // The name before it is left to leak: the loader may have handed it out. This one is from malloc, as the loader's own names are.
        map[1] = Marshal.StringToCoTaskMemUTF8(path);
    }

    [LibraryImport("libc.so.6", EntryPoint = "dlinfo")]
    private static partial int DlInfo(nint handle, int request, void* information);
}
