using BayesNet.Kernels;
using BayesNet.Prediction;
using BayesNet.Reparameterization;
using BayesNet.Runtime;
using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace BayesNet.Likelihoods;

/// <summary>
/// y = f + noise * eps, eps ~ N(0, 1): regression with one noise level for every example, fixed or learned, that outputs share or that
/// each has for itself.
/// </summary>
/// <remarks>
/// Output and target have the same shape, (batch, outputs) or (batch). A learned noise level is a point estimate; logarithms are the
/// parameter <c>log_noise</c>.
/// </remarks>
public sealed class GaussianLikelihood : Likelihood
{
    [ComponentName(Name = "log_noise")]
    private readonly Parameter _logNoise;

    /// <summary>Creates the likelihood with one noise level for all outputs.</summary>
    /// <param name="learnNoise">Whether the noise level is trained with the network.</param>
    /// <param name="noise">The noise's standard deviation, in units of the target: where it starts, or stays.</param>
    /// <param name="missing">What NaN in a target means.</param>
    /// <param name="dtype">float32 or float64; null for the default type. The trainer converts it to the model's.</param>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="noise"/> is not a finite number above zero.</exception>
    public GaussianLikelihood(
        bool learnNoise = true, double noise = 1, MissingTargets missing = MissingTargets.Refused, ScalarType? dtype = null)
        : this([Guard.Positive(noise)], learnNoise, isShared: true, missing, dtype)
    {
    }

    /// <summary>Creates the likelihood with a noise level for each output, the last dimension of the network's output.</summary>
    /// <param name="noisePerOutput">The standard deviations, in units of the targets: where they start, or stay.</param>
    /// <param name="learnNoise">Whether the noise levels are trained with the network.</param>
    /// <param name="missing">What NaN in a target means.</param>
    /// <param name="dtype">float32 or float64; null for the default type. The trainer converts it to the model's.</param>
    /// <exception cref="ArgumentException"><paramref name="noisePerOutput"/> is empty.</exception>
    /// <exception cref="ArgumentOutOfRangeException">An entry of <paramref name="noisePerOutput"/> is not a finite number above zero.</exception>
    public GaussianLikelihood(
        IReadOnlyList<double> noisePerOutput, bool learnNoise = true, MissingTargets missing = MissingTargets.Refused, ScalarType? dtype = null)
        : this(Checked(noisePerOutput), learnNoise, isShared: false, missing, dtype)
    {
    }

    private GaussianLikelihood(double[] noise, bool learnNoise, bool isShared, MissingTargets missing, ScalarType? dtype)
        : base(nameof(GaussianLikelihood))
    {
        LearnNoise = learnNoise;
        IsShared = isShared;
        Missing = missing;
        _logNoise = LogParameter.Create(noise, learnNoise, dtype);
        RegisterComponents();
    }

    /// <summary>Whether the noise is trained with the network.</summary>
    public bool LearnNoise { get; }

    /// <summary>Whether one noise level serves all outputs.</summary>
    public bool IsShared { get; }

    /// <summary>What NaN in a target means.</summary>
    public MissingTargets Missing { get; }

    /// <summary>1: the log density falls as the square of the output.</summary>
    public override double? GradientGrowth => 1;

    /// <summary>The noise's standard deviation now, in units of the target, where all outputs share it.</summary>
    /// <exception cref="InvalidOperationException">Each output has a noise level of its own; read <see cref="NoisePerOutput"/>.</exception>
    public double Noise => IsShared
        ? NoisePerOutput[0]
        : throw new InvalidOperationException("Each output has a noise level of its own; read NoisePerOutput.");

    /// <summary>The noise's standard deviations now, in units of the targets: one for each output, or the one they share.</summary>
    public IReadOnlyList<double> NoisePerOutput => LogParameter.Values(_logNoise);

    /// <inheritdoc/>
    public override Tensor LogLikelihood(Tensor output, Tensor target)
    {
        ArgumentNullException.ThrowIfNull(output);
        ArgumentNullException.ThrowIfNull(target);
        if (output.dim() == 0)
            throw new ArgumentException("The network's output has no dimensions; its first must be the batch. Use output.unsqueeze(0).", nameof(output));
        GaussianDensity.RequireSameShape(output, target, "network's output");
        RequireOutputs(output, leading: 1, nameof(output));
        using var scope = NewDisposeScope();
        Tensor perOutput = ObservedEntries.LogDensity(target, Missing, y => GaussianDensity.Log(y, output, _logNoise));
        return GaussianDensity.SumOverOutputs(perOutput, 1).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    internal override bool HasClosedForm => true;

    /// <inheritdoc/>
    internal override LossGradient? Differentiate<T>(ReadOnlySpan<T> output, ReadOnlySpan<long> shape, Tensor target, double factor, Span<T> gradient)
    {
        if (!IsShared || !TensorMemory.IsPlain<T>(target) || !target.shape.AsSpan().SequenceEqual(shape) || !TensorMemory.IsPlain<T>(_logNoise))
            return IsShared ? null : base.Differentiate(output, shape, target, factor, gradient);
        ReadOnlySpan<T> y = TensorMemory.Span<T>(target);
        T logNoise = TensorMemory.Span<T>(_logNoise)[0], inverse = T.Exp(-logNoise), scale = T.CreateTruncating(factor) * inverse;
        double squares = 0;
        int observed = 0;
        for (int i = 0; i < y.Length; i++)
        {
            if (Missing == MissingTargets.Masked && T.IsNaN(y[i]))
            {
                gradient[i] = T.Zero;
                continue;
            }

            observed++;
            T standard = (y[i] - output[i]) * inverse;
            gradient[i] = standard * scale;
            squares += double.CreateTruncating(standard * standard);
        }

        GC.KeepAlive(target);
        double logLikelihood = -0.5 * squares - observed * (double.CreateTruncating(logNoise) + LocationScaleLaw.HalfLogTwoPi);
        return LearnNoise ? new LossGradient(logLikelihood, _logNoise, factor * (squares - observed)) : new LossGradient(logLikelihood);
    }

    /// <inheritdoc/>
    /// <returns>A <see cref="GaussianPredictive"/> whose components share the noise level as it is now.</returns>
    public override GaussianPredictive Predict(Tensor outputs)
    {
        ArgumentNullException.ThrowIfNull(outputs);
        RequireOutputs(outputs, leading: 2, nameof(outputs));
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        return new GaussianPredictive(outputs, LogParameter.Beside(_logNoise, outputs), Missing);
    }

    private void RequireOutputs(Tensor output, int leading, string name)
    {
        if (!IsShared && (output.dim() <= leading || output.size(-1) != _logNoise.numel()))
        {
            throw new ArgumentException(
                $"The network's output has shape {Guard.Format(output.shape)} and the likelihood {_logNoise.numel()} noise levels; the last dimension must have one "
                + "output for each.", name);
        }
    }

    private static double[] Checked(IReadOnlyList<double> noisePerOutput)
    {
        ArgumentNullException.ThrowIfNull(noisePerOutput);
        if (noisePerOutput.Count == 0)
            throw new ArgumentException("There is no noise level; give one for each output.", nameof(noisePerOutput));
        return [.. noisePerOutput.Select(noise => Guard.Positive(noise, nameof(noisePerOutput)))];
    }
}
