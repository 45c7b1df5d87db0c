using BayesNet.Runtime;

namespace BayesNet.Training;

/// <summary>
/// The weight of the KL term over the course of training. A weight of one is the evidence lower bound; anything else optimises another
/// objective for as long as it lasts, and so is asked for by name.
/// </summary>
public abstract record KlSchedule
{
    private KlSchedule()
    {
    }

    /// <summary>One throughout: the evidence lower bound. The default.</summary>
    public static KlSchedule Constant { get; } = new ConstantWeight();

    /// <summary>
    /// Rises linearly from zero to one over the first epochs, then stays at one (Bowman et al. 2016; Sønderby et al. 2016): the means are
    /// fitted first, and the end result is that of the evidence lower bound.
    /// </summary>
    /// <param name="epochs">The epochs the rise takes; fractions are allowed.</param>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="epochs"/> is not a finite number above zero.</exception>
    public static KlSchedule Warmup(double epochs) => new WarmupWeight(Guard.Positive(epochs));

    /// <summary>The weight of the KL term.</summary>
    /// <param name="epoch">Epochs done, in fractions: 0 at the first step, 1.5 halfway through the second epoch.</param>
    public abstract double Weight(double epoch);

    private sealed record ConstantWeight : KlSchedule
    {
        public override double Weight(double epoch) => 1;
    }

    private sealed record WarmupWeight(double Epochs) : KlSchedule
    {
        public override double Weight(double epoch) => Math.Min(1, epoch / Epochs);
    }
}
