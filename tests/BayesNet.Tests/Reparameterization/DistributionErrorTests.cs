using BayesNet.Estimators;
using BayesNet.Reparameterization;
using Xunit;
using static TorchSharp.torch;

namespace BayesNet.Tests.Reparameterization;

public sealed class DistributionErrorTests
{
    [Fact]
    public void BadParametersAreNamed()
    {
        using var scope = NewDisposeScope();
        Tensor one = ones(2), zero = zeros(2);
        Assert.Throws<ArgumentNullException>("location", () => new NormalDistribution(null!, one));
        Assert.Throws<ArgumentException>("scale", () => new NormalDistribution(zero, zero));
        Assert.Throws<ArgumentException>("scale", () => new LaplaceDistribution(zero, -one));
        Assert.Throws<ArgumentException>("location", () => new CauchyDistribution(zero / 0, one));
        Assert.Throws<ArgumentException>("scale", () => new LogisticDistribution(zero, one / 0));
        Assert.Throws<ArgumentException>("high", () => new UniformDistribution(one, one));
        Assert.Throws<ArgumentOutOfRangeException>("degreesOfFreedom", () => new StudentTDistribution(zero, one, -1));
        Assert.Throws<ArgumentException>("degreesOfFreedom", () => new LearnedStudentTDistribution(zero, one, zero));
        Assert.Throws<ArgumentException>("concentration", () => new GammaDistribution(zero, one));
        Assert.Throws<ArgumentException>("concentration0", () => new BetaDistribution(one, zero));
        Assert.Throws<ArgumentException>("concentration", () => new DirichletDistribution(ones(3, 1)));
        Assert.Throws<ArgumentException>("unconstrained", () => new CholeskyGaussianDistribution(zero, eye(3)));
        Assert.Throws<ArgumentException>("location", () => new CholeskyGaussianDistribution(tensor(1f), eye(1)));
        Assert.Throws<ArgumentException>("diagonal", () => new LowRankGaussianDistribution(zero, ones(3), ones(2, 1)));
        Assert.Throws<ArgumentException>("factor", () => new LowRankGaussianDistribution(zero, one, ones(2)));
        Assert.Throws<ArgumentException>("factor", () => new LowRankGaussianDistribution(zero, one, ones(3, 1)));
        Assert.Throws<NotSupportedException>(() => new NormalDistribution(zero.to(ScalarType.Float16), one.to(ScalarType.Float16)));
    }

    [Fact]
    public void TypesAndShapesThatDoNotFitAreRefused()
    {
        using var scope = NewDisposeScope();
        var types = Assert.Throws<ArgumentException>("scale", () => new NormalDistribution(zeros(2), ones(2, dtype: ScalarType.Float64)));
        Assert.Contains("convert one with .to(...)", types.Message, StringComparison.Ordinal);
        var shapes = Assert.Throws<ArgumentException>("scale", () => new NormalDistribution(zeros(2), ones(3)));
        Assert.Contains("(3), which does not broadcast with (2)", shapes.Message, StringComparison.Ordinal);

        var q = new NormalDistribution(zeros(4, 1), ones(3));
        Assert.Equal([4L, 3L], q.BatchShape.ToArray());
        var noise = Assert.Throws<ArgumentException>("eps", () => q.Transform(zeros(3)));
        Assert.Contains("last dimensions are (4, 3), as SampleNoise makes it", noise.Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentException>("eps", () => q.Transform(zeros(4, 3, dtype: ScalarType.Float64)));
        var z = Assert.Throws<ArgumentException>("z", () => new DirichletDistribution(ones(3)).LogDensity(ones(2)));
        Assert.Contains("those of one event, (3)", z.Message, StringComparison.Ordinal);
    }

    /// <summary>A distribution owns no memory, and its operations leave nothing behind but their result.</summary>
    [Fact]
    public void OperationsLeaveNothingBehind()
    {
        using var scope = NewDisposeScope();
        using var source = new NoiseSource(51);
        foreach (LineFamilyCase family in LineFamilyCase.All)
        {
            Tensor[] leaves = family.Leaves(ScalarType.Float64);
            Assert.All(Operations(), operation =>
            {
                long before = Tensor.TotalCount;
                operation(family.Create(leaves)).Dispose();
                Assert.Equal(before, Tensor.TotalCount);
            });
        }

        IEnumerable<Func<ReparameterizedDistribution, Tensor>> Operations() =>
        [
            q => q.SampleNoise(source, 3), q => q.Sample(source, 3), q => q.Entropy(), q => q.Mean(), q => q.Variance(),
            q =>
            {
                using Tensor eps = q.SampleNoise(source, 3), z = q.Transform(eps);
                return q.LogDensity(z);
            },
        ];
    }
}
