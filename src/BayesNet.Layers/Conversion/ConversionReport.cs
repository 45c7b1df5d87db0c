using BayesNet.Runtime;

namespace BayesNet.Layers.Conversion;

/// <summary>What a conversion made of one module.</summary>
/// <param name="Name">Its name in the model; of a module with several, the first. Empty for the model itself.</param>
/// <param name="From">Its class before.</param>
/// <param name="To">Its class now; null where it was kept.</param>
/// <param name="Reason">Why it was kept; null where it was converted.</param>
/// <param name="Parameters">Entries of its parameters before.</param>
public sealed record ConversionEntry(string Name, string From, string? To, string? Reason, long Parameters);

/// <summary>What a conversion has converted and what it has kept, of the modules with parameters of their own; <see cref="ToString"/> is a table.</summary>
public sealed class ConversionReport
{
    internal ConversionReport(IReadOnlyList<ConversionEntry> entries) => Entries = entries;

    /// <summary>The modules in the model's order.</summary>
    public IReadOnlyList<ConversionEntry> Entries { get; }

    /// <summary>Those that were converted.</summary>
    public IEnumerable<ConversionEntry> Converted => Entries.Where(entry => entry.To is not null);

    /// <summary>Those that were kept as they were.</summary>
    public IEnumerable<ConversionEntry> Kept => Entries.Where(entry => entry.To is null);

    /// <summary>A table of the entries.</summary>
    public override string ToString()
        => TextTable.Format(
            Entries,
            ("module", entry => entry.Name.Length == 0 ? "(the model)" : entry.Name),
            ("was", entry => entry.From),
            ("is", entry => entry.To ?? $"kept: {entry.Reason}"),
            ("parameters", entry => entry.Parameters.ToString("N0", System.Globalization.CultureInfo.InvariantCulture)));
}

/// <summary>A model that can't be converted; nothing of it has been changed.</summary>
public sealed class ConversionException : InvalidOperationException
{
    /// <summary>Creates an exception of all that stands against it.</summary>
    public ConversionException(string model, IReadOnlyList<string> problems)
        : base($"{model} can't be converted, and has not been changed:\n" + string.Join('\n', (problems ?? []).Select(problem => $"- {problem}")))
        => Problems = problems ?? [];

    /// <summary>Each with its remedy.</summary>
    public IReadOnlyList<string> Problems { get; }
}
