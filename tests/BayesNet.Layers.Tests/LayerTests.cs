using BayesNet.Estimators;
using BayesNet.Posteriors;
using BayesNet.Priors;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace BayesNet.Layers.Tests;

public sealed class LayerTests
{
    [Fact]
    public void DefaultsAreTheDocumentedOnes()
    {
        BayesOptions options = BayesOptions.Default;
        Assert.Equal(new MeanFieldGaussianSpecification { InitialStdDev = 0.01, Scale = ScaleParameterization.Log }, options.Posterior);
        Assert.Equal(GaussianPrior.WithStdDev(1), options.Prior);
        Assert.Same(Estimator.LocalReparameterization, options.Estimator);
        Assert.Null(options.BiasPosterior);
        Assert.Null(options.BiasPrior);
        Assert.Null(options.Seed);
        Assert.Equal(1, options.KlSamples);
    }

    [Fact]
    public void StateDictNamesAreStable()
    {
        using var scope = NewDisposeScope();
        using var model = nn.Sequential(("hidden", bnn.Linear(3, 2)), ("relu", nn.ReLU()), ("out", bnn.Linear(2, 1, hasBias: false)));
        Assert.Equal(
            ["hidden.bias.log_scale", "hidden.bias.mean", "hidden.weight.log_scale", "hidden.weight.mean", "out.weight.log_scale", "out.weight.mean"],
            model.state_dict().Keys.Order(StringComparer.Ordinal));

        var options = new BayesOptions
        {
            Posterior = new MeanFieldGaussianSpecification { Scale = ScaleParameterization.Softplus },
            Prior = GaussianPrior.With(zeros(1), ones(1)),
        };
        using var layer = bnn.Conv1d(1, 1, 2, options: options);
        Assert.Equal(
            ["bias.mean", "bias.rho", "bias_prior.mean", "bias_prior.std", "weight.mean", "weight.rho", "weight_prior.mean", "weight_prior.std"],
            layer.state_dict().Keys.Order(StringComparer.Ordinal));
    }

    [Fact]
    public void SaveAndLoadGiveTheSameLayer()
    {
        using var scope = NewDisposeScope();
        using var saved = Convolutional();
        using var loaded = Convolutional();
        Tensor input = randn(2, 1, 6, 6);
        string path = Path.GetTempFileName();
        try
        {
            saved.save(path);
            loaded.load(path);
        }
        finally
        {
            File.Delete(path);
        }

        foreach (Estimator estimator in new[] { Estimator.MeanOnly, Estimator.Flipout })
        {
            using var first = saved.WithEstimator(estimator);
            using var second = loaded.WithEstimator(estimator);
            saved.SeedNoise(4);
            loaded.SeedNoise(4);
            Assert.True(saved.call(input).eq(loaded.call(input)).all().item<bool>());
        }

        Assert.Equal(saved.KlDivergence().item<float>(), loaded.KlDivergence().item<float>());
    }

    [Fact]
    public void ConversionKeepsTheLayerWhole()
    {
        using var scope = NewDisposeScope();
        using var model = Convolutional();
        double before = model.KlDivergence().item<float>();
        model.to(ScalarType.Float64);
        Assert.All(model.parameters(), parameter => Assert.Equal(ScalarType.Float64, parameter.dtype));
        Tensor output = model.call(randn(2, 1, 6, 6, dtype: ScalarType.Float64));
        Assert.Equal(ScalarType.Float64, output.dtype);
        Assert.Equal(before, model.KlDivergence().item<double>(), before * 1e-5);
        (output.sum() + model.KlDivergence()).backward();
        Assert.All(model.parameters(), parameter => Assert.True(parameter.grad is not null && parameter.grad.isfinite().all().item<bool>()));

        model.to(CPU).to(ScalarType.Float32);
        Assert.Equal(ScalarType.Float32, model.call(randn(2, 1, 6, 6)).dtype);
    }

    [Fact]
    public void MovingToAnotherDeviceMovesEverything()
    {
        using var scope = NewDisposeScope();
        using var layer = bnn.Linear(3, 2, options: new BayesOptions { Prior = GaussianPrior.With(zeros(1), ones(1)) });
        layer.to(META);
        Assert.All(layer.parameters(), parameter => Assert.Equal(DeviceType.META, parameter.device_type));
        Assert.All(layer.buffers(), buffer => Assert.Equal(DeviceType.META, buffer.device_type));
        Assert.Equal(DeviceType.META, layer.WeightPosterior.Mean.device_type);
    }

    [Fact]
    public void KlIsSummedOverEveryLayerOnce()
    {
        using var scope = NewDisposeScope();
        using var shared = bnn.Linear(3, 3);
        using var other = bnn.Linear(3, 2, dtype: ScalarType.Float64);
        using var model = new Twice(shared, other);
        double expected = shared.KlDivergence().item<float>() + other.KlDivergence().item<double>();
        Assert.Equal(expected, model.KlDivergence().item<float>(), 1e-5 * expected);
        Assert.Equal(2, model.BayesianModules().Count());
        Assert.Equal(shared.KlDivergence().item<float>(), ((nn.Module)shared).KlDivergence().item<float>());

        using var weightOnly = bnn.Linear(3, 3, hasBias: false);
        double one = 12 * (0.5 * 0.01 * 0.01 - Math.Log(0.01) - 0.5) + 0.5 * shared.parameters().Where((_, i) => i % 2 == 0).Sum(mean => mean.square().sum().item<float>());
        Assert.Equal(one, shared.KlDivergence().item<float>(), 1e-4 * one);
        Assert.Equal(9 * (0.5 * 0.01 * 0.01 - Math.Log(0.01) - 0.5) + 0.5 * weightOnly.WeightPosterior.Mean.square().sum().item<float>(), weightOnly.KlDivergence().item<float>(), 1e-4 * one);
    }

    [Fact]
    public void TheEstimatorScopeSwitchesAndRestores()
    {
        using var scope = NewDisposeScope();
        using var first = bnn.Linear(3, 3);
        using var second = bnn.Linear(3, 2, options: new BayesOptions { Estimator = Estimator.Flipout });
        using var model = nn.Sequential(first, second);
        Tensor input = randn(4, 3);
        using (model.WithEstimator(Estimator.MeanOnly))
        {
            Assert.True(model.call(input).eq(model.call(input)).all().item<bool>());
            using (model.WithEstimator(Estimator.SharedWeights))
                Assert.Same(Estimator.SharedWeights, second.Estimator);
            Assert.Same(Estimator.MeanOnly, first.Estimator);
        }

        Assert.Same(Estimator.LocalReparameterization, first.Estimator);
        Assert.Same(Estimator.Flipout, second.Estimator);

        // Evaluation mode does not silence the noise.
        model.eval();
        Assert.False(model.call(input).eq(model.call(input)).all().item<bool>());
    }

    [Fact]
    public void SeedsMakeALayersNoiseItsOwn()
    {
        using var scope = NewDisposeScope();
        using var layer = bnn.Linear(3, 2, options: new BayesOptions { Seed = 5 });
        Tensor input = randn(4, 3);
        Tensor first = layer.call(input);
        randn(100);
        Tensor second = layer.call(input);
        layer.Seed = 5;
        randn(7);
        Assert.True(layer.call(input).eq(first).all().item<bool>());
        Assert.True(layer.call(input).eq(second).all().item<bool>());

        layer.Seed = null;
        manual_seed(1);
        Tensor third = layer.call(input);
        manual_seed(1);
        Assert.True(layer.call(input).eq(third).all().item<bool>());

        // Layers of a model have streams of their own.
        using var twins = nn.Sequential(bnn.Linear(3, 2), bnn.Linear(3, 2));
        twins.SeedNoise(1);
        Assert.Equal(2, twins.BayesianModules().Select(entry => entry.Module.Noise.Seed).Distinct().Count());
    }

    [Fact]
    public void GradientsReachEveryParameterUnderEveryEstimator()
    {
        using var scope = NewDisposeScope();
        using var model = Convolutional();
        foreach (Estimator estimator in new[] { Estimator.SharedWeights, Estimator.WeightsPerExample, Estimator.LocalReparameterization, Estimator.Flipout })
        {
            using var _ = model.WithEstimator(estimator);
            model.zero_grad();
            model.call(randn(2, 1, 6, 6)).square().sum().backward();
            Assert.All(model.named_parameters(), entry => Assert.True(
                entry.parameter.grad is not null && entry.parameter.grad.abs().sum().item<float>() > 0, $"{estimator}: {entry.name} has no gradient."));
        }
    }

    [Fact]
    public void BadArgumentsAreNamed()
    {
        using var scope = NewDisposeScope();
        Assert.Throws<ArgumentOutOfRangeException>(() => bnn.Linear(0, 3));
        Assert.Throws<ArgumentException>("groups", () => bnn.Conv2d(3, 4, 3, groups: 2));
        Assert.Throws<ArgumentOutOfRangeException>("stride", () => bnn.Conv1d(3, 4, 3, stride: 0));
        Assert.Contains("stride of 1", Assert.Throws<ArgumentException>("stride", () => bnn.Conv1d(3, 4, 3, Padding.Same, stride: 2)).Message, StringComparison.Ordinal);
        Assert.Contains("float32 or float64", Assert.Throws<NotSupportedException>(() => bnn.Linear(3, 2, dtype: ScalarType.Float16)).Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentOutOfRangeException>("KlSamples", () => bnn.Linear(3, 2, options: new BayesOptions { KlSamples = 0 }));

        using var layer = bnn.Linear(3, 2);
        Assert.Contains("(4, 5)", Assert.Throws<ArgumentException>("input", () => layer.call(randn(4, 5))).Message, StringComparison.Ordinal);
        Assert.Contains("convert", Assert.Throws<ArgumentException>("input", () => layer.call(randn(4, 3, dtype: ScalarType.Float64))).Message, StringComparison.Ordinal);
        using var convolution = bnn.Conv2d(3, 2, 3);
        Assert.Throws<ArgumentException>("input", () => convolution.call(randn(4, 3, 8)));
        Assert.Throws<ArgumentException>("input", () => convolution.call(randn(4, 2, 8, 8)));

        using var plain = nn.Sequential(nn.Linear(2, 2));
        Assert.Contains("bnn", Assert.Throws<InvalidOperationException>(() => plain.KlDivergence()).Message, StringComparison.Ordinal);
        Assert.Throws<InvalidOperationException>(() => plain.WithEstimator(Estimator.MeanOnly));
    }

    [Fact]
    public void MeansStartAtGivenWeights()
    {
        using var scope = NewDisposeScope();
        using var plain = nn.Linear(4, 3, dtype: ScalarType.Float64);
        using var layer = bnn.Linear(plain.weight!, plain.bias!);
        using (layer.WithEstimator(Estimator.MeanOnly))
        {
            Tensor input = randn(2, 4, dtype: ScalarType.Float64);
            Assert.True((layer.call(input) - plain.call(input)).abs().max().item<double>() < 1e-14);
        }

        using (no_grad())
            plain.weight!.zero_();
        Assert.True(layer.WeightPosterior.Mean.abs().sum().item<double>() > 0);
        Assert.Throws<ArgumentException>("bias", () => new BayesLinear(zeros(3, 4), zeros(4)));
        Assert.Throws<ArgumentException>("weight", () => new BayesLinear(zeros(3)));
    }

    [Fact]
    public void ALayerSaysWhatItIs()
    {
        using var layer = bnn.Conv2d(3, 8, 5);
        Assert.Equal("BayesConv2d(conv2d 3 -> 8, kernel 5x5, MeanFieldGaussian, prior GaussianPrior, local reparameterization)", layer.ToString());
    }

    private static TorchSharp.Modules.Sequential Convolutional() => nn.Sequential(
        ("conv", bnn.Conv2d(1, 2, 3, padding: 1)), ("tanh", nn.Tanh()), ("flatten", nn.Flatten()), ("out", bnn.Linear(72, 2)));

    private sealed class Twice : nn.Module<Tensor, Tensor>
    {
        private readonly BayesLinear _first;
        private readonly BayesLinear _again;
        private readonly BayesLinear _other;

        public Twice(BayesLinear shared, BayesLinear other)
            : base(nameof(Twice))
        {
            (_first, _again, _other) = (shared, shared, other);
            RegisterComponents();
        }

        public override Tensor forward(Tensor input) => _other.call(_again.call(_first.call(input)));
    }
}
