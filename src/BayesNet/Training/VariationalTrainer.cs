using System.Diagnostics;
using BayesNet.Diagnostics;
using BayesNet.Estimators;
using BayesNet.Likelihoods;
using BayesNet.Persistence;
using BayesNet.Posteriors;
using BayesNet.Prediction;
using BayesNet.Training.Fitting;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace BayesNet.Training;

/// <summary>
/// Fits a model with Bayesian layers by stochastic variational inference: it minimises, an example,
/// -ln p(y | f(x)) + KL(q || p) / N, the negative evidence lower bound divided by the size N of the training set (Graves 2011,
/// equation 8; Blundell et al. 2015, equation 1).
/// </summary>
/// <remarks>
/// The likelihood's own parameters, a noise level say, are trained beside the model's, as point estimates. Build the trainer after the
/// model has been moved to its device and type: moving replaces parameters, and the optimizer would hold the old ones.
/// </remarks>
public sealed class VariationalTrainer : IDisposable
{
    private readonly TrainingStep _step;
    private readonly Device _device;
    private readonly bool _isBayesian;
    private bool _goesOn;

    /// <summary>Creates a trainer.</summary>
    /// <param name="model">
    /// A network with at least one Bayesian layer, unless the options ask for point estimates.
    /// </param>
    /// <param name="likelihood">How targets are distributed around its output; moved to the model's device and type.</param>
    /// <param name="trainingSetSize">N, the examples of the whole training set, which the KL term is divided by; not the size of a minibatch.</param>
    /// <param name="options">How to train; null for the defaults.</param>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="trainingSetSize"/> is below 1.</exception>
    /// <exception cref="ArgumentException">The options contradict each other.</exception>
    /// <exception cref="InvalidOperationException">The model has no Bayesian layer, and the options do not ask for point estimates.</exception>
    public VariationalTrainer(nn.Module<Tensor, Tensor> model, Likelihood likelihood, long trainingSetSize, TrainerOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(likelihood);
        if (trainingSetSize < 1)
        {
            throw new ArgumentOutOfRangeException(
                nameof(trainingSetSize), trainingSetSize, "trainingSetSize is the number of examples of the whole training set and must be at least 1.");
        }

        Options = options ?? new TrainerOptions();
        if (Options.Antithetic && Options.Samples % 2 != 0)
        {
            throw new ArgumentException(
                $"TrainerOptions.Antithetic takes samples in pairs, and Samples is {Options.Samples}; make it an even number.", nameof(options));
        }

        _isBayesian = model.BayesianModules().Any();
        if (!_isBayesian && !Options.PointEstimate && Options.PointPrior is null)
        {
            throw new InvalidOperationException(
                BayesianModuleExtensions.NoBayesianLayer(model).Message
                + " To fit it as it is, set TrainerOptions.PointEstimate (maximum likelihood) or TrainerOptions.PointPrior (maximum a posteriori).");
        }

        (Model, Likelihood, TrainingSetSize) = (model, likelihood, trainingSetSize);
        Parameter reference = model.parameters().First(parameter => parameter.is_floating_point());
        _device = reference.device;
        likelihood.to(reference.dtype).to(_device);
        Parameter[] trained = [.. model.parameters().Concat(likelihood.parameters()).Where(parameter => parameter.requires_grad)];
        Optimizer = Options.Optimizer?.Invoke(trained) ?? DefaultOptimizer(model, trained, Options);
        Schedule = new LearningRateSchedule(Optimizer, Options.Scheduler);
        if (Options.Seed is { } seed)
            model.SeedNoise(seed);
        _step = new TrainingStep(model, likelihood, Optimizer, trained, trainingSetSize, _device, Options);
        Options.Peers?.Join(this);
        WarnOfHeavyTails();
    }

    /// <summary>The likelihood, with what it has learned.</summary>
    public Likelihood Likelihood { get; }

    /// <summary>The optimizer.</summary>
    public optim.Optimizer Optimizer { get; }

    /// <summary>
    /// Whether steps run as one hand-driven pass without autograd, with the same numbers to rounding; see <see cref="TrainerOptions.Compile"/>.
    /// </summary>
    /// <remarks>
    /// A minibatch or a model that is no longer what was compiled (another estimator, a frozen parameter, a hook) takes the autograd path for
    /// as long as it is not.
    /// </remarks>
    public bool IsCompiled => _step.IsCompiled;

    /// <summary>Why steps are not compiled, in one sentence; null where they are.</summary>
    public string? WhyNotCompiled => _step.WhyNotCompiled;

    /// <summary>Steps taken so far, those before a checkpoint included.</summary>
    public long Steps
    {
        get => _step.Count;
        internal set => _step.Count = value;
    }

    /// <summary>The network.</summary>
    internal nn.Module<Tensor, Tensor> Model { get; }

    internal TrainerOptions Options { get; }

    internal long TrainingSetSize { get; }

    internal LearningRateSchedule Schedule { get; }

    /// <summary>Orders of the rows drawn so far.</summary>
    internal long Orders { get; set; }

    /// <summary>The run under way, or the last one where it did not end.</summary>
    internal RunState? CurrentRun { get; private set; }

    /// <summary>Copies of what <see cref="State"/> held after the best epoch of the run; null where they are not kept.</summary>
    internal Dictionary<string, Tensor>? Best { get; private set; }

    /// <summary>
    /// Trains on data in memory for <see cref="TrainerOptions.Epochs"/> epochs; a further call goes on from there, and the first after
    /// <see cref="Resume"/> finishes the run of the checkpoint.
    /// </summary>
    /// <param name="data">The training set; it has <c>trainingSetSize</c> rows.</param>
    /// <param name="validation">Data to score after epochs; null for none. They are never trained on.</param>
    /// <param name="progress">Told at the end of every epoch, and ten times a second within one.</param>
    /// <param name="cancellationToken">Stops the run after the step under way; what was learned stays.</param>
    /// <returns>The history; with <see cref="FitResult.Cancelled"/> where the run was cancelled.</returns>
    /// <exception cref="ArgumentException">
    /// The data do not have the rows that the trainer was told, or do not fit the model; or there are no validation data and the options need some.
    /// </exception>
    /// <exception cref="NonFiniteLossException">A loss is NaN or infinite.</exception>
    /// <exception cref="NonFiniteGradientException">Gradients are to be clipped, and their norm is NaN or infinite.</exception>
    /// <exception cref="IOException">A checkpoint can't be written.</exception>
    public FitResult Fit(
        TrainingData data, TrainingData? validation = null, IProgress<TrainingProgress>? progress = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(data);
        if (data.Count != TrainingSetSize)
        {
            throw new ArgumentException(
                $"data has {data.Count} rows, and the trainer was made for a training set of {TrainingSetSize}; pass the rows you train on as trainingSetSize.",
                nameof(data));
        }

        return Fit(new DataSource(data, Options.BatchSize, Options.Shuffle, Options.Peers), validation, progress, cancellationToken);
    }

    /// <summary>Trains on the minibatches of a loader, which is enumerated once an epoch.</summary>
    /// <param name="loader">
    /// Minibatches (inputs, targets). Tensors that it makes while it is enumerated are disposed after their step; those made before stay. A run
    /// that goes on from a checkpoint skips the minibatches that it has had, so the loader has to give them in the same order again.
    /// </param>
    /// <param name="validation">Data to score after epochs; null for none. They are never trained on.</param>
    /// <param name="progress">Told at the end of every epoch, and ten times a second within one.</param>
    /// <param name="cancellationToken">Stops the run after the step under way; what was learned stays.</param>
    /// <returns>The history; with <see cref="FitResult.Cancelled"/> where the run was cancelled.</returns>
    /// <exception cref="NonFiniteLossException">A loss is NaN or infinite.</exception>
    /// <exception cref="NonFiniteGradientException">Gradients are to be clipped, and their norm is NaN or infinite.</exception>
    /// <exception cref="ArgumentException">
    /// The loader gave no minibatch, or one that does not fit the model; or there are no validation data and the options need some.
    /// </exception>
    /// <exception cref="IOException">A checkpoint can't be written.</exception>
    public FitResult Fit(
        IEnumerable<(Tensor Inputs, Tensor Targets)> loader,
        TrainingData? validation = null,
        IProgress<TrainingProgress>? progress = null,
        CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(loader);
        return Fit(new LoaderSource(loader), validation, progress, cancellationToken);
    }

    /// <summary>One step of the optimizer on one minibatch, for loops of one's own.</summary>
    /// <param name="inputs">(batch, ...) as the model takes it.</param>
    /// <param name="targets">(batch, ...) as the likelihood takes them.</param>
    /// <param name="klWeight">The weight of the KL term; 1 is the evidence lower bound.</param>
    /// <exception cref="ArgumentException">The minibatch is empty or does not fit.</exception>
    /// <exception cref="NonFiniteLossException">The loss is NaN or infinite; no step was taken.</exception>
    /// <exception cref="NonFiniteGradientException">Gradients are to be clipped, and their norm is NaN or infinite; no step was taken.</exception>
    /// <remarks>A compiled step leaves nothing in the parameters' <c>grad</c> where the optimizer is a <see cref="FusedAdam"/> and Samples is 1.</remarks>
    public StepResult Step(Tensor inputs, Tensor targets, double klWeight = 1) => Run([(inputs, targets)], klWeight);

    /// <summary>The predictive distribution of a batch, by the model as it stands.</summary>
    /// <inheritdoc cref="Predictor.Predict"/>
    public Predictive Predict(Tensor inputs, int samples = 100, PredictionOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(inputs);
        using var scope = NewDisposeScope();
        return Predictor.Predict(Model, Likelihood, inputs.to(_device), samples, options);
    }

    /// <summary>The mean log predictive density of data in nats an example, ln (1/S) sum_s p(y | f_s) averaged over the rows.</summary>
    /// <param name="data">The data to score.</param>
    /// <param name="samples">Posterior samples S.</param>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="samples"/> is below 1.</exception>
    public double LogLikelihood(TrainingData data, int samples = 100) => SumLogDensities(data, samples, null) / data.Count;

    /// <summary>The sum of the log predictive densities of data, or of the rows of it that are this process's.</summary>
    internal double SumLogDensities(TrainingData data, int samples, IPeers? peers)
    {
        ArgumentNullException.ThrowIfNull(data);
        double total = 0;

        // Without a Bayesian layer all samples are the same.
        samples = _isBayesian ? samples : Math.Min(samples, 1);
        foreach ((Tensor Inputs, Tensor Targets)[] minibatch in MinibatchSource.InGroups(data.Minibatches(null, 1024, 0, peers), 1))
        {
            (Tensor inputs, Tensor targets) = minibatch[0];
            if (inputs.size(0) == 0)
                continue;
            Tensor logDensity = Predictor.LogDensity(Model, Likelihood, inputs.to(_device), targets.to(_device), samples);
            total += logDensity.sum(ScalarType.Float64).item<double>();
        }

        return total;
    }

    /// <summary>
    /// Writes all that training goes on from: parameters and buffers of model and likelihood, the state of optimizer, schedule and random numbers,
    /// the run under way with its place in the epoch, history and best epoch. See docs/training.md for the format.
    /// </summary>
    /// <param name="path">The file, which is replaced at once where there is one; its folder must exist.</param>
    /// <exception cref="IOException">The file can't be written; one that was there is as it was.</exception>
    /// <exception cref="UnauthorizedAccessException">The file can't be written; one that was there is as it was.</exception>
    /// <exception cref="NotSupportedException">The optimizer can't save its state.</exception>
    public void SaveCheckpoint(string path)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(path);
        using TrainerSnapshot snapshot = TrainerSnapshot.Of(this, copy: false);
        CheckpointFile.Write(path, snapshot);
    }

    /// <summary>
    /// Goes back to a checkpoint, from which training goes on bit for bit on the CPU: build model, likelihood and trainer as they were built
    /// for the run that wrote it, resume, and call <c>Fit</c> with the same data, which finishes that run.
    /// </summary>
    /// <remarks>
    /// It sets libtorch's global generator too. A run that had ended returns its result from <c>Fit</c> at once, unless
    /// <see cref="TrainerOptions.Epochs"/> asks for more now.
    /// </remarks>
    /// <param name="path">What <see cref="SaveCheckpoint"/> or <see cref="TrainerOptions.Checkpoint"/> wrote.</param>
    /// <exception cref="IOException">The file can't be read.</exception>
    /// <exception cref="InvalidDataException">
    /// The file is no checkpoint, is damaged, or belongs to another model, optimizer, data set or other options; the trainer is as it was.
    /// </exception>
    public void Resume(string path)
    {
        if (!TryResume(path))
            throw new FileNotFoundException($"There is no checkpoint '{path}'; check the path, or call TryResume to start anew where there is none.", path);
    }

    /// <summary>
    /// <see cref="Resume"/> where the checkpoint exists, so that a program that is started again goes on: <c>trainer.TryResume(path); trainer.Fit(data);</c>
    /// </summary>
    /// <remarks>Of several processes that train together all make this call, and it is the first one's disk that counts; the others need none in common with it.</remarks>
    /// <returns>Whether there was one.</returns>
    /// <inheritdoc cref="Resume"/>
    public bool TryResume(string path)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(path);
        string? file = Options.Peers is { } peers ? peers.Fetch(path) : File.Exists(path) ? path : null;
        if (file is null)
            return false;
        try
        {
            Apply(file, path);
        }
        finally
        {
            if (Options.Peers is { Rank: > 0 })
                File.Delete(file);
        }

        Options.Peers?.Join(this);
        _goesOn = true;
        return true;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _step.Dispose();
        Options.Peers?.Dispose();
        Optimizer.Dispose();
        ModelState.Free(Best);
        Best = null;
    }

    /// <summary>Sets the gradients of a minibatch.</summary>
    internal StepResult AccumulateGradients(Tensor inputs, Tensor targets, double klWeight) => AccumulateGradients([(inputs, targets)], klWeight);

    /// <inheritdoc cref="TrainingStep.AccumulateGradients"/>
    internal StepResult AccumulateGradients(ReadOnlySpan<(Tensor Inputs, Tensor Targets)> minibatches, double klWeight)
        => _step.AccumulateGradients(minibatches, klWeight);

    /// <inheritdoc cref="TrainingStep.Begin"/>
    internal void BeginStep() => _step.Begin();

    /// <inheritdoc cref="TrainingStep.Run"/>
    internal StepResult Run(ReadOnlySpan<(Tensor Inputs, Tensor Targets)> minibatches, double klWeight, long? rows = null)
        => _step.Run(minibatches, klWeight, rows);

    /// <summary>The parameters and buffers of model and likelihood.</summary>
    internal Dictionary<string, Tensor> State() => ModelState.Of(Model, Likelihood);

    /// <summary>Copies them as those of the best epoch.</summary>
    internal void KeepAsBest()
    {
        if (Best is null)
            Best = ModelState.Copy(State());
        else
            ModelState.Write(State(), Best);
    }

    /// <summary>Goes to another run, with its best epoch; the copies are the trainer's from then on.</summary>
    internal void SetRun(RunState? run, Dictionary<string, Tensor>? best)
    {
        ModelState.Free(Best);
        (CurrentRun, Best) = (run, best);
    }

    /// <summary>A key for the next order of the rows: of the seed and the number of orders before it, or of libtorch's global generator.</summary>
    internal ulong NextOrderKey()
    {
        ulong order = (ulong)Orders++;
        if (Options.Seed is not { } seed)
            return GlobalKeys.Next();
        ulong state = ~seed;
        state = Seeds.Next(ref state) + order;
        return Seeds.Next(ref state);
    }

    private static FusedAdam DefaultOptimizer(nn.Module model, Parameter[] trained, TrainerOptions options)
    {
        if (options.ScaleLearningRate is not { } rate)
            return new FusedAdam(trained, options.LearningRate);
        var scales = new HashSet<nint>(
            from module in model.modules().Append(model)
            where module is Posterior
            from entry in module.named_parameters()
            where entry.name != "mean"
            select entry.parameter.Handle);
        ILookup<bool, Parameter> groups = trained.ToLookup(parameter => scales.Contains(parameter.Handle));
        return new FusedAdam(
            [
                new Adam.ParamGroup(groups[false], new Adam.Options { LearningRate = options.LearningRate, InitialLearningRate = options.LearningRate }),
                new Adam.ParamGroup(groups[true], new Adam.Options { LearningRate = rate, InitialLearningRate = rate }),
            ],
            options.LearningRate);
    }

    private FitResult Fit(
        MinibatchSource source, TrainingData? validation, IProgress<TrainingProgress>? progress, CancellationToken cancellationToken)
    {
        if (validation is null && (Options.EarlyStopping is not null || Schedule.NeedsMetric))
        {
            throw new ArgumentException(
                $"{(Schedule.NeedsMetric ? "The scheduler goes" : "Early stopping goes")} by the score of validation rows, and there are none; hold some of the "
                + "training rows back for it.",
                nameof(validation));
        }

        if (!_goesOn || CurrentRun is null)
            SetRun(new RunState { StepsBefore = Steps }, null);
        _goesOn = false;
        FitResult result = new FitLoop(this, CurrentRun!, source, validation, progress, cancellationToken).Run();
        if (CurrentRun!.Completed)
            SetRun(null, null);
        return result;
    }

    /// <summary>Goes back to the checkpoint in a file, which messages call by its path.</summary>
    private void Apply(string file, string path)
    {
        using TrainerSnapshot snapshot = CheckpointFile.Read(file);
        snapshot.RequireFit(this, path);
        using TrainerSnapshot before = TrainerSnapshot.Of(this, copy: true);
        try
        {
            snapshot.Apply(this);
        }
        catch (Exception error)
        {
            before.Apply(this);
            throw new InvalidDataException($"The checkpoint '{path}' does not fit the trainer, which is as it was: {error.Message}", error);
        }
    }

    private void WarnOfHeavyTails()
    {
        if (Likelihood.GradientGrowth is not { } growth)
            return;
        Action<string> warn = Options.Warn ?? (message => Trace.TraceWarning(message));
        foreach (TailWarning warning in Model.TailWarnings(growth))
            warn(warning.Message);
    }
}
