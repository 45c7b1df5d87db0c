using BayesNet.Maps;
using BayesNet.Runtime;
using static TorchSharp.torch;

namespace BayesNet.Layers;

/// <summary>
/// A normalisation layer with a Bayesian scale and shift: TorchSharp's own normalisation without them, then y = w o x + b with posteriors of w and b.
/// <see cref="bnn"/> has factories for layer, batch, group and instance normalisation.
/// </summary>
/// <remarks>
/// <para>
/// The means start at w = 1 and b = 0. The prior of <see cref="BayesOptions"/> is moved by 1 for w: N(0, s^2) there is N(1, s^2) of the scale. Families
/// that have no centre but zero are refused.
/// </para>
/// <para>
/// Weights per example, shared weights and flipout draw one scale for all positions of an example. Local reparameterization has every output's
/// law and drops the covariance between the positions that one entry of w scales; behind layer normalisation of (batch, features) there is none.
/// State dict: <c>weight.*</c>, <c>bias.*</c>, and the running statistics, where there are any, as <c>normalization.running_mean</c> and so on.
/// </para>
/// </remarks>
public sealed class BayesNormalization : BayesianLayer
{
    /// <summary>Creates a scale and shift behind a normalisation.</summary>
    /// <param name="normalization">A normalisation layer of TorchSharp without scale and shift; it becomes the layer's.</param>
    /// <param name="map">Which entries of its output have a scale.</param>
    /// <param name="hasBias">Whether there is a shift.</param>
    /// <param name="device">Where the parameters live; null for the default device.</param>
    /// <param name="dtype">float32 or float64; null for the default type.</param>
    /// <param name="options">Posterior, prior and estimator; null for <see cref="BayesOptions.Default"/>.</param>
    /// <exception cref="ArgumentException">The normalisation has a scale of its own.</exception>
    /// <exception cref="NotSupportedException">
    /// The type is a half-precision one, the prior can't be moved, or the estimator does not fit the posterior.
    /// </exception>
    public BayesNormalization(
        nn.Module<Tensor, Tensor> normalization, ScaleMap map, bool hasBias = true, Device? device = null, ScalarType? dtype = null, BayesOptions? options = null)
        : this(normalization, map, () => Initial(map, hasBias, device, dtype), options)
    {
    }

    /// <summary>A scale and shift whose means start at given values, which are copied.</summary>
    internal BayesNormalization(nn.Module<Tensor, Tensor> normalization, ScaleMap map, Func<(Tensor Weight, Tensor? Bias)> initial, BayesOptions? options)
        : base(NameOf(normalization), map, initial, Moved(options ?? BayesOptions.Default))
    {
        Normalization = normalization;
        register_module("normalization", normalization);
    }

    /// <summary>The normalisation in front of scale and shift.</summary>
    public nn.Module<Tensor, Tensor> Normalization { get; }

    private protected override Tensor Compute(Tensor input)
    {
        Map.IsBatched(input);
        using Tensor normalized = Normalization.call(input);
        return base.Compute(normalized);
    }

    private static string NameOf(nn.Module<Tensor, Tensor> normalization)
    {
        ArgumentNullException.ThrowIfNull(normalization);
        return normalization.parameters().Any()
            ? throw new ArgumentException(
                $"{normalization.GetName()} has a scale and shift of its own; create it without them (affine: false, elementwise_affine: false).", nameof(normalization))
            : "Bayes" + normalization.GetName();
    }

    private static BayesOptions Moved(BayesOptions options)
        => options with { Prior = options.Prior.Shifted(1), BiasPrior = options.BiasPrior ?? options.Prior };

    private static (Tensor, Tensor?) Initial(ScaleMap map, bool hasBias, Device? device, ScalarType? dtype)
    {
        ScalarType type = Guard.FloatingPoint(dtype ?? get_default_dtype(), nameof(dtype));
        Tensor weight = ones(map.WeightShape.ToArray(), dtype: type, device: device ?? get_default_device());
        return (weight, hasBias ? zeros_like(weight) : null);
    }
}
