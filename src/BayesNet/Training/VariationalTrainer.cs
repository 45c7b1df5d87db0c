using System.Diagnostics;
using System.Numerics;
using BayesNet.Diagnostics;
using BayesNet.Kernels;
using BayesNet.Likelihoods;
using BayesNet.Prediction;
using BayesNet.Runtime;
using BayesNet.Training.Compiled;
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
    private static readonly TimeSpan ReportInterval = TimeSpan.FromMilliseconds(100);

    private readonly nn.Module<Tensor, Tensor> _model;
    private readonly long _trainingSetSize;
    private readonly TrainerOptions _options;
    private readonly optim.Optimizer _optimizer;
    private readonly LossCheck _check;
    private readonly KlTerm _klTerm;
    private readonly PointPrior? _pointPrior;
    private readonly bool _isBayesian;
    private readonly GradientBuffers _gradients;
    private readonly Generator? _order;
    private readonly Device _device;
    private readonly bool _mayCompile;
    private CompiledStep? _compiled;

    /// <summary>Creates a trainer.</summary>
    /// <param name="model">
    /// A network with at least one Bayesian layer, unless the options ask for point estimates.
    /// </param>
    /// <param name="likelihood">How targets are distributed around its output; moved to the model's device and type.</param>
    /// <param name="trainingSetSize">N, the examples of the whole training set, which the KL term is divided by; not the size of a minibatch.</param>
    /// <param name="options">How to train; null for the defaults.</param>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="trainingSetSize"/> is below 1.</exception>
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

        _options = options ?? new TrainerOptions();
        _isBayesian = model.BayesianModules().Any();
        if (!_isBayesian && !_options.PointEstimate && _options.PointPrior is null)
        {
            throw new InvalidOperationException(
                BayesianModuleExtensions.NoBayesianLayer(model).Message
                + " To fit it as it is, set TrainerOptions.PointEstimate (maximum likelihood) or TrainerOptions.PointPrior (maximum a posteriori).");
        }

        _model = model;
        _pointPrior = _options.PointPrior is { } stdDev ? new PointPrior(model, stdDev) : null;
        _klTerm = new KlTerm(model);
        Likelihood = likelihood;
        _trainingSetSize = trainingSetSize;
        _check = new LossCheck(model, likelihood);

        Parameter reference = model.parameters().First(parameter => parameter.is_floating_point());
        _device = reference.device;
        likelihood.to(reference.dtype).to(_device);
        Parameter[] trained = [.. model.parameters().Concat(likelihood.parameters()).Where(parameter => parameter.requires_grad)];
        _gradients = new GradientBuffers(trained);
        _optimizer = _options.Optimizer?.Invoke(trained) ?? new FusedAdam(trained, _options.LearningRate);
        if (_options.Seed is { } seed)
        {
            model.SeedNoise(seed);
            _order = new Generator(seed, CPU);
        }

        _mayCompile = Compile();
        WarnOfHeavyTails();
    }

    /// <summary>The likelihood, with what it has learned.</summary>
    public Likelihood Likelihood { get; }

    /// <summary>The optimizer, for learning-rate schedulers.</summary>
    public optim.Optimizer Optimizer => _optimizer;

    /// <summary>
    /// Whether steps run as one hand-driven pass without autograd, with the same numbers to rounding; see <see cref="TrainerOptions.Compile"/>.
    /// </summary>
    /// <remarks>
    /// A minibatch or a model that is no longer what was compiled (another estimator, a frozen parameter, a hook) takes the autograd path for
    /// as long as it is not.
    /// </remarks>
    public bool IsCompiled => _compiled is not null;

    /// <summary>Why steps are not compiled, in one sentence; null where they are.</summary>
    public string? WhyNotCompiled { get; private set; }

    /// <summary>Steps taken so far.</summary>
    public long Steps { get; private set; }

    /// <summary>Trains on data in memory for <see cref="TrainerOptions.Epochs"/> epochs; a further call goes on from there.</summary>
    /// <param name="data">The training set; it has <c>trainingSetSize</c> rows.</param>
    /// <param name="validation">Data to score after epochs; null for none. They are never trained on.</param>
    /// <param name="progress">Told at the end of every epoch, and ten times a second within one.</param>
    /// <param name="cancellationToken">Stops the run after the step under way; what was learned stays.</param>
    /// <returns>The history; with <see cref="FitResult.Cancelled"/> where the run was cancelled.</returns>
    /// <exception cref="ArgumentException">The data do not have the rows that the trainer was told, or do not fit the model.</exception>
    /// <exception cref="NonFiniteLossException">A loss is NaN or infinite.</exception>
    public FitResult Fit(
        TrainingData data, TrainingData? validation = null, IProgress<TrainingProgress>? progress = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(data);
        if (data.Count != _trainingSetSize)
        {
            throw new ArgumentException(
                $"data has {data.Count} rows, and the trainer was made for a training set of {_trainingSetSize}; pass the rows you train on as trainingSetSize.",
                nameof(data));
        }

        return Run(() => Epoch(data), data.Batches(_options.BatchSize), validation, progress, cancellationToken);

        IEnumerable<(Tensor, Tensor)> Epoch(TrainingData rows)
        {
            if (!_options.Shuffle)
            {
                foreach ((Tensor, Tensor) batch in rows.Minibatches(null, _options.BatchSize))
                    yield return batch;
                yield break;
            }

            using Tensor drawn = randperm(rows.Count, dtype: ScalarType.Int64, generator: _order).DetachFromDisposeScope();
            using Tensor order = drawn.to(rows.Inputs.device).DetachFromDisposeScope();
            foreach ((Tensor, Tensor) batch in rows.Minibatches(order, _options.BatchSize))
                yield return batch;
        }
    }

    /// <summary>Trains on the minibatches of a loader, which is enumerated once an epoch.</summary>
    /// <param name="loader">
    /// Minibatches (inputs, targets). Tensors that it makes while it is enumerated are disposed after their step; those made before stay.
    /// </param>
    /// <param name="validation">Data to score after epochs; null for none. They are never trained on.</param>
    /// <param name="progress">Told at the end of every epoch, and ten times a second within one.</param>
    /// <param name="cancellationToken">Stops the run after the step under way; what was learned stays.</param>
    /// <returns>The history; with <see cref="FitResult.Cancelled"/> where the run was cancelled.</returns>
    /// <exception cref="NonFiniteLossException">A loss is NaN or infinite.</exception>
    /// <exception cref="ArgumentException">The loader gave no minibatch, or one that does not fit the model.</exception>
    public FitResult Fit(
        IEnumerable<(Tensor Inputs, Tensor Targets)> loader,
        TrainingData? validation = null,
        IProgress<TrainingProgress>? progress = null,
        CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(loader);
        long? steps = loader.TryGetNonEnumeratedCount(out int count) ? count : null;
        return Run(() => loader, steps, validation, progress, cancellationToken);
    }

    /// <summary>One step of the optimizer on one minibatch, for loops of one's own.</summary>
    /// <param name="inputs">(batch, ...) as the model takes it.</param>
    /// <param name="targets">(batch, ...) as the likelihood takes them.</param>
    /// <param name="klWeight">The weight of the KL term; 1 is the evidence lower bound.</param>
    /// <exception cref="ArgumentException">The minibatch is empty or does not fit.</exception>
    /// <exception cref="NonFiniteLossException">The loss is NaN or infinite; no step was taken.</exception>
    /// <remarks>A compiled step leaves nothing in the parameters' <c>grad</c> where the optimizer is a <see cref="FusedAdam"/> and Samples is 1.</remarks>
    public StepResult Step(Tensor inputs, Tensor targets, double klWeight = 1)
    {
        if (_options.Samples == 1 && _optimizer is IFusedAdam { MaxGradientNorm: null, Fused: var adam }
            && (_compiled?.CanUpdate(adam) ?? false) && TryCompiled(inputs, targets, klWeight, adam) is { } compiled)
        {
            Steps++;
            return compiled;
        }

        StepResult result = AccumulateGradients(inputs, targets, klWeight);
        using (NewDisposeScope())
            _optimizer.step();
        Steps++;
        return result;
    }

    /// <summary>The predictive distribution of a batch, by the model as it stands.</summary>
    /// <inheritdoc cref="Predictor.Predict"/>
    public Predictive Predict(Tensor inputs, int samples = 100, PredictionOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(inputs);
        using var scope = NewDisposeScope();
        return Predictor.Predict(_model, Likelihood, inputs.to(_device), samples, options);
    }

    /// <summary>The mean log predictive density of data in nats an example, ln (1/S) sum_s p(y | f_s) averaged over the rows.</summary>
    /// <param name="data">The data to score.</param>
    /// <param name="samples">Posterior samples S.</param>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="samples"/> is below 1.</exception>
    public double LogLikelihood(TrainingData data, int samples = 100)
    {
        ArgumentNullException.ThrowIfNull(data);
        double total = 0;

        // Without a Bayesian layer all samples are the same.
        samples = _isBayesian ? samples : Math.Min(samples, 1);
        foreach ((Tensor inputs, Tensor targets) in InScopes(data.Minibatches(null, 1024)))
        {
            Tensor logDensity = Predictor.LogDensity(_model, Likelihood, inputs.to(_device), targets.to(_device), samples);
            total += logDensity.sum(ScalarType.Float64).item<double>();
        }

        return total / data.Count;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _compiled?.Dispose();
        _optimizer.Dispose();
        _gradients.Dispose();
        _order?.Dispose();
    }

    /// <summary>
    /// Sets the gradients of a minibatch: the mean over the samples of the gradients of the negative log likelihood, each sample with
    /// fresh noise and a backward pass of its own, and the gradient of the KL term.
    /// </summary>
    internal StepResult AccumulateGradients(Tensor inputs, Tensor targets, double klWeight)
    {
        ArgumentNullException.ThrowIfNull(inputs);
        ArgumentNullException.ThrowIfNull(targets);
        if (inputs.dim() == 0 || inputs.size(0) == 0)
            throw new ArgumentException($"The minibatch has shape {Guard.Format(inputs.shape)}; it needs at least one row.", nameof(inputs));
        Guard.Finite(klWeight);
        if (TryCompiled(inputs, targets, klWeight, optimizer: null) is { } compiled)
            return compiled;

        using var scope = NewDisposeScope();
        using GradientBuffers.Pass pass = _gradients.Open();
        _klTerm.Offer(pass, klWeight / _trainingSetSize);
        Tensor x = inputs.to(_device);
        Tensor y = targets.to(_device);
        double negativeLogLikelihood = 0;
        for (int s = 0; s < _options.Samples; s++)
        {
            using var sample = NewDisposeScope();
            negativeLogLikelihood += Differentiate(_model.call(x), x, y, pass) / _options.Samples;
        }

        // What the KL term still adds goes to gradients that stand.
        pass.Dispose();
        double kl = _check.Finite(_klTerm.Accumulate(klWeight / _trainingSetSize), "KL divergence", Steps + 1, x, y);
        return Result(negativeLogLikelihood, kl, klWeight, _pointPrior?.Accumulate(klWeight / _trainingSetSize) ?? 0);
    }

    /// <summary>Returns the mean negative log likelihood and runs the backward pass of it over the number of samples.</summary>
    private double Differentiate(Tensor output, Tensor x, Tensor y, GradientBuffers.Pass pass)
    {
        double? inClosedForm = !Likelihood.HasClosedForm || !output.requires_grad || output.dim() != 2 || output.size(0) == 0 ? null
            : TensorMemory.IsPlain<float>(output) ? DifferentiateInClosedForm<float>(output, x, y, pass)
            : TensorMemory.IsPlain<double>(output) ? DifferentiateInClosedForm<double>(output, x, y, pass)
            : null;
        if (inClosedForm is { } found)
            return found;
        Tensor loss = Likelihood.LogLikelihood(output, y).mean().neg();
        double value = _check.Finite(loss, "negative log likelihood", Steps + 1, x, y);
        (_options.Samples == 1 ? loss : loss.Times(1.0 / _options.Samples)).backward();
        return value;
    }

    private double? DifferentiateInClosedForm<T>(Tensor output, Tensor x, Tensor y, GradientBuffers.Pass pass)
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        Tensor gradient = empty(output.shape, dtype: output.dtype);
        long batch = output.size(0);
        if (Likelihood.Differentiate(
            TensorMemory.Span<T>(output), [batch, output.size(1)], y, -1.0 / (batch * _options.Samples), TensorMemory.Span<T>(gradient)) is not { } loss)
        {
            return null;
        }

        double value = _check.Finite(-loss.LogLikelihood / batch, "negative log likelihood", Steps + 1, x, y);
        if (loss.Parameter is { requires_grad: true } own && pass.TryWrite(own, out Tensor memory, out bool add))
        {
            Span<T> stored = TensorMemory.Span<T>(memory);
            stored[0] = (add ? stored[0] : T.Zero) + T.CreateTruncating(loss.ParameterGradient);
        }

        output.backward([gradient]);
        return value;
    }

    /// <summary>
    /// A step in a compiled pass: with an optimizer that consumes the gradients, or leaving them in <c>grad</c>. Null, with nothing done,
    /// where the autograd path has to take it.
    /// </summary>
    private StepResult? TryCompiled(Tensor inputs, Tensor targets, double klWeight, AdamParameters? optimizer)
    {
        if (!_mayCompile || inputs is null || targets is null || !double.IsFinite(klWeight) || (_compiled is null && !Compile()))
            return null;
        double negativeLogLikelihood = 0, kl = 0, penalty = _pointPrior?.Value() ?? 0;
        for (int s = 0; s < _options.Samples; s++)
        {
            if (_compiled!.Forward(inputs, targets, 1.0 / _options.Samples, add: s > 0) is not { } losses)
            {
                // The next step looks again.
                _compiled.Dispose();
                _compiled = null;
                WhyNotCompiled = "The last minibatch or the model was not what had been compiled: another estimator, a frozen parameter, a hook, "
                    + "or tensors of another shape, type or place.";
                return null;
            }

            negativeLogLikelihood += _check.Finite(losses.NegativeLogLikelihood, "negative log likelihood", Steps + 1, inputs, targets) / _options.Samples;
            kl = _check.Finite(losses.KlDivergence, "KL divergence", Steps + 1, inputs, targets);
            double factor = s == 0 ? klWeight / _trainingSetSize : 0;
            _compiled.Backward(factor, factor * (_pointPrior?.Precision ?? 0), add: s > 0, optimizer);
        }

        return Result(negativeLogLikelihood, kl, klWeight, penalty);
    }

    private bool Compile()
    {
        string? whyNot = !_options.Compile ? "TrainerOptions.Compile is off" : _device.type != DeviceType.CPU ? "it is not on the CPU" : null;
        if (whyNot is null)
            _compiled = CompiledStep.TryCreate(_model, Likelihood, out whyNot);
        WhyNotCompiled = whyNot is null ? null : $"The model is not compiled: {whyNot}.";
        return IsCompiled;
    }

    private StepResult Result(double negativeLogLikelihood, double kl, double klWeight, double penalty)
        => new(
            negativeLogLikelihood, kl, klWeight, negativeLogLikelihood + klWeight * (kl + penalty) / _trainingSetSize,
            -(_trainingSetSize * negativeLogLikelihood + kl))
        {
            PointPenalty = penalty,
        };

    private void WarnOfHeavyTails()
    {
        if (Likelihood.GradientGrowth is not { } growth)
            return;
        Action<string> warn = _options.Warn ?? (message => Trace.TraceWarning(message));
        foreach (TailWarning warning in _model.TailWarnings(growth))
            warn(warning.Message);
    }

    private FitResult Run(
        Func<IEnumerable<(Tensor, Tensor)>> loader,
        long? stepsPerEpoch,
        TrainingData? validation,
        IProgress<TrainingProgress>? progress,
        CancellationToken cancellationToken)
    {
        var clock = Stopwatch.StartNew();
        var history = new List<EpochResult>(_options.Epochs);
        long stepsBefore = Steps;
        double? validationScore = null;
        TimeSpan reported = TimeSpan.Zero;
        bool training = _model.training;
        _model.train();
        try
        {
            for (int epoch = 1; epoch <= _options.Epochs; epoch++)
            {
                TimeSpan start = clock.Elapsed;
                long step = 0, rows = 0;
                double sum = 0;
                StepResult last = default;
                foreach ((Tensor inputs, Tensor targets) in InScopes(loader()))
                {
                    if (cancellationToken.IsCancellationRequested)
                        return Result(cancelled: true);
                    double fraction = stepsPerEpoch is { } total ? Math.Min(1, (double)step / total) : 0;
                    last = Step(inputs, targets, _options.KlSchedule.Weight(epoch - 1 + fraction));
                    step++;
                    rows += inputs.size(0);
                    sum += last.NegativeLogLikelihood * inputs.size(0);
                    if (progress is not null && clock.Elapsed - reported > ReportInterval)
                        Report(epoch, step, sum / rows, last);
                }

                if (step == 0)
                    throw new ArgumentException("The loader gave no minibatch; check its data set, or that it can be enumerated more than once.", nameof(loader));
                stepsPerEpoch = step;
                double mean = sum / rows;
                bool score = validation is not null && (epoch % _options.ValidationInterval == 0 || epoch == _options.Epochs);
                if (score)
                    validationScore = LogLikelihood(validation!, _options.ValidationSamples);
                history.Add(new EpochResult(
                    epoch, mean, last.KlDivergence, last.KlWeight, -(_trainingSetSize * mean + last.KlDivergence), score ? validationScore : null, clock.Elapsed - start));
                Report(epoch, step, mean, last);
            }

            return Result(cancelled: false);
        }
        finally
        {
            _model.train(training);
        }

        FitResult Result(bool cancelled) => new(history, Steps - stepsBefore, cancelled, clock.Elapsed);

        void Report(int epoch, long step, double mean, StepResult last)
        {
            reported = clock.Elapsed;
            progress?.Report(new TrainingProgress
            {
                Epoch = epoch,
                Epochs = _options.Epochs,
                Step = step,
                StepsPerEpoch = stepsPerEpoch,
                NegativeLogLikelihood = mean,
                KlDivergence = last.KlDivergence,
                KlWeight = last.KlWeight,
                Elbo = -(_trainingSetSize * mean + last.KlDivergence),
                ValidationLogLikelihood = validationScore,
                Elapsed = reported,
                Fraction = (epoch - 1 + (stepsPerEpoch is { } total ? Math.Min(1, (double)step / total) : 0)) / _options.Epochs,
            });
        }
    }

    /// <summary>Enumerates with a dispose scope around every element: what the source makes for it is freed when the next is asked for.</summary>
    private static IEnumerable<(Tensor, Tensor)> InScopes(IEnumerable<(Tensor, Tensor)> source)
    {
        using IEnumerator<(Tensor, Tensor)> enumerator = source.GetEnumerator();
        while (true)
        {
            using var scope = NewDisposeScope();
            if (!enumerator.MoveNext())
                yield break;
            yield return enumerator.Current;
        }
    }
}
