namespace BayesNet.Metrics;

/// <summary>Of what a continuous ranked probability score from samples is the score.</summary>
public enum CrpsEstimator
{
    /// <summary>
    /// Of the distribution that the samples were drawn from, without bias: pairs of different samples alone are compared, S (S - 1) of them
    /// (Ferro 2014, "Fair scores for ensemble forecasts").
    /// </summary>
    Fair,

    /// <summary>
    /// Of the samples' own empirical distribution, S^2 pairs. As a score of the distribution behind it is too large by E|x - x'| / 2S.
    /// </summary>
    Empirical,
}
