using BayesNet.Estimators;
using BayesNet.Layers.Conversion;
using BayesNet.Layers.Tests.Conversion;
using BayesNet.Likelihoods;
using BayesNet.Persistence;
using BayesNet.Posteriors;
using BayesNet.Priors;
using BayesNet.Pruning;
using BayesNet.Training;
using TorchSharp.Modules;
using TorchSharp.PyBridge;
using Xunit;
using static TorchSharp.torch;

namespace BayesNet.Layers.Tests.Persistence;

public sealed class ModelFileTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("bayesnet-tests-").FullName;

    private string Path => System.IO.Path.Combine(_folder, "model.safetensors");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void AModelComesBackToTheLastBit()
    {
        using var scope = NewDisposeScope();
        using var model = new SmallCnn();
        using var other = new SmallCnn();
        model.ToBayesian(new ConversionOptions { Options = BayesOptions.Moped() });
        other.ToBayesian(new ConversionOptions { Options = BayesOptions.Moped() });
        model.Prune(PruningRule.LowestShare(0.4));
        model.SaveSafeTensors(Path);
        Empty(other.LoadSafeTensors(Path));
        Assert.Equal(model.state_dict().Keys.Order(), other.state_dict().Keys.Order());
        Tensor x = randn(3, 1, 8, 8);
        model.eval();
        other.eval();
        model.SeedNoise(5);
        other.SeedNoise(5);
        Assert.True(model.call(x).eq(other.call(x)).all().item<bool>());
        Assert.Equal(model.KlDivergence().item<float>(), other.KlDivergence().item<float>());
        Assert.Equal(model.Sparsity().Weights.Kept, other.Sparsity().Weights.Kept);
    }

    [Fact]
    public void MeansAndScalesStandUnderStableNames()
    {
        using var scope = NewDisposeScope();
        using var model = nn.Sequential(("fc", bnn.Linear(2, 3)), ("norm", nn.BatchNorm1d(3)));
        model.SaveSafeTensors(Path, new Dictionary<string, string> { ["note"] = "mine" });
        using SafeTensorsFile file = SafeTensors.Read(Path);
        Assert.Equal(
            [
                "fc.bias.log_scale", "fc.bias.mean", "fc.bias.std", "fc.weight.log_scale", "fc.weight.mean", "fc.weight.std", "norm.bias", "norm.num_batches_tracked",
                "norm.running_mean", "norm.running_var", "norm.weight",
            ],
            file.Tensors.Keys.Order());
        Assert.True(file.Tensors["fc.weight.std"].allclose(full([3, 2], 0.01f)));
        Assert.Equal(("bayesnet.model", "mine"), (file.Metadata["format"], file.Metadata["note"]));
        Assert.NotEmpty(file.Metadata["library"]);
    }

    /// <summary>TorchSharp.PyBridge has a reader and a writer of its own.</summary>
    [Fact]
    public void AnotherReaderReadsWhatIsWritten()
    {
        using var scope = NewDisposeScope();
        using var model = nn.Sequential(("fc", bnn.Linear(2, 3)), ("out", bnn.Linear(3, 1)));
        using var plain = nn.Sequential(("fc", nn.Linear(2, 3)), ("out", nn.Linear(3, 1)));
        model.SaveSafeTensors(Path);
        Dictionary<string, Tensor> read = Safetensors.LoadStateDict(Path);
        foreach ((string name, Tensor value) in model.state_dict())
            Assert.True(read[name].eq(value).all().item<bool>(), name);
        Assert.True(read["fc.weight.std"].allclose(full([3, 2], 0.01f)));

        // The deterministic twin, whole.
        ((nn.Module)model).ToDeterministic(copy: true).SaveSafeTensors(Path);
        plain.load_safetensors(Path);
        Tensor x = randn(5, 2);
        using (model.WithEstimator(Estimator.MeanOnly))
            Assert.True(plain.call(x).allclose(model.call(x)));
    }

    [Fact]
    public void TrainedDeterministicWeightsBecomeMeans()
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        using var plain = nn.Sequential(("0", nn.Linear(2, 3)), ("1", nn.BatchNorm1d(3)), ("2", nn.Linear(3, 1)));
        ((BatchNorm1d)plain.children().ElementAt(1)).running_mean!.fill_(0.3);
        plain.save_safetensors(Path);
        BayesOptions around = new() { Prior = GaussianPrior.AtInitialMeans(0.5) };
        using var model = nn.Sequential(("0", bnn.Linear(2, 3, options: around)), ("1", nn.BatchNorm1d(3)), ("2", bnn.Linear(3, 1)));
        Empty(model.LoadSafeTensors(Path));
        plain.eval();
        model.eval();
        Tensor x = randn(4, 2);
        using (model.WithEstimator(Estimator.MeanOnly))
            Assert.True(model.call(x).allclose(plain.call(x)));
        var first = (BayesLinear)model.children().First();
        Assert.True(((MeanFieldGaussian)first.WeightPosterior).StdDev.allclose(full([3, 2], 0.01f)));

        model.LoadSafeTensors(Path, new ModelLoading { MopedDelta = 0.2, MopedFloor = 1e-3 });
        Tensor w = ((Linear)plain.children().First()).weight;
        Assert.True(((MeanFieldGaussian)first.WeightPosterior).StdDev.allclose((w.abs() * 0.2).clamp_min(1e-3)));
        Assert.True(((GaussianPrior)first.WeightPrior).Mean!.eq(w).all().item<bool>());

        // In float64, and under other names.
        using var wide = nn.Sequential(("a", bnn.Linear(2, 3, dtype: ScalarType.Float64)));
        ModelLoadResult result = wide.LoadSafeTensors(Path, new ModelLoading { Strict = false, Rename = name => name.StartsWith("0.", StringComparison.Ordinal) ? "a" + name[1..] : name });
        Assert.True(((BayesLinear)wide.children().First()).WeightPosterior.Mean.allclose(w.to(ScalarType.Float64)));
        Assert.Contains("2.weight", result.Unexpected);
        Assert.Empty(result.Missing);
    }

    [Fact]
    public void WhatDoesNotFitIsNamedAndTheModelStays()
    {
        using var scope = NewDisposeScope();
        using var saved = nn.Sequential(("a", bnn.Linear(2, 3)), ("b", bnn.Linear(3, 1)), ("c", bnn.Linear(1, 1)));
        using var model = nn.Sequential(("a", bnn.Linear(4, 3)), ("b", bnn.Linear(3, 1)), ("d", bnn.Linear(1, 1, hasBias: false)));
        saved.SaveSafeTensors(Path);
        Dictionary<string, Tensor> before = model.state_dict().ToDictionary(entry => entry.Key, entry => entry.Value.detach().clone());
        string message = Assert.Throws<InvalidDataException>(() => model.LoadSafeTensors(Path)).Message;
        foreach (string part in new[] { "its 'a.weight.mean' is Float32 of shape (3, 2), and the model's is Float32 of shape (3, 4)", "it has no 'd.weight.mean' of shape (1, 1)", "its 'c.weight.mean' of shape (1, 1) has no place" })
            Assert.Contains(part, message, StringComparison.Ordinal);
        Unchanged();

        // Shapes count where loading is not strict, too.
        Assert.Throws<InvalidDataException>(() => model.LoadSafeTensors(Path, new ModelLoading { Strict = false }));
        Unchanged();

        byte[] whole = File.ReadAllBytes(Path);
        File.WriteAllBytes(Path, whole[..^5]);
        Assert.Contains("truncated", Assert.Throws<InvalidDataException>(() => saved.LoadSafeTensors(Path)).Message, StringComparison.Ordinal);
        File.WriteAllText(Path, "this is no such file at all");
        Assert.Contains("not of the safetensors format", Assert.Throws<InvalidDataException>(() => saved.LoadSafeTensors(Path)).Message, StringComparison.Ordinal);
        Unchanged();

        void Unchanged() => Assert.All(before, entry => Assert.True(entry.Value.eq(model.state_dict()[entry.Key]).all().item<bool>()));
    }

    [Fact]
    public void APrunedModelGoesOnFromItsCheckpoint()
    {
        using var scope = NewDisposeScope();
        Tensor x = randn(20, 3), y = randn(20, 1);
        Tensor[] learned = [.. new[] { false, true }.Select(resumed => Train(resumed))];
        Assert.True(learned[0].eq(learned[1]).all().item<bool>());

        Tensor Train(bool resumed)
        {
            random.manual_seed(1);
            using var model = nn.Sequential(("a", bnn.Linear(3, 5)), ("b", bnn.Linear(5, 1)));
            model.SeedNoise(2);
            using var likelihood = new GaussianLikelihood();
            using var trainer = new VariationalTrainer(model, likelihood, 20, new TrainerOptions { BatchSize = 20 });
            if (resumed)
            {
                trainer.Resume(Path);
                Assert.Equal(10, model.Sparsity().Weights.Kept);
            }
            else
            {
                trainer.Step(x, y);
                model.Prune(PruningRule.LowestShare(0.5));
                trainer.SaveCheckpoint(Path);
            }

            trainer.Step(x, y);
            return cat([.. model.parameters().Select(parameter => parameter.detach().flatten())]).MoveToOuterDisposeScope();
        }
    }

    [Fact]
    public void ACheckpointKnowsItsPriorsAndKlSchedule()
    {
        using var likelihood = new GaussianLikelihood();
        void Resume(PriorSpecification prior, KlSchedule schedule, bool write)
        {
            using var model = nn.Sequential(("a", bnn.Linear(3, 1, options: new BayesOptions { Prior = prior })));
            using var trainer = new VariationalTrainer(model, likelihood, 20, new TrainerOptions { KlSchedule = schedule });
            if (write)
                trainer.SaveCheckpoint(Path);
            else
                trainer.Resume(Path);
        }

        Resume(GaussianPrior.WithStdDev(2), KlSchedule.Warmup(3), write: true);
        Resume(GaussianPrior.WithStdDev(2), KlSchedule.Warmup(3), write: false);
        string message = Assert.Throws<InvalidDataException>(() => Resume(GaussianPrior.WithStdDev(1), KlSchedule.Warmup(3), write: false)).Message;
        Assert.Contains("GaussianPrior(0, 2)", message, StringComparison.Ordinal);
        Assert.Contains("KlSchedule", Assert.Throws<InvalidDataException>(() => Resume(GaussianPrior.WithStdDev(2), KlSchedule.Warmup(4), write: false)).Message, StringComparison.Ordinal);

        // A checkpoint is no model file.
        using var other = nn.Sequential(("a", bnn.Linear(3, 1)));
        Assert.Contains("checkpoint", Assert.Throws<InvalidDataException>(() => other.LoadSafeTensors(Path)).Message, StringComparison.Ordinal);
    }

    private static void Empty(ModelLoadResult result)
    {
        Assert.Empty(result.Missing);
        Assert.Empty(result.Unexpected);
    }
}
