using System.Globalization;
using BayesNet.Layers;
using BayesNet.Likelihoods;
using TorchSharp;
using static TorchSharp.torch;

namespace BayesNet.Benchmarks.StepTime;

/// <summary>How a network's layers are made: plain, Bayesian, or as a tutorial writes them.</summary>
internal abstract class LayerFactory
{
    public abstract nn.Module<Tensor, Tensor> Linear(long inputs, long outputs);

    public abstract nn.Module<Tensor, Tensor> Conv2d(long inputs, long outputs, long kernel, long padding);
}

/// <summary>TorchSharp's own layers.</summary>
internal sealed class DeterministicLayers : LayerFactory
{
    public override nn.Module<Tensor, Tensor> Linear(long inputs, long outputs) => nn.Linear(inputs, outputs);

    public override nn.Module<Tensor, Tensor> Conv2d(long inputs, long outputs, long kernel, long padding) => nn.Conv2d(inputs, outputs, kernel, padding: padding);
}

/// <summary>BayesNet's layers.</summary>
internal sealed class BayesianLayers(BayesOptions options) : LayerFactory
{
    public override nn.Module<Tensor, Tensor> Linear(long inputs, long outputs) => bnn.Linear(inputs, outputs, options: options);

    public override nn.Module<Tensor, Tensor> Conv2d(long inputs, long outputs, long kernel, long padding)
        => bnn.Conv2d(inputs, outputs, kernel, padding: padding, options: options);
}

/// <summary>A network and the minibatch it is measured on.</summary>
/// <param name="Name">As on the command line.</param>
/// <param name="Batch">Rows of a minibatch.</param>
/// <param name="InputSize">The shape of one input.</param>
/// <param name="TrainingSetSize">What the KL term is divided by.</param>
/// <param name="Classes">Classes of the target; 0 for regression on one number.</param>
/// <param name="Layers">The layers in order; a flat sequence.</param>
internal sealed record StepTimeShape(
    string Name, long Batch, long[] InputSize, long TrainingSetSize, long Classes, Func<LayerFactory, IEnumerable<nn.Module<Tensor, Tensor>>> Layers)
{
    /// <summary>All that a full report measures.</summary>
    public static IReadOnlyList<string> All { get; } =
        ["8-50-1", "784-400-400-10", "784-1200-1200-10", "784-4096-4096-10", "lenet5", "conv-64-128-128"];

    /// <summary>A shape by its name: one of <see cref="All"/>, or sizes of dense layers joined by hyphens.</summary>
    /// <exception cref="FormatException">It is neither.</exception>
    public static StepTimeShape Parse(string name) => name switch
    {
        "lenet5" => LeNet5(name),
        "conv-64-128-128" => ConvolutionStack(name),
        _ => Dense(name),
    };

    public nn.Module<Tensor, Tensor> Build(LayerFactory factory, Device device, ScalarType dtype)
    {
        (string, nn.Module<Tensor, Tensor>)[] layers =
            [.. Layers(factory).Select((layer, i) => (string.Create(CultureInfo.InvariantCulture, $"layer{i}"), layer))];
        return nn.Sequential(layers).to(dtype).to(device);
    }

    /// <summary>Inputs and targets of one minibatch.</summary>
    public (Tensor Inputs, Tensor Targets) Data(Device device, ScalarType dtype)
        => (randn([Batch, .. InputSize], dtype: dtype, device: device),
            Classes == 0 ? randn([Batch, 1], dtype: dtype, device: device) : randint(0, Classes, [Batch], dtype: ScalarType.Int64, device: device));

    public Likelihood Likelihood() => Classes == 0 ? new GaussianLikelihood() : new CategoricalLikelihood();

    /// <summary>The loss of a deterministic network, as TorchSharp's examples have it.</summary>
    public Tensor Loss(Tensor output, Tensor target)
        => Classes == 0 ? nn.functional.mse_loss(output, target) : nn.functional.cross_entropy(output, target);

    private static StepTimeShape Dense(string name)
    {
        long[] sizes = [.. name.Split('-').Select(size => long.TryParse(size, CultureInfo.InvariantCulture, out long value) && value > 0
            ? value
            : throw new FormatException($"'{name}' is no shape: it must be one of {string.Join(", ", All)}, or sizes of dense layers such as 20-100-10."))];
        if (sizes.Length < 2)
            throw new FormatException($"'{name}' is no shape: a dense network has at least two sizes, such as 20-10.");
        bool regression = sizes[^1] == 1;
        return new StepTimeShape(name, regression ? 32 : 128, [sizes[0]], regression ? 927 : 60_000, regression ? 0 : sizes[^1], Layers);

        IEnumerable<nn.Module<Tensor, Tensor>> Layers(LayerFactory factory)
        {
            for (int i = 1; i < sizes.Length; i++)
            {
                yield return factory.Linear(sizes[i - 1], sizes[i]);
                if (i < sizes.Length - 1)
                    yield return nn.ReLU();
            }
        }
    }

    private static StepTimeShape LeNet5(string name)
    {
        return new StepTimeShape(name, 128, [1, 28, 28], 60_000, 10, Layers);

        static IEnumerable<nn.Module<Tensor, Tensor>> Layers(LayerFactory factory) =>
        [
            factory.Conv2d(1, 6, 5, 2), nn.ReLU(), nn.MaxPool2d(2),
            factory.Conv2d(6, 16, 5, 0), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
            factory.Linear(400, 120), nn.ReLU(), factory.Linear(120, 84), nn.ReLU(), factory.Linear(84, 10),
        ];
    }

    private static StepTimeShape ConvolutionStack(string name)
    {
        return new StepTimeShape(name, 32, [64, 32, 32], 50_000, 10, Layers);

        static IEnumerable<nn.Module<Tensor, Tensor>> Layers(LayerFactory factory) =>
        [
            factory.Conv2d(64, 128, 3, 1), nn.ReLU(), factory.Conv2d(128, 128, 3, 1), nn.ReLU(),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), factory.Linear(128, 10),
        ];
    }
}
