using System.Runtime.InteropServices;
using BayesNet.Divergences;
using BayesNet.Posteriors;
using BayesNet.Priors;
using BayesNet.TestKit;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace BayesNet.Tests.Divergences;

/// <summary>The divergence as one function of autograd against its plain twin, closed forms and finite differences.</summary>
public sealed class GaussianDivergenceNodeTests
{
    public static TheoryData<ScalarType, string, int, double> Cases() => new()
    {
        { ScalarType.Float32, "log", 1, 0 },
        { ScalarType.Float32, "log", 20_011, 0 },
        { ScalarType.Float32, "log", 20_011, 0.9 },
        { ScalarType.Float32, "softplus", 20_011, 0.5 },
        { ScalarType.Float32, "softplus", 1003, 0 },
        { ScalarType.Float64, "log", 37, 0 },
        { ScalarType.Float64, "log", 20_011, 0.5 },
        { ScalarType.Float64, "log", 101, 1 },
        { ScalarType.Float64, "softplus", 20_011, 0 },
        { ScalarType.Float64, "softplus", 101, 0.9 },
    };

    [Theory]
    [MemberData(nameof(Cases))]
    public void ValueAndGradientsAreThoseOfTheTwin(ScalarType dtype, string scale, int count, double pruned)
    {
        using var scope = NewDisposeScope();
        using MeanFieldGaussian q = Posterior(dtype, scale, count, pruned);
        using var prior = new GaussianPrior(0.2, 0.7);
        Tensor twin = q.Mask is null ? GaussianDivergence.ByMoments(q, prior) : KeptEntries.Divergence(q, prior, null, 1);
        Tensor[] expected = pruned < 1 ? Gradients(twin, q) : [zeros_like(q.MeanParameter), zeros_like(q.ScaleParameter)];
        Tensor? value = GaussianDivergenceNode.Sum((q, prior));
        Assert.NotNull(value);
        Assert.Equal(dtype, value.dtype);

        // The twin adds thousands of terms up in the tensor's type.
        double rounding = dtype == ScalarType.Float32 ? 2e-6 : 1e-13;
        Assert.Equal(twin.to(ScalarType.Float64).item<double>(), value.to(ScalarType.Float64).item<double>(), rounding * Math.Max(1, twin.to(ScalarType.Float64).item<double>()));
        foreach ((Tensor one, Tensor other) in expected.Zip(Gradients(value, q)))
            Assert.InRange((one - other).abs().max().to(ScalarType.Float64).item<double>(), 0, rounding * Math.Max(1, one.abs().max().to(ScalarType.Float64).item<double>()));
    }

    [Theory]
    [InlineData("log")]
    [InlineData("softplus")]
    public void ValueAndGradientsAreTheClosedForms(string scale)
    {
        using var scope = NewDisposeScope();
        using MeanFieldGaussian q = Posterior(ScalarType.Float64, scale, 203, 0);
        const double m = -0.3, s = 1.7;
        using var prior = new GaussianPrior(m, s);
        double expected = 0;
        var ofMean = new double[203];
        var ofScale = new double[203];
        double[] means = [.. q.Mean.data<double>()], rhos = [.. q.ScaleParameter.data<double>()];
        for (int i = 0; i < means.Length; i++)
        {
            double sigma = scale == "log" ? Math.Exp(rhos[i]) : Math.Log(1 + Math.Exp(rhos[i])), d = means[i] - m;
            expected += Math.Log(s / sigma) + (sigma * sigma + d * d) / (2 * s * s) - 0.5;
            ofMean[i] = d / (s * s);
            ofScale[i] = (sigma / (s * s) - 1 / sigma) * (scale == "log" ? sigma : 1 / (1 + Math.Exp(-rhos[i])));
        }

        Tensor value = KlDivergences.Compute(q, prior);
        Assert.Equal(1, value.item<double>() / expected, 1e-12);
        Tensor[] gradients = Gradients(value, q);
        Assert.InRange((gradients[0] - tensor(ofMean)).abs().max().item<double>(), 0, 1e-12);
        Assert.InRange((gradients[1] - tensor(ofScale)).abs().max().item<double>(), 0, 1e-12);
    }

    /// <summary>Where sigma underflows and where it is rho itself: the gradient stays what it is in the limit.</summary>
    [Theory]
    [InlineData(ScalarType.Float32)]
    [InlineData(ScalarType.Float64)]
    public void SoftplusIsRightAtItsEnds(ScalarType dtype)
    {
        using var scope = NewDisposeScope();
        double[] rhos = [-900, -120, -95, -50, -21, -20, -19.9, -3, -1e-3, 0, 1e-3, 3, 19.9, 40, 200];
        using var q = new MeanFieldGaussian(zeros(2 * rhos.Length - 1, dtype: dtype), 1, ScaleParameterization.Softplus);
        using (no_grad())
            q.ScaleParameter.copy_(tensor([.. rhos, .. rhos[1..].Select(rho => rho * 0.9)], dtype: dtype));
        using var prior = new GaussianPrior();
        Tensor twin = GaussianDivergence.ByMoments(q, prior), value = KlDivergences.Compute(q, prior);
        double rounding = dtype == ScalarType.Float32 ? 2e-6 : 1e-14;
        Assert.Equal(1, value.to(ScalarType.Float64).item<double>() / twin.to(ScalarType.Float64).item<double>(), rounding);
        Tensor[] expected = Gradients(twin, q), actual = Gradients(value, q);
        Assert.True(allclose(expected[1], actual[1], rtol: 4 * rounding, atol: 4 * rounding));
    }

    [Theory]
    [InlineData("log", 0)]
    [InlineData("softplus", 0)]
    [InlineData("log", 0.5)]
    [InlineData("softplus", 0.5)]
    public void GradientsAndTheirGradientsAreThoseOfFiniteDifferences(string scale, double pruned)
    {
        using var scope = NewDisposeScope();
        using MeanFieldGaussian q = Posterior(ScalarType.Float64, scale, 7, pruned);
        using var prior = new GaussianPrior(0.1, 0.8);
        (string, Tensor)[] parameters = [("mean", q.MeanParameter), ("scale", q.ScaleParameter)];
        FiniteDifferences.AssertGradients(() => KlDivergences.Compute(q, prior), parameters);
        FiniteDifferences.AssertGradients(
            () =>
            {
                // Finite differences are taken without recording, and this function takes a gradient of its own.
                using var recording = enable_grad();
                IList<Tensor> first = autograd.grad([KlDivergences.Compute(q, prior).pow(2)], [q.MeanParameter, q.ScaleParameter], create_graph: true);
                return first[0].pow(2).sum() + first[1].pow(2).sum();
            },
            parameters);
    }

    /// <summary>A factor with a gradient of its own, the graph kept, and a second divergence: what comes is multiplied and adds up.</summary>
    [Fact]
    public void GradientsAreMultipliedAndAddUp()
    {
        using var scope = NewDisposeScope();
        using MeanFieldGaussian q = Posterior(ScalarType.Float64, "log", 301, 0);
        using var prior = new GaussianPrior();
        Tensor[] once = Gradients(KlDivergences.Compute(q, prior), q);
        Tensor factor = tensor(0.25, requires_grad: true), value = KlDivergences.Compute(q, prior);
        Tensor loss = value * factor;
        q.zero_grad();
        loss.backward(retain_graph: true);
        loss.backward();
        KlDivergences.Compute(q, prior).backward();
        Assert.Equal(2 * value.item<double>(), factor.grad!.item<double>(), 1e-12);
        Assert.InRange((q.MeanParameter.grad! - once[0] * 1.5).abs().max().item<double>(), 0, 1e-14);
        Assert.InRange((q.ScaleParameter.grad! - once[1] * 1.5).abs().max().item<double>(), 0, 1e-14);

        // autograd.grad gives what nobody else holds, and leaves .grad.
        IList<Tensor> apart = autograd.grad([KlDivergences.Compute(q, prior)], [q.ScaleParameter]);
        Assert.InRange((apart[0] - once[1]).abs().max().item<double>(), 0, 1e-14);
        Assert.InRange((q.ScaleParameter.grad! - once[1] * 1.5).abs().max().item<double>(), 0, 1e-14);
    }

    [Fact]
    public void WhatNeedsNoGradientGetsNone()
    {
        using var scope = NewDisposeScope();
        using MeanFieldGaussian q = Posterior(ScalarType.Float32, "log", 9, 0);
        using var prior = new GaussianPrior();
        using (no_grad())
            Assert.False(KlDivergences.Compute(q, prior).requires_grad);
        q.MeanParameter.requires_grad_(false);
        KlDivergences.Compute(q, prior).backward();
        Assert.Null(q.MeanParameter.grad);
        Assert.NotNull(q.ScaleParameter.grad);
        q.zero_grad();
        q.MeanParameter.requires_grad_(true);
        q.ScaleParameter.requires_grad_(false);
        KlDivergences.Compute(q, prior).backward();
        Assert.NotNull(q.MeanParameter.grad);
        Assert.Null(q.ScaleParameter.grad);
        q.MeanParameter.requires_grad_(false);
        Assert.False(KlDivergences.Compute(q, prior).requires_grad);
    }

    [Fact]
    public void AConvertedPosteriorIsFollowed()
    {
        using var scope = NewDisposeScope();
        using MeanFieldGaussian q = Posterior(ScalarType.Float32, "log", 301, 0.5);
        using var prior = new GaussianPrior();
        double before = KlDivergences.Compute(q, prior).item<float>();
        q.to(ScalarType.Float64);
        Tensor value = KlDivergences.Compute(q, prior);
        Assert.Equal(before, value.item<double>(), 1e-6 * before);
        value.backward();
        Assert.Equal(ScalarType.Float64, q.ScaleParameter.grad!.dtype);
    }

    /// <summary>Parameters that no kernel can read, pairs of other forms, and more pairs than a node has inputs for go the plain way, with the same value.</summary>
    [Fact]
    public void WhatDoesNotFitGoesThePlainWay()
    {
        using var scope = NewDisposeScope();
        using var prior = new GaussianPrior();
        using MeanFieldGaussian q = Posterior(ScalarType.Float64, "log", 12, 0);
        Assert.NotNull(GaussianDivergenceNode.Sum((q, prior), (q, prior), (q, prior), (q, prior)));
        Assert.Null(GaussianDivergenceNode.Sum((q, prior), (q, prior), (q, prior), (q, prior), (q, prior)));
        Assert.Null(GaussianDivergenceNode.Sum((q, new GaussianPrior(zeros(12), ones(12)))));
        Assert.Null(GaussianDivergenceNode.Sum((q, prior), (q, new LaplacePrior())));
        using MeanFieldGaussian other = Posterior(ScalarType.Float32, "log", 12, 0);
        Assert.Null(GaussianDivergenceNode.Sum((q, prior), (other, prior)));

        using var transposed = new MeanFieldGaussian(q.Mean.detach().view(3, 4).t(), q.StdDev.detach().view(3, 4).t());
        Assert.Null(GaussianDivergenceNode.Sum((transposed, prior)));
        Assert.Equal(KlDivergences.Compute(q, prior).item<double>(), KlDivergences.Compute(transposed, prior).item<double>(), 1e-12);
    }

    [Theory]
    [InlineData(double.NaN)]
    [InlineData(double.PositiveInfinity)]
    public void OnlyWhatIsPrunedMayBeNotFinite(double bad)
    {
        using var scope = NewDisposeScope();
        using MeanFieldGaussian q = Posterior(ScalarType.Float64, "log", 19, 0);
        using var prior = new GaussianPrior();
        using (no_grad())
        {
            q.MeanParameter[2] = bad;
            q.ScaleParameter[17] = bad;
        }

        Assert.False(double.IsFinite(KlDivergences.Compute(q, prior).item<double>()));
        q.Prune(q.MeanParameter.detach().isfinite().logical_and(q.ScaleParameter.detach().isfinite()).logical_not());
        Tensor value = KlDivergences.Compute(q, prior);
        Assert.True(double.IsFinite(value.item<double>()));
        Assert.All(Gradients(value, q), gradient => Assert.True(gradient.isfinite().all().item<bool>()));
    }

    [Fact]
    public void AParameterChangedBeforeTheBackwardPassIsAnError()
    {
        using var scope = NewDisposeScope();
        using MeanFieldGaussian q = Posterior(ScalarType.Float64, "log", 19, 0);
        Tensor value = KlDivergences.Compute(q, new GaussianPrior());
        using (no_grad())
            q.ScaleParameter.add_(1);
        Assert.Throws<ExternalException>(() => value.backward());
    }

    /// <summary>With a thread that forces collections beside it.</summary>
    [Fact]
    public void NoTensorIsLeftBehind()
    {
        using MeanFieldGaussian q = Posterior(ScalarType.Float32, "log", 60_000, 0), pruned = Posterior(ScalarType.Float32, "softplus", 300, 0.5);
        using var prior = new GaussianPrior();
        for (int i = 0; i < 3; i++)
            Step();
        long before = LiveTensors.Settled();
        bool done = false;
        var collector = new Thread(() =>
        {
            while (!Volatile.Read(ref done))
            {
                GC.Collect();
                GC.WaitForPendingFinalizers();
            }
        });
        collector.Start();
        for (int i = 0; i < 300; i++)
            Step();
        Volatile.Write(ref done, true);
        collector.Join();
        Assert.Equal(before, LiveTensors.Settled());

        void Step()
        {
            using var scope = NewDisposeScope();
            q.zero_grad();
            (KlDivergences.Compute(q, prior) + KlDivergences.Compute(pruned, prior)).backward();
            KlDivergences.Compute(q, prior);
        }
    }

    private static MeanFieldGaussian Posterior(ScalarType dtype, string scale, int count, double pruned)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        Tensor index = arange(count, dtype: dtype);
        var posterior = new MeanFieldGaussian((index * 0.37).sin() * 1.3, 1, scale == "log" ? ScaleParameterization.Log : ScaleParameterization.Softplus);
        posterior.ScaleParameter.copy_((index * 0.73).cos() * 2 - 2.5);
        if (pruned > 0)
            posterior.Prune((index * 1.1).sin().mul(0.5).add(0.5).le(pruned));
        return posterior;
    }

    private static Tensor[] Gradients(Tensor divergence, MeanFieldGaussian q)
    {
        q.zero_grad();
        divergence.backward();
        Tensor[] gradients = [q.MeanParameter.grad!.clone(), q.ScaleParameter.grad!.clone()];
        q.zero_grad();
        return gradients;
    }
}
