using System.Globalization;
using System.Text;
using static BayesNet.Distributed.Mpi.MpiLibrary;

namespace BayesNet.Distributed.Mpi;

/// <summary>
/// Finds the rank that the others wait for. A rank that has waited for half the timeout tells ranks 0 and 1 where it stands; when the timeout is
/// over, the first of them knows who has said nothing or stands elsewhere, and ends the job with that message.
/// </summary>
internal sealed unsafe class RollCall(nint communicator, int rank, int size, TimeSpan timeout)
{
    private const int Tag = 1;
    private readonly Dictionary<int, long> _standing = [];
    private string[] _names = [.. Enumerable.Range(0, size).Select(other => $"rank {other}")];

    /// <summary>What this process is called.</summary>
    internal static byte[] Name() => Encoding.UTF8.GetBytes($"process {Environment.ProcessId} on {Environment.MachineName}");

    /// <summary>Tells the names of all ranks, in order.</summary>
    internal void Introduce(IReadOnlyList<byte[]> names)
        => _names = [.. names.Select((name, other) => $"rank {other} ({Encoding.UTF8.GetString(name)})")];

    /// <summary>Says where this rank stands.</summary>
    internal void Answer(long collective, string what)
    {
        _standing[rank] = collective;
        for (int reporter = 0; reporter < Math.Min(2, size); reporter++)
        {
            if (reporter == rank)
                continue;

            // Eight bytes are on their way at once, or the process is about to end: the memory needs to outlive the request.
            long* place = (long*)System.Runtime.InteropServices.NativeMemory.Alloc(sizeof(long));
            *place = collective;
            Check(MPI_Isend(place, sizeof(long), Bytes, reporter, Tag, communicator, out nint request), what);
            Check(MPI_Request_free(ref request), what);
        }
    }

    /// <summary>Hears the others, and ends the job when the time is over.</summary>
    internal void Listen(long collective, string what, TimeSpan waited)
    {
        while (true)
        {
            Check(MPI_Iprobe(AnySource, Tag, communicator, out int flag, out Status status), what);
            if (flag == 0)
                break;
            long standing;
            Check(MPI_Recv(&standing, sizeof(long), Bytes, status.Source, Tag, communicator, out _), what);
            _standing[status.Source] = standing;
        }

        // Rank 1 stands in where rank 0 is the one that is missing; the others leave the word to them for a while.
        TimeSpan grace = TimeSpan.FromSeconds(rank == 0 ? 0 : rank == 1 ? 1 : 5);
        if (waited < timeout + grace)
            return;
        string message = rank < 2
            ? Describe(collective, what)
            : $"{_names[rank]} waited for {what} for {Seconds(waited)}; neither rank 0 nor rank 1 has said which rank is missing.";
        Say(message);
        Check(MPI_Abort(World, 1), "abort");
    }

    /// <summary>Ends this process, and the launcher the job, from another thread than that which is stuck in an exchange all ranks had come to.</summary>
    internal void GiveUp(string what)
    {
        Say($"{_names[rank]} has been in {what} for {Seconds(timeout)}, to which all ranks had come: one has stopped within it.");
        Environment.FailFast("A collective did not end.");
    }

    private static void Say(string message)
    {
        Console.Error.WriteLine($"BayesNet: {message} The job ends; training goes on from its last checkpoint.");
        Console.Error.Flush();
    }

    private string Describe(long collective, string what)
    {
        string[] silent = [.. from other in Enumerable.Range(0, size)
                              where !_standing.TryGetValue(other, out long standing) || standing != collective
                              select _standing.TryGetValue(other, out long at) && at > 0 ? $"{_names[other]}, last heard of waiting for number {at}" : _names[other]];
        return silent.Length == 0
            ? $"All ranks waited for {what} for {Seconds(timeout)}, so they do not call the same collectives in the same order."
            : $"{string.Join("; ", silent)} did not come to {what} within {Seconds(timeout)}: hung, stopped, or elsewhere in the program.";
    }

    private static string Seconds(TimeSpan time) => string.Create(CultureInfo.InvariantCulture, $"{time.TotalSeconds:0.#} s");
}
