using System.Globalization;
using BayesNet.Benchmarks.StepTime;
using BayesNet.Estimators;
using BayesNet.Layers;
using BayesNet.Likelihoods;
using BayesNet.Posteriors;
using BayesNet.Training;
using static TorchSharp.torch;

namespace BayesNet.Benchmarks.GradientVariance;

/// <summary>A network of dense layers with mean-field Gaussian weights, trained on made data for some epochs, and draws of its gradients.</summary>
internal sealed class TrainedNetwork : IDisposable
{
    /// <summary>Rows of its data.</summary>
    public const int Rows = 4096;
    private const double InitialStdDev = 0.05;
    private readonly nn.Module<Tensor, Tensor> _model;
    private readonly Likelihood _likelihood;
    private readonly NetworkGradients _gradients;
    private readonly Digits _data;

    /// <summary>Makes and trains it; in the dispose scope that is open.</summary>
    /// <param name="shape">Sizes of dense layers; one output is a regression.</param>
    /// <param name="settings">The seed of data, initial weights and noise; how long to train.</param>
    public TrainedNetwork(StepTimeShape shape, VarianceSettings settings)
    {
        ulong seed = settings.Seed;
        manual_seed((long)seed);
        _data = shape.Classes > 0 ? Digits.Made(Rows, shape.InputSize[0], seed) : Regression(shape.InputSize[0], seed);
        _likelihood = shape.Likelihood();
        var posterior = new MeanFieldGaussianSpecification { InitialStdDev = InitialStdDev };
        _model = shape.Build(new BayesianLayers(new BayesOptions { Posterior = posterior }), CPU, ScalarType.Float32);
        var options = new TrainerOptions { Epochs = Epochs(shape, settings.Short), BatchSize = (int)shape.Batch, Seed = seed };
        using (var trainer = new VariationalTrainer(_model, _likelihood, Rows, options))
            trainer.Fit(new TrainingData(_data.Inputs, _data.Targets));
        _gradients = new NetworkGradients(_model, _likelihood);
    }

    /// <summary>The gradients in which a network's variance is measured.</summary>
    public static IReadOnlyList<string> GradientNames { get; } = ["μ", "ln σ"];

    /// <summary>
    /// The mean over all weights and biases of the variance of the gradient in their means, and in their log scales, at the minibatch of the
    /// first rows.
    /// </summary>
    public (double Variance, double StandardError)[] Variances(Contender contender, long batch, int draws, ulong seed)
    {
        using var scope = NewDisposeScope();
        (Tensor, Tensor) minibatch = _data.First(batch);
        var drawn = new List<Tensor>[] { [], [] };
        for (int k = 0; k < draws; k++)
        {
            Tensor[] found = _gradients.Draw(contender, minibatch, seed * 100_000 + (ulong)k, Read);
            for (int i = 0; i < found.Length; i++)
                drawn[i].Add(found[i]);
        }

        return [.. drawn.Select(NetworkGradients.VarianceOf)];
    }

    /// <summary>Two passes, one of them with the noise reflected.</summary>
    public void DrawPair(Contender pair, long batch)
    {
        using var scope = NewDisposeScope();
        _gradients.Draw(pair, _data.First(batch), seed: 1, () => []);
    }

    public void Dispose()
    {
        _gradients.Dispose();
        _likelihood.Dispose();
        _model.Dispose();
    }

    private Tensor[] Read()
    {
        MeanFieldGaussian[] posteriors = [.. _model.Posteriors().Select(entry => (MeanFieldGaussian)entry.Posterior)];
        return
        [
            cat([.. posteriors.Select(posterior => posterior.Mean.grad!.flatten())]),
            cat([.. posteriors.Select(posterior => posterior.ScaleParameter.grad!.flatten())]),
        ];
    }

    // A smooth function of the inputs with noise.
    private static Digits Regression(long size, ulong seed)
    {
        using var scope = NewDisposeScope();
        using var noise = new NoiseSource(seed);
        Tensor inputs = noise.Normal([Rows, size], ScalarType.Float32, CPU);
        Tensor direction = noise.Normal([size, 1], ScalarType.Float32, CPU);
        Tensor targets = inputs.mm(direction).sin().add(noise.Normal([Rows, 1], ScalarType.Float32, CPU), Runtime.Scalars.Half);
        return new Digits(inputs.MoveToOuterDisposeScope(), targets.MoveToOuterDisposeScope());
    }

    /// <summary>How the network is described in the text.</summary>
    public static string Describe(StepTimeShape shape, bool isShort) => string.Create(
        CultureInfo.InvariantCulture,
        $"{shape.Name} with ReLU, trained for {Epochs(shape, isShort)} epochs on {Rows:N0} rows of made data in minibatches of {shape.Batch} (standard deviations of {InitialStdDev} at the start)");

    // About as many steps for every network: enough that it has learned something, not so many that it knows the data by heart.
    private static int Epochs(StepTimeShape shape, bool isShort) => (int)Math.Ceiling((isShort ? 60 : 250) * shape.Batch / (double)Rows);
}
