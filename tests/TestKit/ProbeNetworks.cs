using static TorchSharp.torch;

namespace BayesNet.TestKit;

/// <summary>Networks that a test and another process build alike.</summary>
internal static class ProbeNetworks
{
    /// <summary>The seed of the noise that both predict with.</summary>
    internal const ulong Seed = 11;

    /// <summary>A network by its name, for inputs (batch, 1, 8, 8) and three classes.</summary>
    internal static nn.Module<Tensor, Tensor> Create(string name) => name switch
    {
        "cnn" => nn.Sequential(
            ("conv", nn.Conv2d(1, 4, 3, padding: 1)),
            ("norm", nn.BatchNorm2d(4)),
            ("relu", nn.ReLU()),
            ("pool", nn.MaxPool2d(2)),
            ("flatten", nn.Flatten()),
            ("head", nn.Linear(64, 3))),
        _ => throw new ArgumentException($"There is no network '{name}'.", nameof(name)),
    };
}
