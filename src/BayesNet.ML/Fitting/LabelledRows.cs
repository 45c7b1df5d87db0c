using System.Globalization;
using System.Runtime.InteropServices;
using Microsoft.ML;
using Microsoft.ML.Data;

namespace BayesNet.ML.Fitting;

/// <summary>The rows of a data view that have a label, in memory.</summary>
/// <param name="Features">Row after row.</param>
/// <param name="Labels">One a row; classes count from 0.</param>
/// <param name="Skipped">Rows whose label was missing.</param>
internal sealed record LabelledRows(float[] Features, float[] Labels, long Skipped)
{
    /// <summary>Reads the rows; sparse vectors are filled up.</summary>
    /// <param name="data">The rows.</param>
    /// <param name="features">The feature column, a vector of known size of Single.</param>
    /// <param name="label">The label column: Single, or a key of UInt32.</param>
    /// <exception cref="ArgumentException">A feature is missing or infinite, a label is infinite, or there is no row with a label.</exception>
    internal static LabelledRows Read(IDataView data, DataViewSchema.Column features, DataViewSchema.Column label)
    {
        int columns = ((VectorDataViewType)features.Type).Size;
        var values = new List<float>();
        var labels = new List<float>();
        long skipped = 0, row = -1;
        using DataViewRowCursor cursor = data.GetRowCursor([features, label]);
        ValueGetter<VBuffer<float>> featureGetter = cursor.GetGetter<VBuffer<float>>(features);
        Func<float> read = LabelReader(cursor, label);
        VBuffer<float> buffer = default;
        while (cursor.MoveNext())
        {
            row++;
            float target = read();
            if (float.IsNaN(target))
            {
                skipped++;
                continue;
            }

            if (float.IsInfinity(target))
                throw new ArgumentException($"The label '{label.Name}' of row {Text(row)} is infinite; filter such rows, by ml.Data.FilterRowsByColumn for instance.", nameof(data));
            featureGetter(ref buffer);
            int start = values.Count;
            CollectionsMarshal.SetCount(values, start + columns);
            Span<float> dense = CollectionsMarshal.AsSpan(values)[start..];
            buffer.CopyTo(dense);
            if (dense.IndexOfAnyExceptInRange(float.MinValue, float.MaxValue) is >= 0 and int bad)
            {
                throw new ArgumentException(
                    $"Feature {Text(bad)} of '{features.Name}' in row {Text(row)} is {(float.IsNaN(dense[bad]) ? "missing (NaN)" : "infinite")}. Impute such values before the trainer, by "
                    + $"ml.Transforms.ReplaceMissingValues(\"{features.Name}\", replacementMode: MissingValueReplacingEstimator.ReplacementMode.Mean), or filter the rows.",
                    nameof(data));
            }

            labels.Add(target);
        }

        if (labels.Count == 0)
        {
            throw new ArgumentException(
                row < 0
                    ? "The data view has no rows; check how it was loaded, split or filtered."
                    : $"None of the {Text(row + 1)} rows has a label '{label.Name}'; check the column's name and how missing values are read.",
                nameof(data));
        }

        return new LabelledRows([.. values], [.. labels], skipped);
    }

    /// <summary>Two parts drawn at random, the second of a share of the rows.</summary>
    internal (LabelledRows Kept, LabelledRows Held) Divide(double share, ulong seed)
    {
        int[] order = [.. Enumerable.Range(0, Labels.Length)];
        new Random(unchecked((int)seed)).Shuffle(order);
        int held = (int)(share * order.Length);
        return (Select(order[held..]), Select(order[..held]));
    }

    private LabelledRows Select(int[] rows)
    {
        int columns = Features.Length / Labels.Length;
        return new LabelledRows([.. rows.SelectMany(row => new ArraySegment<float>(Features, row * columns, columns))], [.. rows.Select(row => Labels[row])], 0);
    }

    // The key 0 is a missing label, and keys count from 1.
    private static Func<float> LabelReader(DataViewRowCursor cursor, DataViewSchema.Column label)
    {
        if (label.Type is KeyDataViewType)
        {
            ValueGetter<uint> key = cursor.GetGetter<uint>(label);
            uint number = 0;
            return () =>
            {
                key(ref number);
                return number == 0 ? float.NaN : number - 1;
            };
        }

        ValueGetter<float> single = cursor.GetGetter<float>(label);
        float value = 0;
        return () =>
        {
            single(ref value);
            return value;
        };
    }

    private static string Text(long number) => number.ToString(CultureInfo.InvariantCulture);
}
