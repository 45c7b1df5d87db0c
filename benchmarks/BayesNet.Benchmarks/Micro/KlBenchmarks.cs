using BayesNet.Layers;
using BayesNet.Posteriors;
using BenchmarkDotNet.Attributes;
using static TorchSharp.torch;

namespace BayesNet.Benchmarks.Micro;

/// <summary>The KL divergence of a table of weights, as a training loop of one's own takes it, and its gradient, by the way the scale is stored.</summary>
public class KlBenchmarks
{
    private BayesLinear _layer = null!;

    public static IEnumerable<ScaleParameterization> Scales => [ScaleParameterization.Log, ScaleParameterization.Softplus];

    [Params(1_000, 320_000, 4_000_000)]
    public long Entries { get; set; }

    [ParamsSource(nameof(Scales))]
    public ScaleParameterization Scale { get; set; } = ScaleParameterization.Log;

    [GlobalSetup]
    public void Setup()
        => _layer = bnn.Linear(Entries, 1, hasBias: false, options: new BayesOptions { Posterior = new MeanFieldGaussianSpecification { Scale = Scale } });

    [GlobalCleanup]
    public void Cleanup() => _layer.Dispose();

    [Benchmark]
    public void Value()
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        _layer.KlDivergence();
    }

    /// <summary>Added to the gradient that stands, as after an optimizer's <c>zero_grad</c>.</summary>
    [Benchmark]
    public void ValueAndGradient()
    {
        using var scope = NewDisposeScope();
        _layer.KlDivergence().backward();
    }
}
