using BayesNet.Training;
using Xunit;

namespace BayesNet.Tests.Training;

public sealed class KlScheduleTests
{
    /// <summary>Blundell et al. 2015, equation 9: the shares of an epoch are 2^(M-i) / (2^M - 1), and sum to one; in the units of KL / N an example too.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(4)]
    [InlineData(3000)]
    public void SharesPerMinibatchAreThePapers(int steps)
    {
        // The last minibatch is smaller than the others.
        double[] rows = [.. Enumerable.Range(0, steps).Select(i => i == steps - 1 ? 3.0 : 8.0)];
        double n = rows.Sum(), sum = 0;
        for (int i = 0; i < steps; i++)
        {
            double weight = KlSchedule.PerMinibatch.Weight(new KlStep { Epoch = 7 + (double)i / steps, Step = i, StepsPerEpoch = steps, ShareOfRows = rows[i] / n });
            double share = weight * rows[i] / n;
            if (steps <= 4)
                Assert.Equal(Math.Pow(2, steps - i - 1) / (Math.Pow(2, steps) - 1), share, 1e-12);
            sum += share;
        }

        Assert.Equal(1, sum, 1e-12);
    }

    [Fact]
    public void SharesPerMinibatchNeedTheNumberOfMinibatches()
        => Assert.Contains("count", Assert.Throws<InvalidOperationException>(() => KlSchedule.PerMinibatch.Weight(0)).Message, StringComparison.Ordinal);

    /// <summary>Fu et al. 2019, equations 6 and 7, with R = 1/2: up over half a cycle, then flat, again and again.</summary>
    [Fact]
    public void CyclesRiseAndStay()
    {
        KlSchedule cyclical = KlSchedule.Cyclical(period: 4);
        Assert.Equal([0, 0.5, 1, 1, 0, 0.25, 1], new[] { 0, 1, 2, 3.9, 4, 4.5, 7 }.Select(cyclical.Weight));
        Assert.Equal(0.5, KlSchedule.Cyclical(4, rise: 1).Weight(2));
        Assert.Throws<ArgumentOutOfRangeException>("period", () => KlSchedule.Cyclical(0));
        Assert.Throws<ArgumentOutOfRangeException>("rise", () => KlSchedule.Cyclical(1, 0));
        Assert.Throws<ArgumentOutOfRangeException>("rise", () => KlSchedule.Cyclical(1, 1.1));
    }

    [Fact]
    public void TemperaturesMultiply()
    {
        Assert.Equal(0.1, KlSchedule.Tempered(0.1).Weight(5));
        Assert.Equal(0.05, KlSchedule.Tempered(0.1, KlSchedule.Warmup(2)).Weight(1), 1e-15);
        Assert.Throws<ArgumentOutOfRangeException>("temperature", () => KlSchedule.Tempered(0));
        Assert.Equal(KlSchedule.Tempered(0.1, KlSchedule.Cyclical(4)), KlSchedule.Tempered(0.1, KlSchedule.Cyclical(4)));
    }
}
