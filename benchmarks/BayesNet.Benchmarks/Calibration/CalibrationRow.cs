using BayesNet.Benchmarks.Reporting;

namespace BayesNet.Benchmarks.Calibration;

/// <summary>One method on the test digits, and against images that are none.</summary>
internal sealed record CalibrationRow
{
    public required string Method { get; init; }
    public required RunIdentity Identity { get; init; }

    /// <summary>Posterior samples of a prediction.</summary>
    public required int Samples { get; init; }

    /// <summary>A share.</summary>
    public required double Accuracy { get; init; }

    /// <summary>Nats an image.</summary>
    public required double NegativeLogLikelihood { get; init; }

    /// <summary>Of 15 bins of equal width.</summary>
    public required double CalibrationError { get; init; }
    public required double BrierScore { get; init; }

    /// <summary>Of predictive entropy, against misclassified digits.</summary>
    public required double AurocErrors { get; init; }

    /// <summary>Of predictive entropy.</summary>
    public required double AurocRotated { get; init; }
    public required double AurocNoise { get; init; }
    public required double AurocLetters { get; init; }

    /// <summary>Of mutual information, on the same three; empty of a method without an epistemic part.</summary>
    public required double[] AurocByInformation { get; init; }

    /// <summary>The temperature fitted on validation digits, and what it makes of log likelihood and calibration error.</summary>
    public required double Temperature { get; init; }
    public required double NegativeLogLikelihoodAfter { get; init; }
    public required double CalibrationErrorAfter { get; init; }

    /// <summary>The mean loss, over every share of images kept, surest first, of the share of them that are wrong.</summary>
    public required double RiskCoverageArea { get; init; }

    /// <summary>Risk at each percent of coverage.</summary>
    public required double[] Risks { get; init; }

    /// <summary>Confidence and accuracy of each bin of equal mass.</summary>
    public required double[] Confidences { get; init; }
    public required double[] Accuracies { get; init; }
    public required double FitSeconds { get; init; }
    public required double PredictSeconds { get; init; }
}
