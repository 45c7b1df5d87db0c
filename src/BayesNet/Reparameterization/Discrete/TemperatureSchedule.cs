using BayesNet.Runtime;

namespace BayesNet.Reparameterization.Discrete;

/// <summary>
/// The temperature of a relaxation over the course of training: high at first, where gradients have little variance, low later, where they
/// have little bias.
/// </summary>
public abstract record TemperatureSchedule
{
    private TemperatureSchedule()
    {
    }

    /// <summary>The same temperature throughout.</summary>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="temperature"/> is not a finite number above zero.</exception>
    public static TemperatureSchedule Constant(double temperature) => new ConstantTemperature(Guard.Positive(temperature));

    /// <summary>max(minimum, initial * exp(-rate * epoch)) (Jang, Gu and Poole 2017, section 4).</summary>
    /// <param name="initial">The temperature at the start.</param>
    /// <param name="minimum">The temperature it ends at; at most <paramref name="initial"/>.</param>
    /// <param name="rate">The decay an epoch, above zero.</param>
    /// <exception cref="ArgumentOutOfRangeException">
    /// An argument is not a finite number above zero, or <paramref name="minimum"/> is above <paramref name="initial"/>.
    /// </exception>
    public static TemperatureSchedule Exponential(double initial, double minimum, double rate)
    {
        Guard.Positive(initial);
        if (Guard.Positive(minimum) > initial)
            throw new ArgumentOutOfRangeException(nameof(minimum), minimum, $"minimum must be at most initial, {initial}.");
        return new ExponentialDecay(initial, minimum, Guard.Positive(rate));
    }

    /// <summary>The temperature.</summary>
    /// <param name="epoch">Epochs done, in fractions.</param>
    public abstract double Temperature(double epoch);

    private sealed record ConstantTemperature(double Value) : TemperatureSchedule
    {
        public override double Temperature(double epoch) => Value;
    }

    private sealed record ExponentialDecay(double Initial, double Minimum, double Rate) : TemperatureSchedule
    {
        public override double Temperature(double epoch) => Math.Max(Minimum, Initial * Math.Exp(-Rate * epoch));
    }
}
