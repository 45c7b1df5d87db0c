using BayesNet.Estimators;
using ScottPlot;
using Figure = BayesNet.Benchmarks.Reporting.Figure;

namespace BayesNet.Benchmarks.GradientVariance;

/// <summary>An estimator of the report's rows: one of the library's, by single draws or by antithetic pairs.</summary>
/// <param name="Name">In rows and legends.</param>
/// <param name="Estimator">How noise enters a layer.</param>
/// <param name="Antithetic">Whether a gradient is the mean of those under eps and -eps, two passes.</param>
internal sealed record Contender(string Name, Estimator Estimator, bool Antithetic = false)
{
    public static Contender Local { get; } = new("local reparameterization", Estimator.LocalReparameterization);

    public static Contender PerExample { get; } = new("weights per example", Estimator.WeightsPerExample);

    public static Contender Shared { get; } = new("shared weights", Estimator.SharedWeights);

    public static Contender Flipout { get; } = new("flipout", Estimator.Flipout);

    public static Contender MeanOnly { get; } = new("mean only", Estimator.MeanOnly);

    /// <summary>Those with noise, by single draws.</summary>
    public static IReadOnlyList<Contender> Single { get; } = [Local, PerExample, Flipout, Shared];

    /// <summary>The same by antithetic pairs.</summary>
    public static IReadOnlyList<Contender> Pairs { get; } = [.. Single.Select(contender => contender.Pair)];

    public static IReadOnlyList<Contender> All { get; } = [.. Single, .. Pairs, MeanOnly];

    public Contender Pair => this with { Name = $"{Name}, antithetic pair", Antithetic = true };

    /// <summary>The colour of an estimator in every plot.</summary>
    public Color Color => Figure.Colors[Estimator.Name switch
    {
        "local reparameterization" => 3,
        "weights per example" => 2,
        "flipout" => 1,
        "shared weights" => 0,
        _ => 4,
    }];
}
