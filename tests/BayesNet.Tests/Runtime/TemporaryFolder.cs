namespace BayesNet.Tests.Runtime;

/// <summary>An empty folder that is deleted with all that is in it.</summary>
internal sealed class TemporaryFolder : IDisposable
{
    /// <summary>Makes the folder.</summary>
    /// <param name="parent">Where; null for the system's temporary folder.</param>
    public TemporaryFolder(string? parent = null)
        => Path = parent is null
            ? Directory.CreateTempSubdirectory("bayesnet-tests-").FullName
            : Directory.CreateDirectory(System.IO.Path.Combine(parent, $"tests-{Guid.NewGuid():N}")).FullName;

    public string Path { get; }

    /// <summary>The paths of all files in it, at any depth.</summary>
    public string[] Files() => Directory.GetFiles(Path, "*", SearchOption.AllDirectories);

    public void Dispose() => Directory.Delete(Path, recursive: true);
}
