using BayesNet.Kernels;
using BayesNet.Prediction;
using BayesNet.Runtime;
using TorchSharp;
using static TorchSharp.torch;

namespace BayesNet.Likelihoods;

/// <summary>
/// y in {0, ..., classes - 1} with probabilities softmax(f): classification. Output (batch, classes), logits; target (batch), int64.
/// </summary>
public sealed class CategoricalLikelihood : Likelihood
{
    /// <summary>Creates the likelihood.</summary>
    /// <param name="ignoreIndex">A target index that stands for a missing label, -1 for instance; null where there is none.</param>
    public CategoricalLikelihood(long? ignoreIndex = null)
        : base(nameof(CategoricalLikelihood))
    {
        IgnoreIndex = ignoreIndex;
        RegisterComponents();
    }

    /// <summary>
    /// The target index that stands for a missing label: such an example has log likelihood 0 and no gradient. Null where there is none.
    /// </summary>
    public long? IgnoreIndex { get; }

    /// <inheritdoc/>
    public override Tensor LogLikelihood(Tensor output, Tensor target)
    {
        ArgumentNullException.ThrowIfNull(output);
        ArgumentNullException.ThrowIfNull(target);
        if (output.dim() != 2)
        {
            throw new ArgumentException(
                $"The categorical likelihood takes logits of shape (batch, classes) and got {Guard.Format(output.shape)}; flatten the output.", nameof(output));
        }

        RequireClasses(target, output.size(0), output.size(1), IgnoreIndex);
        using var scope = NewDisposeScope();
        Tensor logProbabilities = output.log_softmax(1);
        return ObservedEntries.LogDensity(target, IgnoreIndex, y => logProbabilities.gather(1, y.unsqueeze(1)).squeeze(1)).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    internal override bool HasClosedForm => true;

    /// <inheritdoc/>
    internal override LossGradient? Differentiate<T>(ReadOnlySpan<T> output, ReadOnlySpan<long> shape, Tensor target, double factor, Span<T> gradient)
    {
        if (target.dtype != ScalarType.Int64 || target.device_type != TorchSharp.DeviceType.CPU || !target.is_contiguous() || target.dim() != 1 || target.size(0) != shape[0])
            return null;
        ReadOnlySpan<long> classes = TensorMemory.Span<long>(target);
        int width = (int)shape[1];
        double logLikelihood = 0;
        for (int row = 0; row < classes.Length; row++)
        {
            if (classes[row] == IgnoreIndex)
            {
                gradient.Slice(row * width, width).Clear();
                continue;
            }

            if (classes[row] < 0 || classes[row] >= width)
                return null;
            ReadOnlySpan<T> logits = output.Slice(row * width, width);
            Span<T> slope = gradient.Slice(row * width, width);
            T greatest = logits[0];
            foreach (T logit in logits)
                greatest = T.Max(greatest, logit);
            double sum = 0;
            for (int c = 0; c < width; c++)
            {
                slope[c] = T.Exp(logits[c] - greatest);
                sum += double.CreateTruncating(slope[c]);
            }

            T scale = T.CreateTruncating(-factor / sum);
            foreach (ref T entry in slope)
                entry *= scale;
            int own = (int)classes[row];
            slope[own] += T.CreateTruncating(factor);
            logLikelihood += double.CreateTruncating(logits[own] - greatest) - Math.Log(sum);
        }

        GC.KeepAlive(target);
        return new LossGradient(logLikelihood);
    }

    /// <inheritdoc/>
    public override Predictive Predict(Tensor outputs)
    {
        ArgumentNullException.ThrowIfNull(outputs);
        return new CategoricalPredictive(outputs, IgnoreIndex);
    }

    internal static void RequireClasses(Tensor target, long batch, long classes, long? ignoreIndex)
    {
        if (target.dtype != ScalarType.Int64 || target.dim() != 1 || target.size(0) != batch)
        {
            throw new ArgumentException(
                $"The target has shape {Guard.Format(target.shape)} and type {target.dtype}; it must hold {batch} class indices of type Int64, "
                + "shape (batch). Convert with target.to(ScalarType.Int64), or one-hot rows with target.argmax(1).", nameof(target));
        }

        // A wrong index is caught on the CPU, where the check is cheap; CUDA asserts it in the kernel.
        if (target.device_type != TorchSharp.DeviceType.CPU || batch == 0)
            return;
        using var scope = NewDisposeScope();
        Tensor labels = target;
        if (ignoreIndex is { } ignored)
        {
            using Scalar scalar = ignored;
            labels = target.masked_fill(target.eq(scalar), Scalars.Zero);
        }

        long least = labels.min().item<long>();
        long most = labels.max().item<long>();
        if (least < 0 || most >= classes)
        {
            throw new ArgumentException(
                $"The target holds class {(least < 0 ? least : most)}; the network has {classes} outputs, so classes are 0 to {classes - 1}.", nameof(target));
        }
    }
}
