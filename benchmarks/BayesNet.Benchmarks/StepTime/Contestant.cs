using static TorchSharp.torch;

namespace BayesNet.Benchmarks.StepTime;

/// <summary>The names in the report's rows.</summary>
internal static class Names
{
    public const string Deterministic = "deterministic", GemmFloor = "gemm-floor", TextbookLocal = "textbook-local", TextbookShared = "textbook-shared",
        Local = "local", LocalCompiled = "local-compiled", Shared = "shared", SharedCompiled = "shared-compiled", PerExample = "per-example", Flipout = "flipout";

    public const string ForwardBackward = "forward-backward", Step = "step";

    public const string None = "none", TorchSharpAdam = "torchsharp-adam", FusedAdam = "fused-adam";

    /// <summary>In the order of the report.</summary>
    public static IReadOnlyList<string> Estimators { get; } =
        [Deterministic, GemmFloor, TextbookLocal, TextbookShared, Local, LocalCompiled, Shared, SharedCompiled, PerExample, Flipout];

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
        if (estimator is Names.Deterministic or Names.TextbookLocal or Names.TextbookShared)
            return (new PlainLoop(shape, place, estimator, optimizer), null);
        return TrainerLoop.Create(shape, place, estimator, optimizer);
    }

    public void Dispose()
    {
        for (int i = _owned.Count - 1; i >= 0; i--)
            _owned[i].Dispose();
        _owned.Clear();
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
