using BayesNet.Likelihoods;
using BayesNet.Prediction;
using BayesNet.TestKit;
using Xunit;
using static TorchSharp.torch;

namespace BayesNet.Tests.Likelihoods;

/// <summary>What every likelihood promises.</summary>
public sealed class LikelihoodContractTests
{
    public static TheoryData<string> Names => LikelihoodCases.Names;

    [Theory]
    [MemberData(nameof(Names))]
    public void GradientsAreThoseOfFiniteDifferences(string name)
    {
        using var scope = NewDisposeScope();
        using Likelihood likelihood = LikelihoodCases.Create(name);
        Tensor output = LikelihoodCases.Outputs(name, 1)[0].clone().requires_grad_();
        Tensor target = LikelihoodCases.Target(name);
        (string, Tensor)[] leaves = [("output", output), .. likelihood.named_parameters().Where(p => p.parameter.requires_grad).Select(p => (p.name, (Tensor)p.parameter))];
        FiniteDifferences.AssertGradients(() => likelihood.LogLikelihood(output, target).sum(), leaves);
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Float32AgreesWithFloat64(string name)
    {
        using var scope = NewDisposeScope();
        using Likelihood single = LikelihoodCases.Create(name, ScalarType.Float32), twice = LikelihoodCases.Create(name);
        Tensor output = LikelihoodCases.Outputs(name, 1)[0].to(ScalarType.Float32);
        Tensor computed = single.LogLikelihood(output, LikelihoodCases.Target(name, ScalarType.Float32));
        Tensor exact = twice.LogLikelihood(output.to(ScalarType.Float64), LikelihoodCases.Target(name));
        Assert.Equal(ScalarType.Float32, computed.dtype);
        Assert.Equal([LikelihoodCases.Batch], computed.shape);

        // Targets, noise levels and a handful of operations, each to rounding, 6e-8.
        Assert.InRange(((computed - exact) / exact.abs().clamp_min(1)).abs().max().item<double>(), 0, 1e-6);
    }

    /// <summary>The gradient that steps without autograd take is that of the log likelihood.</summary>
    [Theory]
    [MemberData(nameof(Names))]
    public void DifferentiateIsTheGradient(string name)
    {
        foreach (MissingTargets missing in Enum.GetValues<MissingTargets>())
        {
            using var scope = NewDisposeScope();
            using Likelihood likelihood = LikelihoodCases.Create(name, missing: missing);
            Tensor output = LikelihoodCases.Outputs(name, 1)[0].clone().requires_grad_();
            Tensor target = missing == MissingTargets.Masked ? WithHoles(name) : LikelihoodCases.Target(name);
            Tensor total = likelihood.LogLikelihood(output, target).sum();
            (total * 0.25).backward();
            Tensor expected = output.grad!.clone();
            double[] gradients = [.. likelihood.parameters().Where(p => p.requires_grad).Select(p => p.grad!.sum().item<double>())];
            foreach (var parameter in likelihood.parameters())
                parameter.grad = null;

            var gradient = new double[output.numel()];
            double[] entries = output.detach().contiguous().data<double>().ToArray();
            LossGradient found = likelihood.Differentiate<double>(entries, output.shape, target, 0.25, gradient)!.Value;
            Assert.Equal(total.item<double>(), found.LogLikelihood, 1e-12);
            Assert.InRange((tensor(gradient).reshape(output.shape) - expected).abs().max().item<double>(), 0, 1e-13);
            double[] again = [.. likelihood.parameters().Where(p => p.requires_grad).Select(
                p => ReferenceEquals(p, found.Parameter) ? found.ParameterGradient : p.grad!.sum().item<double>())];
            for (int i = 0; i < gradients.Length; i++)
                Assert.Equal(gradients[i], again[i], 1e-12);
        }
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void MaskedEntriesCountAsIfTheyWereNotThere(string name)
    {
        using var scope = NewDisposeScope();
        using Likelihood likelihood = LikelihoodCases.Create(name, missing: MissingTargets.Masked);
        Tensor outputs = LikelihoodCases.Outputs(name, 3), output = outputs[0].clone().requires_grad_();
        Tensor whole = LikelihoodCases.Target(name), holes = WithHoles(name);
        Tensor computed = likelihood.LogLikelihood(output, holes), full = likelihood.LogLikelihood(output, whole);
        computed.sum().backward();
        Tensor gradient = output.grad!;
        Assert.True(gradient.isfinite().all().item<bool>());
        Assert.True(likelihood.parameters().All(p => p.grad is null || p.grad.isfinite().all().item<bool>()));

        // Row 0 has nothing observed, row 1 its first output alone, the rest everything.
        using Predictive predictive = likelihood.Predict(outputs);
        Tensor density = predictive.LogDensity(holes), fullDensity = predictive.LogDensity(whole);
        Assert.Equal(0, computed[0].item<double>());
        Assert.Equal(0, density[0].item<double>(), 1e-15);
        Assert.Equal(0, gradient[0].abs().max().item<double>());
        Assert.True((computed[2..] - full[2..]).abs().max().item<double>() == 0);
        Assert.True((density[2..] - fullDensity[2..]).abs().max().item<double>() == 0);
        if (LikelihoodCases.IsOfClasses(name))
            return;
        Assert.Equal(0, gradient[1, 1].item<double>());
        if (name == "gaussian per output")
            return;

        // The same likelihood of the first output by itself.
        bool exposure = name.EndsWith("exposure", StringComparison.Ordinal);
        long[] columns = name.StartsWith("heteroscedastic", StringComparison.Ordinal) ? [0, 2] : [0];
        long[] targets = exposure ? [0, 2] : [0];
        Tensor alone = likelihood.LogLikelihood(output.index_select(1, tensor(columns)), whole.index_select(1, tensor(targets)));
        using Predictive first = likelihood.Predict(outputs.index_select(2, tensor(columns)));
        Assert.Equal(alone[1].item<double>(), computed[1].item<double>(), 1e-14);
        Assert.Equal(first.LogDensity(whole.index_select(1, tensor(targets)))[1].item<double>(), density[1].item<double>(), 1e-14);
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void MissingTargetsThatAreNotAllowedDoNotPass(string name)
    {
        using var scope = NewDisposeScope();
        using Likelihood likelihood = LikelihoodCases.Create(name);
        Tensor output = LikelihoodCases.Outputs(name, 1)[0], holes = WithHoles(name);
        if (LikelihoodCases.IsOfClasses(name) || LikelihoodCases.IsOfCounts(name) || name == "bernoulli")
            Assert.Throws<ArgumentException>("target", () => likelihood.LogLikelihood(output, holes));
        else
            Assert.True(likelihood.LogLikelihood(output, holes)[0].isnan().item<bool>());
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void NothingIsLeftBehind(string name)
    {
        using Tensor outputs = LikelihoodCases.Outputs(name, 3), target = LikelihoodCases.Target(name);

        // Made once: TorchSharp's count of live tensors never comes down for a parameter.
        using Likelihood likelihood = LikelihoodCases.Create(name);
        Use();
        long before = LiveTensors.Settled();
        for (int i = 0; i < 3; i++)
            Use();
        Assert.Equal(before, LiveTensors.Settled());

        void Use()
        {
            using Tensor output = outputs.select(0, 0);
            using Tensor value = likelihood.LogLikelihood(output, target);
            using Predictive predictive = likelihood.Predict(outputs);
            _ = (predictive.StdDev, predictive.Mean);
            using Tensor density = predictive.LogDensity(target);
            using Tensor quantile = predictive.Quantile(0.3);
            using Tensor sample = predictive.Sample(4, seed: 1);
            Assert.Equal(density.shape, value.shape);
        }
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void BadArgumentsAreNamed(string name)
    {
        using var scope = NewDisposeScope();
        using Likelihood likelihood = LikelihoodCases.Create(name);
        Tensor output = LikelihoodCases.Outputs(name, 1)[0], target = LikelihoodCases.Target(name);
        Assert.Throws<ArgumentNullException>("output", () => likelihood.LogLikelihood(null!, target));
        Assert.Throws<ArgumentNullException>("target", () => likelihood.LogLikelihood(output, null!));
        Assert.Throws<ArgumentNullException>("outputs", () => likelihood.Predict(null!));
        Assert.Throws<ArgumentException>("target", () => likelihood.LogLikelihood(output, target[..3]));
        Assert.Throws<ArgumentException>("outputs", () => likelihood.Predict(zeros(3)));
        Assert.Throws<ArgumentException>("outputs", () => likelihood.Predict(zeros(0, 3, output.size(1))));
        using Predictive predictive = likelihood.Predict(LikelihoodCases.Outputs(name, 2));
        Assert.Throws<ArgumentException>("target", () => predictive.LogDensity(target[..3]));
        Assert.Throws<ArgumentNullException>("target", () => predictive.LogDensity(null!));
        Assert.Throws<ArgumentOutOfRangeException>("probability", () => predictive.Quantile(0));
        Assert.Throws<ArgumentOutOfRangeException>("count", () => predictive.Sample(0));
    }

    /// <summary>The target with nothing observed in row 0 and the first output alone in row 1.</summary>
    private static Tensor WithHoles(string name)
    {
        using var scope = NewDisposeScope();
        Tensor target = LikelihoodCases.Target(name);
        if (LikelihoodCases.IsOfClasses(name))
        {
            target[0] = tensor(-1L);
        }
        else
        {
            target[0, ..2] = tensor(double.NaN);
            target[1, 1] = tensor(double.NaN);
        }

        return target.MoveToOuterDisposeScope();
    }
}
