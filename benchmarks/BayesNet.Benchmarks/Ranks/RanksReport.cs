using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using BayesNet.Benchmarks.Reporting;

namespace BayesNet.Benchmarks.Ranks;

/// <summary>The same training on one process and on two, what the exchange costs, and what a model of it predicts for more.</summary>
internal sealed class RanksReport : Report
{
    private static readonly int[] Predicted = [2, 8, 64, 1024];

    public override string Name => "ranks";

    public override string Title => "Ranks: training on several processes";

    public override string Description => "Time of an epoch on one rank and two under mpirun, the share of the exchange, and a cost model's predictions.";

    protected override void Write(ReportDocument document, ReportOptions options)
    {
        if (Run(2, options) is not { } two)
        {
            document.Paragraph("Open MPI's mpirun is not installed: not measured.");
            return;
        }

        RankFindings one = Run(1, options)!;
        document.Section("An epoch on one rank and on two");
        document.Paragraph(
            $"{RankWorker.Steps} steps of {RankWorker.Batch} rows over all ranks together, local reparameterization, compiled, one thread a rank; medians of the epochs after the "
            + "first. One rank is the trainer as it is without ranks, which updates parameters in the same pass as their gradients; two can't, and exchange gradients first. "
            + "The exchange's share is rank 0's time in collectives, waiting for the other rank included.");
        List<Comparison> rows = [.. one.Epochs.Zip(two.Epochs, (alone, both) => new Comparison(alone, both))];
        document.Table(
            "epochs",
            rows,
            ("network", row => row.Alone.Network),
            ("exchanged a step, MB", row => Number(4e-6 * row.Both.Parameters)),
            ("one rank, ms", row => Number(1000 * row.Alone.EpochSeconds)),
            ("two ranks, ms", row => Number(1000 * row.Both.EpochSeconds)),
            ("speed-up", row => Number(row.Alone.EpochSeconds / row.Both.EpochSeconds)),
            ("exchange's share", row => Percent(row.Both.NetworkShare)),
            ("GPU", _ => "not measured"));
        foreach (Comparison row in rows)
            document.Finding($"{row.Alone.Network}: an epoch takes {Number(1000 * row.Alone.EpochSeconds)} ms on one rank and {Number(1000 * row.Both.EpochSeconds)} ms on two, of which the exchange is {Percent(row.Both.NetworkShare)}.");

        RingModel model = RingModel.OfTwoRanks(two.Reductions);
        document.Section("An all-reduce between two ranks");
        document.Paragraph($"float32, in shared memory of this machine, after a barrier. The model 2 alpha + n beta with alpha = {Number(1e6 * model.Alpha)} us and beta = {Number(1e9 * model.Beta)} ns a byte is fitted to the smallest and the two largest.");
        document.Table(
            "reductions",
            two.Reductions,
            ("bytes", row => row.Bytes.ToString("N0", CultureInfo.InvariantCulture)),
            ("measured, us", row => Number(1e6 * row.Seconds)),
            ("model, us", row => Number(1e6 * model.Seconds(2, row.Bytes))));

        if (two.Overlaps.Count > 0)
            WriteOverlaps(document, two.Overlaps);

        document.Section("Predictions, not measurements");
        document.Paragraph(
            "Weak scaling: each rank keeps the rows that it has on two ranks, and its computing time; the step grows by the ring all-reduce, 2 (K - 1) alpha + 2 (K - 1)/K n beta. "
            + "Efficiency is computing time over both, nothing overlapping. \"Here\" has the alpha and beta above, as if all ranks shared one machine's memory; the other two are "
            + "assumptions: the nominal rates of 10 and 100 Gbit/s, and 20 and 2 us a message. A ring is the worst choice for small tensors on many ranks: engines take trees there.");
        (string Name, RingModel Model)[] networks = [("here", model), ("10 Gbit/s, assumed", new RingModel(20e-6, 0.8e-9)), ("100 Gbit/s, assumed", new RingModel(2e-6, 0.08e-9))];
        List<Prediction> predictions =
        [
            .. from epoch in two.Epochs
               let computing = epoch.EpochSeconds * (1 - epoch.NetworkShare) / epoch.Steps
               from network in networks
               select new Prediction(
                   epoch.Network, network.Name, computing, [.. Predicted.Select(ranks => computing / (computing + network.Model.Seconds(ranks, 4.0 * epoch.Parameters)))]),
        ];
        document.Table(
            "predictions",
            predictions,
            [
                ("network", row => row.Network), ("between ranks", row => row.Between), ("computing a step, ms", row => Number(1000 * row.ComputingSeconds)),
                .. Predicted.Select((ranks, i) => ((string, Func<Prediction, string>))($"{ranks:N0} ranks", row => Percent(row.Efficiencies[i]))),
            ]);
    }

    private static void WriteOverlaps(ReportDocument document, List<OverlapRow> rows)
    {
        document.Section("The exchange within the backward pass");
        document.Paragraph(
            "Gradients go in buckets of 1 MB, those of the last layers first, each as soon as a compiled step has completed it, while those of the layers before are computed. "
            + "Epochs on two ranks that do so and epochs that exchange behind the backward pass take turns in one run; medians. In shared memory the exchange is copying by the very "
            + "processors that compute. The link of 2.5 Gbit/s is simulated: the exchange in memory, which ends no sooner than a link would that carries one bucket after the other and "
            + "takes no processor's time, 20 us a message.");
        document.Table(
            "overlap",
            rows,
            ("network", row => row.Network),
            ("through", row => row.Link),
            ("behind, ms an epoch", row => Number(1000 * row.BehindSeconds)),
            ("within, ms an epoch", row => Number(1000 * row.WithinSeconds)),
            ("behind / within", row => Number(row.BehindSeconds / row.WithinSeconds)));
        foreach (OverlapRow row in rows)
            document.Finding($"{row.Network} through {row.Link}: exchanging within the backward pass makes an epoch {Number(row.BehindSeconds / row.WithinSeconds)} times as fast as behind it.");
    }

    private sealed record Comparison(EpochRow Alone, EpochRow Both);

    private sealed record Prediction(string Network, string Between, double ComputingSeconds, double[] Efficiencies);

    /// <summary>The findings of a job; null where there is no mpirun.</summary>
    private static RankFindings? Run(int ranks, ReportOptions options)
    {
        ProcessStartInfo start = ChildProcess.Of(RankWorker.Name, options.Short ? "true" : "false");
        start.RedirectStandardError = false;
        if (ranks > 1)
        {
            string[] program = [start.FileName, .. start.ArgumentList];
            start.FileName = "mpirun";
            start.ArgumentList.Clear();
            foreach (string argument in (string[])["--allow-run-as-root", "--bind-to", "none", "-n", $"{ranks}", .. program])
                start.ArgumentList.Add(argument);
        }

        start.Environment["OMP_NUM_THREADS"] = "1";
        start.Environment["TERM"] = "dumb";
        Process? process;
        try
        {
            process = Process.Start(start);
        }
        catch (System.ComponentModel.Win32Exception) when (ranks > 1)
        {
            return null;
        }

        using (process)
        {
            string text = process!.StandardOutput.ReadToEnd();
            process.WaitForExit();
            return process.ExitCode == 0
                ? JsonSerializer.Deserialize<RankFindings>(text)
                : throw new InvalidOperationException($"The job of {ranks} ranks ended with status {process.ExitCode}.");
        }
    }

    private static string Number(double value) => value >= 1000 ? value.ToString("N0", CultureInfo.InvariantCulture) : value.ToString("G3", CultureInfo.InvariantCulture);

    private static string Percent(double value) => value.ToString("P0", CultureInfo.InvariantCulture);
}
