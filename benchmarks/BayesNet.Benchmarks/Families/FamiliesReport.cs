using BayesNet.Benchmarks.Reporting;

namespace BayesNet.Benchmarks.Families;

/// <summary>Heavy tails, low rank against full covariance, antithetic pairs.</summary>
internal sealed class FamiliesReport : Report
{
    public override string Name => "families";

    public override string Title => "Reparameterization families: tails, covariances, antithetic pairs";

    public override string Description => "Gradient variance of heavy-tailed families, cost of low rank against full covariance, gain of antithetic pairs.";

    protected override void Write(ReportDocument document, ReportOptions options)
    {
        HeavyTails.Write(document, options);
        CovarianceCost.Write(document, options);
        AntitheticPairs.Write(document, options);
    }
}
