using System.Diagnostics.CodeAnalysis;
using System.Reflection;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using TorchSharp;

namespace BayesNet.Runtime;

/// <summary>
/// Loads libtorch and TorchSharp's native library where TorchSharp alone would not: from a libtorch folder of the user's choice, and on
/// Linux systems whose C++ runtime is older than the one TorchSharp's library was linked against.
/// </summary>
/// <remarks>
/// <para>
/// It runs by itself before the first use of any type of this library. A program that touches <c>torch</c> before that calls
/// <see cref="Load"/> first.
/// </para>
/// <para>
/// The environment variable <c>BAYESNET_LIBTORCH</c> names a folder with an installed libtorch (a Python install's <c>torch/lib</c>, CPU
/// or CUDA), which is loaded in place of the application's package. Its version must be the one TorchSharp was built for, or compatible.
/// </para>
/// <para>
/// TorchSharp 0.107's Linux library requires the symbol version GLIBCXX_3.4.32 (GCC 13) and uses no symbol of it. Where the system's
/// libstdc++ lacks it (Debian 12, Ubuntu 22.04), a copy with that one requirement marked weak is kept in a per-user cache
/// (<c>BAYESNET_CACHE</c>, else <c>bayesnet</c> under XDG_CACHE_HOME or ~/.cache) and loaded instead. Where no cache can be written, the
/// copy is a temporary file that is gone once it is loaded. Older systems lack symbols that the library does use, GLIBCXX_3.4.30 first
/// (GCC 12): they need a newer libstdc++.
/// </para>
/// </remarks>
public static class NativeLibraries
{
    /// <summary>The environment variable that names a libtorch folder.</summary>
    public const string LibTorchVariable = "BAYESNET_LIBTORCH";

    private const string WeakenedVersion = "GLIBCXX_3.4.32";
    private static readonly string[] SystemVersions = ["`GLIBCXX_", "`GLIBC_", "`CXXABI_"];
    private static readonly Lazy<string?> Loaded = new(LoadOnce);
    private static readonly Lazy<nint> MainLibrary = new(FindMainLibrary);
    private static readonly Lazy<nint> BindingLibrary = new(FindBindingLibrary);
    private static nint _mainLibrary;

    /// <summary>Loads the native libraries, once a process; later calls return, or fail, as the first did.</summary>
    /// <returns>The TorchSharp library that was loaded here, or null where TorchSharp's own loading is left to do it.</returns>
    /// <exception cref="DllNotFoundException">A library is missing or can't be loaded; the message says which, why, and what to do.</exception>
    public static string? Load() => Loaded.Value;

    /// <summary>The address of a C function that libtorch's main library exports, or 0 where it has none of that name.</summary>
    internal static nint Export(string name)
        => MainLibrary.Value != 0 && NativeLibrary.TryGetExport(MainLibrary.Value, name, out nint address) ? address : 0;

    /// <summary>The address of a C function that TorchSharp's native library exports, or 0 where it has none of that name.</summary>
    internal static nint BindingExport(string name)
        => BindingLibrary.Value != 0 && NativeLibrary.TryGetExport(BindingLibrary.Value, name, out nint address) ? address : 0;

    // A failure here would surface as a TypeInitializationException; the constructors of this library's modules call Load() again,
    // which throws the same exception under its own name.
    [ModuleInitializer]
    [SuppressMessage("Usage", "CA2255:The 'ModuleInitializer' attribute should not be used in libraries", Justification = "TorchSharp loads its library in a static constructor; only code that runs before can help it.")]
    internal static void Initialize()
    {
        try
        {
            Load();
        }
        catch (DllNotFoundException)
        {
        }
    }

    // By its handle where it was loaded here, since a second libtorch could answer to the name; else TorchSharp has loaded it.
    private static nint FindMainLibrary()
    {
        Load();
        if (_mainLibrary != 0)
            return _mainLibrary;
        torch.InitializeDeviceType(DeviceType.CPU);
        return NativeLibrary.TryLoad("torch_cpu", typeof(torch).Assembly, null, out nint library) ? library : 0;
    }

    private static nint FindBindingLibrary()
    {
        Load();
        torch.InitializeDeviceType(DeviceType.CPU);
        return NativeLibrary.TryLoad("LibTorchSharp", typeof(torch).Assembly, null, out nint library) ? library : 0;
    }

    private static string? LoadOnce()
    {
        string? chosen = Environment.GetEnvironmentVariable(LibTorchVariable);
        if (string.IsNullOrWhiteSpace(chosen))
            chosen = null;
        if (chosen is null && !OperatingSystem.IsLinux())
            return null;

        string[] application = SearchFolders();
        string? package = Find(application, "torch_cpu");
        if (chosen is null)
        {
            // Without a libtorch that this code can see, TorchSharp has ways of its own, and its own message.
            if (package is null)
                return null;
            LoadLibTorch(Path.GetDirectoryName(package)!);
            return LoadBinding(Binding(application));
        }

        string folder = LibTorchFolder(chosen);
        if (package is not null && !OperatingSystem.IsLinux() && !folder.Equals(Path.GetDirectoryName(package), StringComparison.OrdinalIgnoreCase))
        {
            throw new DllNotFoundException(
                $"{LibTorchVariable} names {folder}, and the application has a libtorch of its own, {package}; two can't be in one process. "
                + $"Build it without a libtorch package (in this repository -p:LibTorch=none), or unset {LibTorchVariable}.");
        }

        foreach ((string name, nint library) in LoadLibTorch(folder))
        {
            if (Find(application, name) is { } other)
                GlibcLoader.SetAlias(library, other);
        }

        return LoadBinding(Binding([folder, .. application]));
    }

    private static string Binding(string[] folders)
        => Find(folders, "LibTorchSharp") ?? throw new DllNotFoundException(
            $"{FileName("LibTorchSharp")} is in none of these folders: {string.Join(", ", folders)}. It comes with the package TorchSharp; "
            + "publish the application with it, or copy it into one of them.");

    /// <summary>libtorch's libraries in the order of their dependencies; each is loaded by its full path, so nothing else is found first.</summary>
    private static List<(string Name, nint Library)> LoadLibTorch(string folder)
    {
        var loaded = new List<(string, nint)>();
        foreach (string name in new[] { "c10", "torch_cpu", "c10_cuda", "torch_cuda", "torch" })
        {
            string path = Path.Combine(folder, FileName(name));
            if (!File.Exists(path))
                continue;
            try
            {
                nint library = NativeLibrary.Load(path);
                loaded.Add((name, library));
                if (name == "torch_cpu")
                    _mainLibrary = library;
            }
            catch (Exception error) when (IsLoadFailure(error))
            {
                throw new DllNotFoundException(
                    $"libtorch in {folder} can't be loaded: {Reason(error)}. Install what is missing, or name another libtorch folder in "
                    + $"the environment variable {LibTorchVariable}.", error);
            }
        }

        return loaded;
    }

    private static string LoadBinding(string path)
    {
        try
        {
            NativeLibrary.Load(path);
            return path;
        }
        catch (DllNotFoundException error) when (OperatingSystem.IsLinux() && error.Message.Contains($"`{WeakenedVersion}' not found", StringComparison.Ordinal))
        {
            return LoadWeakened(path);
        }
        catch (Exception error) when (IsLoadFailure(error))
        {
            throw BindingFailed(path, Reason(error), error);
        }
    }

    private static string LoadWeakened(string path)
    {
        byte[] image;
        try
        {
            image = File.ReadAllBytes(path);
            ElfVersionRequirements.MarkWeak(image, WeakenedVersion);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or InvalidDataException)
        {
            throw BindingFailed(path, Reason(error), error);
        }

        (string copy, string? temporary) = PlaceCopy(Path.GetFileName(path), image);
        try
        {
            // A weak requirement no longer vouches for the version's symbols, and a call of one that is missing would end the process.
            return GlibcLoader.LoadBound(copy) is { } reason ? throw BindingFailed(copy, reason) : copy;
        }
        finally
        {
            // A library stays mapped when its file is gone.
            DeleteFolder(temporary);
        }
    }

    /// <summary>Into the user's cache; where that can't be written, into a temporary folder, which the caller deletes.</summary>
    private static (string Path, string? Temporary) PlaceCopy(string name, byte[] image)
    {
        string? folder = NativeCache.UserFolder();
        try
        {
            if (folder is not null)
                return (NativeCache.Place(folder, name, image), null);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
        }

        string? temporary = null;
        try
        {
            temporary = Directory.CreateTempSubdirectory("bayesnet-").FullName;
            return (NativeCache.Place(temporary, name, image), temporary);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            DeleteFolder(temporary);
            throw new DllNotFoundException(
                $"This system's libstdc++ lacks {WeakenedVersion}, and an adapted copy of {name} can be written neither to "
                + $"{folder ?? "a user cache (HOME is not set)"} nor to {Path.GetTempPath()}: {error.Message} Name a folder that can be written in the "
                + $"environment variable {NativeCache.FolderVariable}, or install a libstdc++ of GCC 13 or later.", error);
        }
    }

    private static void DeleteFolder(string? folder)
    {
        try
        {
            if (folder is not null)
                Directory.Delete(folder, recursive: true);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            // What is left is a small file among other temporary ones; the library is loaded all the same.
        }
    }

    private static DllNotFoundException BindingFailed(string path, string reason, Exception? error = null)
    {
        string remedy = reason switch
        {
            _ when SystemVersions.Any(version => reason.Contains(version, StringComparison.Ordinal))
                => "It needs newer system libraries: glibc 2.34 and the libstdc++ of GCC 12, or later.",
            _ when reason.Contains(WeakenedVersion, StringComparison.Ordinal)
                => "It needs the libstdc++ of GCC 13 or later.",
            _ when reason.Contains("failed to map segment", StringComparison.Ordinal)
                => $"Its folder may be mounted without permission to run what is in it (noexec); name another in {NativeCache.FolderVariable}.",
            _ => $"It needs the libtorch that TorchSharp {typeof(torch).Assembly.GetName().Version?.ToString(3)} was built for; reference one "
                + $"libtorch package (on this platform the CPU one is libtorch-cpu-{Rid}), or name a libtorch folder in the environment "
                + $"variable {LibTorchVariable}.",
        };
        return new DllNotFoundException($"TorchSharp's native library {path} can't be loaded: {reason}. {remedy}", error);
    }

    /// <summary>A file that is no library of this platform is a <see cref="BadImageFormatException"/> on Windows.</summary>
    private static bool IsLoadFailure(Exception error) => error is DllNotFoundException or BadImageFormatException;

    /// <summary>The last line of a loading error is the system's own reason.</summary>
    private static string Reason(Exception error)
        => (error.Message.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)
            .LastOrDefault(line => line.Contains(':', StringComparison.Ordinal)) ?? error.Message).TrimEnd('.');

    private static string LibTorchFolder(string chosen)
    {
        foreach (string folder in new[] { chosen, Path.Combine(chosen, "lib"), Path.Combine(chosen, "torch", "lib") })
        {
            if (File.Exists(Path.Combine(folder, FileName("torch_cpu"))))
                return Path.GetFullPath(folder);
        }

        throw new DllNotFoundException(
            $"{LibTorchVariable} is '{chosen}', where there is no {FileName("torch_cpu")}. It must name the folder with libtorch's libraries: "
            + "a Python install has it as torch/lib, a libtorch archive as lib.");
    }

    private static string? Find(string[] folders, string library)
        => folders.Select(folder => Path.Combine(folder, FileName(library))).FirstOrDefault(File.Exists);

    /// <summary>Where the runtime looks for the native libraries of packages, and where published applications have them.</summary>
    private static string[] SearchFolders()
    {
        IEnumerable<string> folders =
        [
            .. (AppContext.GetData("NATIVE_DLL_SEARCH_DIRECTORIES") as string ?? "").Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries),
            AppContext.BaseDirectory,
            Path.Combine(AppContext.BaseDirectory, "runtimes", Rid, "native"),
            .. Assemblies(),
        ];
        return [.. folders.Select(Path.TrimEndingDirectorySeparator).Distinct()];

        static IEnumerable<string> Assemblies()
        {
            foreach (Assembly assembly in new[] { typeof(torch).Assembly, typeof(NativeLibraries).Assembly })
            {
                // In a single-file application an assembly has no location.
                if (Path.GetDirectoryName(assembly.Location) is { Length: > 0 } folder)
                    yield return folder;
            }
        }
    }

    private static string Rid
        => (OperatingSystem.IsWindows() ? "win-" : OperatingSystem.IsMacOS() ? "osx-" : "linux-")
            + RuntimeInformation.ProcessArchitecture.ToString().ToLowerInvariant();

    private static string FileName(string library)
        => OperatingSystem.IsWindows() ? $"{library}.dll" : OperatingSystem.IsMacOS() ? $"lib{library}.dylib" : $"lib{library}.so";
}
