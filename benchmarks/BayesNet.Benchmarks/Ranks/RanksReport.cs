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
        if (Run(2, options, tcp: false) is not { } two)
        {
            document.Paragraph("Open MPI's mpirun is not installed: not measured.");
            return;
        }

        RankFindings one = Run(1, options, tcp: false)!, tcp = Run(2, options, tcp: true)!;
        document.Section("An epoch on one rank and on two");
        document.Paragraph(
            $"{RankWorker.Steps} steps of {RankWorker.Batch} rows over all ranks together, local reparameterization, compiled, one thread a rank; medians of the epochs after the "
            + "first. One rank is the trainer as it is without ranks, which updates parameters in the same pass as their gradients; two can't, and exchange gradients first. "
            + "The exchange's share is rank 0's time in collectives, waiting for the other rank included. TCP is that of the machine itself, its loopback.");
        List<Comparison> rows = [.. one.Epochs.Zip(two.Epochs, (alone, both) => new Comparison("shared memory", alone, both)), .. one.Epochs.Zip(tcp.Epochs, (alone, both) => new Comparison("TCP", alone, both))];
        document.Table(
            "epochs",
            rows,
            ("network", row => row.Alone.Network),
            ("through", row => row.Through),
            ("exchanged a step, MB", row => Number(4e-6 * row.Both.Parameters)),
            ("one rank, ms", row => Number(1000 * row.Alone.EpochSeconds)),
            ("two ranks, ms", row => Number(1000 * row.Both.EpochSeconds)),
            ("speed-up", row => Number(row.Alone.EpochSeconds / row.Both.EpochSeconds)),
            ("exchange's share", row => Percent(row.Both.NetworkShare)),
            ("GPU", _ => "not measured"));
        foreach (Comparison row in rows)
            document.Finding($"{row.Alone.Network}: an epoch takes {Number(1000 * row.Alone.EpochSeconds)} ms on one rank and {Number(1000 * row.Both.EpochSeconds)} ms on two through {row.Through}, of which the exchange is {Percent(row.Both.NetworkShare)}.");

        RingModel model = RingModel.OfTwoRanks(two.Reductions), tcpModel = RingModel.OfTwoRanks(tcp.Reductions);
        document.Section("An all-reduce between two ranks");
        document.Paragraph(
            $"float32, between two processes of this machine, after a barrier. The model 2 alpha + n beta is fitted to the smallest and the two largest: alpha = {Number(1e6 * model.Alpha)} us and beta = "
            + $"{Number(1e9 * model.Beta)} ns a byte in shared memory, {Number(1e6 * tcpModel.Alpha)} us and {Number(1e9 * tcpModel.Beta)} ns a byte through TCP on the loopback.");
        document.Table(
            "reductions",
            [.. two.Reductions.Zip(tcp.Reductions, (memory, sockets) => new Reduced(memory.Bytes, memory.Seconds, sockets.Seconds))],
            ("bytes", row => row.Bytes.ToString("N0", CultureInfo.InvariantCulture)),
            ("shared memory, us", row => Number(1e6 * row.MemorySeconds)),
            ("model, us", row => Number(1e6 * model.Seconds(2, row.Bytes))),
            ("TCP, us", row => Number(1e6 * row.TcpSeconds)),
            ("model, us ", row => Number(1e6 * tcpModel.Seconds(2, row.Bytes))));

        if (two.Overlaps.Count > 0)
            WriteOverlaps(document, [.. two.Overlaps.Select(row => new Overlapped(row.IsSimulated ? "shared memory, as slow as 2.5 Gbit/s" : "shared memory", row)), .. tcp.Overlaps.Select(row => new Overlapped("TCP", row))]);

        document.Section("Predictions, not measurements");
        document.Paragraph(
            "Weak scaling: each rank keeps the rows that it has on two ranks, and its computing time; the step grows by the ring all-reduce, 2 (K - 1) alpha + 2 (K - 1)/K n beta. "
            + "Efficiency is computing time over both, nothing overlapping. The first two have the alpha and beta above, as if all ranks were on one such machine; the other two are "
            + "assumptions: the nominal rates of 10 and 100 Gbit/s, and 20 and 2 us a message. A ring is the worst choice for small tensors on many ranks: engines take trees there.");
        (string Name, RingModel Model)[] networks = [("shared memory", model), ("TCP of one machine", tcpModel), ("10 Gbit/s, assumed", new RingModel(20e-6, 0.8e-9)), ("100 Gbit/s, assumed", new RingModel(2e-6, 0.08e-9))];
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

    private static void WriteOverlaps(ReportDocument document, List<Overlapped> rows)
    {
        document.Section("The exchange within the backward pass");
        document.Paragraph(
            "Gradients go in buckets of 1 MB, those of the last layers first, each as soon as a compiled step has completed it, while those of the layers before are computed. "
            + "Epochs on two ranks that do so and epochs that exchange behind the backward pass take turns in one run; medians. Between processes of one machine the exchange "
            + "is copying by the very processors that compute, and Open MPI takes slower algorithms for a reduction that goes on by the side. One as slow as 2.5 Gbit/s is simulated: it ends no sooner than over a link that carries one bucket after the other and takes no "
            + "processor's time, 20 us a message.");
        document.Table(
            "overlap",
            rows,
            ("network", row => row.Row.Network),
            ("through", row => row.Through),
            ("behind, ms an epoch", row => Number(1000 * row.Row.BehindSeconds)),
            ("within, ms an epoch", row => Number(1000 * row.Row.WithinSeconds)),
            ("behind / within", row => Number(row.Row.BehindSeconds / row.Row.WithinSeconds)));
        foreach (Overlapped row in rows)
            document.Finding($"{row.Row.Network} through {row.Through}: exchanging within the backward pass makes an epoch {Number(row.Row.BehindSeconds / row.Row.WithinSeconds)} times as fast as behind it.");
    }

    private sealed record Overlapped(string Through, OverlapRow Row);

    private sealed record Reduced(long Bytes, double MemorySeconds, double TcpSeconds);

    private sealed record Comparison(string Through, EpochRow Alone, EpochRow Both);

    private sealed record Prediction(string Network, string Between, double ComputingSeconds, double[] Efficiencies);

    /// <summary>The findings of a job; null where there is no mpirun.</summary>
    private static RankFindings? Run(int ranks, ReportOptions options, bool tcp)
    {
        ProcessStartInfo start = ChildProcess.Of(RankWorker.Name, options.Short ? "true" : "false", tcp ? "false" : "true");
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
        if (tcp)
        {
            // Open MPI's settings, as --mca has them.
            start.Environment["OMPI_MCA_pml"] = "ob1";
            start.Environment["OMPI_MCA_btl"] = "self,tcp";
        }

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
