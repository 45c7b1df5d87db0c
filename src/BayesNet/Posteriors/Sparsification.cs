using BayesNet.Runtime;
using static TorchSharp.torch;

namespace BayesNet.Posteriors;

/// <summary>A posterior whose weights can be set to zero where they are noise.</summary>
internal interface ISparsifiable
{
    /// <summary>Makes every weight with ln alpha above the threshold zero, mean and noise; returns how many.</summary>
    long Sparsify(double logAlpha);
}

/// <summary>Removes the weights that a trained posterior says are noise (Molchanov, Ashukha and Vetrov 2017, section 4.1).</summary>
public static class Sparsification
{
    /// <summary>
    /// Sets weights with ln alpha = ln(variance / mean^2) above a threshold to zero, in every mean-field Gaussian and variational dropout
    /// posterior of the model, biases included. Meant for a trained model: training on gives them gradients again.
    /// </summary>
    /// <param name="model">Any model with Bayesian layers.</param>
    /// <param name="logAlpha">The threshold; 3, which is a dropout rate of 0.95, is the paper's.</param>
    /// <returns>The weights that are zero for it and the weights looked at.</returns>
    /// <exception cref="InvalidOperationException">The model has no posterior of these kinds.</exception>
    public static (long Zeroed, long Total) Sparsify(this nn.Module model, double logAlpha = 3)
    {
        ArgumentNullException.ThrowIfNull(model);
        Guard.Finite(logAlpha);
        long zeroed = 0, total = 0;
        foreach (nn.Module module in model.modules().Append(model).Distinct())
        {
            if (module is ISparsifiable posterior)
            {
                zeroed += posterior.Sparsify(logAlpha);
                total += ((Posterior)module).Mean.numel();
            }
        }

        return total > 0
            ? (zeroed, total)
            : throw new InvalidOperationException(
                $"The model {model.GetName()} has no mean-field Gaussian or variational dropout posterior, which are those that can be sparsified.");
    }

    /// <summary>Fills each value where ln alpha is above the threshold; returns how many entries that are.</summary>
    internal static long FillWhere(GaussianPosterior posterior, double logAlpha, params ReadOnlySpan<(Tensor Value, double Fill)> fills)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        using TorchSharp.Scalar threshold = logAlpha;
        Tensor mask = posterior.LogAlpha.gt(threshold);
        foreach ((Tensor value, double fill) in fills)
        {
            using TorchSharp.Scalar scalar = fill;
            value.masked_fill_(mask, scalar);
        }

        return mask.sum().item<long>();
    }
}
