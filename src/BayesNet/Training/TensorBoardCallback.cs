using BayesNet.Posteriors;
using BayesNet.Runtime;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace BayesNet.Training;

/// <summary>
/// Writes a run to event files for TensorBoard: the losses, step by step and epoch by epoch, the KL divergence and the signal-to-noise ratios of each
/// layer, the variance of the gradients and the learning rates.
/// </summary>
/// <remarks>
/// Tags: <c>step/nll</c>, <c>step/loss</c>, <c>step/gradient_norm</c> (where gradients are clipped), <c>step/learning_rate/g</c>; <c>epoch/nll</c>,
/// <c>epoch/kl</c>, <c>epoch/kl_weight</c>, <c>epoch/elbo</c>, <c>epoch/validation_log_likelihood</c>, <c>epoch/gradient_variance</c>;
/// <c>kl/layer</c>; <c>snr_db/layer.part</c>, a histogram of 20 log10(|mean| / standard deviation) over the weights. The x axis is the trainer's
/// count of steps. A divergence without a closed form is estimated with draws of the layer's own noise, which a seeded layer then has again.
/// </remarks>
public sealed class TensorBoardCallback : ITrainingCallback
{
    private readonly SummaryWriter _writer;
    private readonly int _stepInterval;

    /// <summary>Opens an event file.</summary>
    /// <param name="directory">The run's folder, made where it is missing; runs side by side in one folder are compared.</param>
    /// <param name="stepInterval">Steps from one that is written to the next.</param>
    /// <exception cref="ArgumentException"><paramref name="directory"/> is empty.</exception>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="stepInterval"/> is below 1.</exception>
    public TensorBoardCallback(string directory, int stepInterval = 10)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(directory);
        _stepInterval = (int)Guard.AtLeastOne(stepInterval);
        NativeLibraries.Load();
        _writer = utils.tensorboard.SummaryWriter(directory);
    }

    /// <inheritdoc/>
    public void StepCompleted(TrainingContext context, StepResult result)
    {
        ArgumentNullException.ThrowIfNull(context);
        if (context.Trainer.Steps % _stepInterval != 0)
            return;
        int step = Step(context);
        Scalar("step/nll", result.NegativeLogLikelihood, step);
        Scalar("step/loss", result.Loss, step);
        if (result.GradientNorm is { } norm)
            Scalar("step/gradient_norm", norm, step);
        foreach ((int index, optim.ILearningRateController group) in context.Trainer.Optimizer.ParamGroups.Index())
            Scalar($"step/learning_rate/{index}", group.LearningRate, step);
    }

    /// <inheritdoc/>
    public void EpochCompleted(TrainingContext context, EpochResult result)
    {
        ArgumentNullException.ThrowIfNull(context);
        ArgumentNullException.ThrowIfNull(result);
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        int step = Step(context);
        Scalar("epoch/nll", result.NegativeLogLikelihood, step);
        Scalar("epoch/kl", result.KlDivergence, step);
        Scalar("epoch/kl_weight", result.KlWeight, step);
        Scalar("epoch/elbo", result.Elbo, step);
        if (result.ValidationLogLikelihood is { } score)
            Scalar("epoch/validation_log_likelihood", score, step);
        if (GradientVariance(context.Trainer.Optimizer) is { } variance)
            Scalar("epoch/gradient_variance", variance, step);

        foreach ((string name, IBayesianModule module) in context.Trainer.Model.BayesianModules())
        {
            ((ulong, ulong)? state, byte[]? gamma) = (module.Noise.State, module.Noise.GammaState);
            Scalar($"kl/{Name(name, module)}", module.KlDivergence().to(ScalarType.Float64).item<double>(), step);
            if (state is null)
                continue;
            module.Noise.State = state;
            module.Noise.GammaState = gamma;
        }

        foreach ((string name, IBayesianModule module, string part, Posterior posterior) in context.Trainer.Model.Posteriors())
        {
            Tensor ratio = posterior.Mean.abs().div(posterior.Variance.sqrt()).log10().Times(20);
            Tensor finite = ratio[ratio.isfinite()].cpu();
            if (finite.numel() > 0)
                _writer.add_histogram($"snr_db/{Name(name, module)}.{part}", finite, step);
        }
    }

    /// <summary>
    /// The mean over all entries of the variance of a gradient from step to step, as Adam's moments have it: E[g^2] - E[g]^2, each over the steps
    /// that its decay remembers. Null where the optimizer keeps no such moments.
    /// </summary>
    internal static double? GradientVariance(optim.Optimizer optimizer)
    {
        if (optimizer is not IFusedAdam adam)
            return null;
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        double sum = 0;
        long count = 0;
        foreach (AdamParameter parameter in adam.Fused.All)
        {
            if (parameter.Corrections is not (double first, double second))
                continue;
            Tensor mean = parameter.FirstMoment.Times(1 / first), variance = parameter.SecondMoment.Times(1 / second).sub(mean.Squared());
            sum += variance.clamp_min(Scalars.Zero).sum(ScalarType.Float64).item<double>();
            count += variance.numel();
        }

        return count > 0 ? sum / count : null;
    }

    private static string Name(string name, IBayesianModule module) => name.Length > 0 ? name : ((nn.Module)module).GetName();

    private static int Step(TrainingContext context) => (int)Math.Min(context.Trainer.Steps, int.MaxValue);

    private void Scalar(string tag, double value, int step) => _writer.add_scalar(tag, (float)value, step);
}
