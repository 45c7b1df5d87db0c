using BayesNet.Benchmarks.Reporting;

namespace BayesNet.Benchmarks.Scaling;

/// <summary>What richer posteriors and more posterior samples cost, and what they bring.</summary>
internal sealed class ScalingReport : Report
{
    public override string Name => "scaling";

    public override string Title => "Scaling: covariances, ranks, posterior samples";

    public override string Description => "Mean field, low rank and full covariance in time, memory and fit; time against rank; quality and time of a predictive against its samples.";

    protected override void Write(ReportDocument document, ReportOptions options)
    {
        document.Part("covariance-cost", () => CovarianceCost.Write(document, options));
        document.Part("rank-cost", () => RankCost.Write(document, options));
        document.Part("rank-fit", () => RankFit.Write(document, options));
        document.Part("posterior-samples", () => PosteriorSamples.Write(document, options));
    }
}
