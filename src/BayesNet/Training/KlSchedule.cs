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
    /// The whole KL term of an epoch shared out over its M minibatches as 2^(M-i) / (2^M - 1), half of it on the first, a quarter on the second
    /// and so on (Blundell et al. 2015, equation 9): the prior rules the first steps of an epoch, the data the last. The shares of an epoch sum to
    /// one, as they do under <see cref="Constant"/>, whose share is a minibatch's rows over N.
    /// </summary>
    /// <remarks>
    /// The weight here multiplies KL / N an example, so it is the paper's share times N over the rows of the minibatch. It needs the number of
    /// steps of an epoch: data in memory, or a loader that knows its count.
    /// </remarks>
    public static KlSchedule PerMinibatch { get; } = new GeometricWeight();

    /// <summary>
    /// Rises linearly from zero to one over the first epochs, then stays at one (Bowman et al. 2016; Sønderby et al. 2016): the means are
    /// fitted first, and the end result is that of the evidence lower bound.
    /// </summary>
    /// <param name="epochs">The epochs the rise takes; fractions are allowed.</param>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="epochs"/> is not a finite number above zero.</exception>
    public static KlSchedule Warmup(double epochs) => new WarmupWeight(Guard.Positive(epochs));

    /// <summary>
    /// Rises linearly from zero to one over the first part of each period and stays at one for the rest of it, again and again (Fu et al. 2019,
    /// equations 6 and 7).
    /// </summary>
    /// <param name="period">The epochs of a cycle; fractions are allowed. The epochs of the run over it are the paper's M, 4 by its default.</param>
    /// <param name="rise">The share of a cycle that the rise takes, the paper's R.</param>
    /// <exception cref="ArgumentOutOfRangeException">
    /// <paramref name="period"/> is not a finite number above zero, or <paramref name="rise"/> not above 0 and at most 1.
    /// </exception>
    public static KlSchedule Cyclical(double period, double rise = 0.5)
        => new CyclicalWeight(
            Guard.Positive(period),
            rise is > 0 and <= 1 ? rise : throw new ArgumentOutOfRangeException(nameof(rise), rise, "rise must be above 0 and at most 1."));

    /// <summary>
    /// Another schedule times a temperature T, throughout. What is approximated then is not the posterior: with T below 1 the likelihood counts
    /// as if every example had been seen 1/T times, which makes it narrower, "cold" (Wenzel et al. 2020, who ask why it predicts better).
    /// </summary>
    /// <param name="temperature">T.</param>
    /// <param name="schedule">What is multiplied; null for <see cref="Constant"/>.</param>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="temperature"/> is not a finite number above zero.</exception>
    public static KlSchedule Tempered(double temperature, KlSchedule? schedule = null)
        => new TemperedWeight(Guard.Positive(temperature), schedule ?? Constant);

    /// <summary>The weight of the KL term in a step.</summary>
    /// <param name="step">Where training stands before it.</param>
    /// <exception cref="InvalidOperationException">The schedule needs the steps of an epoch, and they are not known.</exception>
    public abstract double Weight(in KlStep step);

    /// <summary>The weight of the KL term, for schedules that ask for no more than the epoch.</summary>
    /// <param name="epoch">Epochs done, in fractions: 0 at the first step, 1.5 halfway through the second epoch.</param>
    /// <exception cref="InvalidOperationException">The schedule needs the steps of an epoch.</exception>
    public double Weight(double epoch) => Weight(new KlStep { Epoch = epoch });

    private sealed record ConstantWeight : KlSchedule
    {
        public override double Weight(in KlStep step) => 1;
    }

    private sealed record WarmupWeight(double Epochs) : KlSchedule
    {
        public override double Weight(in KlStep step) => Math.Min(1, step.Epoch / Epochs);
    }

    private sealed record CyclicalWeight(double Period, double Rise) : KlSchedule
    {
        public override double Weight(in KlStep step) => Math.Min(1, step.Epoch % Period / (Rise * Period));
    }

    private sealed record TemperedWeight(double Temperature, KlSchedule Schedule) : KlSchedule
    {
        public override double Weight(in KlStep step) => Temperature * Schedule.Weight(step);
    }

    private sealed record GeometricWeight : KlSchedule
    {
        public override double Weight(in KlStep step)
        {
            if (step.StepsPerEpoch is not { } steps)
            {
                throw new InvalidOperationException(
                    $"KlSchedule.{nameof(PerMinibatch)} shares the KL term out over the steps of an epoch, and their number is not known: train on TrainingData "
                    + "or a loader with a count, a list say.");
            }

            // 2^(M-i) / (2^M - 1) with i from 1, without the overflow.
            return Math.ScaleB(1, -(int)Math.Min(step.Step + 1, 2000)) / (1 - Math.ScaleB(1, -(int)Math.Min(steps, 2000))) / step.ShareOfRows;
        }
    }
}

/// <summary>Where training stands before a step, for a <see cref="KlSchedule"/>.</summary>
public readonly record struct KlStep
{
    /// <summary>The start.</summary>
    public KlStep()
    {
    }

    /// <summary>Epochs done, in fractions.</summary>
    public double Epoch { get; init; }

    /// <summary>Steps done in the current epoch.</summary>
    public long Step { get; init; }

    /// <summary>Steps of an epoch; null where they are not known.</summary>
    public long? StepsPerEpoch { get; init; }

    /// <summary>The step's rows over N, the size of the training set.</summary>
    public double ShareOfRows { get; init; } = 1;
}
