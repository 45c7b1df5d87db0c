using System.Globalization;
using BayesNet.Benchmarks.Reporting;
using static TorchSharp.torch;

namespace BayesNet.Benchmarks.Layers;

/// <summary>What a step of each kind of layer costs, and one of pruned layers, beside TorchSharp's own.</summary>
internal sealed class LayersReport : Report
{
    public override string Name => "layers";

    public override string Title => "Layers: a step of training beside TorchSharp's own layer";

    public override string Description => "Embedding, bilinear, recurrent and attention layers, and pruned ones: time of a step and of a pass against the deterministic twin.";

    /// <summary>Medians, in milliseconds, of actions that take turns, warm.</summary>
    internal static double[] Milliseconds(ReportOptions options, params Action[] actions)
    {
        (double warmUp, double budget, double block) = options.Short ? (0.1, 0.1, 0.01) : (0.3, 0.6, 0.03);
        foreach (Action action in actions)
        {
            long start = System.Diagnostics.Stopwatch.GetTimestamp();
            for (int call = 0; call < 10 || System.Diagnostics.Stopwatch.GetElapsedTime(start).TotalSeconds < warmUp; call++)
                action();
        }

        return [.. Measure.InTurns(actions, budget * actions.Length, 3, int.MaxValue, block).Select(seconds => 1000 * Measure.Median(seconds))];
    }

    internal static string Text(double milliseconds) => milliseconds.ToString("G3", CultureInfo.InvariantCulture);

    internal static string Ratio(double ratio) => ratio.ToString("F1", CultureInfo.InvariantCulture);

    protected override void Write(ReportDocument document, ReportOptions options)
    {
        set_num_threads(1);
        document.Part("layers", () => LayerTimes.Write(document, options));
        document.Part("pruned", () => PrunedTimes.Write(document, options));
    }
}
