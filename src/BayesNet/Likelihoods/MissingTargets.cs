namespace BayesNet.Likelihoods;

/// <summary>What NaN in a target means to a likelihood.</summary>
public enum MissingTargets
{
    /// <summary>A mistake: training data refuse it, and a log likelihood that meets one is NaN.</summary>
    Refused,

    /// <summary>
    /// An entry that was not observed: it adds nothing to the log likelihood and gets no gradient, as if it were not there. An example
    /// without any observed entry has log likelihood 0. Right where entries are missing at random (Rubin 1976).
    /// </summary>
    Masked,
}
