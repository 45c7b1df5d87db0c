using BayesNet.Benchmarks.Reporting;
using BayesNet.Estimators;
using BayesNet.Kernels;
using BayesNet.Layers;
using BayesNet.Likelihoods;
using BayesNet.Prediction;
using static TorchSharp.torch;

namespace BayesNet.Benchmarks.StepTime;

/// <summary>Parts of the work that have a target of their own: normals, and prediction with many samples.</summary>
/// <param name="Threads">All of libtorch's threads.</param>
/// <param name="NanosecondsPerNormal">On one thread, and on all.</param>
/// <param name="PredictionSeconds">Of the moments of <see cref="Samples"/> samples for <see cref="Rows"/> rows.</param>
/// <param name="ProductSeconds">Of the mean and variance products of every layer for as many rows times samples, given mu and sigma^2.</param>
internal sealed record Pieces(int Threads, double[] NanosecondsPerNormal, double PredictionSeconds, double ProductSeconds)
{
    public const string Network = "784-1200-1200-10";
    public const int Samples = 100, Rows = 1000;

    private static readonly int[] Sizes = [784, 1200, 1200, 10];

    public static Pieces Measured(ulong seed)
    {
        using var scope = NewDisposeScope();
        int threads = Environment.ProcessorCount;
        double[] normals = [Normals(1, seed), Normals(threads, seed)];
        set_num_threads(threads);
        (double prediction, double products) = Prediction(seed);
        return new Pieces(threads, normals, prediction, products);
    }

    private static double Normals(int threads, ulong seed)
    {
        const int count = 1 << 20;
        set_num_threads(threads);
        using var noise = new NoiseSource(seed);
        float[] values = new float[count];
        for (int i = 0; i < 100; i++)
            noise.FillNormal<float>(values);
        return 1e9 / count * Measure.Medians(budget: 2, rounds: 1000, () => noise.FillNormal<float>(values))[0];
    }

    private static (double Prediction, double Products) Prediction(ulong seed)
    {
        using nn.Module<Tensor, Tensor> model = StepTimeShape.Parse(Network).Build(new BayesianLayers(new BayesOptions { Seed = seed }), CPU, ScalarType.Float32);
        using var likelihood = new CategoricalLikelihood();
        Tensor inputs = randn(Rows, Sizes[0]);
        var moments = new PredictionOptions { KeepSamples = false };
        Tensor[] activations = [.. Sizes.Select(size => rand(Rows, size))], weights = [.. Sizes.Skip(1).Zip(Sizes, (outputs, size) => rand(outputs, size))];
        double[] seconds =
        [
            .. Measure.InTurns([Predict, Products], budget: 0, leastRounds: 3, mostRounds: 3, block: 0).Select(list => Measure.Median(list)),
        ];
        return (seconds[0], seconds[1]);

        void Predict()
        {
            using Predictive predictive = Predictor.Predict(model, likelihood, inputs, Samples, moments);
            _ = predictive.Mean;
        }

        unsafe void Products()
        {
            // Twice a sample: once for the means, once for the variances.
            for (int sample = 0; sample < 2 * Samples; sample++)
            {
                for (int i = 1; i < Sizes.Length; i++)
                {
                    MatrixProduct.Multiply(
                        false, true, Rows, Sizes[i], Sizes[i - 1], 1, TensorMemory.Pointer<float>(activations[i - 1]), Sizes[i - 1],
                        TensorMemory.Pointer<float>(weights[i - 1]), Sizes[i - 1], 0, TensorMemory.Pointer<float>(activations[i]), Sizes[i]);
                }
            }
        }
    }
}
