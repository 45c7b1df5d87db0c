using BayesNet.Samples.Shared;

namespace BayesNet.Samples.Regression.Data;

/// <summary>
/// A known curve with noise that grows to the right, observed on two stretches of inputs with a gap between them: y = f(x) + noise(x) eps.
/// </summary>
internal static class SyntheticCurve
{
    /// <summary>The stretches that hold inputs.</summary>
    public static readonly (double From, double To)[] Observed = [(-4, -1), (1.5, 4)];

    /// <summary>The stretch between them that holds none.</summary>
    public static readonly (double From, double To) Gap = (-1, 1.5);

    /// <summary>f(x), the mean of the target.</summary>
    public static double Mean(double x) => 2 * Math.Sin(1.2 * x);

    /// <summary>The standard deviation of the noise.</summary>
    public static double Noise(double x) => 0.1 + 0.4 / (1 + Math.Exp(-1.5 * (x - 1)));

    /// <summary>Draws rows with inputs uniform on the two stretches.</summary>
    public static Table Draw(int rows, ulong seed)
    {
        var random = new Random(unchecked((int)seed));
        double first = Observed[0].To - Observed[0].From;
        double total = first + Observed[1].To - Observed[1].From;
        var inputs = new double[rows][];
        var targets = new double[rows];
        for (int row = 0; row < rows; row++)
        {
            double along = random.NextDouble() * total;
            double x = along < first ? Observed[0].From + along : Observed[1].From + along - first;
            inputs[row] = [x];
            targets[row] = Mean(x) + Noise(x) * random.NextNormal();
        }

        return new Table("synthetic curve", ["x"], "y", inputs, targets);
    }
}
