using System.Globalization;

namespace BayesNet.Benchmarks.Scaling;

/// <summary>Numbers as the report's tables have them.</summary>
internal static class Texts
{
    /// <summary>2^20 bytes.</summary>
    public const double Megabyte = 1 << 20;

    public static string Milliseconds(double? seconds) => seconds is { } value ? (1000 * value).ToString("G3", CultureInfo.InvariantCulture) : "-";

    public static string Megabytes(double? bytes) => bytes is { } value ? (value / Megabyte).ToString("F2", CultureInfo.InvariantCulture) : "-";
}
