using BayesNet.Likelihoods;
using static TorchSharp.torch;

namespace BayesNet.Training.Fitting;

/// <summary>The parameters and buffers of a model and its likelihood, by the names "model.x" and "likelihood.x".</summary>
internal static class ModelState
{
    internal const string ModelPrefix = "model.", LikelihoodPrefix = "likelihood.";

    /// <summary>The tensors themselves.</summary>
    internal static Dictionary<string, Tensor> Of(nn.Module model, Likelihood likelihood)
    {
        var all = new Dictionary<string, Tensor>();
        foreach ((string name, Tensor tensor) in model.state_dict())
            all.Add(ModelPrefix + name, tensor);
        foreach ((string name, Tensor tensor) in likelihood.state_dict())
            all.Add(LikelihoodPrefix + name, tensor);
        return all;
    }

    /// <summary>Copies on the same devices, the caller's to dispose.</summary>
    internal static Dictionary<string, Tensor> Copy(IReadOnlyDictionary<string, Tensor> state)
    {
        using var _ = no_grad();
        return state.ToDictionary(entry => entry.Key, entry => entry.Value.detach().clone().DetachFromDisposeScope());
    }

    /// <summary>Copies values into tensors of the same names.</summary>
    internal static void Write(IReadOnlyDictionary<string, Tensor> values, IReadOnlyDictionary<string, Tensor> target)
    {
        using var _ = no_grad();
        foreach ((string name, Tensor tensor) in target)
            tensor.copy_(values[name]);
    }

    /// <summary>Disposes copies.</summary>
    internal static void Free(IReadOnlyDictionary<string, Tensor>? state)
    {
        foreach (Tensor tensor in state?.Values ?? [])
            tensor.Dispose();
    }
}
