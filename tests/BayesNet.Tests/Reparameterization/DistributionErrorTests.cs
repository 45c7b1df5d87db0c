using BayesNet.Estimators;
using BayesNet.Estimators.Gradients;
using BayesNet.Reparameterization;
using BayesNet.Reparameterization.Discrete;
using BayesNet.TestKit;
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
        Tensor vector = ones(3).requires_grad_(true), matrix = eye(3).requires_grad_(true);
        var relaxed = new RelaxedCategoricalDistribution(vector, 0.5);
        var binary = new RelaxedBernoulliDistribution(vector, 0.5);
        Tensor eps = relaxed.SampleNoise(source), inside = full(3, 0.5f);
        ReparameterizedDistribution[] all =
        [
            .. LineFamilyCase.All.Select(family => family.Create(family.Leaves(ScalarType.Float64))), new DirichletDistribution(vector),
            new CholeskyGaussianDistribution(vector, matrix), new LowRankGaussianDistribution(vector, vector, matrix), relaxed, binary,
        ];
        foreach (ReparameterizedDistribution q in all)
        {
            AssertClean(() => q.SampleNoise(source, 2));
            AssertClean(() => q.Sample(source, 2));
            AssertClean(() =>
            {
                using Tensor noise = q.SampleNoise(source, 2), z = q.Transform(noise);
                return q.LogDensity(z);
            });
            if (!q.SupportDependsOnParameters)
                AssertClean(() => new ScoreFunctionEstimator(Baseline.LeaveOneOut).Estimate(q, z => z.flatten(1).sum(dim: 1), source, 2));
            if (!q.HasClosedFormEntropy)
                continue;
            AssertClean(q.Entropy);
            AssertClean(q.Mean);
            AssertClean(q.Variance);
        }

        AssertClean(() => relaxed.TransformHard(eps));
        AssertClean(() => relaxed.TransformLog(eps));
        AssertClean(() => binary.TransformHard(eps));
        AssertClean(() => binary.LogDensityOfLogit(inside));
        AssertClean(() => StraightThrough.Categorical(vector, source, 2));
        AssertClean(() => StraightThrough.Bernoulli(vector, source, 2));

        static void AssertClean(Func<Tensor> operation)
        {
            long before = LiveTensors.Settled();
            operation().Dispose();
            Assert.Equal(before, Tensor.TotalCount);
        }
    }
}
