using BayesNet.Kernels;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace BayesNet.Training;

/// <summary>The norm of the gradients of several parameters together, and clipping by it (Pascanu, Mikolov and Bengio 2013).</summary>
internal static class GradientNorm
{
    /// <summary>The root of the sum of all squares; parameters without a gradient count as zero.</summary>
    internal static double Of(IEnumerable<Parameter> parameters)
    {
        double squares = 0;
        foreach (Parameter parameter in parameters)
        {
            using Tensor? gradient = parameter.grad;
            if (gradient is not null)
                squares += SquaredNorm.Of(gradient);
        }

        return Math.Sqrt(squares);
    }

    /// <summary>What gradients of a norm are multiplied by: as <c>torch.nn.utils.clip_grad_norm_</c> has it, the small term included.</summary>
    /// <exception cref="NonFiniteGradientException">The norm is NaN or infinite.</exception>
    internal static double ClippingFactor(double norm, double most)
        => double.IsFinite(norm) ? Math.Min(1, most / (norm + 1e-6)) : throw new NonFiniteGradientException(norm);

    /// <summary>Scales the gradients in place, and returns the norm that they had.</summary>
    /// <exception cref="NonFiniteGradientException">It is NaN or infinite; no gradient was changed.</exception>
    internal static double Clip(IReadOnlyList<Parameter> parameters, double most)
    {
        using var _ = no_grad();
        double norm = Of(parameters), factor = ClippingFactor(norm, most);
        if (factor == 1)
            return norm;
        using TorchSharp.Scalar scale = factor;
        foreach (Parameter parameter in parameters)
        {
            using Tensor? gradient = parameter.grad;
            gradient?.mul_(scale);
        }

        return norm;
    }
}
