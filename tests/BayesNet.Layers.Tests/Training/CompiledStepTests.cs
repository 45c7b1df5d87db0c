using BayesNet.Estimators;
using BayesNet.Likelihoods;
using BayesNet.Posteriors;
using BayesNet.Priors;
using BayesNet.Training;
using TorchSharp.Modules;
using Xunit;
using static TorchSharp.torch;

namespace BayesNet.Layers.Tests.Training;

/// <summary>The compiled step against the autograd path under the same noise.</summary>
public sealed class CompiledStepTests
{
    public static TheoryData<string> Activations => ["identity", "relu", "leaky", "elu", "tanh", "sigmoid", "silu", "softplus"];

    [Theory]
    [MemberData(nameof(Activations))]
    public void EveryActivationHasTheNumbersOfAutograd(string activation)
    {
        Agree(ScalarType.Float64, () => new GaussianLikelihood(noise: 0.5), type => nn.Sequential(
            bnn.Linear(5, 19, dtype: type, options: Options(1)),
            Activation(activation),
            bnn.Linear(19, 2, dtype: type, options: Options(2))));
    }

    [Theory]
    [InlineData("local reparameterization", ScalarType.Float32)]
    [InlineData("local reparameterization", ScalarType.Float64)]
    [InlineData("shared weights", ScalarType.Float32)]
    [InlineData("shared weights", ScalarType.Float64)]
    public void BlocksAndThreadsChangeNothingButRounding(string estimator, ScalarType type)
    {
        int before = get_num_threads();
        set_num_threads(2);
        try
        {
            Estimator drawn = TestKit.EstimatorCase.Named(estimator).Estimator;
            Agree(
                type,
                () => new CategoricalLikelihood(),
                dtype => nn.Sequential(
                    bnn.Linear(700, 333, dtype: dtype, options: Options(1, drawn)),
                    nn.ReLU(),
                    bnn.Linear(333, 257, hasBias: false, dtype: dtype, options: Options(2, drawn)),
                    nn.Tanh(),
                    bnn.Linear(257, 10, dtype: dtype, options: Options(3, drawn))),
                inputs: 700,
                batch: 70);
        }
        finally
        {
            set_num_threads(before);
        }
    }

    public static TheoryData<string> Likelihoods => ["gaussian", "fixed gaussian", "heteroscedastic", "categorical"];

    [Theory]
    [MemberData(nameof(Likelihoods))]
    public void EveryLikelihoodHasTheNumbersOfAutograd(string likelihood)
    {
        Agree(
            ScalarType.Float64,
            () => likelihood switch
            {
                "gaussian" => new GaussianLikelihood(noise: 0.7),
                "fixed gaussian" => new GaussianLikelihood(learnNoise: false, noise: 0.7),
                "heteroscedastic" => new HeteroscedasticGaussianLikelihood(minNoise: 0.1),
                _ => new CategoricalLikelihood(),
            },
            type => nn.Sequential(bnn.Linear(5, 9, dtype: type, options: Options(1)), nn.ReLU(), bnn.Linear(9, 4, dtype: type, options: Options(2))));
    }

    [Fact]
    public void KindsOfLayersAndPriorsMix()
    {
        Agree(ScalarType.Float64, () => new GaussianLikelihood(), type => nn.Sequential(
            bnn.Linear(5, 11, dtype: type, options: Options(1) with { Prior = GaussianPrior.With(0.3, 0.5), BiasPrior = GaussianPrior.WithStdDev(2) }),
            nn.ReLU(),
            nn.Linear(11, 8, dtype: type),
            nn.SiLU(),
            nn.Linear(8, 7, hasBias: false, dtype: type),
            bnn.Linear(7, 6, dtype: type, options: Options(2, Estimator.SharedWeights)),
            nn.Tanh(),
            bnn.Linear(6, 2, dtype: type, options: Options(3))));
    }

    [Fact]
    public void ASingleLayerAndFlattenedImagesAreCompiled()
    {
        using var scope = NewDisposeScope();
        using var alone = bnn.Linear(4, 1);
        using (var trainer = new VariationalTrainer(alone, new GaussianLikelihood(), 10))
            Assert.True(trainer.IsCompiled);

        manual_seed(1);
        Tensor images = randn(6, 1, 3, 4), classes = arange(6, dtype: ScalarType.Int64).remainder(3);
        StepResult[] results = new StepResult[2];
        for (int i = 0; i < 2; i++)
        {
            manual_seed(2);
            using var model = nn.Sequential(nn.Flatten(), bnn.Linear(12, 3, options: Options(1)));
            using var trainer = new VariationalTrainer(model, new CategoricalLikelihood(), 10, new TrainerOptions { Compile = i == 0, Seed = 1 });
            results[i] = trainer.Step(images, classes);
            Assert.Equal(i == 0, trainer.IsCompiled);
        }

        Assert.Equal(results[1].Loss, results[0].Loss, 1e-5);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    public void AnyOptimizerAndNumberOfSamplesFindsTheGradientsOfAutograd(int samples)
    {
        Agree(
            ScalarType.Float64,
            () => new GaussianLikelihood(),
            type => nn.Sequential(bnn.Linear(5, 9, dtype: type, options: Options(1)), nn.ReLU(), bnn.Linear(9, 2, dtype: type, options: Options(2, Estimator.SharedWeights))),
            options: new TrainerOptions { Samples = samples, Optimizer = parameters => optim.SGD(parameters, 0.05, momentum: 0.5) });
        Agree(
            ScalarType.Float64,
            () => new GaussianLikelihood(),
            type => nn.Sequential(bnn.Linear(5, 9, dtype: type, options: Options(1)), nn.ReLU(), bnn.Linear(9, 2, dtype: type, options: Options(2))),
            options: new TrainerOptions { Samples = samples, Optimizer = parameters => new FusedAdamW(parameters, 0.01, weightDecay: 0.1) });
    }

    /// <summary>Both kinds of step use one optimizer state, so that a run may go from one to the other.</summary>
    [Fact]
    public void CompiledStepsGoOnFromOthersAndBack()
    {
        using var scope = NewDisposeScope();
        using var model = nn.Sequential(bnn.Linear(5, 9, options: Options(1)), nn.ReLU(), bnn.Linear(9, 2, options: Options(2)));
        using var trainer = new VariationalTrainer(model, new GaussianLikelihood(), 100, new TrainerOptions { Seed = 4 });
        using var reference = nn.Sequential(bnn.Linear(5, 9, options: Options(1)), nn.ReLU(), bnn.Linear(9, 2, options: Options(2)));
        reference.load_state_dict(model.state_dict());
        using var plain = new VariationalTrainer(reference, new GaussianLikelihood(), 100, new TrainerOptions { Seed = 4, Compile = false });
        manual_seed(3);
        Tensor x = randn(12, 5), y = randn(12, 2);
        nn.Module<Tensor, Tensor> first = ((Sequential)model)[0] as nn.Module<Tensor, Tensor> ?? throw new InvalidOperationException();
        int calls = 0;
        for (int step = 0; step < 9; step++)
        {
            // A hook is called by autograd's path alone, which is why it takes the step.
            var hook = step is >= 3 and < 6 ? first.register_forward_hook((_, _, output) => { calls++; return output; }) : null;
            StepResult own = trainer.Step(x, y), expected = plain.Step(x, y);
            hook?.remove();
            Assert.Equal(step is < 3 or >= 6, trainer.IsCompiled);
            Assert.Equal(trainer.IsCompiled, trainer.WhyNotCompiled is null);
            Assert.Equal(expected.Loss, own.Loss, 1e-4 * Math.Abs(expected.Loss));
        }

        Assert.Equal(3, calls);
        Assert.Equal(9, trainer.Steps);
        Close(Values(reference, plain.Likelihood), Values(model, trainer.Likelihood), 1e-4);
    }

    [Fact]
    public void WhatIsNotCompiledSaysWhy()
    {
        Says("in a Sequential that is", nn.Sequential(nn.Linear(2, 3), nn.Dropout(), bnn.Linear(3, 1)), "part 1, Dropout, is neither");
        Says("posterior", nn.Sequential(bnn.Linear(2, 1, options: new BayesOptions { Posterior = new MeanFieldLaplaceSpecification(), Estimator = Estimator.SharedWeights })), "MeanFieldLaplace");
        Says("prior", nn.Sequential(bnn.Linear(2, 1, options: new BayesOptions { Prior = LaplacePrior.WithScale(1) })), "LaplacePrior");
        Says("estimator", nn.Sequential(bnn.Linear(2, 1, options: new BayesOptions { Estimator = Estimator.Flipout })), "flipout");
        Says("own class", new Wrapper(), "Wrapper");
        using var model = nn.Sequential(bnn.Linear(2, 1));
        using var off = new VariationalTrainer(model, new GaussianLikelihood(), 5, new TrainerOptions { Compile = false });
        Assert.Equal("The model is not compiled: TrainerOptions.Compile is off.", off.WhyNotCompiled);

        static void Says(string what, nn.Module<Tensor, Tensor> model, string part)
        {
            using (model)
            {
                using var trainer = new VariationalTrainer(model, new GaussianLikelihood(), 5);
                Assert.False(trainer.IsCompiled, what);
                Assert.Contains(part, trainer.WhyNotCompiled!, StringComparison.Ordinal);
            }
        }
    }

    [Fact]
    public void AFrozenParameterStays()
    {
        using var scope = NewDisposeScope();
        using var layer = bnn.Linear(3, 1, options: Options(1));
        using var model = nn.Sequential(layer);
        layer.WeightPosterior.Mean.requires_grad = false;
        using var trainer = new VariationalTrainer(model, new GaussianLikelihood(), 100);
        Tensor before = layer.WeightPosterior.Mean.clone(), bias = layer.BiasPosterior!.Mean.clone();
        trainer.Step(randn(4, 3), randn(4, 1));
        Assert.True(before.Equals(layer.WeightPosterior.Mean));
        Assert.False(bias.Equals(layer.BiasPosterior.Mean));
        Assert.NotNull(trainer.WhyNotCompiled);
    }

    [Fact]
    public void ALossThatIsNotFiniteTakesNoStep()
    {
        using var scope = NewDisposeScope();
        using var model = nn.Sequential(bnn.Linear(3, 4, options: Options(1)), nn.ReLU(), bnn.Linear(4, 1, options: Options(2)));
        using var trainer = new VariationalTrainer(model, new GaussianLikelihood(), 100);
        Tensor before = Values(model, trainer.Likelihood), x = randn(4, 3);
        x[1, 2] = float.NaN;
        Assert.Throws<NonFiniteLossException>(() => trainer.Step(x, randn(4, 1)));
        Assert.True(trainer.IsCompiled);
        Assert.True(before.Equals(Values(model, trainer.Likelihood)));
        Assert.Equal(0, trainer.Steps);
    }

    [Fact]
    public void TargetsThatDoNotFitAreRefusedAsByAutograd()
    {
        using var scope = NewDisposeScope();
        using var model = nn.Sequential(bnn.Linear(3, 2));
        using (var trainer = new VariationalTrainer(model, new GaussianLikelihood(), 100))
            Assert.Throws<ArgumentException>("target", () => trainer.Step(randn(4, 3), randn(4)));
        using (var trainer = new VariationalTrainer(model, new CategoricalLikelihood(), 100))
            Assert.Throws<ArgumentException>("target", () => trainer.Step(randn(4, 3), tensor(new long[] { 0, 1, 2, 0 })));
    }

    /// <summary>A step changes parameters under a graph that saved them; autograd has to know.</summary>
    [Fact]
    public void AGraphFromBeforeAStepIsRefused()
    {
        using var scope = NewDisposeScope();
        using var model = nn.Sequential(bnn.Linear(3, 2), nn.ReLU(), bnn.Linear(2, 1));
        using var trainer = new VariationalTrainer(model, new GaussianLikelihood(), 100);
        Tensor first = model.parameters().First(), stale = first.mul(first).sum();
        trainer.Step(randn(4, 3), randn(4, 1));
        Assert.True(trainer.IsCompiled);
        Assert.ThrowsAny<Exception>(() => stale.backward());
    }

    private static BayesOptions Options(ulong seed, Estimator? estimator = null)
        => new() { Seed = seed, Estimator = estimator ?? Estimator.LocalReparameterization, Posterior = new MeanFieldGaussianSpecification { InitialStdDev = 0.2 } };

    private static nn.Module<Tensor, Tensor> Activation(string name) => name switch
    {
        "identity" => nn.Identity(),
        "relu" => nn.ReLU(),
        "leaky" => nn.LeakyReLU(0.2),
        "elu" => nn.ELU(1.3),
        "tanh" => nn.Tanh(),
        "sigmoid" => nn.Sigmoid(),
        "silu" => nn.SiLU(),
        _ => nn.Softplus(beta: 2, threshold: 3),
    };

    /// <summary>Five steps on minibatches of several sizes, compiled and by autograd, from one start and under one noise.</summary>
    private static void Agree(
        ScalarType type, Func<Likelihood> likelihood, Func<ScalarType, Sequential> model, int inputs = 5, int batch = 13, TrainerOptions? options = null)
    {
        using var scope = NewDisposeScope();
        var losses = new List<double>[2];
        var values = new Tensor[2];
        var gradients = new Tensor[2];
        for (int i = 0; i < 2; i++)
        {
            manual_seed(1);
            using Sequential network = model(type);
            using Likelihood own = likelihood();
            using var trainer = new VariationalTrainer(network, own, 500, (options ?? new TrainerOptions()) with { Compile = i == 0, Seed = 7 });
            Assert.Equal(i == 0, trainer.IsCompiled);
            manual_seed(2);
            losses[i] = [];
            foreach (int rows in new[] { batch, batch + 4, 1, batch, batch })
            {
                Tensor x = randn(rows, inputs, dtype: type);
                long outputs = network.call(x).size(1);
                Tensor y = own is CategoricalLikelihood ? randint(0, outputs, [rows], dtype: ScalarType.Int64)
                    : randn(rows, own is HeteroscedasticGaussianLikelihood ? outputs / 2 : outputs, dtype: type);
                network.SeedNoise((ulong)losses[i].Count);
                trainer.AccumulateGradients(x, y, 0.7);
                gradients[i] = cat([.. network.parameters().Concat(own.parameters()).Where(p => p.requires_grad).Select(p => p.grad!.flatten())]).clone();
                network.SeedNoise((ulong)losses[i].Count);
                losses[i].Add(trainer.Step(x, y, 0.7).Loss);
                Assert.Equal(i == 0, trainer.IsCompiled);
            }

            values[i] = Values(network, own);
        }

        double tolerance = type == ScalarType.Float64 ? 1e-11 : 2e-4;
        Assert.All(losses[0].Zip(losses[1]), pair => Assert.Equal(pair.Second, pair.First, tolerance * Math.Max(1, Math.Abs(pair.Second))));
        Close(gradients[1], gradients[0], tolerance);
        Close(values[1], values[0], type == ScalarType.Float64 ? 1e-8 : 2e-3);
    }

    private static Tensor Values(nn.Module model, Likelihood likelihood)
        => cat([.. model.parameters().Concat(likelihood.parameters()).Select(parameter => parameter.detach().flatten())]).clone();

    private static void Close(Tensor expected, Tensor actual, double tolerance)
    {
        using var scope = NewDisposeScope();
        double scale = expected.abs().max().to(ScalarType.Float64).item<double>();
        double greatest = expected.sub(actual).abs().max().to(ScalarType.Float64).item<double>();
        Assert.InRange(greatest, 0, tolerance * Math.Max(1, scale));
    }

    private sealed class Wrapper : nn.Module<Tensor, Tensor>
    {
        private readonly BayesLinear _layer = bnn.Linear(2, 1);

        public Wrapper()
            : base(nameof(Wrapper))
            => RegisterComponents();

        public override Tensor forward(Tensor input) => _layer.call(input);
    }
}
