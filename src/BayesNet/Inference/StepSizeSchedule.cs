using BayesNet.Runtime;

namespace BayesNet.Inference;

/// <summary>How the step size of <see cref="StochasticGradientMonteCarlo"/> goes over a run, and when samples are taken.</summary>
public abstract record StepSizeSchedule
{
    private StepSizeSchedule()
    {
    }

    /// <summary>One step size throughout, with noise from the start; samples are taken after the burn-in.</summary>
    /// <param name="burnIn">The share of the run before the first sample.</param>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="burnIn"/> is not strictly between 0 and 1.</exception>
    public static StepSizeSchedule Constant(double burnIn = 0.5) => new ConstantSize(Guard.OpenUnitInterval(burnIn));

    /// <summary>
    /// Cycles that each fall from the full step size to zero as a cosine (Zhang et al. 2020, equation 1), so that a run visits several modes. A
    /// cycle explores without noise for its first part, and samples with it for the rest.
    /// </summary>
    /// <param name="cycles">The number of cycles.</param>
    /// <param name="exploration">The share of a cycle without noise, the paper's beta.</param>
    /// <exception cref="ArgumentOutOfRangeException">
    /// <paramref name="cycles"/> is below 1, or <paramref name="exploration"/> not strictly between 0 and 1.
    /// </exception>
    public static StepSizeSchedule Cyclical(int cycles = 4, double exploration = 0.8)
        => new CyclicalSize((int)Guard.AtLeastOne(cycles), Guard.OpenUnitInterval(exploration));

    /// <summary>What holds for a step.</summary>
    /// <param name="done">The share of the run that is done, from 0 up to, without, 1.</param>
    internal abstract Stage At(double done);

    /// <summary>What holds for a step.</summary>
    /// <param name="Factor">Of the step size.</param>
    /// <param name="HasNoise">Whether noise is added.</param>
    /// <param name="IsSampling">Whether samples are taken.</param>
    internal readonly record struct Stage(double Factor, bool HasNoise, bool IsSampling);

    private sealed record ConstantSize(double BurnIn) : StepSizeSchedule
    {
        internal override Stage At(double done) => new(1, true, done >= BurnIn);
    }

    private sealed record CyclicalSize(int Cycles, double Exploration) : StepSizeSchedule
    {
        internal override Stage At(double done)
        {
            double within = done * Cycles % 1;
            bool sampling = within >= Exploration;
            return new(0.5 * (Math.Cos(Math.PI * within) + 1), sampling, sampling);
        }
    }
}
