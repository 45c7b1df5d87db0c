using BayesNet.Estimators;
using BayesNet.Layers;
using BenchmarkDotNet.Attributes;
using static TorchSharp.torch;

namespace BayesNet.Benchmarks.Micro;

/// <summary>A dense layer, 400 to 400, batch 128: forward, and forward with backward, under each estimator.</summary>
public class LayerBenchmarks
{
    private const long Size = 400, Batch = 128;
    private BayesLinear _layer = null!;
    private Tensor _input = null!, _gradient = null!;

    public static IEnumerable<Estimator> Estimators
        => [Estimator.MeanOnly, Estimator.LocalReparameterization, Estimator.SharedWeights, Estimator.Flipout, Estimator.WeightsPerExample];

    [ParamsSource(nameof(Estimators))]
    public Estimator Estimator { get; set; } = Estimator.LocalReparameterization;

    [GlobalSetup]
    public void Setup()
    {
        _layer = bnn.Linear(Size, Size, options: new BayesOptions { Estimator = Estimator });
        _input = randn(Batch, Size, requires_grad: true);
        _gradient = randn(Batch, Size);
    }

    [GlobalCleanup]
    public void Cleanup()
    {
        _layer.Dispose();
        _input.Dispose();
        _gradient.Dispose();
    }

    [Benchmark]
    public void Forward()
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        _layer.call(_input);
    }

    [Benchmark]
    public void ForwardBackward()
    {
        using var scope = NewDisposeScope();
        _layer.call(_input).backward([_gradient]);
    }
}
