using static TorchSharp.torch;

namespace BayesNet.Prediction;

/// <summary>The modes, training or evaluation, of a network and all its modules as they are now, to which disposal sets them back.</summary>
internal sealed class NetworkModes(nn.Module model) : IDisposable
{
    // The outermost first: setting a module's mode sets that of all within it.
    private readonly (nn.Module Module, bool Training)[] _modes = [.. model.modules().Prepend(model).Select(module => (module, module.training))];

    public void Dispose()
    {
        foreach ((nn.Module module, bool training) in _modes)
            module.train(training);
    }
}
