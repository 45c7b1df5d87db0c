using TorchSharp.Modules;
using static TorchSharp.torch;

namespace BayesNet.Inference;

/// <summary>Every parameter and buffer of modules as they are now, to which disposal sets them back, to the last bit.</summary>
internal sealed class NetworkState : IDisposable
{
    private readonly (Tensor Live, Tensor Copy)[] _tensors;

    internal NetworkState(params nn.Module[] modules)
    {
        using var _ = no_grad();
        _tensors =
        [
            .. modules.SelectMany(module => module.parameters().Concat(module.buffers()))
                .Select(tensor => (tensor, tensor.detach().clone().DetachFromDisposeScope())),
        ];
    }

    public void Dispose()
    {
        using var _ = no_grad();
        foreach ((Tensor live, Tensor copy) in _tensors)
        {
            live.copy_(copy);
            copy.Dispose();
        }
    }
}

/// <summary>What training changes: the parameters of a network and its likelihood that require gradients, always in the same order.</summary>
internal static class TrainedParameters
{
    internal static Parameter[] Of(nn.Module model, nn.Module likelihood)
        => [.. model.parameters().Concat(likelihood.parameters()).Where(parameter => parameter.requires_grad)];
}
