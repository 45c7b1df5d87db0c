using BayesNet.Benchmarks.StepTime;
using BenchmarkDotNet.Attributes;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace BayesNet.Benchmarks.Micro;

/// <summary>One step of each optimizer over twelve parameters of a square matrix each.</summary>
public class OptimizerBenchmarks
{
    private const int Count = 12;
    private Parameter[] _parameters = null!;
    private optim.Optimizer _torchSharp = null!, _fused = null!;

    /// <summary>Rows and columns of a parameter.</summary>
    [Params(16, 283)]
    public long Size { get; set; }

    [GlobalSetup]
    public void Setup()
    {
        _parameters = [.. Enumerable.Range(0, Count).Select(_ => new Parameter(randn(Size, Size)))];
        foreach (Parameter parameter in _parameters)
            parameter.grad = randn(Size, Size);
        _torchSharp = Optimizers.Create(Names.TorchSharpAdam, _parameters);
        _fused = Optimizers.Create(Names.FusedAdam, _parameters);
    }

    [GlobalCleanup]
    public void Cleanup()
    {
        _torchSharp.Dispose();
        _fused.Dispose();
        foreach (Parameter parameter in _parameters)
            parameter.Dispose();
    }

    [Benchmark(Baseline = true)]
    public void TorchSharpAdam() => Step(_torchSharp);

    [Benchmark]
    public void FusedAdam() => Step(_fused);

    private static void Step(optim.Optimizer optimizer)
    {
        using var scope = NewDisposeScope();
        optimizer.step();
    }
}
