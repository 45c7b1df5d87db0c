using Xunit;
using static TorchSharp.torch;

namespace BayesNet.TestKit;

/// <summary>The device of tests that need CUDA.</summary>
public static class CudaDevice
{
    /// <summary>The first CUDA device; skips the test, with the reason, where there is none.</summary>
    public static Device Required()
    {
        Assert.SkipUnless(cuda.is_available(), "This libtorch has no CUDA, or the machine no such device; BAYESNET_LIBTORCH names another libtorch.");
        return CUDA;
    }
}
