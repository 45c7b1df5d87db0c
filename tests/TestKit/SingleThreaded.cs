using static TorchSharp.torch;

namespace BayesNet.TestKit;

/// <summary>
/// Tests of many small operations, run on one thread of libtorch: on a busy machine the barriers between its threads would take most of
/// the time. The number of threads is the test thread's own; it is set back when the test is done.
/// </summary>
public abstract class SingleThreaded : IDisposable
{
    private readonly int _threads = get_num_threads();

    /// <summary>Before each test.</summary>
    protected SingleThreaded() => set_num_threads(1);

    /// <inheritdoc/>
    public void Dispose()
    {
        set_num_threads(_threads);
        GC.SuppressFinalize(this);
    }
}
