using System.Runtime.CompilerServices;
using BayesNet.Runtime;

// Tests draw from libtorch's global generator and count the process's live tensors: one at a time.
[assembly: Xunit.v3.Parallelization(Mode = Xunit.Sdk.ParallelMode.None)]

namespace BayesNet.TestKit;

/// <summary>Loads libtorch before any test of the assembly it is compiled into: tests touch torch before they touch the library.</summary>
internal static class Startup
{
    [ModuleInitializer]
    internal static void LoadNativeLibraries() => NativeLibraries.Load();
}
