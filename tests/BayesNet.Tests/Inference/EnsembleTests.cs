using BayesNet.Inference;
using BayesNet.Likelihoods;
using BayesNet.Prediction;
using BayesNet.Tests.Likelihoods;
using BayesNet.Training;
using Xunit;
using static TorchSharp.torch;

namespace BayesNet.Tests.Inference;

public sealed class EnsembleTests
{
    public static TheoryData<string> Names => LikelihoodCases.Names;

    /// <summary>Predictives of likelihoods with parameters of their own, joined: density, moments, draws' law and quantiles are the mixture's.</summary>
    [Theory]
    [MemberData(nameof(Names))]
    public void JoinedPredictivesAreTheMixture(string name)
    {
        using var scope = NewDisposeScope();
        Tensor target = LikelihoodCases.Target(name);
        var outputs = new[] { LikelihoodCases.Outputs(name, 2), LikelihoodCases.Outputs(name, 3) + 0.3 };
        Predictive[] parts = [Part(0), Part(1)], again = [Part(0), Part(1)];
        Tensor density = logaddexp(parts[0].LogDensity(target) + Math.Log(2.0 / 5), parts[1].LogDensity(target) + Math.Log(3.0 / 5));
        Tensor mean = (parts[0].Mean * 2 + parts[1].Mean * 3) / 5;
        Tensor epistemic = (((parts[0].Mean - mean).square() + parts[0].Epistemic.square()) * 2 + ((parts[1].Mean - mean).square() + parts[1].Epistemic.square()) * 3) / 5;
        Tensor aleatoric = (parts[0].Aleatoric.square() * 2 + parts[1].Aleatoric.square() * 3) / 5;
        using Predictive joined = Predictive.Join(parts);
        Assert.Equal(5, joined.Samples);
        Close(density, joined.LogDensity(target));
        Close(mean, joined.Mean);
        Close(epistemic, joined.Epistemic.square());
        Close(aleatoric, joined.Aleatoric.square());
        Assert.Equal([7L, LikelihoodCases.Batch], joined.Sample(7, seed: 1).shape[..2]);
        (Tensor low, Tensor high) = joined.Interval(0.5);
        Assert.True(low.le(high).all().item<bool>());

        // Moments alone: the mixture has them alone too.
        using Predictive moments = Predictive.Join([again[0], Streamed(1)]);
        again[1].Dispose();
        Assert.False(moments.HasSamples);
        Close(joined.Mean, moments.Mean);
        Close(joined.Epistemic, moments.Epistemic);
        Close(joined.Aleatoric, moments.Aleatoric);

        Predictive Part(int i)
        {
            using Likelihood likelihood = Own(i);
            return likelihood.Predict(outputs[i]);
        }

        Predictive Streamed(int i)
        {
            using Likelihood likelihood = Own(i);
            using var running = new RunningMoments(likelihood);
            running.Add(new SampleBlock(0, null, outputs[i]));
            return running.Result();
        }

        Likelihood Own(int i)
        {
            Likelihood likelihood = LikelihoodCases.Create(name);
            using var _ = no_grad();
            foreach (Tensor parameter in likelihood.parameters())
                parameter.add_(0.2 * i);
            return likelihood;
        }
    }

    /// <summary>The density of an ensemble is that of its members by hand, each with the noise that it learned; one sample serves a network.</summary>
    [Fact]
    public void MembersHaveNoiseOfTheirOwn()
    {
        using var scope = NewDisposeScope();
        Tensor x = linspace(-1, 1, 40).unsqueeze(1), y = (x * 3).sin() + 0.1 * (x * 50).cos();
        var method = new DeepEnsemble(new MaximumAPosteriori { Training = new TrainerOptions { Epochs = 20, LearningRate = 0.02 } }) { Members = 3, Seed = 4 };
        using FittedPosterior fitted = method.Fit(() => nn.Sequential(nn.Linear(1, 8), nn.Tanh(), nn.Linear(8, 1)), () => new GaussianLikelihood(), new TrainingData(x, y), cancellationToken: TestContext.Current.CancellationToken);
        var members = ((EnsemblePosterior)fitted).Members.Cast<NetworkPosterior>().ToArray();
        double[] noise = [.. members.Select(member => ((GaussianLikelihood)member.Likelihood).Noise)];
        Assert.Equal(3, noise.Distinct().Count());
        Tensor densities = stack([.. members.Select((member, m) => distributions.Normal(member.Model.call(x).detach(), full_like(y, noise[m])).log_prob(y).squeeze(1))]);
        Tensor expected = densities.logsumexp(0L) - Math.Log(3);
        Assert.Equal(3, fitted.SamplesUsed(100));
        using Predictive predictive = fitted.Predict(x);
        Assert.Equal(3, predictive.Samples);
        Close(expected, predictive.LogDensity(y), 1e-4);
        Close(expected, fitted.LogDensity(x, y), 1e-4);
        Assert.Equal(expected.mean().item<float>(), fitted.LogLikelihood(new TrainingData(x, y)), 1e-4);
        Assert.Equal(noise.Average(n => n * n), Math.Pow(predictive.Aleatoric[0, 0].item<float>(), 2), 1e-5);

    }

    [Fact]
    public void MembersShareTheSamplesEvenly()
    {
        using var model = nn.Sequential(nn.Dropout(0.5), nn.Linear(1, 1));
        using var likelihood = new GaussianLikelihood();
        using var ensemble = new EnsemblePosterior("test", [.. Enumerable.Range(0, 3).Select(_ => new McDropout().Around(model, likelihood))]);
        Assert.Equal([3, 9, 9, 12], new[] { 1, 7, 9, 10 }.Select(ensemble.SamplesUsed));
    }

    private static void Close(Tensor expected, Tensor actual, double tolerance = 1e-9)
        => Assert.True(expected.allclose(actual, tolerance, tolerance, equal_nan: true), $"expected {expected.ToString(TorchSharp.TensorStringStyle.Numpy)}, got {actual.ToString(TorchSharp.TensorStringStyle.Numpy)}");
}
