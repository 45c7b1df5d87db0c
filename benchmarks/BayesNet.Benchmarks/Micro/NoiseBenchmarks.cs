using BayesNet.Estimators;
using BenchmarkDotNet.Attributes;
using static TorchSharp.torch;

namespace BayesNet.Benchmarks.Micro;

/// <summary>A million draws of each kind of noise, seeded, on one thread and on all.</summary>
public class NoiseBenchmarks
{
    private const long Count = 1_000_000;
    private NoiseSource _noise = null!;
    private int _before;

    public static IEnumerable<int> ThreadCounts => new[] { 1, Environment.ProcessorCount }.Distinct();

    [ParamsSource(nameof(ThreadCounts))]
    public int Threads { get; set; }

    [GlobalSetup]
    public void Setup()
    {
        _before = get_num_threads();
        set_num_threads(Threads);
        _noise = new NoiseSource(1);
    }

    [GlobalCleanup]
    public void Cleanup()
    {
        _noise.Dispose();
        set_num_threads(_before);
    }

    [Benchmark(Baseline = true)]
    public void TorchSharpNormal() => randn(Count).Dispose();

    [Benchmark]
    public void Normal() => _noise.Normal([Count], ScalarType.Float32, CPU).Dispose();

    [Benchmark]
    public void Uniform() => _noise.Uniform([Count], ScalarType.Float32, CPU).Dispose();

    [Benchmark]
    public void Signs() => _noise.Signs([Count], ScalarType.Float32, CPU).Dispose();
}
