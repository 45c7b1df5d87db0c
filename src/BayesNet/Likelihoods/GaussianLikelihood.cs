using BayesNet.Kernels;
using BayesNet.Prediction;
using BayesNet.Reparameterization;
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
            _logNoise = OwnedTensors.Parameter(logNoise, learnNoise);
        }

        RegisterComponents();
    }

    /// <summary>Whether the noise level is trained with the network.</summary>
    public bool LearnNoise { get; }

    /// <summary>1: the log density falls as the square of the output.</summary>
    public override double? GradientGrowth => 1;

    /// <summary>The noise's standard deviation now, in units of the target.</summary>
    public double Noise
    {
        get
        {
            using var scope = NewDisposeScope();
            return Math.Exp(_logNoise.detach().to(ScalarType.Float64).item<double>());
        }
    }

    /// <inheritdoc/>
    public override Tensor LogLikelihood(Tensor output, Tensor target)
    {
        ArgumentNullException.ThrowIfNull(output);
        ArgumentNullException.ThrowIfNull(target);
        if (output.dim() == 0)
            throw new ArgumentException("The network's output has no dimensions; its first must be the batch. Use output.unsqueeze(0).", nameof(output));
        GaussianDensity.RequireSameShape(output, target, "network's output");
        using var scope = NewDisposeScope();
        return GaussianDensity.SumOverOutputs(GaussianDensity.Log(target, output, _logNoise), 1).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    internal override bool HasClosedForm => true;

    /// <inheritdoc/>
    internal override LossGradient? Differentiate<T>(ReadOnlySpan<T> output, ReadOnlySpan<long> shape, Tensor target, double factor, Span<T> gradient)
    {
        if (!TensorMemory.IsPlain<T>(target) || !target.shape.AsSpan().SequenceEqual(shape) || !TensorMemory.IsPlain<T>(_logNoise))
            return null;
        ReadOnlySpan<T> y = TensorMemory.Span<T>(target);
        T logNoise = TensorMemory.Span<T>(_logNoise)[0], inverse = T.Exp(-logNoise), scale = T.CreateTruncating(factor) * inverse;
        double squares = 0;
        for (int i = 0; i < y.Length; i++)
        {
            T standard = (y[i] - output[i]) * inverse;
            gradient[i] = standard * scale;
            squares += double.CreateTruncating(standard * standard);
        }

        GC.KeepAlive(target);
        double logLikelihood = -0.5 * squares - y.Length * (double.CreateTruncating(logNoise) + LocationScaleLaw.HalfLogTwoPi);
        return LearnNoise ? new LossGradient(logLikelihood, _logNoise, factor * (squares - y.Length)) : new LossGradient(logLikelihood);
    }

    /// <inheritdoc/>
    /// <returns>A <see cref="GaussianPredictive"/> whose components share the noise level as it is now.</returns>
    public override GaussianPredictive Predict(Tensor outputs)
    {
        ArgumentNullException.ThrowIfNull(outputs);
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        var ones = new long[outputs.dim()];
        Array.Fill(ones, 1);
        return new GaussianPredictive(outputs, _logNoise.to(outputs.dtype, outputs.device).reshape(ones));
    }
}
