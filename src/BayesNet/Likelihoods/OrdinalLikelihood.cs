using BayesNet.Prediction;
using BayesNet.Runtime;
using TorchSharp;
using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace BayesNet.Likelihoods;

/// <summary>
/// Ordered classes y in {0, ..., classes - 1} by cumulative logits, P(y &lt;= k) = sigmoid(c_k - f), with learned thresholds
/// c_0 &lt; ... &lt; c_(classes - 2) (McCullagh 1980, the proportional odds model). Output (batch, 1) or (batch); target (batch), int64.
/// </summary>
/// <remarks>
/// The parameter <c>thresholds</c> holds c_0 and then the logarithms of the gaps c_k - c_(k-1), so that they stay in order whatever an
/// optimizer does. With b = c_k - f and a = c_(k-1) - f, P(y = k) = sigmoid(b) sigmoid(-a) (1 - e^-(b - a)): three logarithms, none of a
/// difference, so far outputs and narrow gaps cost no digits. The gradient in f is bounded. A bias in the network's last layer and the
/// thresholds' common shift do the same; either is harmless.
/// </remarks>
public sealed class OrdinalLikelihood : Likelihood
{
    // ln(1 - e^-gap) is ln gap to rounding in float64 below this logarithm of a gap.
    private static readonly Scalar NarrowGap = -37.0;

    [ComponentName(Name = "thresholds")]
    private readonly Parameter _thresholds;

    /// <summary>Creates the likelihood with thresholds that make the classes equally probable at f = 0.</summary>
    /// <param name="classes">The number of classes, at least 2.</param>
    /// <param name="ignoreIndex">A target index that stands for a missing label, -1 for instance; null where there is none.</param>
    /// <param name="dtype">float32 or float64; null for the default type. The trainer converts it to the model's.</param>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="classes"/> is below 2.</exception>
    public OrdinalLikelihood(int classes, long? ignoreIndex = null, ScalarType? dtype = null)
        : base(nameof(OrdinalLikelihood))
    {
        if (classes < 2)
            throw new ArgumentOutOfRangeException(nameof(classes), classes, "classes must be at least 2.");
        Classes = classes;
        IgnoreIndex = ignoreIndex;
        double[] even = [.. Enumerable.Range(1, classes - 1).Select(k => Math.Log((double)k / (classes - k)))];
        double[] free = [.. even.Select((c, k) => k == 0 ? c : Math.Log(c - even[k - 1]))];
        using (NewDisposeScope())
            _thresholds = OwnedTensors.Parameter(tensor(free, dtype: Guard.FloatingPoint(dtype ?? get_default_dtype(), nameof(dtype))));
        RegisterComponents();
    }

    /// <summary>The number of classes.</summary>
    public int Classes { get; }

    /// <summary>The target index that stands for a missing label; null where there is none.</summary>
    public long? IgnoreIndex { get; }

    /// <summary>The thresholds c_0 to c_(classes - 2) now, ascending.</summary>
    public IReadOnlyList<double> Thresholds
    {
        get
        {
            using var scope = NewDisposeScope();
            using var _ = no_grad();
            return Ordered(_thresholds.detach().to(ScalarType.Float64)).cpu().data<double>().ToArray();
        }
    }

    /// <inheritdoc/>
    public override Tensor LogLikelihood(Tensor output, Tensor target)
    {
        ArgumentNullException.ThrowIfNull(output);
        ArgumentNullException.ThrowIfNull(target);
        RequireOneOutput(output, leading: 1, nameof(output));
        CategoricalLikelihood.RequireClasses(target, output.size(0), Classes, IgnoreIndex);
        using var scope = NewDisposeScope();
        Tensor logProbabilities = LogProbabilities(output.reshape(output.size(0), 1));
        return ObservedEntries.LogDensity(target, IgnoreIndex, y => logProbabilities.gather(1, y.unsqueeze(1)).squeeze(1)).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    /// <returns>A <see cref="CategoricalPredictive"/> with the thresholds as they are now.</returns>
    public override CategoricalPredictive Predict(Tensor outputs)
    {
        ArgumentNullException.ThrowIfNull(outputs);
        RequireOneOutput(outputs, leading: 2, nameof(outputs));
        using var scope = NewDisposeScope();
        using var _ = no_grad();

        // Normalised logarithms of probabilities are logits of themselves.
        return new CategoricalPredictive(LogProbabilities(outputs.reshape(outputs.size(0), outputs.size(1), 1)), IgnoreIndex);
    }

    /// <summary>ln P(y = k | f), (..., classes) for f (..., 1).</summary>
    private Tensor LogProbabilities(Tensor output)
    {
        using var scope = NewDisposeScope();
        Tensor free = _thresholds.to(output.dtype, output.device);
        Tensor margin = Ordered(free).sub(output);
        Tensor none = zeros_like(output);
        Tensor below = cat([nn.functional.logsigmoid(margin), none], -1);
        Tensor above = cat([none, nn.functional.logsigmoid(margin.neg())], -1);
        Tensor logGaps = free.narrow(0, 1, Classes - 2);
        Tensor wide = logGaps.clamp_min(NarrowGap);
        Tensor zero = zeros([1], dtype: free.dtype, device: free.device);
        Tensor between = cat([zero, wide.exp().neg().expm1().neg().log().Plus(logGaps.sub(wide)), zero], 0);
        return below.Plus(above).Plus(between).MoveToOuterDisposeScope();
    }

    private Tensor Ordered(Tensor free)
        => cat([free.narrow(0, 0, 1), free.narrow(0, 1, Classes - 2).exp()], 0).cumsum(0);

    private static void RequireOneOutput(Tensor output, int leading, string name)
    {
        if (output.dim() != leading && (output.dim() != leading + 1 || output.size(leading) != 1))
        {
            throw new ArgumentException(
                $"The network's output has shape {Guard.Format(output.shape)}; the ordinal likelihood takes one number an example, "
                + $"({(leading == 2 ? "samples, " : "")}batch, 1): give the last layer one output, whatever the number of classes.", name);
        }
    }
}
