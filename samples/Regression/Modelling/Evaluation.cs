using BayesNet.Prediction;
using BayesNet.Samples.Regression.Data;
using static TorchSharp.torch;

namespace BayesNet.Samples.Regression.Modelling;

/// <summary>What is predicted for one row, in units of the target; the bounds are those of the central 95 % interval.</summary>
internal readonly record struct RowPrediction(double Mean, double Epistemic, double Aleatoric, double StdDev, double Lower95, double Upper95)
{
    /// <summary>Predicts rows of inputs.</summary>
    public static RowPrediction[] Of(FittedModel model, IReadOnlyList<double[]> inputs)
    {
        using GaussianPredictive predictive = model.Predict(inputs);
        return Of(predictive);
    }

    public static RowPrediction[] Of(GaussianPredictive predictive)
    {
        using var scope = NewDisposeScope();
        (Tensor lower, Tensor upper) = predictive.Interval(0.95);
        double[][] columns =
        [
            .. new[] { predictive.Mean, predictive.Epistemic, predictive.Aleatoric, predictive.StdDev, lower, upper }
                .Select(column => column.cpu().data<double>().ToArray()),
        ];
        return
        [
            .. Enumerable.Range(0, columns[0].Length)
                .Select(row => new RowPrediction(columns[0][row], columns[1][row], columns[2][row], columns[3][row], columns[4][row], columns[5][row])),
        ];
    }
}

/// <summary>How well the held-out rows were predicted, in units of the target.</summary>
/// <param name="Rows">The predictions, row by row.</param>
/// <param name="Rmse">The root of the mean squared error of the predictive mean.</param>
/// <param name="LogLikelihood">The mean log predictive density, in nats.</param>
/// <param name="Coverage">For levels from 0.1 to 0.95, the share of rows whose target lies in the central interval of that level.</param>
internal sealed record Evaluation(
    IReadOnlyList<RowPrediction> Rows, double Rmse, double LogLikelihood, IReadOnlyList<(double Level, double Share)> Coverage)
{
    private static readonly double[] Levels = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95];

    /// <summary>The root of the mean epistemic variance: what the model does not know of the mean.</summary>
    public double Epistemic => Math.Sqrt(Rows.Average(row => row.Epistemic * row.Epistemic));

    /// <summary>The root of the mean aleatoric variance: the noise that it sees in the target.</summary>
    public double Aleatoric => Math.Sqrt(Rows.Average(row => row.Aleatoric * row.Aleatoric));

    /// <summary>Of one input, the epistemic standard deviation in the middle of the widest stretch without training rows; null of several.</summary>
    public double? GapEpistemic { get; private init; }

    /// <summary>The share of rows whose target lies in the 95 % interval.</summary>
    public double Coverage95 => Coverage[^1].Share;

    // Bounds the memory of a prediction, which has a number for each row and posterior sample.
    private const int ChunkSize = 1000;

    public static Evaluation Of(FittedModel model)
    {
        Table heldOut = model.Data.HeldOut;
        var rows = new List<RowPrediction>(heldOut.Rows);
        double logDensity = 0;
        var inside = new double[Levels.Length];
        foreach (int[] chunk in Enumerable.Range(0, heldOut.Rows).Chunk(ChunkSize))
        {
            Table part = heldOut.Select(chunk);
            using var scope = NewDisposeScope();
            using GaussianPredictive predictive = model.Predict(part.Inputs);
            Tensor targets = tensor(part.Targets, part.Rows, 1);
            rows.AddRange(RowPrediction.Of(predictive));
            logDensity += predictive.LogDensity(targets).sum().item<double>();
            for (int i = 0; i < Levels.Length; i++)
            {
                (Tensor lower, Tensor upper) = predictive.Interval(Levels[i]);
                inside[i] += targets.ge(lower).logical_and(targets.le(upper)).sum().item<long>();
            }
        }

        return new Evaluation(
            rows,
            Math.Sqrt(rows.Zip(heldOut.Targets, (row, target) => (row.Mean - target) * (row.Mean - target)).Average()),
            logDensity / heldOut.Rows,
            [.. Levels.Zip(inside, (level, count) => (level, count / heldOut.Rows))])
        {
            GapEpistemic = model.Data.Training.Columns == 1 ? RowPrediction.Of(model, [[MiddleOfWidestGap(model.Data.Training)]])[0].Epistemic : null,
        };
    }

    private static double MiddleOfWidestGap(Table training)
    {
        double[] inputs = [.. training.Inputs.Select(row => row[0]).Order()];
        (double from, double to) = inputs.Zip(inputs.Skip(1)).MaxBy(pair => pair.Second - pair.First);
        return (from + to) / 2;
    }
}
