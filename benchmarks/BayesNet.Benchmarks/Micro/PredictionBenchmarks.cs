using BayesNet.Benchmarks.StepTime;
using BayesNet.Estimators;
using BayesNet.Layers;
using BayesNet.Likelihoods;
using BayesNet.Prediction;
using BenchmarkDotNet.Attributes;
using static TorchSharp.torch;

namespace BayesNet.Benchmarks.Micro;

/// <summary>A hundred posterior samples for a hundred rows of 784-400-400-10.</summary>
public class PredictionBenchmarks
{
    private const int Rows = 100, Samples = 100;
    private nn.Module<Tensor, Tensor> _model = null!;
    private CategoricalLikelihood _likelihood = null!;
    private Tensor _inputs = null!;

    public static IEnumerable<Estimator> Estimators => [Estimator.LocalReparameterization, Estimator.SharedWeights];

    [ParamsSource(nameof(Estimators))]
    public Estimator Estimator { get; set; } = Estimator.LocalReparameterization;

    [GlobalSetup]
    public void Setup()
    {
        _model = StepTimeShape.Parse("784-400-400-10").Build(new BayesianLayers(new BayesOptions { Estimator = Estimator }), CPU, ScalarType.Float32);
        _likelihood = new CategoricalLikelihood();
        _inputs = randn(Rows, 784);
    }

    [GlobalCleanup]
    public void Cleanup()
    {
        _model.Dispose();
        _likelihood.Dispose();
        _inputs.Dispose();
    }

    [Benchmark]
    public void Predict() => Predictor.Predict(_model, _likelihood, _inputs, Samples).Dispose();
}
