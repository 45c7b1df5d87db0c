using System.Globalization;
using static TorchSharp.torch;

namespace BayesNet.Benchmarks.StepTime;

/// <summary>The names in the report's rows.</summary>
internal static class Names
{
    public const string Deterministic = "deterministic", GemmFloor = "gemm-floor", TextbookLocal = "textbook-local", TextbookShared = "textbook-shared",
        TextbookPerExample = "textbook-per-example",
        Local = "local", LocalCompiled = "local-compiled", Shared = "shared", SharedCompiled = "shared-compiled", PerExample = "per-example", Flipout = "flipout";

    public const string ForwardBackward = "forward-backward", Step = "step";

    public const string None = "none", TorchSharpAdam = "torchsharp-adam", FusedAdam = "fused-adam";

    /// <summary>In the order of the report.</summary>
    public static IReadOnlyList<string> Estimators { get; } =
        [Deterministic, GemmFloor, TextbookLocal, TextbookShared, TextbookPerExample, Local, LocalCompiled, Shared, SharedCompiled, PerExample, Flipout];

    /// <summary>What is measured unless the command line says otherwise, beside the deterministic network.</summary>
    public static IReadOnlyList<string> Standard { get; } = [.. Estimators.Where(name => name is not (Deterministic or TextbookPerExample))];

    public static IReadOnlyList<string> Optimizers { get; } = [None, TorchSharpAdam, FusedAdam];

    /// <summary>Without an optimizer there is no step.</summary>
    public static string Phase(string optimizer) => optimizer == None ? ForwardBackward : Step;
}

/// <summary>Where a shape is measured.</summary>
internal sealed record Place(Device Device, ScalarType Dtype)
{
    public string DeviceName => Device.type == TorchSharp.DeviceType.CUDA ? "cuda" : "cpu";

    public string DtypeName => Dtype == ScalarType.Float64 ? "float64" : "float32";
}

/// <summary>Something whose steps are timed: a network with its estimator and one optimizer, or none.</summary>
internal abstract class Contestant : IDisposable
{
    private readonly List<IDisposable> _owned = [];

    /// <summary>One step, or one forward and backward pass; all it makes is freed.</summary>
    public abstract void Run();

    /// <summary>Makes a contestant.</summary>
    /// <returns>It; or null, and why there is none.</returns>
    public static (Contestant? Contestant, string? WhyNot) Create(StepTimeShape shape, Place place, string estimator, string optimizer)
    {
        if (estimator == Names.GemmFloor)
            return optimizer == Names.None ? (new GemmFloor(shape, place), null) : (null, "the floor has products only");
        if (estimator == Names.TextbookPerExample && shape.InputSize.Length > 1)
            return (null, "a convolution with a weight for each example is no plain operation");
        if (estimator is Names.TextbookPerExample or Names.PerExample && WhyNotHeld(shape, place, estimator) is { } reason)
            return (null, reason);
        if (estimator is Names.Deterministic or Names.TextbookLocal or Names.TextbookShared or Names.TextbookPerExample)
            return (new PlainLoop(shape, place, estimator, optimizer), null);
        return TrainerLoop.Create(shape, place, estimator, optimizer);
    }

    public void Dispose()
    {
        for (int i = _owned.Count - 1; i >= 0; i--)
            _owned[i].Dispose();
        _owned.Clear();
    }

    // BayesNet's weights per example of a linear layer are never held, on the CPU; all others are one tensor of them a layer, several at a time.
    private static string? WhyNotHeld(StepTimeShape shape, Place place, string estimator)
    {
        const long budget = 1L << 29;
        if (estimator == Names.PerExample && shape.InputSize.Length == 1 && place.DeviceName == "cpu")
            return null;
        using var scope = NewDisposeScope();
        using nn.Module<Tensor, Tensor> model = shape.Build(new DeterministicLayers(), CPU, ScalarType.Float32);
        long bytes = shape.Batch * model.parameters().Sum(parameter => parameter.numel()) * (place.Dtype == ScalarType.Float64 ? 8 : 4);
        return bytes <= budget
            ? null
            : string.Create(CultureInfo.InvariantCulture, $"the weights of {shape.Batch} examples take {bytes >> 20:N0} MB a copy, above the limit of {budget >> 20:N0}");
    }

    /// <summary>Has an object disposed with the contestant; a tensor leaves its scope.</summary>
    protected T Own<T>(T value)
        where T : IDisposable
    {
        if (value is Tensor tensor)
            tensor.DetachFromDisposeScope();
        _owned.Add(value);
        return value;
    }
}
