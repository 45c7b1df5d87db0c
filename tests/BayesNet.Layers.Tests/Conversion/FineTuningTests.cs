using System.Diagnostics;
using BayesNet.Layers.Conversion;
using BayesNet.Layers.Tests.Persistence;
using BayesNet.Likelihoods;
using BayesNet.Persistence;
using BayesNet.TestKit;
using BayesNet.Training;
using Xunit;
using static TorchSharp.torch;

namespace BayesNet.Layers.Tests.Conversion;

/// <summary>A network is trained, converted, trained on, saved, and predicts the same numbers in another process.</summary>
public sealed class FineTuningTests : IDisposable
{
    private static readonly CancellationToken Never = CancellationToken.None;

    private readonly string _folder = Directory.CreateTempSubdirectory("bayesnet-tests-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData("cnn")]
    [InlineData("lstm")]
    public void AnotherProcessPredictsTheSame(string name)
    {
        using var scope = NewDisposeScope();
        random.manual_seed(4);
        using nn.Module<Tensor, Tensor> plain = ProbeNetworks.Create(name);
        Tensor x = randn(120, 1, 8, 8), y = x.mean([1, 2, 3]).sub(x.select(3, 0).mean([1, 2])).sign().to(ScalarType.Int64) + 1;
        Train(plain, x, y);
        double before = Loss(plain, x, y);
        using nn.Module<Tensor, Tensor> network = plain.ToBayesian(new ConversionOptions { Options = BayesOptions.Moped() });
        using var likelihood = new CategoricalLikelihood();
        using var trainer = new VariationalTrainer(network, likelihood, 120, new TrainerOptions { Epochs = 3, BatchSize = 40 });
        FitResult fit = trainer.Fit(new TrainingData(x, y), cancellationToken: Never);

        // It goes on from what was learned: the first epoch's loss is nearer to the trained network's than to that of a guess.
        Assert.InRange(fit.History[0].NegativeLogLikelihood, 0, (before + Math.Log(3)) / 2);

        string model = Path.Combine(_folder, "model"), inputs = Path.Combine(_folder, "inputs"), outputs = Path.Combine(_folder, "outputs");
        network.SaveSafeTensors(model);
        SafeTensors.Write(inputs, new Dictionary<string, Tensor> { ["input"] = x });
        var start = new ProcessStartInfo(TrainProbe.Host, [TrainProbe.Path, "predict", name, model, inputs, outputs, $"{get_num_threads()}"]) { UseShellExecute = false, RedirectStandardError = true };
        start.Environment["OMP_NUM_THREADS"] = $"{get_num_threads()}";
        using Process process = Process.Start(start)!;
        string errors = process.StandardError.ReadToEnd();
        process.WaitForExit();
        Assert.True(process.ExitCode == 0, errors);
        using SafeTensorsFile predicted = SafeTensors.Read(outputs);
        network.eval();
        network.SeedNoise(ProbeNetworks.Seed);
        using var _ = no_grad();

        // Bit for bit: with another number of threads libtorch may sum in another order.
        Assert.True(network.call(x).bytes.SequenceEqual(predicted.Tensors["output"].bytes));
    }

    private static void Train(nn.Module<Tensor, Tensor> network, Tensor x, Tensor y)
    {
        using var optimizer = optim.Adam(network.parameters(), 0.01);
        for (int step = 0; step < 60; step++)
        {
            using var scope = NewDisposeScope();
            optimizer.zero_grad();
            nn.functional.cross_entropy(network.call(x), y).backward();
            optimizer.step();
        }
    }

    private static double Loss(nn.Module<Tensor, Tensor> network, Tensor x, Tensor y)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        return nn.functional.cross_entropy(network.call(x), y).item<float>();
    }
}
