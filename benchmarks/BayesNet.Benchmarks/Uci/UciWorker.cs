using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using BayesNet.Benchmarks.Reporting;
using static TorchSharp.torch;

namespace BayesNet.Benchmarks.Uci;

/// <summary>
/// Runs divisions in processes of their own, one thread each: they share neither libtorch's threads nor its random generator, so that each division's
/// figures are the same however many run at once.
/// </summary>
internal static class UciWorker
{
    private const string Name = "uci-split";

    /// <summary>The hidden command of the child process.</summary>
    public static Command Command()
    {
        var data = new Argument<DirectoryInfo>("data");
        var set = new Argument<string>("set");
        var heads = new Argument<int>("heads");
        var split = new Argument<int>("split");
        var settings = new Argument<string>("settings");
        var identity = new Argument<string>("identity");
        var command = new Command(Name) { data, set, heads, split, settings, identity };
        command.Hidden = true;
        command.SetAction(parsed =>
        {
            set_num_threads(1);
            UciSplit result = UciSplit.Run(
                UciSet.Read(parsed.GetValue(data)!, parsed.GetValue(set)!),
                parsed.GetValue(heads),
                parsed.GetValue(split),
                UciSettings.Parse(parsed.GetValue(settings)!),
                JsonSerializer.Deserialize<RunIdentity>(parsed.GetValue(identity)!)!);
            Console.WriteLine(JsonSerializer.Serialize(result));
        });
        return command;
    }

    /// <summary>Runs a division in a process of its own and waits for it.</summary>
    /// <exception cref="InvalidOperationException">The process failed.</exception>
    public static async Task<UciSplit> Run(DirectoryInfo data, string set, int heads, int split, UciSettings settings, RunIdentity identity, CancellationToken cancelled)
    {
        ProcessStartInfo start = ChildProcess.Of(Name, data.FullName, set, heads.ToString(CultureInfo.InvariantCulture), split.ToString(CultureInfo.InvariantCulture), settings.ToString(), JsonSerializer.Serialize(identity));
        start.RedirectStandardError = false;
        start.Environment["OMP_NUM_THREADS"] = "1";
        using Process child = Process.Start(start)!;
        try
        {
            string output = await child.StandardOutput.ReadToEndAsync(cancelled);
            await child.WaitForExitAsync(cancelled);
            return child.ExitCode == 0
                ? JsonSerializer.Deserialize<UciSplit>(output)!
                : throw new InvalidOperationException($"The process of {set}, split {split}, {heads} heads ended with exit status {child.ExitCode}; its message stands above.");
        }
        finally
        {
            if (!child.HasExited)
                child.Kill();
        }
    }
}
