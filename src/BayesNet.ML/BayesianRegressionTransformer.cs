using BayesNet.Likelihoods;
using BayesNet.ML.Fitting;
using BayesNet.ML.Persistence;
using BayesNet.ML.Views;
using BayesNet.Prediction;
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

    private readonly HeteroscedasticGaussianLikelihood _likelihood;
    private readonly double _mean, _stdDev;

    /// <param name="model">Networks of two outputs, the standardised label's mean and the logarithm of its noise.</param>
    /// <param name="features">Units of the features.</param>
    /// <param name="featureColumnName">The feature column.</param>
    /// <param name="mean">What the label was standardised by.</param>
    /// <param name="stdDev">The same.</param>
    /// <param name="leastNoise">What is added to the noise, in standard deviations of the label.</param>
    /// <param name="level">The share of the predictive between Lower and Upper.</param>
    internal BayesianRegressionTransformer(
        PosteriorSample model, Standardization features, string featureColumnName, double mean, double stdDev, double leastNoise, double level)
        : base(model, features, featureColumnName)
    {
        (_mean, _stdDev, IntervalLevel) = (mean, stdDev, level);
        _likelihood = new HeteroscedasticGaussianLikelihood(leastNoise);
        Outputs =
        [
            Column("Score", predictive => predictive.Mean),
            Column("StandardDeviation", predictive => predictive.StdDev),
            Column("Lower", predictive => predictive.Quantile((1 - level) / 2)),
            Column("Upper", predictive => predictive.Quantile((1 + level) / 2)),
            Column("EpistemicStandardDeviation", predictive => predictive.Epistemic),
            Column("AleatoricStandardDeviation", predictive => predictive.Aleatoric),
        ];
    }

    /// <summary>The share of the predictive distribution between Lower and Upper.</summary>
    public double IntervalLevel { get; }

    internal override IReadOnlyList<OutputColumn> Outputs { get; }

    internal override TransformerKind Kind => TransformerKind.Regression;

    internal static BayesianRegressionTransformer Read(PosteriorSample model, Standardization features, string featureColumnName, BinaryReader reader)
        => new(model, features, featureColumnName, reader.ReadDouble(), reader.ReadDouble(), reader.ReadDouble(), reader.ReadDouble());

    private protected override Predictive Predict(Tensor outputs)
    {
        using GaussianPredictive standardised = _likelihood.Predict(outputs);
        return standardised.Rescale(_stdDev, _mean);
    }

    private protected override void WriteOwn(BinaryWriter writer)
    {
        writer.Write(_mean);
        writer.Write(_stdDev);
        writer.Write(_likelihood.MinNoise);
        writer.Write(IntervalLevel);
    }

    private static OutputColumn Column(string name, Func<Predictive, Tensor> values)
        => new(name, NumberDataViewType.Single, values, ScoreAnnotations(Task, name).ToAnnotations());
}
