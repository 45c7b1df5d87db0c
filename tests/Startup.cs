using System.Runtime.CompilerServices;
using BayesNet.Runtime;

// Tests draw from libtorch's global generator and count the process's live tensors: one at a time.
[assembly: Xunit.v3.Parallelization(Mode = Xunit.Sdk.ParallelMode.None)]

namespace BayesNet.TestKit;

/// <summary>Runs before any test of the assembly it is compiled into.</summary>
internal static class Startup
{
    /// <summary>
    /// Tests touch torch before they touch the library. Their tensors are tiny: a second thread saves nothing, and where another process
    /// has the core, every operation would wait for it.
    /// </summary>
    [ModuleInitializer]
    internal static void Prepare()
    {
        NativeLibraries.Load();
        TorchSharp.torch.set_num_threads(1);
    }
}
