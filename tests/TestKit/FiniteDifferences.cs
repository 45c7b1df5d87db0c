using Xunit;
using static TorchSharp.torch;

namespace BayesNet.TestKit;

/// <summary>Gradients by autograd against central differences, in float64.</summary>
public static class FiniteDifferences
{
    // The error of a central difference is h^2 f'''/6 + eps |f| / h; at h = 1e-5 both are near 1e-10 for functions of size one.
    private const double Step = 1e-5;
    private const double Tolerance = 1e-6;

    /// <summary>Asserts that autograd's gradient of a scalar function agrees with central differences in every entry of every parameter.</summary>
    /// <param name="function">A deterministic function of the parameters' present values: noise must be fixed.</param>
    /// <param name="parameters">Leaves of float64 that require gradients, with names for the message.</param>
    public static void AssertGradients(Func<Tensor> function, params (string Name, Tensor Leaf)[] parameters)
    {
        using var scope = NewDisposeScope();
        foreach ((string name, Tensor leaf) in parameters)
        {
            Assert.Equal(ScalarType.Float64, leaf.dtype);
            Assert.True(leaf.requires_grad, $"{name} does not require a gradient.");
            leaf.grad = null;
        }

        function().backward();
        foreach ((string name, Tensor leaf) in parameters)
        {
            Tensor gradient = leaf.grad ?? zeros_like(leaf);
            Tensor numeric = Numeric(function, leaf);
            double scale = Math.Max(1, numeric.abs().max().item<double>());
            double error = (gradient - numeric).abs().max().item<double>();
            Assert.True(error <= Tolerance * scale, $"The gradient of {name} differs from finite differences by {error:G3} at scale {scale:G3}.");
            leaf.grad = null;
        }
    }

    private static Tensor Numeric(Func<Tensor> function, Tensor leaf)
    {
        double[] values = leaf.detach().clone().flatten().data<double>().ToArray();
        var slopes = new double[values.Length];
        for (int i = 0; i < values.Length; i++)
            slopes[i] = (Shifted(i, Step) - Shifted(i, -Step)) / (2 * Step);
        return tensor(slopes).reshape(leaf.shape);

        double Shifted(int index, double by)
        {
            using var scope = NewDisposeScope();
            using var _ = no_grad();
            Tensor entry = leaf.view(-1)[index];
            entry.copy_(tensor(values[index] + by));
            double value = function().item<double>();
            entry.copy_(tensor(values[index]));
            return value;
        }
    }
}
