using System.Diagnostics;
using BayesNet.Diagnostics;
using BayesNet.Likelihoods;
using BayesNet.Posteriors;
using BayesNet.Training;
using Xunit;
using static TorchSharp.torch;

namespace BayesNet.Layers.Tests.Diagnostics;

public sealed class TailWarningsTests
{
    /// <summary>A squared loss asks for nu > 2 in the locations and nu > 4 in the scales.</summary>
    [Theory]
    [InlineData(1, true, "location and in the scale")]
    [InlineData(2, true, "location and in the scale")]
    [InlineData(3, true, "scale")]
    [InlineData(4, true, "scale")]
    [InlineData(4.5, false, "")]
    public void LayersOfInfiniteVarianceAreNamed(double nu, bool warned, string gradient)
    {
        using var model = Model(nu);
        IReadOnlyList<TailWarning> warnings = model.TailWarnings(growth: 1);
        if (!warned)
        {
            Assert.Empty(warnings);
            return;
        }

        TailWarning warning = Assert.Single(warnings);
        Assert.Equal("heavy", warning.Layer);
        Assert.StartsWith($"Layer 'heavy': the posterior of weight and bias has tail index {nu}, where the gradient in the {gradient} has", warning.Message);
        Assert.Contains("more than 4 degrees of freedom (location alone: 2)", warning.Message);
    }

    [Fact]
    public void GrowthDecides()
    {
        using var model = Model(4.5);
        Assert.Empty(model.TailWarnings(growth: 0));
        Assert.Empty(model.TailWarnings(growth: 1));
        Assert.Single(model.TailWarnings(growth: 1.5));
        Assert.Throws<ArgumentOutOfRangeException>("growth", () => model.TailWarnings(double.NaN));
        Assert.Throws<ArgumentNullException>("model", () => TailWarningExtensions.TailWarnings(null!, 1));
    }

    /// <summary>A part of light tails is left out, nested layers have their path, a shared layer comes once, and a model may be a layer.</summary>
    [Fact]
    public void NamesAreThoseOfTheModel()
    {
        using var mixed = bnn.Linear(2, 2, options: Heavy(3) with { BiasPosterior = new MeanFieldLaplaceSpecification() });
        TailWarning own = Assert.Single(mixed.TailWarnings(1));
        Assert.Equal("", own.Layer);
        Assert.StartsWith("Layer 'BayesLinear': the posterior of weight has tail index 3", own.Message);
        using var inner = nn.Sequential(("first", mixed), ("again", mixed));
        using var outer = nn.Sequential(("block", inner), ("last", bnn.Linear(2, 1, options: Heavy(1))));
        Assert.Equal(["block.first", "last"], outer.TailWarnings(1).Select(warning => warning.Layer).Order());
    }

    [Fact]
    public void ATrainerWarnsOnceUnderAGaussianLikelihoodOnly()
    {
        using var scope = NewDisposeScope();
        using var model = Model(3);
        var messages = new List<string>();
        var options = new TrainerOptions { Epochs = 2, Warn = messages.Add };
        using var gaussian = new GaussianLikelihood();
        using (var trainer = new VariationalTrainer(model, gaussian, 10, options))
        {
            Assert.Equal(model.TailWarnings(1).Select(warning => warning.Message), messages);
            trainer.Fit(new TrainingData(randn(10, 3), randn(10, 2)), cancellationToken: CancellationToken.None);
        }

        Assert.Single(messages);
        using var categorical = new CategoricalLikelihood();
        using (new VariationalTrainer(model, categorical, 10, options))
            Assert.Single(messages);
    }

    [Fact]
    public void WithoutASinkTheWarningIsTraced()
    {
        using var model = Model(2);
        using var likelihood = new GaussianLikelihood();
        using var text = new StringWriter();
        using var listener = new TextWriterTraceListener(text);
        Trace.Listeners.Add(listener);
        try
        {
            using var trainer = new VariationalTrainer(model, likelihood, 10);
        }
        finally
        {
            Trace.Listeners.Remove(listener);
        }

        listener.Flush();
        Assert.Contains("Warning", text.ToString());
        Assert.Contains("Layer 'heavy'", text.ToString());
    }

    private static BayesOptions Heavy(double nu) => new()
    {
        Posterior = new MeanFieldStudentTSpecification { DegreesOfFreedom = nu },
        Estimator = Estimators.Estimator.SharedWeights,
    };

    private static TorchSharp.Modules.Sequential Model(double nu)
        => nn.Sequential(("light", bnn.Linear(3, 4)), ("relu", nn.ReLU()), ("heavy", bnn.Linear(4, 2, options: Heavy(nu))));
}
