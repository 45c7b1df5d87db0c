using System.Globalization;
using BayesNet.Benchmarks.Reporting;

namespace BayesNet.Benchmarks.Uci;

/// <summary>How a network is made, trained and asked: the same for every set.</summary>
internal sealed record UciSettings
{
    /// <summary>Steps of the optimizer, so that small sets get as many as large ones; rounded up to whole epochs.</summary>
    public int Steps { get; init; } = 10_000;

    /// <summary>Rows of a minibatch.</summary>
    public int Batch { get; init; } = 128;

    /// <summary>Adam's rate at the start; it falls along half a cosine to a hundredth.</summary>
    public double Rate { get; init; } = 0.005;

    /// <summary>The prior's standard deviation of a hidden weight, times the root of the number of inputs.</summary>
    public double Hidden { get; init; } = 1;

    /// <summary>The prior's standard deviation of a hidden bias.</summary>
    public double Bias { get; init; } = 1;

    /// <summary>The prior's standard deviation of an output weight, times the root of the number of hidden units.</summary>
    public double Output { get; init; } = 2;

    /// <summary>The posterior standard deviation that a weight starts with, relative to its prior's.</summary>
    public double Start { get; init; } = 0.05;

    /// <summary>The share of training over which the weight of the KL term rises to one.</summary>
    public double Warmup { get; init; } = 0.1;

    /// <summary>
    /// Weights of the KL term in the loss; 1 is the evidence lower bound. Of several, written with a slash between them, every division takes the one that
    /// validation rows of its own training part favour.
    /// </summary>
    public string Temperatures { get; init; } = "1";

    /// <summary>Posterior samples of a prediction.</summary>
    public int Samples { get; init; } = 1000;

    /// <summary>The numbers of <see cref="Temperatures"/>.</summary>
    public IReadOnlyList<double> EachTemperature() => [.. Temperatures.Split('/').Select(one => Positive(one, $"temperatures={Temperatures}"))];

    /// <summary>Reads name=value pairs joined by commas; what is not named keeps its default.</summary>
    /// <exception cref="FormatException">A name or a value can't be read.</exception>
    public static UciSettings Parse(string text)
    {
        var settings = new UciSettings();
        foreach (string pair in OptionValues.List(text)!)
        {
            string[] parts = pair.Split('=', 2, StringSplitOptions.TrimEntries);
            if (parts is ["temperatures", string list])
            {
                settings = settings with { Temperatures = list };
                settings.EachTemperature();
                continue;
            }

            double value = Positive(parts.ElementAtOrDefault(1), pair);
            settings = parts[0] switch
            {
                "steps" => settings with { Steps = (int)value },
                "batch" => settings with { Batch = (int)value },
                "rate" => settings with { Rate = value },
                "hidden" => settings with { Hidden = value },
                "bias" => settings with { Bias = value },
                "output" => settings with { Output = value },
                "start" => settings with { Start = value },
                "warmup" => settings with { Warmup = value },
                "samples" => settings with { Samples = (int)value },
                _ => throw new FormatException($"'{parts[0]}' is none of steps, batch, rate, hidden, bias, output, start, warmup, temperatures, samples."),
            };
        }

        return settings;
    }

    private static double Positive(string? text, string pair)
        => double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out double value) && value > 0 && double.IsFinite(value)
            ? value
            : throw new FormatException($"'{pair}' is no name=value with a number above zero.");

    public override string ToString() => string.Create(
        CultureInfo.InvariantCulture,
        $"steps={Steps},batch={Batch},rate={Rate},hidden={Hidden},bias={Bias},output={Output},start={Start},warmup={Warmup},temperatures={Temperatures},samples={Samples}");
}
