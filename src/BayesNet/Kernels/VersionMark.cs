using static TorchSharp.torch;

namespace BayesNet.Kernels;

/// <summary>Tells autograd that a tensor has changed, which a pass over its memory does not: a graph that saved it is then refused.</summary>
internal sealed class VersionMark : IDisposable
{
    // An empty view, which shares the tensor's version counter.
    private Tensor? _view;

    /// <summary>Counts a change of <paramref name="tensor"/>, always the same contiguous one. With gradients off.</summary>
    internal void Changed(Tensor tensor)
    {
        if (_view is null)
        {
            using Tensor flat = tensor.view(-1);
            _view = flat.narrow(0, 0, 0).DetachFromDisposeScope();
        }

        // The cheapest operation in place, and none at all on a vector.
        _view.squeeze_();
    }

    public void Dispose() => _view?.Dispose();
}
