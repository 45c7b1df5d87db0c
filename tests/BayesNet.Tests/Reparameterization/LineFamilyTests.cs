using BayesNet.Estimators;
using BayesNet.Reparameterization;
using BayesNet.TestKit;
using Xunit;
using static TorchSharp.torch;

namespace BayesNet.Tests.Reparameterization;

/// <summary>Every family on the line against its closed forms.</summary>
public sealed class LineFamilyTests
{
    private const int Draws = 20000;

    public static IEnumerable<TheoryDataRow<string>> Families() => LineFamilyCase.All.Select(family => new TheoryDataRow<string>(family.Name));

    public static IEnumerable<TheoryDataRow<string, ScalarType, bool>> Samplers()
        => from family in LineFamilyCase.All
           from dtype in new[] { ScalarType.Float32, ScalarType.Float64 }
           from throughNoise in new[] { false, true }
           select new TheoryDataRow<string, ScalarType, bool>(family.Name, dtype, throughNoise);

    [Theory]
    [MemberData(nameof(Samplers))]
    public void DrawsHaveTheDistributionFunctionAndTheMoments(string name, ScalarType dtype, bool throughNoise)
    {
        using var scope = NewDisposeScope();
        using var noise = new NoiseSource(11);
        LineFamilyCase family = LineFamilyCase.Named(name);
        ReparameterizedDistribution q = family.Create(family.Leaves(dtype));
        Tensor z = (throughNoise ? q.Transform(q.SampleNoise(noise, Draws)) : q.Sample(noise, Draws)).detach();
        Assert.Equal([Draws, 2L], z.shape);
        Assert.Equal(dtype, z.dtype);
        Assert.True(z.isfinite().all().item<bool>());

        z = z.to(ScalarType.Float64);
        KolmogorovSmirnov.AssertUniform(family.Cdf(z, family.Exact(dtype)));
        Tensor mean = family.OfSettings(family.Mean), variance = family.OfSettings(family.Variance);
        if (variance.isfinite().all().item<bool>())
            SampleMoments.AssertMean(z, mean);
        if (family.HasFourthMoment)
            SampleMoments.AssertVariance(z, variance);
        AssertSame(mean, q.Mean(), dtype);
        AssertSame(variance, q.Variance(), dtype);
    }

    /// <summary>The density is the slope of the distribution function, which rises from 0 to 1: it is right and it is normalised.</summary>
    [Theory]
    [MemberData(nameof(Families))]
    public void DensityIsTheSlopeOfTheDistributionFunction(string name)
    {
        using var scope = NewDisposeScope();
        using var noise = new NoiseSource(12);
        LineFamilyCase family = LineFamilyCase.Named(name);
        Tensor[] exact = family.Exact(ScalarType.Float64);
        ReparameterizedDistribution q = family.Create(exact);
        Tensor z = q.Sample(noise, 400);
        Tensor cdf = family.Cdf(z, exact);

        // Where F is near 0 or 1 a difference of it has no digits.
        Tensor tail = minimum(cdf, 1 - cdf);
        Tensor h = tail * (-q.LogDensity(z)).exp() * 1e-4;
        Tensor slope = (family.Cdf(z + h, exact) - family.Cdf(z - h, exact)) / (2 * h);
        Tensor error = (q.LogDensity(z) - slope.log()).abs();
        error = where(tail > 1e-3, error, zeros_like(error));
        Assert.True(error.max().item<double>() < 1e-6, $"{error.max().item<double>():G3}");
    }

    [Theory]
    [MemberData(nameof(Families))]
    public void EntropyIsTheMeanOfTheNegativeLogDensity(string name)
    {
        using var scope = NewDisposeScope();
        using var noise = new NoiseSource(13);
        LineFamilyCase family = LineFamilyCase.Named(name);
        ReparameterizedDistribution q = family.Create(family.Exact(ScalarType.Float64));
        Assert.True(q.HasClosedFormEntropy);
        SampleMoments.AssertMean(-q.LogDensity(q.Sample(noise, Draws)), q.Entropy());
    }

    [Theory]
    [MemberData(nameof(Families))]
    public void GradientsAreThoseOfFiniteDifferencesWithTheNoiseHeldFixed(string name)
    {
        using var scope = NewDisposeScope();
        using var noise = new NoiseSource(14);
        LineFamilyCase family = LineFamilyCase.Named(name);
        Tensor[] leaves = family.Leaves(ScalarType.Float64);
        (string, Tensor)[] named = [.. leaves.Select((leaf, i) => ($"parameter {i}", leaf))];
        Tensor eps = family.Create(leaves).SampleNoise(noise, 20);
        FiniteDifferences.AssertGradients(() => family.Create(leaves).Transform(eps).atan().sum(), named);

        // Points away from the ends of the support, where densities jump or have poles.
        Tensor z = family.Create(leaves).Transform(eps / 4).detach().requires_grad_(true);
        FiniteDifferences.AssertGradients(() => family.Create(leaves).LogDensity(z).sum(), [.. named, ("z", z)]);
        FiniteDifferences.AssertGradients(() => family.Create(leaves).Entropy().sum(), named);
        if (!double.IsNaN(family.OfSettings(family.Mean).sum().item<double>()))
            FiniteDifferences.AssertGradients(() => family.Create(leaves).Mean().square().sum(), named);
        if (double.IsFinite(family.OfSettings(family.Variance).sum().item<double>()))
            FiniteDifferences.AssertGradients(() => family.Create(leaves).Variance().sum(), named);
    }

    [Theory]
    [MemberData(nameof(Families))]
    public void Float32AgreesWithFloat64AtTheSameNoise(string name)
    {
        using var scope = NewDisposeScope();
        using var noise = new NoiseSource(15);
        LineFamilyCase family = LineFamilyCase.Named(name);
        Tensor[] leaves = family.Leaves(ScalarType.Float32), exact = family.Exact(ScalarType.Float32);
        foreach (Tensor leaf in exact)
            leaf.requires_grad_(true);
        ReparameterizedDistribution single = family.Create(leaves), twice = family.Create(exact);
        Tensor eps = single.SampleNoise(noise, 1000);
        Tensor z = twice.Transform(eps.to(ScalarType.Float64));
        Tensor scale = 1 + z.abs();
        Assert.True(((single.Transform(eps).to(ScalarType.Float64) - z).abs() / scale).max().item<double>() < 2e-6);

        single.Transform(eps).atan().mean([0]).sum().backward();
        z.atan().mean([0]).sum().backward();
        foreach ((Tensor leaf, Tensor reference) in leaves.Zip(exact))
        {
            double size = 1 + reference.grad!.abs().max().item<double>();
            Assert.True((leaf.grad!.to(ScalarType.Float64) - reference.grad!).abs().max().item<double>() < 1e-5 * size);
        }

        Tensor rounded = single.Transform(eps).detach();
        Tensor density = twice.LogDensity(rounded.to(ScalarType.Float64));
        Tensor error = (single.LogDensity(rounded).to(ScalarType.Float64) - density).abs() / (1 + density.abs());
        Assert.True(error.max().item<double>() < 1e-5, $"{error.max().item<double>():G3}");
    }

    [Theory]
    [MemberData(nameof(Families))]
    public void TheTailIndexIsTheExponentOfTheTail(string name)
    {
        using var scope = NewDisposeScope();
        LineFamilyCase family = LineFamilyCase.Named(name);
        Tensor[] exact = family.Exact(ScalarType.Float64);
        ReparameterizedDistribution q = family.Create(exact);
        Assert.Equal(family.TailIndex, q.TailIndex);
        if (double.IsInfinity(family.TailIndex))
            return;

        // P(z < -t) t^alpha has a limit: a decade apart, far out, the two are equal.
        Tensor near = family.Cdf(full(2, -1e3, dtype: ScalarType.Float64), exact), far = family.Cdf(full(2, -1e4, dtype: ScalarType.Float64), exact);
        Tensor exponent = (near / far).log10();
        Assert.True((exponent - family.TailIndex).abs().max().item<double>() < 0.01, $"{exponent[0].item<double>()}");
    }

    /// <summary>Negated noise has the law of the noise, so that antithetic twins are draws of the same family.</summary>
    [Theory]
    [MemberData(nameof(Families))]
    public void AntitheticTwinsHaveTheSameDistribution(string name)
    {
        using var scope = NewDisposeScope();
        using var noise = new NoiseSource(16);
        LineFamilyCase family = LineFamilyCase.Named(name);
        Tensor[] exact = family.Exact(ScalarType.Float64);
        ReparameterizedDistribution q = family.Create(exact);
        Assert.True(q.BaseNoise.IsSymmetric);
        Tensor eps = q.SampleNoise(noise, Draws);
        Tensor twin = q.Transform(q.Reflect(eps));
        KolmogorovSmirnov.AssertUniform(family.Cdf(twin, exact));
        Assert.True((q.Transform(eps) - q.Transform(eps)).abs().max().item<double>() == 0);
    }

    [Fact]
    public void OutsideTheSupportTheDensityIsZero()
    {
        using var scope = NewDisposeScope();
        Tensor one = ones(1, dtype: ScalarType.Float64), z = tensor(new[] { -0.5, 0.0, 1.5 });
        Assert.True(new GammaDistribution(one, one).LogDensity(z)[..2].isneginf().all().item<bool>());
        Assert.True(new LogNormalDistribution(one, one).LogDensity(z)[..2].isneginf().all().item<bool>());
        Assert.True(new BetaDistribution(one, one).LogDensity(z).isneginf().all().item<bool>());
        Assert.Equal([false, false, true], new UniformDistribution(-one, one).LogDensity(z).isneginf().data<bool>().ToArray());
    }

    private static void AssertSame(Tensor exact, Tensor measured, ScalarType dtype)
    {
        measured = measured.detach().to(ScalarType.Float64);
        Assert.Equal(exact.shape, measured.shape);
        Assert.True(allclose(exact, measured, dtype == ScalarType.Float64 ? 1e-12 : 1e-5, 0, equal_nan: true), $"{exact} against {measured}");
    }
}
