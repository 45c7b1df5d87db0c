using System.Runtime.CompilerServices;
using BayesNet.Kernels;
using BayesNet.Likelihoods;
using BayesNet.Runtime;
using static TorchSharp.torch;

namespace BayesNet.Metrics;

/// <summary>The checks and the conversions that metrics share: what they compute is in float64, whatever the type of their arguments.</summary>
internal static class MetricInputs
{
    /// <summary>Entries of a block of samples that are worked on at a time: 2 MiB in float64, which caches hold.</summary>
    internal const long BlockEntries = 1 << 18;

    /// <summary>Refuses null, tensors without entries, and those with a NaN; infinite entries pass, since an interval may be infinite.</summary>
    internal static Tensor Numbers(Tensor value, [CallerArgumentExpression(nameof(value))] string name = "")
    {
        ArgumentNullException.ThrowIfNull(value, name);
        if (value.numel() == 0)
            throw new ArgumentException($"{name} has shape {Guard.Format(value.shape)} and no entries; a metric needs at least one.", name);
        using var scope = NewDisposeScope();
        return value.is_floating_point() && value.isnan().any().item<bool>()
            ? throw new ArgumentException($"{name} holds NaN; remove or impute such entries first.", name)
            : value;
    }

    /// <summary>Refuses null, tensors without entries, and those with an entry that is not finite.</summary>
    internal static Tensor Finite(Tensor value, [CallerArgumentExpression(nameof(value))] string name = "")
        => Guard.AllFinite(Numbers(value, name), name);

    /// <summary>Refuses <paramref name="value"/> unless it has the shape of <paramref name="other"/>: broadcasting would compare all with all.</summary>
    internal static void SameShape(
        Tensor value,
        Tensor other,
        [CallerArgumentExpression(nameof(value))] string name = "",
        [CallerArgumentExpression(nameof(other))] string otherName = "")
    {
        if (!value.shape.AsSpan().SequenceEqual(other.shape))
        {
            throw new ArgumentException(
                $"{name} has shape {Guard.Format(value.shape)} and {otherName} {Guard.Format(other.shape)}; they must be equal. Reshape one of "
                + "them, for one output with unsqueeze(-1).", name);
        }
    }

    /// <summary>Refuses what is not a row of class probabilities for each example.</summary>
    internal static void Probabilities(Tensor probabilities)
    {
        Finite(probabilities);
        if (probabilities.dim() != 2)
        {
            throw new ArgumentException(
                $"probabilities has shape {Guard.Format(probabilities.shape)}; it must be (batch, classes).", nameof(probabilities));
        }

        // The rounding of sums of half-precision entries passes, logits do not.
        const double Tolerance = 1e-2;
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        Tensor p = Double(probabilities);
        if (p.min().item<double>() < 0 || p.sum(dim: 1).Plus(-1.0).abs().max().item<double>() > Tolerance)
        {
            throw new ArgumentException(
                "probabilities has rows that are not probabilities: entries must be at least 0 and add up to 1. Of logits, pass softmax(1).",
                nameof(probabilities));
        }
    }

    /// <summary>Refuses what is not a row of class probabilities and a class index for each example, and gives the indices on the CPU.</summary>
    internal static Tensor Classes(Tensor probabilities, Tensor target)
    {
        Probabilities(probabilities);
        ArgumentNullException.ThrowIfNull(target);
        using var scope = NewDisposeScope();
        Tensor classes = target.cpu();
        CategoricalLikelihood.RequireClasses(classes, probabilities.size(0), probabilities.size(1), ignoreIndex: null);
        return classes.alias().MoveToOuterDisposeScope();
    }

    /// <summary>In float64, on its own device, without gradients; may be <paramref name="value"/> itself.</summary>
    internal static Tensor Double(Tensor value) => value.detach().to(ScalarType.Float64);

    /// <summary>The entries in row-major order, in float64.</summary>
    internal static double[] Values(Tensor value)
    {
        using var scope = NewDisposeScope();
        return TensorMemory.Span<double>(Double(value).cpu().contiguous()).ToArray();
    }

    /// <summary>The mean of all entries.</summary>
    internal static double Mean(Tensor value)
    {
        using var scope = NewDisposeScope();
        return Double(value).mean().item<double>();
    }

    /// <summary>The mean of the scores of examples, a block of examples at a time.</summary>
    /// <param name="examples">How many there are.</param>
    /// <param name="entries">The entries that an example has in all samples.</param>
    /// <param name="score">Takes the first example of a block and their number, and returns their scores in float64.</param>
    internal static double BlockedMean(long examples, long entries, Func<long, long, Tensor> score)
    {
        long width = Math.Clamp(BlockEntries / entries, 1, examples);
        (double sum, long count) = (0, 0);
        for (long first = 0; first < examples; first += width)
        {
            using var scope = NewDisposeScope();
            Tensor scores = score(first, Math.Min(width, examples - first));
            sum += scores.sum().item<double>();
            count += scores.numel();
        }

        return sum / count;
    }
}
