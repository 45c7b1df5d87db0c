using System.Diagnostics;
using System.Globalization;
using BayesNet.Layers;
using BayesNet.Likelihoods;
using BayesNet.Posteriors;
using BayesNet.Runtime;
using BayesNet.Training;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace BayesNet.Benchmarks.GradientVariance;

/// <summary>
/// The network of Kingma, Salimans and Welling 2015, Table 1: ReLU layers whose weights are theta (1 + sqrt(alpha) eps), alpha held at what the
/// dropout rates 0.2 (inputs) and 0.5 (hidden units) stand for, p / (1 - p).
/// </summary>
/// <remarks>Biases have no noise worth the name: a fixed standard deviation of 1e-3.</remarks>
internal static class DropoutNetwork
{
    private const double InputAlpha = 0.25, HiddenAlpha = 1, BiasStdDev = 1e-3, LearningRate = 1e-3;
    public const int BatchSize = 200;
    private static readonly Scalar LeastMean = 1e-12;

    /// <summary>Trains for the given epochs and writes the weights after each of <paramref name="milestones"/> to the folder.</summary>
    /// <remarks>It goes on where an earlier call in the same folder ended, every epoch with the order and noise that its number gives it.</remarks>
    public static void Train(DirectoryInfo folder, long[] sizes, Digits data, ulong seed, IReadOnlyList<int> milestones)
    {
        folder.Create();
        string weights = Path.Combine(folder.FullName, "latest.weights"), optimizer = Path.Combine(folder.FullName, "latest.adam"), done = Path.Combine(folder.FullName, "latest.epoch");
        manual_seed((long)seed);
        using var scope = NewDisposeScope();
        using Sequential model = Build(sizes);
        using var likelihood = new CategoricalLikelihood();
        using var adam = new FusedAdam(model.parameters().Where(parameter => parameter.requires_grad), LearningRate);
        int epoch = File.Exists(done) ? int.Parse(File.ReadAllText(done), CultureInfo.InvariantCulture) : 0;
        if (epoch > 0)
        {
            model.load(weights);
            adam.load_state_dict(optimizer);
        }

        var clock = Stopwatch.StartNew();
        while (epoch < milestones.Max())
        {
            ulong seedOfEpoch = seed * 1000 + (ulong)++epoch;
            double loss = Epoch(model, likelihood, adam, data, seedOfEpoch);
            bool milestone = milestones.Contains(epoch);
            if (milestone)
                model.save(Milestone(folder, epoch));
            if (milestone || epoch % 5 == 0)
            {
                File.Delete(done);
                model.save(weights);
                adam.save_state_dict(optimizer);
                File.WriteAllText(done, epoch.ToString(CultureInfo.InvariantCulture));
                Console.Error.WriteLine(string.Create(CultureInfo.InvariantCulture, $"epoch {epoch}: loss {loss:G3}, {clock.Elapsed.TotalSeconds:F0} s"));
            }
        }
    }

    /// <summary>Where the weights after an epoch are.</summary>
    public static string Milestone(DirectoryInfo folder, int epoch) => Path.Combine(folder.FullName, $"epoch-{epoch}.weights");

    /// <summary>
    /// The trained network with weights N(theta, alpha theta^2) as mean-field Gaussians, which is the same law, and for which every estimator has
    /// its fast path.
    /// </summary>
    public static Sequential Load(string file, long[] sizes)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        using Sequential trained = Build(sizes);
        trained.load(file);
        Sequential gaussian = Layers(sizes, _ => new BayesOptions { BiasPosterior = new MeanFieldGaussianSpecification { InitialStdDev = BiasStdDev } });
        foreach ((BayesLinear from, BayesLinear to) in LinearLayers(trained).Zip(LinearLayers(gaussian)))
        {
            var dropout = (VariationalDropout)from.WeightPosterior;
            var weight = (MeanFieldGaussian)to.WeightPosterior;

            // A weight of exactly zero would have a logarithm of minus infinity.
            Tensor size = dropout.Mean.abs().clamp_min(LeastMean);
            weight.Mean.copy_(dropout.Mean.sign().mul(size));
            weight.ScaleParameter.copy_(size.log().Plus(dropout.SharedLogAlpha.mul(Scalars.Half)));
            to.BiasPosterior!.Mean.copy_(from.BiasPosterior!.Mean);
        }

        return gaussian;
    }

    /// <summary>
    /// The gradients in theta of the first and the last layer, flat, from those in the twin's mu = theta and rho = ln(sqrt(alpha) |theta|):
    /// d theta = d mu + d rho / theta.
    /// </summary>
    public static Tensor[] Gradients(Sequential gaussian)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        BayesLinear[] layers = [.. LinearLayers(gaussian)];
        return [OfTheta(layers[^1]), OfTheta(layers[0])];

        static Tensor OfTheta(BayesLinear layer)
        {
            var weight = (MeanFieldGaussian)layer.WeightPosterior;
            Tensor mean = weight.Mean.grad!;
            Tensor whole = weight.ScaleParameter.grad is { } scale ? mean.Plus(scale.div(weight.Mean)) : mean.clone();
            return whole.flatten().MoveToOuterDisposeScope();
        }
    }

    /// <summary>The share of rows that the network classifies wrongly at the mean of its posterior.</summary>
    public static double Error(Sequential model, Digits data)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        using IDisposable means = model.WithEstimator(Estimators.Estimator.MeanOnly);
        return model.call(data.Inputs).argmax(1).ne(data.Targets).mean([0], type: ScalarType.Float64).item<double>();
    }

    private static double Epoch(Sequential model, CategoricalLikelihood likelihood, FusedAdam adam, Digits data, ulong seed)
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(seed, CPU);
        model.SeedNoise(seed);
        long rows = data.Inputs.size(0);
        Tensor order = randperm(rows, dtype: ScalarType.Int64, generator: generator);
        double loss = 0;
        for (long start = 0; start < rows; start += BatchSize)
        {
            using var step = NewDisposeScope();
            (Tensor inputs, Tensor targets) = data.Rows(order.narrow(0, start, Math.Min(BatchSize, rows - start)));

            // alpha is fixed, so the KL divergence of the weights is a constant, and left out.
            adam.zero_grad();
            Tensor negativeLogLikelihood = likelihood.LogLikelihood(model.call(inputs), targets).mean().neg();
            negativeLogLikelihood.backward();
            adam.step();
            loss += negativeLogLikelihood.item<float>() * inputs.size(0) / (double)rows;
        }

        return loss;
    }

    private static Sequential Build(long[] sizes)
    {
        Sequential model = Layers(sizes, layer => new BayesOptions
        {
            Posterior = new VariationalDropoutSpecification { InitialAlpha = layer == 0 ? InputAlpha : HiddenAlpha, Sharing = ParameterSharing.PerLayer },
            BiasPosterior = new MeanFieldGaussianSpecification { InitialStdDev = BiasStdDev },
        });
        foreach (BayesLinear layer in LinearLayers(model))
        {
            ((VariationalDropout)layer.WeightPosterior).SharedLogAlpha.requires_grad = false;
            ((MeanFieldGaussian)layer.BiasPosterior!).ScaleParameter.requires_grad = false;
        }

        return model;
    }

    private static Sequential Layers(long[] sizes, Func<int, BayesOptions> options)
    {
        var layers = new List<(string, nn.Module<Tensor, Tensor>)>();
        for (int i = 0; i < sizes.Length - 1; i++)
        {
            layers.Add(($"layer{i}", bnn.Linear(sizes[i], sizes[i + 1], options: options(i))));
            if (i < sizes.Length - 2)
                layers.Add(($"relu{i}", nn.ReLU()));
        }

        return nn.Sequential(layers);
    }

    private static IEnumerable<BayesLinear> LinearLayers(Sequential model) => model.BayesianModules().Select(entry => (BayesLinear)entry.Module);
}
