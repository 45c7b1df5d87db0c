using BayesNet.Kernels;
using BayesNet.Likelihoods;
using BayesNet.Posteriors;
using BayesNet.Priors;
using BayesNet.Training;
using TorchSharp;
using TorchSharp.Modules;
using Xunit;
using static TorchSharp.torch;

namespace BayesNet.Layers.Tests.Training;

/// <summary>The KL term as the trainer takes it, past autograd where it can, against <c>model.KlDivergence()</c>.</summary>
public sealed class KlTermTests
{
    [Theory]
    [InlineData(ScalarType.Float32, false)]
    [InlineData(ScalarType.Float64, false)]
    [InlineData(ScalarType.Float64, true)]
    public void ValueAndGradientsAreThoseOfTheModelsDivergence(ScalarType dtype, bool mixed)
    {
        using var scope = NewDisposeScope();
        using Sequential model = Model(dtype, mixed);
        var term = new KlTerm(model);
        const double weight = 0.3;
        double value = term.Accumulate(weight);
        Tensor[] direct = Gradients(model);
        model.zero_grad();
        Tensor divergence = model.KlDivergence();
        (divergence * weight).backward();

        double rounding = dtype == ScalarType.Float32 ? 1e-6 : 1e-13;
        Assert.Equal(1, value / divergence.to(ScalarType.Float64).item<double>(), rounding);
        foreach ((Tensor one, Tensor other) in Gradients(model).Zip(direct))
            Assert.InRange((one - other).abs().max().to(ScalarType.Float64).item<double>(), 0, 20 * rounding);
    }

    [Fact]
    public void AWeightOfZeroReportsTheValueAndLeavesTheGradients()
    {
        using var scope = NewDisposeScope();
        using Sequential model = Model(ScalarType.Float64, mixed: true);
        double value = new KlTerm(model).Accumulate(0);
        Assert.Equal(model.KlDivergence().item<double>(), value, 1e-12 * value);
        Assert.All(model.parameters(), parameter => Assert.Null(parameter.grad));
    }

    /// <summary>Parameters are looked up afresh at every call: converting a model replaces them.</summary>
    [Fact]
    public void AConvertedModelIsFollowed()
    {
        using var scope = NewDisposeScope();
        using Sequential model = Model(ScalarType.Float32, mixed: false);
        var term = new KlTerm(model);
        double before = term.Accumulate(0.3);
        model.to(ScalarType.Float64);
        Assert.Equal(before, term.Accumulate(0.3), 1e-6 * before);
        Assert.All(model.parameters(), parameter => Assert.Equal(ScalarType.Float64, parameter.grad!.dtype));
    }

    [Fact]
    public void ADivergenceThatIsNotFiniteStopsTheStep()
    {
        using var scope = NewDisposeScope();
        using var model = bnn.Linear(3, 1, hasBias: false);
        using var likelihood = new GaussianLikelihood();
        using var trainer = new VariationalTrainer(model, likelihood, 10);
        using var _ = model.WithEstimator(Estimators.Estimator.MeanOnly);
        var posterior = (MeanFieldGaussian)model.WeightPosterior;
        using (no_grad())
            posterior.ScaleParameter[0, 1] = float.PositiveInfinity;
        Tensor before = posterior.Mean.clone();
        var error = Assert.Throws<NonFiniteLossException>(() => trainer.Step(randn(4, 3), randn(4, 1)));
        Assert.Contains("KL divergence", error.Message, StringComparison.Ordinal);
        Assert.True(before.eq(posterior.Mean).all().item<bool>());
    }

    /// <summary>
    /// Divergences that fused functions compute beside their own work, in blocks on two threads too, and what the term computes itself: of a layer
    /// with another estimator, of one that no gradient reached, of one used in two passes, and of a posterior that two modules share.
    /// </summary>
    [Theory]
    [InlineData("once")]
    [InlineData("twice")]
    [InlineData("no backward")]
    [InlineData("scale frozen")]
    [InlineData("shared")]
    public void OfferedDivergencesCountOnce(string use)
    {
        using var scope = NewDisposeScope();
        using BayesLinear first = bnn.Linear(403, 301, dtype: ScalarType.Float64), second = bnn.Linear(301, 2, dtype: ScalarType.Float64);
        using Sequential model = nn.Sequential(("first", first), ("second", second));
        if (use == "scale frozen")
            ((MeanFieldGaussian)first.WeightPosterior).ScaleParameter.requires_grad_(false);
        using var other = new Sharing(first);
        using Sequential whole = use == "shared" ? nn.Sequential(("model", model), ("other", other)) : nn.Sequential(("model", model));
        Tensor x = randn(20, 403, dtype: ScalarType.Float64);
        const double weight = 0.3;

        var term = new KlTerm(whole);
        using var buffers = new GradientBuffers(model.parameters().Where(parameter => parameter.requires_grad));
        model.SeedNoise(1);
        double value;
        using (GradientBuffers.Pass pass = buffers.Open())
        {
            term.Offer(pass, weight);
            Fit();
            pass.Dispose();
            value = term.Accumulate(weight);
        }

        Tensor?[] offered = Gradients();
        model.zero_grad();
        model.SeedNoise(1);
        Fit();
        Tensor divergence = whole.KlDivergence();
        (divergence * weight).backward();

        Assert.Equal(1, value / divergence.item<double>(), 1e-12);
        foreach ((Tensor? expected, Tensor? actual) in Gradients().Zip(offered))
        {
            Assert.Equal(expected is null, actual is null);
            if (expected is not null)
                Assert.InRange((expected - actual!).abs().max().item<double>(), 0, 1e-13 * expected.abs().max().item<double>());
        }

        void Fit()
        {
            Tensor loss = model.call(x).square().mean();
            if (use != "no backward")
                loss.backward();
            if (use == "twice")
                model.call(x).square().mean().backward();
        }

        Tensor?[] Gradients() => [.. model.parameters().Select(parameter => parameter.grad?.clone())];
    }

    /// <summary>A module whose divergence is that of another's weight.</summary>
    private sealed class Sharing(BayesLinear owner) : nn.Module<Tensor, Tensor>(nameof(Sharing)), IBayesianModule
    {
        public Estimators.Estimator Estimator { get; set; } = Estimators.Estimator.MeanOnly;

        public Estimators.NoiseSource Noise => owner.Noise;

        public IReadOnlyList<(Posterior Posterior, Prior Prior)> DivergenceTerms => [(owner.WeightPosterior, owner.WeightPrior)];

        public Tensor KlDivergence() => Divergences.KlDivergences.Compute(owner.WeightPosterior, owner.WeightPrior);

        public string? WhyNot(Estimators.Estimator estimator) => null;

        public override Tensor forward(Tensor input) => input.alias();
    }

    private static Sequential Model(ScalarType dtype, bool mixed)
    {
        manual_seed(1);
        return nn.Sequential(
            ("first", bnn.Linear(7, 5, dtype: dtype)),
            ("second", bnn.Linear(5, 5, dtype: dtype, options: new BayesOptions
            {
                Prior = GaussianPrior.With(0.2, 0.5),
                BiasPosterior = mixed ? new MeanFieldGaussianSpecification { Scale = ScaleParameterization.Softplus } : null,
            })),
            ("third", bnn.Linear(5, 2, dtype: dtype, options: new BayesOptions
            {
                Posterior = mixed ? new MeanFieldLaplaceSpecification() : new MeanFieldGaussianSpecification { InitialStdDev = 0.3 },
                Prior = GaussianPrior.WithStdDev(0.1),
                Estimator = Estimators.Estimator.SharedWeights,
            })));
    }

    private static Tensor[] Gradients(Sequential model) => [.. model.parameters().Select(parameter => parameter.grad!.clone())];
}
