using System.Reflection;
using BayesNet.Training;

namespace BayesNet.Benchmarks.StepTime;

/// <summary>The trainer's compiled step, where the library at hand has one: the report runs on versions without it, to compare with them.</summary>
internal static class StepCompilation
{
    private static readonly PropertyInfo? Compile = typeof(TrainerOptions).GetProperty("Compile");
    private static readonly PropertyInfo? IsCompiled = typeof(VariationalTrainer).GetProperty("IsCompiled");
    private static readonly PropertyInfo? WhyNotCompiled = typeof(VariationalTrainer).GetProperty("WhyNotCompiled");

    /// <summary>Switches the compiled step on or off; false where it is asked for and there is none.</summary>
    public static bool Configure(TrainerOptions options, bool compile, out TrainerOptions configured)
    {
        configured = options with { };
        Compile?.SetValue(configured, compile);
        return Compile is not null || !compile;
    }

    /// <summary>Why a trainer's step is not compiled; null where it is.</summary>
    public static string? WhyNot(VariationalTrainer trainer)
        => IsCompiled?.GetValue(trainer) is true ? null : WhyNotCompiled?.GetValue(trainer) as string ?? "the step was not compiled";
}
