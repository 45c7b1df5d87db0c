using BayesNet.Prediction;
using BayesNet.Runtime;
using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace BayesNet.Likelihoods;

/// <summary>
/// y = f + noise * eps, eps ~ N(0, 1): regression with one noise level for every example and output, fixed or learned.
/// </summary>
/// <remarks>
/// Output and target have the same shape, (batch, outputs) or (batch). A learned noise level is a point estimate; its logarithm is the
/// parameter <c>log_noise</c>.
/// </remarks>
public sealed class GaussianLikelihood : Likelihood
{
    internal static readonly double HalfLogTwoPi = 0.5 * Math.Log(2 * Math.PI);

    [ComponentName(Name = "log_noise")]
    private readonly Parameter _logNoise;

    /// <summary>Creates the likelihood.</summary>
    /// <param name="learnNoise">Whether the noise level is trained with the network.</param>
    /// <param name="noise">The noise's standard deviation, in units of the target: where it starts, or stays.</param>
    /// <param name="dtype">float32 or float64; null for the default type. The trainer converts it to the model's.</param>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="noise"/> is not a finite number above zero.</exception>
    public GaussianLikelihood(bool learnNoise = true, double noise = 1, ScalarType? dtype = null)
        : base(nameof(GaussianLikelihood))
    {
        Guard.Positive(noise);
        LearnNoise = learnNoise;
        using (NewDisposeScope())
        {
            Tensor logNoise = tensor(new[] { Math.Log(noise) }, dtype: Guard.FloatingPoint(dtype ?? get_default_dtype(), nameof(dtype)));
            _logNoise = (Parameter)new Parameter(logNoise, learnNoise).DetachFromDisposeScope();
        }

        RegisterComponents();
    }

    /// <summary>Whether the noise level is trained with the network.</summary>
    public bool LearnNoise { get; }

    /// <summary>The noise's standard deviation now, in units of the target.</summary>
    public double Noise
    {
        get
        {
            using Tensor onCpu = _logNoise.detach().to(ScalarType.Float64);
            return Math.Exp(onCpu.item<double>());
        }
    }

    /// <inheritdoc/>
    public override Tensor LogLikelihood(Tensor output, Tensor target)
    {
        RequireSameShape(output, target);
        using var scope = NewDisposeScope();
        Tensor standardised = target.sub(output).mul(_logNoise.neg().exp());
        Tensor perOutput = standardised.Squared().mul(Scalars.Half).Plus(_logNoise).Plus(HalfLogTwoPi).neg();
        return SumOverOutputs(perOutput, 1).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public override Predictive Predict(Tensor outputs)
    {
        ArgumentNullException.ThrowIfNull(outputs);
        return new GaussianPredictive(outputs, Noise);
    }

    /// <summary>Sums everything behind the first <paramref name="leading"/> dimensions.</summary>
    internal static Tensor SumOverOutputs(Tensor perOutput, int leading)
        => perOutput.dim() == leading ? perOutput : perOutput.flatten(leading).sum(dim: -1);

    // (batch) against (batch, 1) would broadcast to (batch, batch) and train on nonsense.
    internal static void RequireSameShape(Tensor output, Tensor target)
    {
        ArgumentNullException.ThrowIfNull(output);
        ArgumentNullException.ThrowIfNull(target);
        if (!output.shape.AsSpan().SequenceEqual(target.shape))
        {
            throw new ArgumentException(
                $"The target has shape {Guard.Format(target.shape)} and the network's output {Guard.Format(output.shape)}; they must be equal. "
                + "Reshape the target, for one output with target.unsqueeze(-1).", nameof(target));
        }
    }
}
