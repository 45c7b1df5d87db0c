using BayesNet.Prediction;
using BayesNet.Runtime;
using static TorchSharp.torch;

namespace BayesNet.Metrics;

/// <summary>
/// Scores of class probabilities. All take probabilities of shape (batch, classes), a <see cref="CategoricalPredictive"/>'s mean say, and the
/// classes that came true, (batch), int64; all are means over the examples, in float64.
/// </summary>
public static class ClassificationMetrics
{
    /// <summary>The share of examples whose most probable class is right; of equal probabilities the lowest class counts.</summary>
    /// <param name="probabilities">(batch, classes).</param>
    /// <param name="target">Class indices, (batch), int64.</param>
    /// <exception cref="ArgumentException">The rows are not probabilities, or the target does not fit.</exception>
    public static double Accuracy(Tensor probabilities, Tensor target)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        Tensor classes = MetricInputs.Classes(probabilities, target);
        return MetricInputs.Mean(probabilities.argmax(1).cpu().eq(classes));
    }

    /// <summary>The mean of -ln p(class) in nats; infinite where the probability of a class that came true is 0.</summary>
    /// <remarks>A predictive with samples has it without underflow: <see cref="NegativeLogLikelihood(CategoricalPredictive, Tensor)"/>.</remarks>
    /// <inheritdoc cref="Accuracy"/>
    public static double NegativeLogLikelihood(Tensor probabilities, Tensor target)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        Tensor classes = MetricInputs.Classes(probabilities, target);
        return -MetricInputs.Mean(OfTarget(probabilities, classes).log());
    }

    /// <summary>The mean of -ln p(class) in nats, p averaged over the samples by log-mean-exp.</summary>
    /// <param name="predictive">With its samples.</param>
    /// <param name="target">Class indices, (batch), int64.</param>
    /// <exception cref="InvalidOperationException">The samples were not kept; pass the predictive's mean.</exception>
    /// <exception cref="ArgumentException">The target does not fit.</exception>
    public static double NegativeLogLikelihood(CategoricalPredictive predictive, Tensor target)
        => RegressionMetrics.NegativeLogLikelihood(predictive, target);

    /// <summary>
    /// The multi-class Brier score, the mean of sum over classes of (p_c - 1{class = c})^2, between 0 and 2 (Brier 1950); for two classes twice
    /// the binary one.
    /// </summary>
    /// <inheritdoc cref="Accuracy"/>
    public static double BrierScore(Tensor probabilities, Tensor target)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        Tensor classes = MetricInputs.Classes(probabilities, target);

        // sum p^2 - 2 p_class + 1 would need no one-hot rows; it would lose the digits of a small score.
        Tensor misses = MetricInputs.Double(probabilities).clone();
        Tensor index = classes.to(misses.device).unsqueeze(1);
        return MetricInputs.Mean(misses.scatter_add_(1, index, full(index.shape, Scalars.MinusOne, ScalarType.Float64, misses.device)).Squared().sum(dim: 1));
    }

    /// <summary>The parts of the Brier score, class by class in bins, added up.</summary>
    /// <param name="probabilities">(batch, classes).</param>
    /// <param name="target">Class indices, (batch), int64.</param>
    /// <param name="bins">The most bins there may be.</param>
    /// <param name="binning">How they are laid.</param>
    /// <exception cref="ArgumentException">The rows are not probabilities, or the target does not fit.</exception>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="bins"/> is below 1.</exception>
    public static BrierDecomposition BrierDecomposition(
        Tensor probabilities, Tensor target, int bins = 15, Binning binning = Binning.EqualWidth)
        => OverClasses(probabilities, target, (confidence, outcome) => Metrics.BrierDecomposition.Of(confidence, outcome, bins, binning))
            .Aggregate((sum, part) => sum.Plus(part));

    /// <summary>ECE: <see cref="ReliabilityDiagram.ExpectedCalibrationError"/> of <see cref="ReliabilityDiagram.OfTopClass"/>.</summary>
    /// <inheritdoc cref="BrierDecomposition"/>
    public static double ExpectedCalibrationError(
        Tensor probabilities, Tensor target, int bins = 15, Binning binning = Binning.EqualWidth)
        => ReliabilityDiagram.OfTopClass(probabilities, target, bins, binning).ExpectedCalibrationError;

    /// <summary>MCE: <see cref="ReliabilityDiagram.MaximumCalibrationError"/> of <see cref="ReliabilityDiagram.OfTopClass"/>.</summary>
    /// <inheritdoc cref="BrierDecomposition"/>
    public static double MaximumCalibrationError(
        Tensor probabilities, Tensor target, int bins = 15, Binning binning = Binning.EqualWidth)
        => ReliabilityDiagram.OfTopClass(probabilities, target, bins, binning).MaximumCalibrationError;

    /// <summary>
    /// Classwise ECE: the mean over classes of the ECE of each class's own probability (Kull et al. 2019), which sees what the top class hides.
    /// </summary>
    /// <inheritdoc cref="BrierDecomposition"/>
    public static double ClasswiseCalibrationError(
        Tensor probabilities, Tensor target, int bins = 15, Binning binning = Binning.EqualWidth)
        => OverClasses(probabilities, target, (confidence, outcome) => ReliabilityDiagram.Of(confidence, outcome, bins, binning))
            .Average(diagram => diagram.ExpectedCalibrationError);

    /// <summary>The probability of the class that came true, (batch), float64.</summary>
    internal static Tensor OfTarget(Tensor probabilities, Tensor classes)
        => MetricInputs.Double(probabilities).gather(1, classes.to(probabilities.device).unsqueeze(1)).squeeze(1);

    private static T[] OverClasses<T>(Tensor probabilities, Tensor target, Func<double[], double[], T> measure)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        Tensor classes = MetricInputs.Classes(probabilities, target);
        var results = new T[probabilities.size(1)];
        for (int index = 0; index < results.Length; index++)
        {
            (double[] confidence, double[] outcome) = ReliabilityDiagram.Column(probabilities, classes, index);
            results[index] = measure(confidence, outcome);
        }

        return results;
    }
}
