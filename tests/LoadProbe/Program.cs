using BayesNet.Runtime;
using TorchSharp;

// Loads the native libraries as any program does, adds two numbers with them and says which files were loaded.
try
{
    Console.WriteLine($"loaded={NativeLibraries.Load()}");
}
catch (DllNotFoundException error)
{
    Console.WriteLine($"error={error.Message}");
    return 1;
}

using (torch.NewDisposeScope())
    Console.WriteLine($"sum={torch.ones(2).sum().item<float>()}");
if (OperatingSystem.IsLinux())
{
    foreach (string path in File.ReadLines("/proc/self/maps").Select(line => line.Split(' ', 6, StringSplitOptions.RemoveEmptyEntries).ElementAtOrDefault(5) ?? "").Distinct())
    {
        if (path.Contains("torch", StringComparison.OrdinalIgnoreCase) && path.Contains(".so", StringComparison.Ordinal))
            Console.WriteLine($"mapped={path}");
    }
}

return 0;
