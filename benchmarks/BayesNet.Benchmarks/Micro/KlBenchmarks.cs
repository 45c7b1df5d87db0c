using BayesNet.Layers;
using BayesNet.Posteriors;
using BenchmarkDotNet.Attributes;
using static TorchSharp.torch;

namespace BayesNet.Benchmarks.Micro;

/// <summary>The KL divergence of a layer of 1200 x 1200 weights and its gradient, by the way the scale is stored.</summary>
public class KlBenchmarks
{
    private const long Size = 1200;
    private BayesLinear _layer = null!;

    public static IEnumerable<ScaleParameterization> Scales => [ScaleParameterization.Log, ScaleParameterization.Softplus];

    [ParamsSource(nameof(Scales))]
    public ScaleParameterization Scale { get; set; } = ScaleParameterization.Log;

    [GlobalSetup]
    public void Setup()
        => _layer = bnn.Linear(Size, Size, options: new BayesOptions { Posterior = new MeanFieldGaussianSpecification { Scale = Scale } });

    [GlobalCleanup]
    public void Cleanup() => _layer.Dispose();

    [Benchmark]
    public void Value()
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        _layer.KlDivergence();
    }

    [Benchmark]
    public void ValueAndGradient()
    {
        using var scope = NewDisposeScope();
        _layer.KlDivergence().backward();
    }
}
