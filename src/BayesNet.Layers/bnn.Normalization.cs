using BayesNet.Maps;
using static TorchSharp.torch;

namespace BayesNet.Layers;

#pragma warning disable IDE1006, CS8981, CA1707 // Names as torch.nn has them.

public static partial class bnn
{
    /// <summary>The Bayesian twin of <c>nn.LayerNorm</c>: normalises over the last dimensions, then a Bayesian scale and shift.</summary>
    /// <param name="normalized_shape">The last dimensions of the input.</param>
    /// <param name="eps">Added to the variance.</param>
    /// <param name="elementwise_affine">True: without scale and shift there is nothing Bayesian in the layer.</param>
    /// <param name="bias">Whether there is a shift.</param>
    /// <param name="device">Where the parameters live; null for the default device.</param>
    /// <param name="dtype">float32 or float64; null for the default type.</param>
    /// <param name="options">Posterior, prior of the deviation from w = 1 and b = 0, and estimator; null for <see cref="BayesOptions.Default"/>.</param>
    /// <exception cref="ArgumentException"><paramref name="elementwise_affine"/> is false, or a size is below 1.</exception>
    /// <exception cref="NotSupportedException">The prior can't be moved to 1; see <see cref="BayesNormalization"/>.</exception>
    public static BayesNormalization LayerNorm(
        long[] normalized_shape, double eps = 1e-05, bool elementwise_affine = true, bool bias = true, Device? device = null, ScalarType? dtype = null,
        BayesOptions? options = null)
    {
        RequireAffine(elementwise_affine, nameof(elementwise_affine));
        return new(nn.LayerNorm(normalized_shape, eps, elementwise_affine: false, bias: false), ScaleMap.OverEntries(normalized_shape), bias, device, dtype, options);
    }

    /// <summary>The Bayesian twin of <c>nn.LayerNorm</c> over the last dimension.</summary>
    /// <inheritdoc cref="LayerNorm(long[], double, bool, bool, Device, ScalarType?, BayesOptions)"/>
    public static BayesNormalization LayerNorm(
        long normalized_shape, double eps = 1e-05, bool elementwise_affine = true, bool bias = true, Device? device = null, ScalarType? dtype = null,
        BayesOptions? options = null)
        => LayerNorm([normalized_shape], eps, elementwise_affine, bias, device, dtype, options);

    /// <summary>The Bayesian twin of <c>nn.BatchNorm1d</c>: input (batch, features) or (batch, features, L).</summary>
    /// <param name="num_features">Features, dimension 1 of the input.</param>
    /// <param name="eps">Added to the variance.</param>
    /// <param name="momentum">Of the running statistics.</param>
    /// <param name="affine">True: without scale and shift there is nothing Bayesian in the layer.</param>
    /// <param name="track_running_stats">Whether there are running statistics for evaluation mode.</param>
    /// <param name="device">Where the parameters live; null for the default device.</param>
    /// <param name="dtype">float32 or float64; null for the default type.</param>
    /// <param name="options">Posterior, prior of the deviation from w = 1 and b = 0, and estimator; null for <see cref="BayesOptions.Default"/>.</param>
    /// <exception cref="ArgumentException"><paramref name="affine"/> is false, or a size is below 1.</exception>
    /// <exception cref="NotSupportedException">The prior can't be moved to 1; see <see cref="BayesNormalization"/>.</exception>
    public static BayesNormalization BatchNorm1d(
        long num_features, double eps = 1e-05, double momentum = 0.1, bool affine = true, bool track_running_stats = true,
        Device? device = null, ScalarType? dtype = null, BayesOptions? options = null)
        => OverChannels(nn.BatchNorm1d(num_features, eps, momentum, false, track_running_stats, device, dtype), affine, num_features, null, false, device, dtype, options);

    /// <summary>The Bayesian twin of <c>nn.BatchNorm2d</c>: input (batch, features, H, W).</summary>
    /// <inheritdoc cref="BatchNorm1d"/>
    public static BayesNormalization BatchNorm2d(
        long num_features, double eps = 1e-05, double momentum = 0.1, bool affine = true, bool track_running_stats = true,
        Device? device = null, ScalarType? dtype = null, BayesOptions? options = null)
        => OverChannels(nn.BatchNorm2d(num_features, eps, momentum, false, track_running_stats, device, dtype), affine, num_features, 2, false, device, dtype, options);

    /// <summary>The Bayesian twin of <c>nn.BatchNorm3d</c>: input (batch, features, D, H, W).</summary>
    /// <inheritdoc cref="BatchNorm1d"/>
    public static BayesNormalization BatchNorm3d(
        long num_features, double eps = 1e-05, double momentum = 0.1, bool affine = true, bool track_running_stats = true,
        Device? device = null, ScalarType? dtype = null, BayesOptions? options = null)
        => OverChannels(nn.BatchNorm3d(num_features, eps, momentum, false, track_running_stats, device, dtype), affine, num_features, 3, false, device, dtype, options);

    /// <summary>The Bayesian twin of <c>nn.GroupNorm</c>: input (batch, channels, positions...), groups of channels normalised together.</summary>
    /// <inheritdoc cref="BatchNorm1d"/>
    public static BayesNormalization GroupNorm(
        long num_groups, long num_channels, double eps = 1e-05, bool affine = true, Device? device = null, ScalarType? dtype = null, BayesOptions? options = null)
        => OverChannels(nn.GroupNorm(num_groups, num_channels, eps, false, device, dtype), affine, num_channels, null, false, device, dtype, options);

    /// <summary>The Bayesian twin of <c>nn.InstanceNorm1d</c>: input (batch, features, L) or (features, L).</summary>
    /// <remarks><c>affine</c> is true by default, where it is false for <c>nn.InstanceNorm1d</c>, which then has no weights.</remarks>
    /// <inheritdoc cref="BatchNorm1d"/>
    public static BayesNormalization InstanceNorm1d(
        long num_features, double eps = 1e-05, double momentum = 0.1, bool affine = true, bool track_running_stats = false,
        Device? device = null, ScalarType? dtype = null, BayesOptions? options = null)
        => OverChannels(nn.InstanceNorm1d(num_features, eps, momentum, false, track_running_stats, device, dtype), affine, num_features, 1, true, device, dtype, options);

    /// <summary>The Bayesian twin of <c>nn.InstanceNorm2d</c>: input (batch, features, H, W) or (features, H, W).</summary>
    /// <inheritdoc cref="InstanceNorm1d"/>
    public static BayesNormalization InstanceNorm2d(
        long num_features, double eps = 1e-05, double momentum = 0.1, bool affine = true, bool track_running_stats = false,
        Device? device = null, ScalarType? dtype = null, BayesOptions? options = null)
        => OverChannels(nn.InstanceNorm2d(num_features, eps, momentum, false, track_running_stats, device, dtype), affine, num_features, 2, true, device, dtype, options);

    /// <summary>The Bayesian twin of <c>nn.InstanceNorm3d</c>: input (batch, features, D, H, W) or (features, D, H, W).</summary>
    /// <inheritdoc cref="InstanceNorm1d"/>
    public static BayesNormalization InstanceNorm3d(
        long num_features, double eps = 1e-05, double momentum = 0.1, bool affine = true, bool track_running_stats = false,
        Device? device = null, ScalarType? dtype = null, BayesOptions? options = null)
        => OverChannels(nn.InstanceNorm3d(num_features, eps, momentum, false, track_running_stats, device, dtype), affine, num_features, 3, true, device, dtype, options);

    private static BayesNormalization OverChannels(
        nn.Module<Tensor, Tensor> normalization, bool affine, long channels, int? positions, bool allowsNoBatch, Device? device, ScalarType? dtype, BayesOptions? options)
    {
        RequireAffine(affine, nameof(affine));
        return new(normalization, ScaleMap.OverChannels(channels, positions, allowsNoBatch), true, device, dtype, options);
    }

    private static void RequireAffine(bool affine, string name)
    {
        if (!affine)
            throw new ArgumentException("A normalisation layer without scale and shift has nothing Bayesian in it; use the factory of nn.", name);
    }
}
