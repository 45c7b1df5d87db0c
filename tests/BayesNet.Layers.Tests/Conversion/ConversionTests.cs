using BayesNet.Estimators;
using BayesNet.Layers.Conversion;
using BayesNet.Posteriors;
using BayesNet.Priors;
using TorchSharp;
using TorchSharp.Modules;
using Xunit;
using static TorchSharp.torch;

namespace BayesNet.Layers.Tests.Conversion;

public sealed class ConversionTests
{
    [Fact]
    public void EveryKindOfPlaceIsConvertedAndTheMeanIsTheModelBefore()
    {
        using var scope = NewDisposeScope();
        using var model = new Block(5);
        Tensor x = randn(7, 5);
        Tensor before = model.call(x);
        string[] names = [.. model.named_children().Select(child => child.name)];
        nn.Module<Tensor, Tensor> result = model.ToBayesian(null, out ConversionReport report);
        Assert.Same(model, result);
        Assert.Equal(names, model.named_children().Select(child => child.name));

        // _first and _again are one layer; then two branches, one by name, one in each collection.
        Assert.Equal(6, report.Converted.Count());
        Assert.Equal(6, model.BayesianModules().Count());
        Assert.Equal(6, model.modules().OfType<BayesLinear>().Distinct().Count());
        Assert.DoesNotContain(model.modules(), module => module is Linear);
        using (model.WithEstimator(Estimator.MeanOnly))
            Assert.True(model.call(x).allclose(before));
        Assert.False(model.call(x).allclose(before));
        Assert.Contains("branch1.weight.mean", model.state_dict().Keys);
        Assert.Contains("_dict.x.weight.mean", model.state_dict().Keys);
    }

    [Fact]
    public void ModulesSharedBetweenParentsStayShared()
    {
        using var scope = NewDisposeScope();
        nn.Module<Tensor, Tensor> shared = nn.Linear(4, 4);
        using var model = nn.Sequential(("a", new Block(4, shared)), ("b", new Block(4, shared)), ("c", shared));
        long parameters = model.parameters().Sum(parameter => parameter.numel());
        model.ToBayesian();
        Assert.Equal(2 * parameters, model.parameters().Sum(parameter => parameter.numel()));
        nn.Module converted = model.named_children().Last().module;
        Assert.IsType<BayesLinear>(converted);
        Assert.Equal(5, model.named_modules().Count(entry => ReferenceEquals(entry.module, converted)));
        model.call(randn(2, 4)).sum().backward();
    }

    [Fact]
    public void TheModelItselfMayBeALayer()
    {
        using var scope = NewDisposeScope();
        nn.Module<Tensor, Tensor> layer = nn.Linear(3, 2, dtype: ScalarType.Float64);
        layer.eval();
        nn.Module<Tensor, Tensor> twin = layer.ToBayesian();
        Assert.IsType<BayesLinear>(twin);
        Assert.False(twin.training);
        Tensor x = randn(4, 3, dtype: ScalarType.Float64);
        using (twin.WithEstimator(Estimator.MeanOnly))
            Assert.True(twin.call(x).allclose(layer.call(x)));
        nn.Module<Tensor, Tensor> back = twin.ToDeterministic();
        Assert.IsType<Linear>(back);
        Assert.False(back.training);
        Assert.True(back.call(x).allclose(layer.call(x)));
    }

    [Fact]
    public void FieldsThatCantHoldABayesianLayerAreReportedBeforeAnythingIsChanged()
    {
        using var model = nn.Sequential(("rigid", new Rigid()), ("out", nn.Linear(3, 1)));
        nn.Module[] before = [.. model.modules()];
        ConversionException error = Assert.Throws<ConversionException>(() => model.ToBayesian());
        Assert.Equal(before, model.modules());
        Assert.Equal(4, error.Problems.Count);
        Assert.Contains("'rigid': Rigid._fc is a Linear, which can't hold a BayesLinear; declare it as Module<Tensor, Tensor>.", error.Problems);
        Assert.Contains("'rigid': Rigid._conv is a Conv1d, which can't hold a BayesConv1d; declare it as Module<Tensor, Tensor>.", error.Problems);
        Assert.Contains("'rigid._list': ModuleList<Linear>._list is a List<Linear>, which can't hold a BayesLinear; declare its elements as Module<Tensor, Tensor>.", error.Problems);
        Assert.Contains(error.Problems, problem => problem.Contains("registers 'hidden' but no field of it", StringComparison.Ordinal));

        // Layers in other places can be converted alone.
        model.ToBayesian(new ConversionOptions { Layers = LayerSelection.Named("rigid._good", "o*") });
        Assert.Equal(["rigid._good", "out"], model.BayesianModules().Select(entry => entry.Name).Order().Reverse());
    }

    [Fact]
    public void HalfPrecisionIsReportedByName()
    {
        using var model = nn.Sequential(("a", nn.Linear(2, 2)), ("b", nn.Linear(2, 2, dtype: ScalarType.BFloat16)));
        ConversionException error = Assert.Throws<ConversionException>(() => model.ToBayesian());
        Assert.StartsWith("'b': ", Assert.Single(error.Problems), StringComparison.Ordinal);
        Assert.Empty(model.BayesianModules());
    }

    [Fact]
    public void SelectionsAndOptionsByLayer()
    {
        using var model = new SmallCnn();
        model.ToBayesian(new ConversionOptions { Layers = LayerSelection.LastLayer }, out ConversionReport report);
        Assert.Equal("_head", Assert.Single(report.Converted).Name);
        Assert.Equal(
            [("_features.conv", "it is not the last layer"), ("_features.norm", "normalisations are, unless ConversionOptions.Normalizations is true")],
            report.Kept.Select(entry => (entry.Name, entry.Reason)).ToArray()!);
        Assert.Contains("kept: it is not the last layer", report.ToString(), StringComparison.Ordinal);
        model.ToBayesian(new ConversionOptions { Layers = LayerSelection.OfType<Conv2d>(), OptionsFor = (name, _) => name.EndsWith("conv", StringComparison.Ordinal) ? new BayesOptions { Seed = 7 } : null }, out report);
        Assert.Equal("_features.conv", Assert.Single(report.Converted).Name);
        Assert.Equal(7ul, model.BayesianModules().Single(entry => entry.Name == "_features.conv").Module.Noise.Seed);
        Assert.Contains(report.Kept, entry => entry is { Name: "_head", Reason: "it is Bayesian already" });

        // The registry is that of the fields: a new type reaches what the forward pass computes with.
        using Tensor x = randn(2, 1, 8, 8);
        model.eval();
        using (model.WithEstimator(Estimator.MeanOnly))
        {
            using Tensor before = model.call(x);
            model.to(ScalarType.Float64);
            using Tensor after = model.call(x.to(ScalarType.Float64));
            Assert.True(after.allclose(before.to(ScalarType.Float64), 1e-4, 1e-5));
        }

        using var other = new SmallCnn();
        other.ToBayesian(new ConversionOptions { Layers = LayerSelection.Where((_, module) => module is Conv2d), OptionsFor = (_, _) => null }, out report);
        Assert.Empty(report.Converted);
        Assert.Contains(report.Kept, entry => entry is { Name: "_features.conv", Reason: "the options leave it out" });
    }

    [Fact]
    public void FrozenLayersAreKeptUnlessAskedFor()
    {
        using var model = nn.Sequential(("a", nn.Linear(2, 2)), ("b", nn.Linear(2, 2)), ("c", nn.Linear(2, 2)));
        foreach (Parameter parameter in model.children().First().parameters())
            parameter.requires_grad = false;
        ((Linear)model.children().ElementAt(1)).bias!.requires_grad = false;
        model.ToBayesian(null, out ConversionReport report);
        Assert.Equal("its parameters are frozen", Assert.Single(report.Kept).Reason);
        Dictionary<string, Parameter> parameters = model.named_parameters().ToDictionary(entry => entry.name, entry => entry.parameter);
        Assert.True(parameters["b.weight.mean"].requires_grad);
        Assert.False(parameters["b.bias.mean"].requires_grad);
        Assert.True(parameters["b.bias.log_scale"].requires_grad);
        model.ToBayesian(new ConversionOptions { Frozen = true });
        parameters = model.named_parameters().ToDictionary(entry => entry.name, entry => entry.parameter);
        Assert.False(parameters["a.weight.mean"].requires_grad);
        Assert.True(parameters["a.weight.log_scale"].requires_grad);
        model.call(ones(1, 2)).sum().backward();
        model.ToDeterministic();
        Assert.Equal([false, false, true, false, true, true], model.parameters().Select(parameter => parameter.requires_grad));
    }

    [Fact]
    public void MopedStartsAtTheTrainedWeights()
    {
        using var scope = NewDisposeScope();
        Linear layer = nn.Linear(3, 2, dtype: ScalarType.Float64);
        using (no_grad())
            layer.weight[0, 0].zero_();
        var twin = (BayesLinear)layer.ToBayesian(new ConversionOptions { Options = BayesOptions.Moped(delta: 0.2, priorStdDev: 0.5, floor: 1e-3) });
        var posterior = Assert.IsType<MeanFieldGaussian>(twin.WeightPosterior);
        Assert.True(posterior.StdDev.allclose((layer.weight.abs() * 0.2).clamp_min(1e-3)));
        Assert.Equal(1e-3, posterior.StdDev[0, 0].item<double>(), 12);
        var prior = Assert.IsType<GaussianPrior>(twin.WeightPrior);
        Assert.True(prior.Mean!.allclose(layer.weight));
        Assert.True(prior.StdDev!.allclose(full_like(layer.weight, 0.5)));

        // KL of N(w, s^2) from N(w, 0.5^2), by hand.
        Tensor s = cat([posterior.StdDev.flatten(), ((MeanFieldGaussian)twin.BiasPosterior!).StdDev]);
        double expected = ((0.5 / s).log() + (s * s / 0.5) - 0.5).sum().item<double>();
        Assert.Equal(expected, twin.KlDivergence().item<double>(), 10);
        Assert.Throws<ArgumentOutOfRangeException>("Delta", () => BayesOptions.Moped(delta: 0));
    }

    [Fact]
    public void ACopyLeavesTheModelAsItWas()
    {
        using var scope = NewDisposeScope();
        using var model = nn.Sequential(("cnn", new SmallCnn()), ("relu", nn.ReLU()), ("block", new Block(3)));
        model.eval();
        Tensor x = randn(3, 1, 8, 8);
        Tensor before = model.call(x);
        var options = new ConversionOptions { Copy = true, Layers = LayerSelection.Where((name, _) => name.StartsWith("block", StringComparison.Ordinal)) };
        nn.Module<Tensor, Tensor> copy = model.ToBayesian(options);
        Assert.NotSame(model, copy);
        Assert.Empty(model.BayesianModules());
        Assert.Equal(6, copy.BayesianModules().Count());
        Assert.False(copy.training);
        using (copy.WithEstimator(Estimator.MeanOnly))
            Assert.True(copy.call(x).allclose(before));
        Assert.Equal(model.named_children().Select(child => child.name), copy.named_children().Select(child => child.name));

        // Nothing of it is shared.
        var own = model.parameters().Select(parameter => parameter.Handle).ToHashSet();
        Assert.DoesNotContain(copy.parameters(), parameter => own.Contains(parameter.Handle));
        copy.train();
        using (no_grad())
        {
            foreach (Parameter parameter in copy.parameters())
                parameter.add_(1);
            copy.call(x).Dispose();
        }

        Assert.True(model.call(x).allclose(before));
        nn.Module<Tensor, Tensor> back = copy.ToDeterministic(copy: true);
        Assert.Empty(back.BayesianModules());
        Assert.Equal(6, copy.BayesianModules().Count());
        copy.Dispose();
        Assert.True(model.call(x).allclose(before));

        // A layer is copied too.
        nn.Module<Tensor, Tensor> layer = nn.Linear(2, 2);
        Assert.IsType<BayesLinear>(layer.ToBayesian(new ConversionOptions { Copy = true }));
    }

    [Fact]
    public void ACopyOfWhatTorchSharpKeepsInNativeMemoryIsRefused()
    {
        using var model = nn.Sequential(("embedding", new Flat(nn.LSTM(3, 4, numLayers: 2))), ("out", nn.Linear(4, 1)));
        ConversionException error = Assert.Throws<ConversionException>(
            () => model.ToBayesian(new ConversionOptions { Copy = true, Layers = LayerSelection.LastLayer }));
        Assert.Contains("LSTM", error.Message, StringComparison.Ordinal);
        Assert.Empty(model.BayesianModules());
    }

    [Fact]
    public void OneDrawIsADrawOfThePosterior()
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        var options = new BayesOptions { Posterior = new MeanFieldGaussianSpecification { InitialStdDev = 0.5 } };
        nn.Module<Tensor, Tensor> model = nn.Sequential(bnn.Linear(20, 30, options: options), nn.ReLU(), bnn.Linear(30, 2, options: options));
        Tensor First(nn.Module<Tensor, Tensor> network) => network.parameters().First().alias();
        Tensor mean = First(model).clone();
        Tensor a = First(model.ToDeterministic(DeterministicWeights.Sample, seed: 3, copy: true)), b = First(model.ToDeterministic(DeterministicWeights.Sample, seed: 3, copy: true));
        Assert.True(a.equal(b).all().item<bool>());
        Tensor z = (a - mean) / 0.5;

        // 600 normals: standard errors 0.041 of the mean and 0.029 of the standard deviation.
        Assert.Equal(0, z.mean().item<float>(), 0.041 * 4.5);
        Assert.Equal(1, z.std().item<float>(), 0.029 * 4.5);
        Assert.False(a.equal(First(model.ToDeterministic(DeterministicWeights.Sample, seed: 4, copy: true))).all().item<bool>());
        Assert.Throws<InvalidOperationException>(() => nn.Linear(1, 1).ToDeterministic());
    }

    private sealed class Flat : nn.Module<Tensor, Tensor>
    {
        private readonly LSTM _lstm;

        public Flat(LSTM lstm)
            : base(nameof(Flat))
        {
            _lstm = lstm;
            RegisterComponents();
        }

        public override Tensor forward(Tensor input) => _lstm.call(input).Item1;
    }
}
