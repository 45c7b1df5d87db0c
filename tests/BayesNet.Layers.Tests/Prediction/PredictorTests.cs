using BayesNet.Estimators;
using BayesNet.Likelihoods;
using BayesNet.Posteriors;
using BayesNet.Prediction;
using BayesNet.TestKit;
using TorchSharp.Modules;
using Xunit;
using static TorchSharp.torch;

namespace BayesNet.Layers.Tests.Prediction;

/// <summary>How a batch's samples are computed, whatever the estimator, the model and the memory.</summary>
public sealed class PredictorTests
{
    private static readonly long[] Budgets = [1, 700, 5000, 1 << 25];

    private static Sequential Model(ScalarType dtype = ScalarType.Float32, double stdDev = 0.3)
    {
        var options = new BayesOptions { Posterior = new MeanFieldGaussianSpecification { InitialStdDev = stdDev } };
        return nn.Sequential(
            ("hidden", bnn.Linear(3, 6, dtype: dtype, options: options)), ("tanh", nn.Tanh()), ("out", bnn.Linear(6, 2, dtype: dtype, options: options)));
    }

    private static PredictionOptions Within(long budget, bool keep = true, bool? independent = null)
        => new() { MemoryBudget = budget, KeepSamples = keep, RowsAreIndependent = independent };

    private static Tensor Inputs(long rows, ScalarType dtype = ScalarType.Float32)
    {
        using var noise = new NoiseSource(4);
        return noise.Normal([rows, 3], dtype, CPU);
    }

    public static TheoryData<string, ScalarType> EstimatorsAndTypes()
    {
        var data = new TheoryData<string, ScalarType>();
        foreach (EstimatorCase estimator in EstimatorCase.All)
        {
            data.Add(estimator.Name, ScalarType.Float32);
            data.Add(estimator.Name, ScalarType.Float64);
        }

        return data;
    }

    /// <summary>The same noise, so the same samples: moments and densities are equal to rounding, in whatever blocks.</summary>
    [Theory]
    [MemberData(nameof(EstimatorsAndTypes))]
    public void StreamedIsKept(string estimator, ScalarType dtype)
    {
        using var scope = NewDisposeScope();
        using var model = Model(dtype);
        using var likelihood = new GaussianLikelihood(noise: 0.2, dtype: dtype);
        using var _ = model.WithEstimator(EstimatorCase.Named(estimator).Estimator);
        Tensor x = Inputs(7, dtype), y = zeros([7, 2], dtype);
        double tolerance = dtype == ScalarType.Float32 ? 2e-6 : 1e-14;
        foreach (long budget in Budgets)
        {
            using Predictive kept = Seeded(() => Predictor.Predict(model, likelihood, x, 11, Within(budget)));
            using Predictive streamed = Seeded(() => Predictor.Predict(model, likelihood, x, 11, Within(budget, keep: false)));
            Assert.Equal([11, 7, 2], ((GaussianPredictive)kept).Components.shape);
            Check(kept.Mean, streamed.Mean);
            Check(kept.Epistemic, streamed.Epistemic);
            Check(kept.StdDev, streamed.StdDev);
            Check(kept.LogDensity(y), Seeded(() => Predictor.LogDensity(model, likelihood, x, y, 11, Within(budget))));
        }

        T Seeded<T>(Func<T> predict)
        {
            model.SeedNoise(9);
            return predict();
        }

        void Check(Tensor expected, Tensor computed)
        {
            Assert.Equal(expected.shape, computed.shape);
            Assert.InRange(((expected - computed) / expected.abs().clamp_min(1)).abs().max().to(ScalarType.Float64).item<double>(), 0, tolerance);
        }
    }

    /// <summary>The stand-ins draw what the estimators draw: one sample is the forward pass of the same seed, to rounding.</summary>
    [Theory]
    [MemberData(nameof(EstimatorsAndTypes))]
    public void OneSampleIsTheForwardPass(string estimator, ScalarType dtype)
    {
        using var scope = NewDisposeScope();
        using var model = Model(dtype);
        using var convolution = nn.Sequential(
            ("conv", bnn.Conv1d(1, 2, 2, dtype: dtype)), ("relu", nn.ReLU()), ("flatten", nn.Flatten()), ("out", bnn.Linear(4, 2, hasBias: false, dtype: dtype)));
        Tensor x = Inputs(7, dtype);
        foreach ((Sequential each, Tensor input) in new[] { (model, x), (convolution, x.unsqueeze(1)) })
        {
            using var _ = each.WithEstimator(EstimatorCase.Named(estimator).Estimator);
            each.SeedNoise(2);
            Tensor expected = each.call(input).detach();
            each.SeedNoise(2);
            Tensor computed = Predictor.SampleOutputs(each, input, 1).squeeze(0);
            Assert.InRange((expected - computed).abs().max().to(ScalarType.Float64).item<double>(), 0, dtype == ScalarType.Float32 ? 1e-6 : 1e-15);
        }
    }

    /// <summary>
    /// Means and covariances of the outputs of all rows jointly, covariances of their squares, and the dependence of a sample on the next, against
    /// those of a loop of forward passes.
    /// </summary>
    [Theory]
    [InlineData("shared weights")]
    [InlineData("weights per example")]
    [InlineData("local reparameterization")]
    [InlineData("flipout")]
    [InlineData("mixed")]
    public void SamplesAreDistributedAsForwardPasses(string estimator)
    {
        const int Samples = 2500;
        using var scope = NewDisposeScope();
        manual_seed(3);
        using var model = Model(ScalarType.Float64);
        model.SeedNoise(5);
        Tensor x = Inputs(2, ScalarType.Float64);
        if (estimator == "mixed")
            ((BayesLinear)model[0]).Estimator = Estimator.SharedWeights;
        else
            model.WithEstimator(EstimatorCase.Named(estimator).Estimator);
        var loop = new Tensor[Samples];
        using (no_grad())
        {
            for (int s = 0; s < Samples; s++)
                loop[s] = model.call(x);
        }

        Tensor expected = Statistics(stack(loop));

        // All at once, one row of some samples at a time, one row of one sample at a time.
        foreach (long budget in new[] { 1L << 25, 1000, 1 })
        {
            Tensor computed = Statistics(Predictor.SampleOutputs(model, x, Samples, Within(budget)));
            Tensor standardError = (expected.var(0).div(Samples) + computed.var(0).div(Samples)).sqrt();
            Tensor z = (expected.mean([0]) - computed.mean([0])).abs() / standardError.clamp_min(1e-12);
            Assert.True(z.max().item<double>() < SampleMoments.StandardErrors, $"{z.max().item<double>():F1} standard errors at {budget} bytes.");
        }

        // (S, statistics): outputs, their products, those of their squares, and products with the next sample's.
        static Tensor Statistics(Tensor outputs)
        {
            Tensor f = outputs.flatten(1) * 2;
            Tensor g = f.square() - f.square().mean([0]), centred = f - f.mean([0]);
            return cat([f, Products(centred, centred), Products(g, g), Products(centred, centred.roll(1, 0)), Products(g, g.roll(1, 0))], 1);

            static Tensor Products(Tensor a, Tensor b) => (a.unsqueeze(1) * b.unsqueeze(2)).flatten(1);
        }
    }

    [Theory]
    [InlineData("local reparameterization", 2)]
    [InlineData("weights per example", 2)]
    [InlineData("shared weights", 101)]
    [InlineData("flipout", 100)]
    public void SamplesShareAPassWhereTheyMay(string estimator, int calls)
    {
        using var scope = NewDisposeScope();
        using var model = Model();
        using var _ = model.WithEstimator(EstimatorCase.Named(estimator).Estimator);
        List<long> inputRows = [], hiddenRows = [];
        ((BayesLinear)model[0]).register_forward_pre_hook((_, input) => { inputRows.Add(input.size(0)); return input; });
        ((Tanh)model[1]).register_forward_hook((_, input, output) => { hiddenRows.Add(input.size(0)); return output; });
        Predictor.SampleOutputs(model, Inputs(7), 100);

        // A pass of one row at the means finds the size of the blocks, where there are any.
        Assert.Equal(calls, inputRows.Count);
        Assert.Equal(calls == 2 ? 700 : 7, hiddenRows[^1]);
        Assert.Equal(7, inputRows[^1]);
    }

    [Fact]
    public void BlocksKeepToTheBudget()
    {
        using var scope = NewDisposeScope();
        using var model = Model();
        var rows = new List<long>();
        ((Tanh)model[1]).register_forward_hook((_, input, output) => { rows.Add(input.size(0)); return output; });

        // The widest module takes 2 * 3 + 3 * 6 floats a row and sample: 96 bytes.
        Predictor.SampleOutputs(model, Inputs(7), 100, Within(96 * 7 * 30));
        Assert.Equal([1, 175, 175, 175, 175], rows);
        rows.Clear();
        Predictor.SampleOutputs(model, Inputs(7), 2, Within(96 * 3));
        Assert.Equal([1, 3, 3, 3, 3, 2], rows);
    }

    /// <summary>A shared weight is one function for all rows, though they are computed in parts; each call of a layer in a pass has its own.</summary>
    [Fact]
    public void SharedWeightsAreHeldOverTheRowsOfASample()
    {
        using var scope = NewDisposeScope();
        using var model = Model();
        using var twice = new Twice(bnn.Linear(3, 2));
        Tensor same = ones(5, 3);
        foreach (nn.Module<Tensor, Tensor> each in new nn.Module<Tensor, Tensor>[] { model, twice })
        {
            using var _ = each.WithEstimator(Estimator.SharedWeights);
            Tensor outputs = Predictor.SampleOutputs(each, same, 4, Within(1, independent: true));
            Assert.Equal(0, (outputs - outputs.narrow(1, 0, 1)).abs().max().item<float>());
            Assert.True((outputs[0, 0] - outputs[1, 0]).abs().min().item<float>() > 0);
        }
    }

    [Fact]
    public void RowsThatAreNotIndependentStayTogether()
    {
        using var scope = NewDisposeScope();
        using var model = new Centred(bnn.Linear(3, 2));
        Tensor centred = Predictor.SampleOutputs(model, Inputs(6), 20, Within(1));
        Assert.Equal(20 * 6, model.Rows);
        Assert.True(centred.mean([1]).abs().max().item<float>() < 1e-6);

        // Said otherwise, which is wrong here, every row is its own mean.
        Tensor alone = Predictor.SampleOutputs(model, Inputs(6), 20, Within(1, independent: true));
        Assert.Equal(0, alone.abs().max().item<float>());

        using var norm = nn.Sequential(("out", bnn.Linear(3, 2)), ("norm", nn.BatchNorm1d(2, track_running_stats: false)));
        Assert.True(Predictor.SampleOutputs(norm, Inputs(6), 5, Within(1)).mean([1]).abs().max().item<float>() < 1e-5);
    }

    [Fact]
    public void EveryPosteriorPredicts()
    {
        using var scope = NewDisposeScope();
        foreach (PosteriorSpecification posterior in new PosteriorSpecification[]
        {
            new LowRankGaussianSpecification(), new FullCovarianceGaussianSpecification(), new MatrixNormalSpecification(),
            new VariationalDropoutSpecification(),
        })
        {
            var options = new BayesOptions { Posterior = posterior, BiasPosterior = new MeanFieldGaussianSpecification() };
            using var model = nn.Sequential(
                ("conv", bnn.Conv1d(1, 2, 2, options: options)), ("relu", nn.ReLU()), ("flatten", nn.Flatten()), ("out", bnn.Linear(4, 2, options: options)));
            Tensor outputs = Predictor.SampleOutputs(model, Inputs(4).unsqueeze(1), 9, Within(2000));
            Assert.Equal([9, 4, 2], outputs.shape);
            Assert.True((outputs[0] - outputs[8]).abs().min().item<float>() > 0);
        }
    }

    [Fact]
    public void InputsWithoutABatchAndBatchesWithoutRowsStillPass()
    {
        using var scope = NewDisposeScope();
        using var model = Model();
        using var convolution = bnn.Conv2d(2, 3, 2);
        Assert.Equal([5, 2], Predictor.SampleOutputs(model, ones(3), 5).shape);
        Assert.Equal([5, 3, 3, 3], Predictor.SampleOutputs(convolution, ones(2, 4, 4), 5).shape);
        Assert.Equal([5, 0, 2], Predictor.SampleOutputs(model, ones(0, 3), 5).shape);
        Assert.Equal([5, 1, 2], Predictor.SampleOutputs(model, ones(1, 3), 5, Within(1)).shape);
    }

    [Fact]
    public void TheModelIsAsItWas()
    {
        using var scope = NewDisposeScope();
        using var model = Model();
        ((BayesLinear)model[0]).Estimator = Estimator.SharedWeights;
        model.train();
        Predictor.SampleOutputs(model, Inputs(3), 2);
        Check();
        Assert.Throws<ArgumentException>("input", () => Predictor.SampleOutputs(model, ones(3, 4), 2));
        Check();

        void Check()
        {
            Assert.Same(Estimator.SharedWeights, ((BayesLinear)model[0]).Estimator);
            Assert.Same(Estimator.LocalReparameterization, ((BayesLinear)model[2]).Estimator);
            Assert.True(model.training && model[1] is Tanh { training: true });
        }
    }

    [Fact]
    public void SeededNoiseRepeatsACall()
    {
        using var scope = NewDisposeScope();
        using var model = Model();
        Tensor Sample(long budget)
        {
            model.SeedNoise(1);
            return Predictor.SampleOutputs(model, Inputs(6), 5, Within(budget));
        }

        Assert.True(Sample(2000).eq(Sample(2000)).all().item<bool>());
    }

    [Fact]
    public void BadArgumentsAreNamed()
    {
        using var scope = NewDisposeScope();
        using var model = Model();
        using var likelihood = new GaussianLikelihood();
        Assert.Throws<ArgumentOutOfRangeException>("MemoryBudget", () => Within(0));
        Assert.Throws<ArgumentOutOfRangeException>("samples", () => Predictor.Predict(model, likelihood, Inputs(3), 0, Within(1, keep: false)));
        Assert.Throws<ArgumentNullException>("inputs", () => Predictor.Predict(model, likelihood, null!));
        Assert.Throws<ArgumentNullException>("model", () => Predictor.SampleOutputs(null!, Inputs(3), 1));
        Assert.Throws<ArgumentNullException>("likelihood", () => Predictor.LogDensity(model, null!, Inputs(3), ones(3, 2)));
        Assert.Throws<ArgumentException>("targets", () => Predictor.LogDensity(model, likelihood, Inputs(3), ones(2, 2)));
        Assert.Throws<ArgumentException>("target", () => Predictor.LogDensity(model, likelihood, Inputs(3), ones(3)));
    }

    /// <summary>y = f(x) - f(x), f drawn anew at each call.</summary>
    private sealed class Twice : nn.Module<Tensor, Tensor>
    {
        private readonly BayesLinear _layer;

        public Twice(BayesLinear layer)
            : base(nameof(Twice))
        {
            _layer = layer;
            RegisterComponents();
        }

        public override Tensor forward(Tensor input)
        {
            using var scope = NewDisposeScope();
            return (_layer.call(input) - _layer.call(input)).MoveToOuterDisposeScope();
        }

        protected override void Dispose(bool disposing)
        {
            if (disposing)
                _layer.Dispose();
            base.Dispose(disposing);
        }
    }

    /// <summary>Takes the batch's mean off each row.</summary>
    private sealed class Centred : nn.Module<Tensor, Tensor>
    {
        private readonly BayesLinear _layer;

        public Centred(BayesLinear layer)
            : base(nameof(Centred))
        {
            _layer = layer;
            RegisterComponents();
        }

        public long Rows { get; private set; }

        public override Tensor forward(Tensor input)
        {
            using var scope = NewDisposeScope();
            Rows += input.size(0);
            Tensor output = _layer.call(input);
            return (output - output.mean([0], keepdim: true)).MoveToOuterDisposeScope();
        }

        protected override void Dispose(bool disposing)
        {
            if (disposing)
                _layer.Dispose();
            base.Dispose(disposing);
        }
    }
}
