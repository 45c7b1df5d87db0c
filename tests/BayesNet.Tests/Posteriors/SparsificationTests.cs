using BayesNet.Estimators;
using BayesNet.Maps;
using BayesNet.Posteriors;
using Xunit;
using static TorchSharp.torch;

namespace BayesNet.Tests.Posteriors;

public sealed class SparsificationTests
{
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void NoisyWeightsBecomeZero(bool meanField)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        using var noise = new NoiseSource(1);
        Tensor mean = tensor(new[,] { { 1.0, -1, 0.5 }, { 2, 1e-3, -1e-3 } });
        GaussianPosterior posterior = meanField ? new MeanFieldGaussian(mean, 0.1) : new VariationalDropout(mean, 0.01);
        if (posterior is VariationalDropout dropout)
            dropout.SharedLogAlpha[1].copy_(tensor(new[] { -5.0, 4, 3.5 }));
        using var model = nn.Sequential(("layer", new Holder(posterior)));
        Assert.Equal((2, 6), model.Sparsify());
        Tensor weights = posterior.Sample(noise, 100);
        Assert.True(weights[TensorIndex.Ellipsis, 1, TensorIndex.Slice(1)].abs().max().item<double>() < 1e-18);
        Assert.True(posterior.Mean.select(0, 0).eq(mean.select(0, 0)).all().item<bool>());
        Assert.Equal((2, 6), model.Sparsify());
        Assert.Equal((6, 6), model.Sparsify(-100));
    }

    [Fact]
    public void AModelWithoutSuchPosteriorsIsRefused()
    {
        using var model = nn.Linear(2, 2);
        Assert.Throws<InvalidOperationException>(() => model.Sparsify());
        Assert.Throws<ArgumentOutOfRangeException>("logAlpha", () => model.Sparsify(double.NaN));
    }

    private sealed class Holder : nn.Module<Tensor, Tensor>
    {
        private readonly Posterior _posterior;

        public Holder(Posterior posterior)
            : base(nameof(Holder))
        {
            _posterior = posterior;
            RegisterComponents();
        }

        public override Tensor forward(Tensor input) => new LinearMap(3, 2).Apply(input, _posterior.Mean, null);
    }
}
