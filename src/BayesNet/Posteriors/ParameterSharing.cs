using BayesNet.Maps;

namespace BayesNet.Posteriors;

/// <summary>Which entries of a weight share one noise rate or gate.</summary>
public enum ParameterSharing
{
    /// <summary>One for each entry.</summary>
    PerWeight,

    /// <summary>One for each output unit or channel: the weight's first dimension, of a transposed convolution the second.</summary>
    PerOutput,

    /// <summary>
    /// One for each input unit or channel: the weight's second dimension, of a transposed convolution the first; a bias, which has none, gets one.
    /// </summary>
    PerInput,

    /// <summary>One for the layer.</summary>
    PerLayer,
}

internal static class ParameterSharingExtensions
{
    /// <summary>The shape of the shared parameter, which broadcasts to the weight's.</summary>
    internal static long[] ShapeOver(this ParameterSharing sharing, ReadOnlySpan<long> weight, WeightLayout layout = default)
    {
        if (!Enum.IsDefined(sharing))
            throw new ArgumentOutOfRangeException(nameof(sharing), sharing, "sharing must be PerWeight, PerOutput, PerInput or PerLayer.");
        if (sharing == ParameterSharing.PerOutput && !layout.HasOutputDimension)
        {
            throw new ArgumentException(
                "PerOutput has no shape that broadcasts to the weight of a transposed convolution with groups; use PerWeight, PerInput or PerLayer.", nameof(sharing));
        }

        if (weight.Length < 2)
            layout = WeightLayout.OutputsFirst;
        var shape = new long[weight.Length];
        for (int i = 0; i < shape.Length; i++)
        {
            bool kept = sharing == ParameterSharing.PerWeight || (sharing == ParameterSharing.PerOutput && i == layout.OutputDimension)
                || (sharing == ParameterSharing.PerInput && i == layout.InputDimension);
            shape[i] = kept ? weight[i] : 1;
        }

        return shape;
    }
}
