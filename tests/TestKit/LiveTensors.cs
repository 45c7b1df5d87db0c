using static TorchSharp.torch;

namespace BayesNet.TestKit;

/// <summary>The count of the process's live tensors, against which a leak shows.</summary>
public static class LiveTensors
{
    /// <summary>
    /// The count to compare with, once what earlier tests left to the collector is gone; a collection later on would lower it and look like the
    /// contrary of a leak.
    /// </summary>
    public static long Settled()
    {
        long before;
        do
        {
            before = Tensor.TotalCount;
            GC.Collect();
            GC.WaitForPendingFinalizers();
        }
        while (Tensor.TotalCount != before);
        return before;
    }
}
