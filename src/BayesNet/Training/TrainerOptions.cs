using BayesNet.Diagnostics;
using BayesNet.Runtime;
using BayesNet.Training.Fitting;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace BayesNet.Training;

/// <summary>How often a learning-rate scheduler is stepped.</summary>
public enum SchedulerInterval
{
    /// <summary>After every epoch and its validation.</summary>
    Epoch,

    /// <summary>After every step of the optimizer.</summary>
    Step,
}

/// <summary>How a <see cref="VariationalTrainer"/> trains. Every property states its default; values are checked when they are set.</summary>
public sealed record TrainerOptions
{
    /// <summary>Passes over the data; 100 by default.</summary>
    /// <exception cref="ArgumentOutOfRangeException">Below 1.</exception>
    public int Epochs { get; init => field = (int)Guard.AtLeastOne(value, nameof(Epochs)); } = 100;

    /// <summary>Rows of a minibatch; 128 by default. The last one of an epoch holds the rest and weighs as much a row as the others.</summary>
    /// <exception cref="ArgumentOutOfRangeException">Below 1.</exception>
    public int BatchSize { get; init => field = (int)Guard.AtLeastOne(value, nameof(BatchSize)); } = 128;

    /// <summary>Whether rows are drawn in a new order every epoch; true by default.</summary>
    public bool Shuffle { get; init; } = true;

    /// <summary>The learning rate of Adam; 1e-3 by default. Not used with <see cref="Optimizer"/>.</summary>
    /// <exception cref="ArgumentOutOfRangeException">Not a finite number above zero.</exception>
    public double LearningRate { get; init => field = Guard.Positive(value, nameof(LearningRate)); } = 1e-3;

    /// <summary>
    /// Noise samples S a step; 1 by default. The gradient is the mean of the gradients of S samples: its noise variance falls as 1/S, its
    /// cost rises as S.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">Below 1.</exception>
    public int Samples { get; init => field = (int)Guard.AtLeastOne(value, nameof(Samples)); } = 1;

    /// <summary>
    /// Whether the samples of a step come in antithetic pairs, the second with the noise of the first mirrored; false by default.
    /// <see cref="Samples"/> must be even. What is odd in the noise cancels: the gradient in the means of a model that is nearly linear over the
    /// posterior's width loses most of its variance, that in the scales, which is even, gains nothing. On CUDA, noise then comes from the CPU.
    /// </summary>
    public bool Antithetic { get; init; }

    /// <summary>
    /// Minibatches k whose gradients make one step of the optimizer; 1 by default. The loss is that of their union: rows weigh alike, and the KL
    /// term counts once, so k minibatches of <see cref="BatchSize"/> rows are a step on k times as many in the memory of one. Every minibatch
    /// draws noise of its own.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">Below 1.</exception>
    public int AccumulationSteps { get; init => field = (int)Guard.AtLeastOne(value, nameof(AccumulationSteps)); } = 1;

    /// <summary>
    /// The greatest norm of all gradients together, to which longer ones are scaled down (Pascanu, Mikolov and Bengio 2013);
    /// <see cref="StepResult.GradientNorm"/> tells what it was. Null, the default, for no clipping. Any optimizer; a step is then not taken in the
    /// same pass as its gradients.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">Not a finite number above zero.</exception>
    public double? MaxGradientNorm { get; init => field = value is { } norm ? Guard.Positive(norm, nameof(MaxGradientNorm)) : null; }

    /// <summary>
    /// The learning rate of what posteriors learn besides their means (log scales, factors, logits), as a second group of the optimizer; null,
    /// the default, for <see cref="LearningRate"/>. Not used with <see cref="Optimizer"/>.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">Not a finite number above zero.</exception>
    public double? ScaleLearningRate { get; init => field = value is { } rate ? Guard.Positive(rate, nameof(ScaleLearningRate)) : null; }

    /// <summary>
    /// Makes a learning-rate scheduler of TorchSharp's, <c>optimizer => optim.lr_scheduler.CosineAnnealingLR(optimizer, 100)</c>, which is then
    /// stepped every <see cref="SchedulerInterval"/>; null, the default, for none. <c>ReduceLROnPlateau</c> is given the negative log likelihood of
    /// the validation rows. A checkpoint holds how often it was stepped, so what it does must follow from that.
    /// </summary>
    public Func<optim.Optimizer, optim.lr_scheduler.LRScheduler>? Scheduler { get; init; }

    /// <summary>How often <see cref="Scheduler"/> is stepped; once an epoch by default.</summary>
    public SchedulerInterval SchedulerInterval { get; init; } = SchedulerInterval.Epoch;

    /// <summary>When to stop for want of progress on the validation rows, and whether to go back to the best epoch; null, the default, for never.</summary>
    public EarlyStopping? EarlyStopping { get; init; }

    /// <summary>When to write checkpoints, and where; null, the default, for never but by <see cref="VariationalTrainer.SaveCheckpoint"/>.</summary>
    public CheckpointOptions? Checkpoint { get; init; }

    /// <summary>What is called in the course of a run, in order; none by default.</summary>
    public IReadOnlyList<ITrainingCallback> Callbacks { get; init; } = [];

    /// <summary>The weight of the KL term over the epochs; <see cref="KlSchedule.Constant"/> by default.</summary>
    public KlSchedule KlSchedule { get; init; } = KlSchedule.Constant;

    /// <summary>
    /// The standard deviation s of a zero-mean Gaussian prior on the model's deterministic parameters, biases included, which are then fitted
    /// to the maximum a posteriori: the loss an example has KlWeight |w|^2 / (2 s^2 N) more, beside the KL term and with its weight
    /// (<see cref="StepResult.PointPenalty"/>). Null, the default, for no prior: such parameters are then fitted by maximum likelihood. With it, a
    /// model needs no Bayesian layer. What the likelihood learns has no prior.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">Not a finite number above zero.</exception>
    public double? PointPrior { get; init => field = value is { } stdDev ? Guard.Positive(stdDev, nameof(PointPrior)) : null; }

    /// <summary>
    /// Whether a model without any Bayesian layer is accepted, and fitted by maximum likelihood, or to the maximum a posteriori under
    /// <see cref="PointPrior"/>; false by default, since most such models were meant to have one.
    /// </summary>
    public bool PointEstimate { get; init; }

    /// <summary>
    /// Makes the optimizer from the parameters of model and likelihood; null, the default, for <see cref="FusedAdam"/> with
    /// <see cref="LearningRate"/>. The trainer disposes what it returns.
    /// </summary>
    public Func<IEnumerable<Parameter>, optim.Optimizer>? Optimizer { get; init; }

    /// <summary>
    /// Whether a step may run as one hand-driven pass without autograd, about four times as fast for small networks and 10 to 15 % faster for large
    /// ones (docs/performance.md); true by default. It does for a <c>Sequential</c> of linear layers, deterministic or with mean-field Gaussian posteriors (log
    /// scale, one Gaussian prior, local reparameterization or shared weights), and elementwise activations, in float32 or float64 on the CPU.
    /// Every other model takes autograd; <see cref="VariationalTrainer.IsCompiled"/> and <see cref="VariationalTrainer.WhyNotCompiled"/> tell.
    /// </summary>
    public bool Compile { get; init; } = true;

    /// <summary>
    /// Seeds the order of the rows and, layer by layer, the noise, so that a run repeats itself on the same machine; null, the default,
    /// leaves both to libtorch's global generator. It does not seed the initial weights, which are drawn before.
    /// </summary>
    public ulong? Seed { get; init; }

    /// <summary>Posterior samples with which validation data are scored after an epoch; 20 by default.</summary>
    /// <exception cref="ArgumentOutOfRangeException">Below 1.</exception>
    public int ValidationSamples { get; init => field = (int)Guard.AtLeastOne(value, nameof(ValidationSamples)); } = 20;

    /// <summary>Epochs from one scoring of the validation data to the next; 1 by default. The last epoch is always scored.</summary>
    /// <exception cref="ArgumentOutOfRangeException">Below 1.</exception>
    public int ValidationInterval { get; init => field = (int)Guard.AtLeastOne(value, nameof(ValidationInterval)); } = 1;

    /// <summary>
    /// Told, when a trainer is created, of each layer whose gradients have infinite variance under its likelihood (see
    /// <see cref="TailWarningExtensions.TailWarnings"/>), once a trainer. Null, the default, writes to
    /// <see cref="System.Diagnostics.Trace.TraceWarning(string)"/>, which is silent but for a debugger or a listener.
    /// </summary>
    public Action<string>? Warn { get; init; }

    /// <summary>The processes that train together, each on a slice of every minibatch; null, the default, for this one alone.</summary>
    internal IPeers? Peers { get; init; }
}
