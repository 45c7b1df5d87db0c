namespace BayesNet.Benchmarks.GradientVariance;

/// <summary>One number of the report, as gradient-variance.json has it; what it was measured with is in it, so that runs can go on and be joined.</summary>
internal sealed record VarianceRow
{
    /// <summary>The part of the report.</summary>
    public required string Part { get; init; }

    /// <summary>What was measured: a problem, a network, an experiment's condition.</summary>
    public required string Case { get; init; }
    public required string Estimator { get; init; }

    /// <summary>Which gradient.</summary>
    public required string Gradient { get; init; }

    /// <summary>What a curve runs over (batch size, dimension, scale), where it is one.</summary>
    public double? Setting { get; init; }

    /// <summary>variance, mean or milliseconds.</summary>
    public string Quantity { get; init; } = "variance";
    public required double Value { get; init; }
    public double? StandardError { get; init; }

    /// <summary>The closed form, where there is one.</summary>
    public double? Exact { get; init; }

    /// <summary>The difference from the closed form in standard errors; null where there is no noise to measure it by.</summary>
    public double? Z { get; init; }

    /// <summary>The published figure, where there is one.</summary>
    public double? Published { get; init; }

    /// <summary>Gradients drawn, or steps timed.</summary>
    public required long Draws { get; init; }
    public required VarianceSettings Settings { get; init; }

    /// <summary>Differences below this, relative to the exact value or 1, are rounding.</summary>
    public const double Rounding = 1e-9;

    /// <summary>(value - exact) / standard error; null where both agree to rounding and nothing is random.</summary>
    public static double? ZScore(double value, double standardError, double exact)
    {
        bool rounding = standardError <= Rounding * Math.Max(1, Math.Abs(exact));
        return rounding ? null : (value - exact) / standardError;
    }
}

/// <summary>What rows must agree in to be kept by a run that goes on, but for the commit, which only tells.</summary>
internal sealed record VarianceSettings
{
    public required ulong Seed { get; init; }
    public required bool Short { get; init; }
    public required string Commit { get; init; }

    public bool Fits(VarianceSettings other) => Seed == other.Seed && Short == other.Short;
}
