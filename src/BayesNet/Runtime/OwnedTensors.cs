using static TorchSharp.torch;

namespace BayesNet.Runtime;

/// <summary>Frees what a module owns; TorchSharp's modules leave the parameters of derived classes to the garbage collector.</summary>
internal static class OwnedTensors
{
    /// <summary>Disposes the module's own parameters and buffers, not those of its children.</summary>
    internal static void DisposeOwnTensors(this nn.Module module)
    {
        foreach (Tensor tensor in module.parameters(recurse: false).Concat(module.buffers(recurse: false)).ToList())
            tensor.Dispose();
    }
}
