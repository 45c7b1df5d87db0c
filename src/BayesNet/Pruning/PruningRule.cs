using BayesNet.Runtime;
using static TorchSharp.torch;

namespace BayesNet.Pruning;

/// <summary>Which weights of a model are noise: all rules go by the signal-to-noise ratio |mean| / standard deviation, entry by entry.</summary>
public abstract class PruningRule
{
    private PruningRule()
    {
    }

    /// <summary>
    /// Weights with ln alpha = ln(variance / mean^2) above a threshold (Molchanov, Ashukha and Vetrov 2017, section 4.1); 3, which is a dropout
    /// rate of 0.95, is the paper's.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="threshold"/> is not finite.</exception>
    public static PruningRule LogAlphaAbove(double threshold = 3) => new Threshold(Math.Exp(-Guard.Finite(threshold) / 2), $"ln alpha > {threshold:G6}");

    /// <summary>Weights with |mean| / standard deviation below a threshold.</summary>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="threshold"/> is not a finite number above zero.</exception>
    public static PruningRule SignalToNoiseBelow(double threshold) => new Threshold(Guard.Positive(threshold), $"|mean|/sd < {threshold:G6}");

    /// <summary>
    /// The share of the weights with the least |mean| / standard deviation, in the whole model or layer by layer (Blundell et al. 2015, section
    /// 5.1). Weights that are pruned already count in it.
    /// </summary>
    /// <param name="share">From 0 to 1; the number of weights is rounded down.</param>
    /// <param name="perLayer">Whether each layer loses that share; else the model does.</param>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="share"/> is not between 0 and 1.</exception>
    public static PruningRule LowestShare(double share, bool perLayer = false)
        => share is >= 0 and <= 1 ? new Share(share, perLayer) : throw new ArgumentOutOfRangeException(nameof(share), share, "share must lie between 0 and 1.");

    /// <summary>For each layer's ratios, which entries are pruned; boolean, of their shapes.</summary>
    internal abstract Tensor[] Select(Tensor[] ratios);

    private sealed class Threshold(double least, string description) : PruningRule
    {
        internal override Tensor[] Select(Tensor[] ratios)
        {
            using TorchSharp.Scalar scalar = least;
            return [.. ratios.Select(ratio => ratio.lt(scalar))];
        }

        public override string ToString() => description;
    }

    private sealed class Share(double share, bool perLayer) : PruningRule
    {
        internal override Tensor[] Select(Tensor[] ratios)
        {
            if (perLayer)
                return [.. ratios.Select(ratio => Lowest(ratio.flatten()).reshape(ratio.shape))];
            Tensor lowest = Lowest(cat([.. ratios.Select(ratio => ratio.flatten().to(ScalarType.Float64, CPU))]));
            var parts = new Tensor[ratios.Length];
            long start = 0;
            for (int i = 0; i < parts.Length; i++)
            {
                parts[i] = lowest.narrow(0, start, ratios[i].numel()).reshape(ratios[i].shape).to(ratios[i].device);
                start += ratios[i].numel();
            }

            return parts;
        }

        public override string ToString() => $"the lowest {100 * share:G6} %{(perLayer ? " of each layer" : "")}";

        // Exactly as many as asked for, also among equal ratios.
        private Tensor Lowest(Tensor flat)
        {
            Tensor order = flat.argsort(dim: 0, descending: false);
            Tensor chosen = zeros([flat.numel()], dtype: ScalarType.Bool, device: flat.device);
            return chosen.index_fill_(0, order.narrow(0, 0, (long)(share * flat.numel())), true);
        }
    }
}
