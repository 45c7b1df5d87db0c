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
        "lstm" => new Sequence(),
        _ => throw new ArgumentException($"There is no network '{name}'.", nameof(name)),
    };

    /// <summary>Rows of an image one after the other, and a decision at the last.</summary>
    private sealed class Sequence : nn.Module<Tensor, Tensor>
    {
        private readonly nn.Module<Tensor, (Tensor, Tensor)?, (Tensor, Tensor, Tensor)> _lstm = nn.LSTM(8, 12, batchFirst: true);
        private readonly nn.Module<Tensor, Tensor> _head = nn.Linear(12, 3);

        public Sequence()
            : base(nameof(Sequence))
            => RegisterComponents();

        public override Tensor forward(Tensor input)
        {
            using var scope = NewDisposeScope();
            (Tensor output, _, _) = _lstm.call(input.squeeze(1), null);
            return _head.call(output.select(1, -1)).MoveToOuterDisposeScope();
        }
    }
}
