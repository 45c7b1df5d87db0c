using BayesNet.Likelihoods;
using BayesNet.Runtime;
using static TorchSharp.torch;

namespace BayesNet.Prediction;

/// <summary>Computes a network's outputs under samples of a posterior, block by block, for every row under every sample of a range once.</summary>
/// <param name="inputs">(batch, ...) as the network takes it.</param>
/// <param name="samples">Posterior samples, at least one; blocks count from the first of them.</param>
/// <param name="options">Memory.</param>
/// <param name="receive">Told of each block.</param>
internal delegate void SampleRun(Tensor inputs, SampleRange samples, PredictionOptions options, Action<SampleBlock> receive);

/// <summary>What one process makes of its samples, whatever the posterior that they come from; null where it has none.</summary>
internal static class SampleRunExtensions
{
    /// <summary>The predictive distribution of a batch, around a likelihood whose parameters are the same for all samples.</summary>
    internal static Predictive? Predict(this SampleRun run, Likelihood likelihood, Tensor inputs, SampleRange samples, PredictionOptions options)
    {
        using var scope = NewDisposeScope();
        if (!options.KeepSamples)
            return run.Moments(likelihood, inputs, samples, options);
        return run.Outputs(inputs, samples, options) is { } outputs ? likelihood.Predict(outputs) : null;
    }

    /// <summary>The predictive's moments; the likelihood may have parameters of its own for each block.</summary>
    internal static Predictive? Moments(this SampleRun run, Likelihood likelihood, Tensor inputs, SampleRange samples, PredictionOptions options)
    {
        if (samples.Count == 0)
            return null;
        using var moments = new RunningMoments(likelihood);
        run(inputs, samples, options, moments.Add);
        return moments.Result();
    }

    /// <summary>ln (1/S) sum_s p(y | f_s), shape (batch); the likelihood may have parameters of its own for each block.</summary>
    /// <exception cref="ArgumentException">Targets and inputs have different numbers of rows.</exception>
    internal static SampledLogDensity? LogDensity(
        this SampleRun run, Likelihood likelihood, Tensor inputs, Tensor targets, SampleRange samples, PredictionOptions options)
    {
        RequireRows(inputs, targets);
        if (samples.Count == 0)
            return null;
        using var scope = NewDisposeScope();
        using var density = new RunningLogDensity(likelihood, targets);
        run(inputs, samples, options, density.Add);
        return new SampledLogDensity(density.Result().MoveToOuterDisposeScope(), samples.Count);
    }

    /// <summary>(samples, batch, ...), without gradients.</summary>
    internal static Tensor? Outputs(this SampleRun run, Tensor inputs, SampleRange samples, PredictionOptions options)
    {
        if (samples.Count == 0)
            return null;
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        Tensor? all = null;
        run(inputs, samples, options, block =>
        {
            Tensor outputs = block.Outputs;
            if (outputs.size(0) == samples.Count && block.FirstRow is null)
            {
                all = outputs.MoveToOtherDisposeScope(scope);
                return;
            }

            using var inner = NewDisposeScope();
            long[] shape = outputs.shape;
            shape[0] = samples.Count;
            if (block.FirstRow is not null)
                shape[1] = inputs.size(0);
            all ??= empty(shape, dtype: outputs.dtype, device: outputs.device).MoveToOtherDisposeScope(scope);
            Tensor place = all.narrow(0, block.FirstSample, outputs.size(0));
            (block.FirstRow is { } row ? place.narrow(1, row, outputs.size(1)) : place).copy_(outputs);
        });
        return all!.MoveToOuterDisposeScope();
    }

    internal static void RequireRows(Tensor inputs, Tensor targets)
    {
        ArgumentNullException.ThrowIfNull(inputs);
        ArgumentNullException.ThrowIfNull(targets);
        if (inputs.dim() == 0 || targets.dim() == 0 || inputs.size(0) != targets.size(0))
        {
            throw new ArgumentException(
                $"The inputs have shape {Guard.Format(inputs.shape)} and the targets {Guard.Format(targets.shape)}; both need a row for each example.",
                nameof(targets));
        }
    }
}
