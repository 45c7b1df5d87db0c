using BayesNet.Distributed.Mpi;

namespace BayesNet.Distributed;

/// <summary>The processes that this one was started with.</summary>
public static class Collectives
{
    // Open MPI's mpirun sets the first; a launcher that speaks PMIx (srun --mpi=pmix) the second alone.
    private static readonly string[] LauncherVariables = ["OMPI_COMM_WORLD_SIZE", "PMIX_RANK"];

    /// <summary>
    /// <see cref="MpiCollectives"/> where <c>mpirun</c>, or <c>srun --mpi=pmix</c>, started the process; else <see cref="SingleProcess"/>, which needs
    /// nothing installed. Once a process; dispose it at the end.
    /// </summary>
    /// <param name="timeout">How long a rank waits for the others before it ends the job; null for <see cref="MpiCollectives.DefaultTimeout"/>.</param>
    /// <exception cref="DllNotFoundException">A launcher started the process, and Open MPI's library is missing.</exception>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="timeout"/> is not above zero.</exception>
    /// <exception cref="CollectiveException">Open MPI can't start.</exception>
    public static ICollectives Create(TimeSpan? timeout = null)
        => Array.Exists(LauncherVariables, name => !string.IsNullOrEmpty(Environment.GetEnvironmentVariable(name)))
            ? new MpiCollectives(timeout)
            : new SingleProcess();
}
