using System.Security.Cryptography;

namespace BayesNet.Runtime;

/// <summary>
/// A folder of files keyed by the hash of what is in them. Any number of processes may place the same file at once: each writes a file
/// of its own and renames it, so that a reader sees the whole of it or nothing.
/// </summary>
internal static class NativeCache
{
    /// <summary>The environment variable that names another folder.</summary>
    internal const string FolderVariable = "BAYESNET_CACHE";

    /// <summary>
    /// The folder of this user: <see cref="FolderVariable"/>, or <c>bayesnet</c> under XDG_CACHE_HOME or ~/.cache; null where there is no home.
    /// </summary>
    internal static string? UserFolder() => UserFolder(Environment.GetEnvironmentVariable);

    internal static string? UserFolder(Func<string, string?> variable)
    {
        if (variable(FolderVariable) is { } chosen && !string.IsNullOrWhiteSpace(chosen))
            return Path.GetFullPath(chosen);

        // The XDG specification has relative paths ignored: they would put a cache into whatever folder the program is started from.
        if (variable("XDG_CACHE_HOME") is { } cache && Path.IsPathFullyQualified(cache))
            return Path.Combine(cache, "bayesnet");
        return variable("HOME") is { } home && Path.IsPathFullyQualified(home) ? Path.Combine(home, ".cache", "bayesnet") : null;
    }

    /// <summary>Puts a file into the cache, unless it is there already, whole.</summary>
    /// <returns>Its path: <paramref name="folder"/>/hash/name.</returns>
    /// <exception cref="IOException">The folder can't be written.</exception>
    /// <exception cref="UnauthorizedAccessException">The folder can't be written.</exception>
    internal static string Place(string folder, string name, ReadOnlySpan<byte> content)
    {
        string target = Path.Combine(folder, Convert.ToHexStringLower(SHA256.HashData(content))[..32], name);
        if (Holds(target, content))
            return target;
        Directory.CreateDirectory(Path.GetDirectoryName(target)!);
        byte[] bytes = content.ToArray();
        AtomicFile.Write(target, $"{target}.{Guid.NewGuid():N}", stream => stream.Write(bytes));
        return target;
    }

    private static bool Holds(string path, ReadOnlySpan<byte> content)
    {
        try
        {
            return File.Exists(path) && new FileInfo(path).Length == content.Length && File.ReadAllBytes(path).AsSpan().SequenceEqual(content);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }
}
