using BayesNet.Likelihoods;
using BayesNet.Runtime;
using static TorchSharp.torch;

namespace BayesNet.Prediction;

/// <summary>Computes a network's outputs under samples of a posterior, block by block, for every row under every sample once.</summary>
/// <param name="inputs">(batch, ...) as the network takes it.</param>
/// <param name="samples">Posterior samples S.</param>
/// <param name="options">Memory.</param>
/// <param name="receive">Told of each block.</param>
internal delegate void SampleRun(Tensor inputs, int samples, PredictionOptions options, Action<SampleBlock> receive);

/// <summary>What predictions are made of, whatever the posterior that the samples come from.</summary>
internal static class SampleRunExtensions
{
    /// <summary>The predictive distribution of a batch, around a likelihood whose parameters are the same for all samples.</summary>
    internal static Predictive Predict(this SampleRun run, Likelihood likelihood, Tensor inputs, int samples, PredictionOptions options)
    {
        using var scope = NewDisposeScope();
        return options.KeepSamples ? likelihood.Predict(run.Outputs(inputs, samples, options)) : run.Moments(likelihood, inputs, samples, options);
    }

    /// <summary>The predictive's moments; the likelihood may have parameters of its own for each block.</summary>
    internal static Predictive Moments(this SampleRun run, Likelihood likelihood, Tensor inputs, int samples, PredictionOptions options)
    {
        using var moments = new RunningMoments(likelihood);
        run(inputs, samples, options, moments.Add);
        return moments.Result();
    }

    /// <summary>ln (1/S) sum_s p(y | f_s), shape (batch); the likelihood may have parameters of its own for each block.</summary>
    /// <exception cref="ArgumentException">Targets and inputs have different numbers of rows.</exception>
    internal static Tensor LogDensity(this SampleRun run, Likelihood likelihood, Tensor inputs, Tensor targets, int samples, PredictionOptions options)
    {
        RequireRows(inputs, targets);
        using var scope = NewDisposeScope();
        using var density = new RunningLogDensity(likelihood, targets);
        run(inputs, samples, options, density.Add);
        return density.Result().MoveToOuterDisposeScope();
    }

    /// <summary>(samples, batch, ...), without gradients.</summary>
    internal static Tensor Outputs(this SampleRun run, Tensor inputs, int samples, PredictionOptions options)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        Tensor? all = null;
        run(inputs, samples, options, block =>
        {
            Tensor outputs = block.Outputs;
            if (outputs.size(0) == samples && block.FirstRow is null)
            {
                all = outputs.MoveToOtherDisposeScope(scope);
                return;
            }

            using var inner = NewDisposeScope();
            long[] shape = outputs.shape;
            shape[0] = samples;
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
