using BayesNet.Runtime;
using TorchSharp;

// Loads the native libraries as any program does, adds two numbers with them and says which files were loaded. Where LOADPROBE_KEEP is set,
// it keeps freed memory if that is true, and says how many pages forty blocks of 64 MB took, one after the other.
bool? keep = bool.TryParse(Environment.GetEnvironmentVariable("LOADPROBE_KEEP"), out bool asked) ? asked : null;
if (keep is true)
    Console.WriteLine($"kept={MemoryAllocation.KeepFreedMemory() && MemoryAllocation.KeepFreedMemory()}");
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

if (keep is not null && OperatingSystem.IsLinux())
{
    long before = Pages();
    for (int i = 0; i < 40; i++)
        torch.zeros(16 << 20).Dispose();
    Console.WriteLine($"pages={Pages() - before}");
    Console.WriteLine($"released={MemoryAllocation.ReleaseFreedMemory()}");
}

return 0;

// Page faults of the process so far that needed no disk: the tenth entry, the eighth after the name in parentheses.
static long Pages()
{
    string status = File.ReadAllText("/proc/self/stat");
    return long.Parse(status[(status.LastIndexOf(')') + 2)..].Split(' ')[7]);
}
