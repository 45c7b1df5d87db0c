using System.Globalization;
using BayesNet.Posteriors;
using BayesNet.Runtime;
using static TorchSharp.torch;

namespace BayesNet.Diagnostics;

/// <summary>A layer whose pathwise gradients have infinite variance.</summary>
/// <param name="Layer">The layer's name in the model; "" where the model is the layer.</param>
/// <param name="Message">What is wrong and what to do, in one or two sentences that name the layer.</param>
public sealed record TailWarning(string Layer, string Message);

/// <summary>Finds the layers of a model whose posterior is too heavy-tailed for the loss.</summary>
public static class TailWarningExtensions
{
    /// <summary>
    /// The Bayesian layers with a posterior so heavy-tailed that the pathwise gradient in its locations or scales has infinite variance, one
    /// entry a layer; empty where there is none. Nothing is written or changed.
    /// </summary>
    /// <param name="model">The model.</param>
    /// <param name="growth">beta with |dL/dw| ~ |w|^beta: 1 for a squared loss, 0 for a loss whose gradient is bounded.</param>
    /// <remarks>
    /// The condition is that of one weight with the rest held fixed (<see cref="TailDiagnostics.PathwiseGradientVariance(double, double)"/>).
    /// It is necessary, not sufficient: in a network of several such layers a gradient also holds products of other layers' weights, and
    /// E[w^4] of those.
    /// </remarks>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="growth"/> is not finite.</exception>
    public static IReadOnlyList<TailWarning> TailWarnings(this nn.Module model, double growth)
    {
        ArgumentNullException.ThrowIfNull(model);
        Guard.Finite(growth);
        return
        [
            .. from entry in model.Posteriors()
               where entry.Posterior is MeanFieldLocationScale
               let moments = TailDiagnostics.PathwiseGradientVariance(((MeanFieldLocationScale)entry.Posterior).TailIndex, growth)
               where !moments.LocationVarianceIsFinite || !moments.ScaleVarianceIsFinite
               group (entry.Part, moments) by (entry.Name, entry.Module) into layer
               let name = layer.Key.Name.Length == 0 ? ((nn.Module)layer.Key.Module).GetName() : layer.Key.Name
               select new TailWarning(layer.Key.Name, Message(name, [.. layer], growth)),
        ];
    }

    private static string Message(string layer, List<(string Name, PathwiseGradientMoments Moments)> parts, double growth)
    {
        IEnumerable<string> findings = parts
            .GroupBy(part => part.Moments, part => part.Name)
            .Select(group => string.Create(
                CultureInfo.InvariantCulture,
                $"the posterior of {string.Join(" and ", group)} has tail index {group.Key.TailIndex:G4}, where the gradient in the {Of(group.Key)} has infinite variance"));
        return string.Create(
            CultureInfo.InvariantCulture,
            $"Layer '{layer}': {string.Join("; ", findings)}. Use more than {2 * growth + 2:G4} degrees of freedom (location alone: {2 * growth:G4}) or a posterior of light tails (Gaussian, Laplace, logistic), or a loss whose gradient grows more slowly, such as a Student-t likelihood; clipping gradients keeps training going at the price of a bias.");
    }

    private static string Of(PathwiseGradientMoments moments)
        => moments.LocationVarianceIsFinite ? "scale" : "location and in the scale";
}
