using BayesNet.Likelihoods;
using BayesNet.Runtime;
using TorchSharp;
using static TorchSharp.torch;

namespace BayesNet.Prediction;

/// <summary>A mixture of Gaussians with the sampled outputs as means and one noise level: the predictive of <see cref="GaussianLikelihood"/>.</summary>
public sealed class GaussianPredictive : Predictive
{
    private const int BisectionSteps = 60;

    internal GaussianPredictive(Tensor outputs, double noise)
        : base(outputs)
    {
        Noise = noise;
        Once(nameof(Components), outputs.clone);
    }

    /// <summary>The noise's standard deviation, in units of the target.</summary>
    public double Noise { get; }

    /// <summary>The sampled outputs, (samples, batch, outputs).</summary>
    public Tensor Components => Once(nameof(Components), () => throw new InvalidOperationException());

    /// <inheritdoc/>
    public override Tensor Mean => Once(nameof(Mean), () => Components.mean([0]));

    /// <inheritdoc/>
    /// <remarks>The standard deviation over the samples, divided by S, so that the parts add up to the mixture's own variance; 0 for S = 1.</remarks>
    public override Tensor Epistemic => Once(nameof(Epistemic), () => Components.sub(Mean).Squared().mean([0]).sqrt());

    /// <inheritdoc/>
    public override Tensor Aleatoric => Once(nameof(Aleatoric), () => zeros_like(Mean).Plus(Noise));

    /// <inheritdoc/>
    /// <remarks>The quantile of the mixture, found by bisection to rounding; not that of a Gaussian with the mixture's moments.</remarks>
    public override Tensor Quantile(double probability)
    {
        Guard.OpenUnitInterval(probability);
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        Tensor components = Components.to(ScalarType.Float64);
        using Scalar target = probability;

        // The mixture's quantile lies between the least and the greatest quantile of its components.
        using Tensor standard = tensor(probability, ScalarType.Float64).to(components.device);
        Tensor shift = special.ndtri(standard).mul(tensor(Noise, ScalarType.Float64).to(components.device));
        Tensor low = components.amin([0]).Plus(shift);
        Tensor high = components.amax([0]).Plus(shift);
        for (int step = 0; step < BisectionSteps; step++)
        {
            using var inner = NewDisposeScope();
            Tensor middle = low.Plus(high).mul(Scalars.Half);
            Tensor below = special.ndtr(middle.sub(components).Times(1 / Noise)).mean([0]).lt(target);
            (Tensor newLow, Tensor newHigh) = (where(below, middle, low), where(below, high, middle));
            low.Dispose();
            high.Dispose();
            (low, high) = (newLow.MoveToOuterDisposeScope(), newHigh.MoveToOuterDisposeScope());
        }

        return low.Plus(high).mul(Scalars.Half).to(Components.dtype).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    /// <remarks>The joint density of an example's outputs, independent given the sample.</remarks>
    public override Tensor LogDensity(Tensor target)
    {
        GaussianLikelihood.RequireSameShape(Mean, target);
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        Tensor perOutput = Components.sub(target).Times(1 / Noise).Squared().mul(Scalars.Half).neg();
        Tensor perExample = GaussianLikelihood.SumOverOutputs(perOutput, 2);
        double outputs = (double)perOutput.numel() / perExample.numel();
        return LogMeanExp(perExample).Plus(-outputs * (Math.Log(Noise) + GaussianLikelihood.HalfLogTwoPi)).MoveToOuterDisposeScope();
    }
}
