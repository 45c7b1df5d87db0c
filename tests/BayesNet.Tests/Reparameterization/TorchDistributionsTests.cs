using BayesNet.Estimators;
using BayesNet.Reparameterization;
using Xunit;
using static TorchSharp.torch;

namespace BayesNet.Tests.Reparameterization;

/// <summary>
/// Why the families here do not wrap TorchSharp's distributions: of these, rsample loses the gradient or fails. A test that breaks with a
/// new version of TorchSharp says that the reason is gone.
/// </summary>
public sealed class TorchDistributionsTests
{
    public static IEnumerable<TheoryDataRow<string>> Wanting() => Cases.Keys.Select(name => new TheoryDataRow<string>(name));

    private static Dictionary<string, (Func<Tensor, Tensor> TorchSharp, Func<Tensor, ReparameterizedDistribution> Here)> Cases { get; } = new()
    {
        ["Gamma"] = (a => distributions.Gamma(a, ones_like(a)).rsample(), a => new GammaDistribution(a, ones_like(a))),
        ["Beta"] = (a => distributions.Beta(a, ones_like(a)).rsample(), a => new BetaDistribution(a, ones_like(a))),
        ["Dirichlet"] = (a => distributions.Dirichlet(a).rsample(), a => new DirichletDistribution(a)),
        ["LogNormal"] = (a => distributions.LogNormal(a, ones_like(a)).rsample(), a => new LogNormalDistribution(a, ones_like(a))),
    };

    [Theory]
    [MemberData(nameof(Wanting))]
    public void TheirSamplersCannotBeDifferentiatedAndOursCan(string name)
    {
        using var scope = NewDisposeScope();
        using var noise = new NoiseSource(61);
        (Func<Tensor, Tensor> theirs, Func<Tensor, ReparameterizedDistribution> ours) = Cases[name];
        Tensor parameter = tensor(new[] { 1.5, 2.5, 0.7 }).requires_grad_(true);
        bool differentiable;
        try
        {
            Tensor z = theirs(parameter);
            if (differentiable = z.requires_grad)
                z.square().sum().backward();
            differentiable &= parameter.grad is { } gradient && gradient.abs().sum().item<double>() > 0;
        }
        catch (System.Runtime.InteropServices.ExternalException)
        {
            differentiable = false;
        }

        Assert.False(differentiable, $"TorchSharp's {name}.rsample has a gradient now.");

        parameter.grad = null;
        ours(parameter).Sample(noise).square().sum().backward();
        Assert.True(parameter.grad!.abs().min().item<double>() > 0);
    }
}
