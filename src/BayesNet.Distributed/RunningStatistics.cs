using BayesNet.Inference;
using BayesNet.Kernels;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace BayesNet.Distributed;

/// <summary>
/// The running means and variances of normalisation layers. Averaged over the ranks in every step, each by its share of the rows, a mean is that of
/// one process; a variance is that within the ranks' rows, which normalisation sees.
/// </summary>
internal sealed class RunningStatistics
{
    private readonly NormBase[] _layers;

    internal RunningStatistics(nn.Module model)
    {
        _layers = [.. BatchNormStatistics.Layers(model)];
        Count = _layers.Sum(layer => layer.running_mean!.numel() + layer.running_var!.numel());
    }

    /// <summary>How many numbers they are.</summary>
    internal long Count { get; }

    /// <summary>Reads them, times a share.</summary>
    internal void Read(Span<double> values, double share)
    {
        foreach (Tensor own in Each())
        {
            using var scope = NewDisposeScope();
            ReadOnlySpan<double> doubles = TensorMemory.Span<double>(own.to(ScalarType.Float64).cpu().contiguous());
            for (int i = 0; i < doubles.Length; i++)
                values[i] = share == 0 ? 0 : share * doubles[i];
            values = values[doubles.Length..];
        }
    }

    /// <summary>Sets them.</summary>
    internal void Write(ReadOnlySpan<double> values)
    {
        foreach (Tensor own in Each())
        {
            using var scope = NewDisposeScope();
            using var _ = no_grad();
            int count = (int)own.numel();
            own.copy_(tensor(values[..count].ToArray(), ScalarType.Float64).reshape(own.shape));
            values = values[count..];
        }
    }

    private IEnumerable<Tensor> Each() => _layers.SelectMany(layer => new[] { layer.running_mean!, layer.running_var! });
}
