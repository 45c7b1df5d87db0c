using BayesNet.Benchmarks.Reporting;

namespace BayesNet.Benchmarks.Families;

/// <summary>Heavy tails and antithetic pairs.</summary>
internal sealed class FamiliesReport : Report
{
    public override string Name => "families";

    public override string Title => "Reparameterization families: tails and antithetic pairs";

    public override string Description => "Gradient variance of heavy-tailed families, gain of antithetic pairs.";

    protected override void Write(ReportDocument document, ReportOptions options)
    {
        document.Part("heavy-tails", () => HeavyTails.Write(document, options));
        document.Part("antithetic-pairs", () => AntitheticPairs.Write(document, options));
    }
}
