using BayesNet.Reparameterization;
using BayesNet.Runtime;
using static TorchSharp.torch;

namespace BayesNet.Likelihoods;

/// <summary>The log density of a Gaussian by the logarithm of its standard deviation, and the checks that its callers share.</summary>
internal static class GaussianDensity
{
    /// <summary>-1/2 ((y - mean) exp(-logStdDev))^2 - logStdDev - 1/2 ln 2 pi, entry by entry; the arguments broadcast.</summary>
    internal static Tensor Log(Tensor y, Tensor mean, Tensor logStdDev)
    {
        using var scope = NewDisposeScope();
        return LocationScaleLaw.Normal.LogDensity(y.sub(mean).mul(logStdDev.neg().exp())).sub(logStdDev).MoveToOuterDisposeScope();
    }

    /// <summary>Sums everything behind the first <paramref name="leading"/> dimensions.</summary>
    internal static Tensor SumOverOutputs(Tensor perOutput, int leading)
        => perOutput.dim() == leading ? perOutput : perOutput.flatten(leading).sum(dim: -1);

    // (batch) against (batch, 1) would broadcast to (batch, batch) and train on nonsense.
    internal static void RequireSameShape(Tensor mean, Tensor target, string meanName)
    {
        if (!mean.shape.AsSpan().SequenceEqual(target.shape))
        {
            throw new ArgumentException(
                $"The target has shape {Guard.Format(target.shape)} and the {meanName} {Guard.Format(mean.shape)}; they must be equal. "
                + "Reshape the target, for one output with target.unsqueeze(-1).", nameof(target));
        }
    }
}
