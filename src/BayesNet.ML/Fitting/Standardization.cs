namespace BayesNet.ML.Fitting;

/// <summary>Units in which each column of some rows has mean 0 and standard deviation 1.</summary>
/// <remarks>A constant column has no unit of its own: it is shifted to 0, and keeps its scale.</remarks>
/// <param name="Mean">Of each column.</param>
/// <param name="StdDev">Of each column; above zero.</param>
internal sealed record Standardization(double[] Mean, double[] StdDev)
{
    /// <summary>The units of a table's columns.</summary>
    /// <param name="values">Row after row, finite.</param>
    /// <param name="columns">Columns of a row.</param>
    internal static Standardization Of(ReadOnlySpan<float> values, int columns)
    {
        int rows = values.Length / columns;
        double[] mean = new double[columns], variance = new double[columns];
        for (int i = 0; i < values.Length; i++)
            mean[i % columns] += (double)values[i] / rows;
        for (int i = 0; i < values.Length; i++)
        {
            double deviation = values[i] - mean[i % columns];
            variance[i % columns] += deviation * deviation / rows;
        }

        // What rounding leaves of a constant column's variance is no scale.
        return new Standardization(mean, [.. variance.Zip(mean, (v, m) => Math.Sqrt(v) is var stdDev && stdDev > 1e-7 * Math.Abs(m) ? stdDev : 1)]);
    }

    /// <summary>The values of some rows in these units.</summary>
    internal float[] Apply(ReadOnlySpan<float> values)
    {
        var result = new float[values.Length];
        for (int i = 0; i < values.Length; i++)
        {
            int column = i % Mean.Length;
            result[i] = (float)((values[i] - Mean[column]) / StdDev[column]);
        }

        return result;
    }
}
