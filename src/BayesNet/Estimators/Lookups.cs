using BayesNet.Maps;
using BayesNet.Posteriors;
using TorchSharp;
using static TorchSharp.torch;

namespace BayesNet.Estimators;

/// <summary>
/// The images of a table's deviations by a map that looks rows up, with noise for the rows that are looked up and no others.
/// </summary>
/// <remarks>Other posteriors than <see cref="IRowwise"/> ones draw the whole table.</remarks>
internal static class Lookups
{
    /// <summary>Whether the rest of this class serves these parts.</summary>
    internal static bool Fit(AffineMap map, Posterior weight) => map is LookupMap && weight is IRowwise;

    /// <summary>One draw of each row for the batch.</summary>
    internal static Tensor Shared(AffineMap map, Posterior weight, Tensor input, NoiseSource noise)
    {
        using var scope = NewDisposeScope();
        (Tensor rows, Tensor places) = Distinct(input.to(ScalarType.Int64));
        return Image(map, weight, rows, places, noise).MoveToOuterDisposeScope();
    }

    /// <summary>One draw of each row for each example.</summary>
    internal static Tensor PerExample(AffineMap map, Posterior weight, Tensor input, NoiseSource noise)
    {
        using var scope = NewDisposeScope();
        using Scalar tableRows = weight.Shape[0];
        (Tensor keys, Tensor places) = Distinct(LookupMap.InTableOfExample(input, weight.Shape[0]));
        return Image(map, weight, keys.remainder(tableRows), places, noise).MoveToOuterDisposeScope();
    }

    /// <summary>A draw of the row for every entry of an embedding's input, whether or not it names the same row as another.</summary>
    internal static Tensor PerLookup(Posterior weight, Tensor input, NoiseSource noise)
    {
        using var scope = NewDisposeScope();
        Tensor rows = ((IRowwise)weight).SampleRowDeviations(input.flatten(), noise);
        return rows.reshape([.. input.shape, weight.Shape[1]]).MoveToOuterDisposeScope();
    }

    private static Tensor Image(AffineMap map, Posterior weight, Tensor rows, Tensor places, NoiseSource noise)
        => map.Apply(places, ((IRowwise)weight).SampleRowDeviations(rows, noise), null);

    /// <summary>The distinct values, in order, and where among them each entry's is, in the shape of the entries.</summary>
    internal static (Tensor Values, Tensor Places) Distinct(Tensor entries)
    {
        (Tensor values, Tensor? places, Tensor? counts) = entries.unique(sorted: true, return_inverse: true);
        counts?.Dispose();
        return (values, places!);
    }
}
