using BayesNet.Estimators;
using BayesNet.Maps;
using BayesNet.Reparameterization;
using static TorchSharp.torch;

namespace BayesNet.Posteriors;

/// <summary>
/// A posterior under which the image of an input by an affine map is Gaussian with a law that can be drawn from directly, which is what
/// local reparameterization needs (Kingma, Salimans and Welling 2015, section 3.2).
/// </summary>
public interface ILocallyReparameterizable
{
    /// <summary>Why the outputs of <paramref name="map"/> can't be drawn directly, as the end of a sentence; null where they can.</summary>
    string? WhyNotLocally(AffineMap map);

    /// <summary>The variance of each output of <paramref name="map"/>, the weight drawn from this posterior.</summary>
    /// <param name="map">The map; its weight shape is this posterior's.</param>
    /// <param name="input">(batch, ...) as the map takes it.</param>
    /// <param name="biasVariance">A variance per output channel to be added, shape (out), or null.</param>
    /// <returns>The shape of the map's output; not negative; differentiable in the parameters and in <paramref name="input"/>.</returns>
    Tensor OutputVariance(AffineMap map, Tensor input, Tensor? biasVariance);

    /// <summary>Draws the outputs' deviation from their mean: the root of <see cref="OutputVariance"/> times independent normals.</summary>
    /// <inheritdoc cref="OutputVariance"/>
    Tensor SampleOutputDeviation(AffineMap map, Tensor input, Tensor? biasVariance, NoiseSource noise)
    {
        ArgumentNullException.ThrowIfNull(noise);
        using var scope = NewDisposeScope();
        Tensor stdDev = Root(OutputVariance(map, input, biasVariance));
        return stdDev.mul(noise.Normal(stdDev.shape, stdDev.dtype, stdDev.device)).MoveToOuterDisposeScope();
    }

    /// <summary>The square root of a variance, with a finite gradient (zero) at zero.</summary>
    /// <remarks>A clamp, unlike an added constant, changes no variance above it.</remarks>
    internal static Tensor Root(Tensor variance)
    {
        using Tensor clamped = variance.clamp_min(FloatRange.LeastNormal(variance.dtype));
        return clamped.sqrt();
    }
}
