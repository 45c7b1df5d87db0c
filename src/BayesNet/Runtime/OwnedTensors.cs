using TorchSharp.Modules;
using static TorchSharp.torch;

namespace BayesNet.Runtime;

/// <summary>Makes and frees what a module owns; TorchSharp's modules leave the parameters of derived classes to the garbage collector.</summary>
internal static class OwnedTensors
{
    /// <summary>A parameter that outlives the dispose scope it is made in.</summary>
    internal static Parameter Parameter(Tensor value, bool requiresGradient = true)
        => (Parameter)new Parameter(value, requiresGradient).DetachFromDisposeScope();

    /// <summary>A parameter that starts as a copy of given locations.</summary>
    /// <exception cref="NotSupportedException"><paramref name="initialMean"/> is not float32 or float64.</exception>
    internal static Parameter Location(Tensor initialMean)
    {
        Guard.FloatingPoint(initialMean.dtype, nameof(initialMean));
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        return Parameter(initialMean.detach().clone());
    }

    /// <summary>Disposes the modules that the module registers.</summary>
    internal static void DisposeChildren(this nn.Module module)
    {
        foreach (nn.Module part in module.children())
            part.Dispose();
    }

    /// <summary>Disposes the module's own parameters and buffers, not those of its children.</summary>
    internal static void DisposeOwnTensors(this nn.Module module)
    {
        foreach (Tensor tensor in module.parameters(recurse: false).Concat(module.buffers(recurse: false)).ToList())
            tensor.Dispose();
    }
}
