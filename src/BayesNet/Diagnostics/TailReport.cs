using System.Globalization;

namespace BayesNet.Diagnostics;

/// <summary>What <see cref="TailDiagnostics.Estimate"/> found.</summary>
public sealed record TailReport
{
    /// <summary>Values that were used: those other than zero.</summary>
    public required int Count { get; init; }

    /// <summary>k, the number of upper order statistics that show no departure from a power tail.</summary>
    public required int OrderStatistics { get; init; }

    /// <summary>gamma, by the moment estimator on k order statistics: 1/alpha for a power tail, 0 or below for a light one.</summary>
    public required double ExtremeValueIndex { get; init; }

    /// <summary>The asymptotic standard error of <see cref="ExtremeValueIndex"/>.</summary>
    public required double ExtremeValueIndexStandardError { get; init; }

    /// <summary>The number of upper order statistics of Hill's estimator.</summary>
    public required int HillOrderStatistics { get; init; }

    /// <summary>Hill's estimate of alpha; it means something only where the tail is heavy.</summary>
    public required double HillIndex { get; init; }

    /// <summary>The asymptotic standard error of <see cref="HillIndex"/>, bias not included.</summary>
    public required double HillStandardError { get; init; }

    /// <summary>Whether the 95 % interval of the extreme-value index lies above zero.</summary>
    public required bool IsHeavy { get; init; }

    /// <summary>The lower end of the 95 % interval of alpha.</summary>
    public required double Lower { get; init; }

    /// <summary>The upper end of the 95 % interval of alpha; infinite where the tail is not heavy.</summary>
    public required double Upper { get; init; }

    /// <summary>alpha: <see cref="HillIndex"/> where the tail is heavy, else infinite.</summary>
    public double TailIndex => IsHeavy ? HillIndex : double.PositiveInfinity;

    /// <summary>Whether E|x|^order is finite: true or false where the 95 % interval of alpha says so, null where it holds the order.</summary>
    /// <param name="order">1 for the mean, 2 for the variance.</param>
    public bool? HasFiniteMoment(double order) => order < Lower ? true : order >= Upper ? false : null;

    /// <summary>The finding in one sentence.</summary>
    public override string ToString()
        => IsHeavy
            ? string.Create(
                CultureInfo.InvariantCulture,
                $"Power tail of index {HillIndex:F2} (95 % interval {Lower:F2} to {Upper:F2}; Hill's estimator on the largest {HillOrderStatistics} of {Count} values): the mean is {Finite(1)}, the variance {Finite(2)}.")
            : string.Create(
                CultureInfo.InvariantCulture,
                $"No sign of a power tail (extreme-value index {ExtremeValueIndex:F2}, standard error {ExtremeValueIndexStandardError:F2}, on the largest {OrderStatistics} of {Count} values; an index of {Lower:F1} or more is not ruled out): the mean is {Finite(1)}, the variance {Finite(2)}.");

    private string Finite(double order) => HasFiniteMoment(order) switch
    {
        true => "finite",
        false => "infinite",
        null => "finite or infinite, which this sample does not tell",
    };
}
