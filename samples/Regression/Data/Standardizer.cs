namespace BayesNet.Samples.Regression.Data;

/// <summary>A change of units to mean zero and standard deviation one, and back.</summary>
/// <param name="Mean">Of the values it was made from.</param>
/// <param name="StdDev">Of the values it was made from; above zero.</param>
internal readonly record struct Standardizer(double Mean, double StdDev)
{
    /// <summary>The units in which <paramref name="values"/>, not all equal, have mean zero and standard deviation one.</summary>
    public static Standardizer Of(IReadOnlyCollection<double> values)
    {
        double mean = values.Average();
        return new Standardizer(mean, Math.Sqrt(values.Average(value => (value - mean) * (value - mean))));
    }

    public static bool IsConstant(IEnumerable<double> values)
    {
        double[] all = [.. values];
        return all.All(value => value == all[0]);
    }

    public double Apply(double value) => (value - Mean) / StdDev;

    public double Invert(double standardised) => Mean + StdDev * standardised;
}
