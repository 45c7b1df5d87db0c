using BayesNet.Runtime;
using TorchSharp;
using static TorchSharp.torch;

namespace BayesNet.Likelihoods;

/// <summary>Checks of targets, and log densities of the entries that were observed.</summary>
internal static class ObservedEntries
{
    /// <summary>
    /// <paramref name="logDensity"/> entry by entry, 0 where the target is missing. A missing entry is replaced by 0, which every likelihood
    /// admits, before the density is taken, since a NaN times the mask's zero would still be a NaN in the gradient.
    /// </summary>
    internal static Tensor LogDensity(Tensor target, MissingTargets missing, Func<Tensor, Tensor> logDensity)
    {
        using var scope = NewDisposeScope();
        if (missing == MissingTargets.Refused)
            return logDensity(target).MoveToOuterDisposeScope();
        Tensor absent = target.isnan();
        return logDensity(target.masked_fill(absent, Scalars.Zero)).masked_fill(absent, Scalars.Zero).MoveToOuterDisposeScope();
    }

    /// <summary><paramref name="logDensity"/> of class indices, 0 where the index is <paramref name="ignored"/>.</summary>
    internal static Tensor LogDensity(Tensor target, long? ignored, Func<Tensor, Tensor> logDensity)
    {
        using var scope = NewDisposeScope();
        if (ignored is not { } index)
            return logDensity(target).MoveToOuterDisposeScope();
        using Scalar scalar = index;
        Tensor absent = target.eq(scalar);
        return logDensity(target.masked_fill(absent, Scalars.Zero)).masked_fill(absent, Scalars.Zero).MoveToOuterDisposeScope();
    }

    /// <summary>Refuses entries that <paramref name="admits"/> is false of; on the CPU, where looking is cheap.</summary>
    internal static void Require(Tensor target, MissingTargets missing, Func<Tensor, Tensor> admits, string what)
    {
        if (target.device_type != DeviceType.CPU || target.numel() == 0)
            return;
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        Tensor bad = admits(target).logical_not();
        if (missing == MissingTargets.Masked)
            bad = bad.logical_and(target.isnan().logical_not());
        if (!bad.any().item<bool>())
            return;
        double first = target.masked_select(bad).narrow(0, 0, 1).to(ScalarType.Float64).item<double>();
        throw new ArgumentException(
            FormattableString.Invariant($"The target holds {first}; {what}."), nameof(target));
    }
}
