using BayesNet.Runtime;
using static TorchSharp.torch;

namespace BayesNet.Layers;

/// <summary>Bags of indices that lie one behind the other, as a rectangle.</summary>
internal static class Bags
{
    /// <summary>Bags of several sizes as (bags, entries of the largest), with a mask of what is an entry, and their weights in the same shape.</summary>
    /// <exception cref="ArgumentException">Shapes do not fit, or offsets do not ascend from 0 to the number of indices at most.</exception>
    internal static (Tensor Entries, Tensor Counts) Of(Tensor input, Tensor offsets, bool includesLastOffset, ref Tensor? weights)
    {
        long size = input.numel();
        using Tensor onCpu = offsets.to(ScalarType.Int64).cpu();
        long[] starts = onCpu.dim() == 1 ? onCpu.data<long>().ToArray() : [];
        long[] bounds = includesLastOffset ? starts : [.. starts, size];
        bool fit = input.dim() == 1 && bounds.Length > 1 && bounds[0] == 0 && bounds[^1] <= size;
        long longest = 1;
        for (int i = 1; fit && i < bounds.Length; i++)
        {
            fit = bounds[i] >= bounds[i - 1];
            longest = Math.Max(longest, bounds[i] - bounds[i - 1]);
        }

        if (!fit)
        {
            throw new ArgumentException(
                $"Offsets of shape {Guard.Format(offsets.shape)} with indices of shape {Guard.Format(input.shape)}: offsets are (bags), ascend from 0 and end at {size} "
                + "at most; indices are (entries). Leave offsets out for indices (bags, entries).", nameof(offsets));
        }

        if (size == 0)
            return (zeros([bounds.Length - 1, 0], dtype: ScalarType.Int64, device: input.device), zeros([bounds.Length - 1, 0], dtype: ScalarType.Bool, device: input.device));
        Tensor edges = tensor(bounds, dtype: ScalarType.Int64, device: input.device).unsqueeze(1);
        Tensor first = edges.narrow(0, 0, bounds.Length - 1), end = edges.narrow(0, 1, bounds.Length - 1);
        Tensor places = first.PlusWhole(arange(longest, dtype: ScalarType.Int64, device: input.device));
        Tensor counts = places.lt(end);
        Tensor safe = places.mul(counts.to(ScalarType.Int64)).flatten();
        weights = weights?.index_select(0, safe).reshape(counts.shape);
        return (input.index_select(0, safe).reshape(counts.shape), counts);
    }
}
