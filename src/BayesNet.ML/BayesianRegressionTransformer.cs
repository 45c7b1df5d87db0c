using BayesNet.Likelihoods;
using BayesNet.Metrics;
using BayesNet.ML.Fitting;
using BayesNet.ML.Persistence;
using BayesNet.ML.Views;
using BayesNet.Prediction;
using BayesNet.Runtime;
using Microsoft.ML.Data;
using static TorchSharp.torch;

namespace BayesNet.ML;

/// <summary>
/// A trained Bayesian regression. It adds, all of type Single and in the label's units: Score, the mean of the predictive distribution; StandardDeviation;
/// Lower and Upper, its central interval; and the standard deviation's parts, EpistemicStandardDeviation, which more data would lower, and
/// AleatoricStandardDeviation, the noise (StandardDeviation^2 is the sum of their squares).
/// </summary>
public sealed class BayesianRegressionTransformer : BayesianTransformer
{
    private const string Task = "Regression";

    private RegressionUnits _units;

    /// <param name="model">Networks of two outputs, the standardised label's mean and the logarithm of its noise.</param>
    /// <param name="features">Units of the features.</param>
    /// <param name="featureColumnName">The feature column.</param>
    /// <param name="units">Those of the label, and of the interval.</param>
    internal BayesianRegressionTransformer(PosteriorSample model, Standardization features, string featureColumnName, RegressionUnits units)
        : base(model, features, featureColumnName)
    {
        _units = units;
        Likelihood = new HeteroscedasticGaussianLikelihood(units.LeastNoise);
        Outputs =
        [
            Column("Score", predictive => predictive.Mean),
            Column("StandardDeviation", predictive => predictive.StdDev),
            Column("Lower", predictive => Bound(predictive, -1)),
            Column("Upper", predictive => Bound(predictive, 1)),
            Column("EpistemicStandardDeviation", predictive => predictive.Epistemic),
            Column("AleatoricStandardDeviation", predictive => predictive.Aleatoric),
        ];
    }

    /// <summary>The share of the predictive distribution between Lower and Upper.</summary>
    public double IntervalLevel => _units.Level;

    /// <summary>
    /// Half the interval over the standard deviation, where rows that were not trained on have calibrated it (<see cref="BayesianNetworkOptions.CalibrationFraction"/>);
    /// null for the predictive distribution's own quantiles.
    /// </summary>
    public double? CalibratedRadius => _units.Radius;

    internal override IReadOnlyList<OutputColumn> Outputs { get; }

    internal override TransformerKind Kind => TransformerKind.Regression;

    private protected override Likelihood Likelihood { get; }

    internal static BayesianRegressionTransformer Read(PosteriorSample model, Standardization features, string featureColumnName, BinaryReader reader)
        => new(
            model,
            features,
            featureColumnName,
            new RegressionUnits(reader.ReadDouble(), reader.ReadDouble(), reader.ReadDouble(), reader.ReadDouble(), reader.ReadDouble() is var radius && double.IsNaN(radius) ? null : radius));

    /// <summary>Sets the interval's width by rows that were not trained on; before anything else is predicted.</summary>
    internal void Calibrate(LabelledRows held)
    {
        using var scope = NewDisposeScope();
        var (means, stdDevs) = (new List<float>(), new List<float>());
        foreach (float[] block in held.Features.Chunk(Model.Inputs * PredictionCursor.MostRows))
        {
            using var rows = new PredictedRows(this, block);
            means.AddRange(rows.Column(0));
            stdDevs.AddRange(rows.Column(1));
        }

        var intervals = ConformalIntervals.Normalised(tensor(means.ToArray()), tensor(stdDevs.ToArray()), tensor(held.Labels), IntervalLevel);
        _units = _units with { Radius = intervals.Quantiles[0] };
    }

    private protected override Predictive InUnits(Predictive standardised)
    {
        using (standardised)
            return ((GaussianPredictive)standardised).Rescale(_units.StdDev, _units.Mean);
    }

    private protected override void WriteOwn(BinaryWriter writer)
    {
        writer.Write(_units.Mean);
        writer.Write(_units.StdDev);
        writer.Write(_units.LeastNoise);
        writer.Write(_units.Level);
        writer.Write(_units.Radius ?? double.NaN);
    }

    private Tensor Bound(Predictive predictive, int side) => _units.Radius is { } radius
        ? predictive.Mean.Plus(predictive.StdDev.Times(side * radius))
        : predictive.Quantile((1 + side * IntervalLevel) / 2);

    private static OutputColumn Column(string name, Func<Predictive, Tensor> values)
        => new(name, NumberDataViewType.Single, values, ScoreAnnotations(Task, name).ToAnnotations());
}

/// <summary>What a regression's predictions are scaled by.</summary>
/// <param name="Mean">The mean of the training rows' labels.</param>
/// <param name="StdDev">Their standard deviation.</param>
/// <param name="LeastNoise">What is added to the noise, in standard deviations of the label.</param>
/// <param name="Level">The share of the predictive between Lower and Upper.</param>
/// <param name="Radius">Half the interval over the standard deviation; null for quantiles.</param>
internal sealed record RegressionUnits(double Mean, double StdDev, double LeastNoise, double Level, double? Radius = null);
