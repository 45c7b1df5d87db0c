using BayesNet.Estimators;
using BayesNet.Kernels;
using BayesNet.Likelihoods;
using BayesNet.Prediction;
using BayesNet.Runtime;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace BayesNet.Training;

/// <summary>
/// IVON, improved variational online Newton (Shen et al. 2024, "Variational Learning is Effective for Large Deep Networks", algorithm 1): a
/// Gaussian posterior with independent entries over the parameters of any deterministic model, from one gradient a step.
/// </summary>
/// <remarks>
/// <para>
/// The parameters are the posterior's means m; its standard deviations are 1 / sqrt(lambda (h + delta)), h being an estimate of the diagonal of
/// the loss's Hessian, lambda the effective sample size and delta the weight decay. What is minimised is lambda E_q[loss] + KL(q || p) with the
/// prior N(0, 1 / (lambda delta)) and the loss a mean over examples. A step needs gradients at drawn weights:
/// <code>
/// optimizer.zero_grad();
/// using (optimizer.SampleParameters())
///     loss(model.call(x), y).backward();
/// optimizer.step();
/// </code>
/// Several samples a step are as many scopes before it; their gradients are averaged.
/// </para>
/// <para>
/// The state dict holds momentum, Hessian and step count of each parameter. Parameter groups and TorchSharp's learning-rate schedulers work as
/// with Adam; only parameters that require gradients are drawn. Float32 and float64 parameters that are contiguous on the CPU take one fused
/// pass, all others plain tensor operations.
/// </para>
/// </remarks>
public sealed class Ivon : OptimizerHelper, optim.IBetas
{
    private readonly List<IvonParameter> _all = [];
    private readonly NoiseSource _noise;
    private int _samples;
    private bool _pending;
    private bool _open;

    /// <summary>Creates an optimizer with one group of parameters.</summary>
    /// <param name="parameters">What to optimise.</param>
    /// <param name="trainingSetSize">N, the examples of the whole training set.</param>
    /// <param name="learningRate">The learning rate; it is multiplied by h0 + delta, so that first steps are those of gradient descent.</param>
    /// <param name="beta1">The decay of the momentum.</param>
    /// <param name="beta2">The decay of the Hessian's estimate; near 1, since the estimate is noisy.</param>
    /// <param name="weightDecay">delta: the prior is N(0, 1 / (lambda delta)).</param>
    /// <param name="initialHessian">h0: the posterior starts with standard deviations 1 / sqrt(lambda (h0 + delta)).</param>
    /// <param name="clipRadius">The greatest change of an entry in a step, before the learning rate; infinity for no clipping.</param>
    /// <param name="temperature">T: lambda = N / T. Below 1 the posterior is colder than Bayes' rule has it.</param>
    /// <param name="seed">Seeds the draws; null for libtorch's global generator.</param>
    /// <exception cref="ArgumentOutOfRangeException">An argument is outside its range.</exception>
    public Ivon(
        IEnumerable<Parameter> parameters, long trainingSetSize, double learningRate = 0.1, double beta1 = 0.9, double beta2 = 0.99999,
        double weightDecay = 1e-4, double initialHessian = 1, double clipRadius = double.PositiveInfinity, double temperature = 1, ulong? seed = null)
        : this([new IvonParamGroup(parameters)], trainingSetSize, learningRate, beta1, beta2, weightDecay, initialHessian, clipRadius, temperature, seed)
    {
    }

    /// <summary>Creates an optimizer with groups of parameters; what a group's options leave null is taken from the arguments.</summary>
    /// <inheritdoc cref="Ivon(IEnumerable{Parameter}, long, double, double, double, double, double, double, double, ulong?)"/>
    public Ivon(
        IEnumerable<IvonParamGroup> parameters, long trainingSetSize, double learningRate = 0.1, double beta1 = 0.9, double beta2 = 0.99999,
        double weightDecay = 1e-4, double initialHessian = 1, double clipRadius = double.PositiveInfinity, double temperature = 1, ulong? seed = null)
    {
        ArgumentNullException.ThrowIfNull(parameters);
        EffectiveSampleSize = Guard.AtLeastOne(trainingSetSize) / Guard.Positive(temperature);
        _noise = new NoiseSource(seed);
        _defaults = new IvonOptions
        {
            LearningRate = Guard.Positive(learningRate),
            InitialLearningRate = learningRate,
            Beta1 = beta1,
            Beta2 = beta2,
            WeightDecay = weightDecay,
            InitialHessian = initialHessian,
            ClipRadius = clipRadius,
        };
        _parameter_groups = new List<ParamGroup>();
        foreach (IvonParamGroup group in parameters)
            add_param_group(group);
    }

    /// <summary>lambda = N / T.</summary>
    public double EffectiveSampleSize { get; }

    /// <summary>The seed of the draws; null for libtorch's global generator. Setting it starts the sequence.</summary>
    public ulong? Seed
    {
        get => _noise.Seed;
        set => _noise.Seed = value;
    }

    /// <summary>The decays of momentum and Hessian that groups added later take where they name none.</summary>
    public (double, double) Betas
    {
        get => (Defaults.Beta1!.Value, Defaults.Beta2!.Value);
        set => (Defaults.Beta1, Defaults.Beta2) = value;
    }

    /// <summary>Takes tensor operations where a fused pass would do: its plain twin, for tests.</summary>
    internal bool Plain { get; init; }

    private IvonOptions Defaults => (IvonOptions)_defaults;

    /// <summary>
    /// Moves the parameters to a draw from the posterior until the returned object is disposed, which puts the means back to the last bit.
    /// </summary>
    /// <param name="training">
    /// Whether the gradients set in the scope are those of a training sample, which the next <see cref="step"/> averages; false to predict. A
    /// training sample without gradients does not count.
    /// </param>
    /// <exception cref="InvalidOperationException">A sample is drawn already.</exception>
    public IDisposable SampleParameters(bool training = true)
    {
        RequireClosed();
        using var _ = no_grad();
        if (training)
            CollectPending();
        else if (_pending)
            throw new InvalidOperationException("A training sample waits for its step; call step() or DiscardSamples() before you predict.");
        foreach (IvonParameter parameter in _all)
        {
            if (parameter.Parameter.requires_grad)
                parameter.Sample(_noise, EffectiveSampleSize, Plain);
        }

        _open = true;
        return new SampleScope(this, training);
    }

    /// <summary>Updates means and standard deviations from the samples since the last step; the mean of their gradients counts.</summary>
    /// <param name="closure">Draws samples and returns the loss, for those who prefer it to scopes before the step; null, as a rule.</param>
    /// <returns>What the closure returned, or null without one.</returns>
    /// <exception cref="InvalidOperationException">There was no sample with gradients since the last step, or one is still drawn.</exception>
    public override Tensor step(Func<Tensor>? closure = null)
    {
        RequireClosed();
        Tensor? loss = null;
        if (closure is not null)
        {
            using (enable_grad())
                loss = closure();
        }

        using var _ = no_grad();
        if (_samples > 0)
            CollectPending();
        else if (_pending && HasGradients)
            _samples = 1;
        if (_samples == 0)
        {
            throw new InvalidOperationException(
                "There are no gradients of a sample: call backward() on the loss inside using (optimizer.SampleParameters()), and zero_grad() before it.");
        }

        foreach (IvonParameter parameter in _all)
            parameter.Step(_samples, EffectiveSampleSize, Plain);
        DiscardSamples();
        return loss!;
    }

    /// <summary>Forgets the samples since the last step, because a loss was not finite, say.</summary>
    public void DiscardSamples()
    {
        using var _ = no_grad();
        foreach (IvonParameter parameter in _all)
            parameter.Reset();
        (_samples, _pending) = (0, false);
    }

    /// <summary>Sets the gradients to zero where there are any; what samples before it have left for the next step stays.</summary>
    public override void zero_grad()
    {
        using var _ = no_grad();
        CollectPending();
        foreach (IvonParameter parameter in _all)
        {
            using Tensor? gradient = parameter.Parameter.grad;
            if (gradient is not null)
                TensorMemory.Zero(gradient);
        }
    }

    /// <summary>The posterior's standard deviations of a parameter, of its shape; a new tensor without gradient.</summary>
    /// <exception cref="KeyNotFoundException">The optimizer does not have the parameter.</exception>
    public Tensor StdDev(Parameter parameter)
    {
        ArgumentNullException.ThrowIfNull(parameter);
        return ((IvonParameter)_state[parameter.Handle]).StdDev(EffectiveSampleSize);
    }

    /// <summary>The predictive distribution of a batch under draws from the posterior.</summary>
    /// <inheritdoc cref="Predictor.Predict"/>
    public Predictive Predict(nn.Module<Tensor, Tensor> model, Likelihood likelihood, Tensor inputs, int samples = 100)
    {
        ArgumentNullException.ThrowIfNull(likelihood);
        using var scope = NewDisposeScope();
        return likelihood.Predict(SampleOutputs(model, inputs, samples));
    }

    /// <summary>The network's output under draws from the posterior, (samples, batch, ...), without gradients.</summary>
    /// <inheritdoc cref="Predictor.Predict"/>
    public Tensor SampleOutputs(nn.Module<Tensor, Tensor> model, Tensor inputs, int samples)
    {
        Guard.AtLeastOne(samples);
        using var scope = NewDisposeScope();
        var outputs = new Tensor[samples];
        for (int s = 0; s < samples; s++)
        {
            using (SampleParameters(training: false))
                outputs[s] = Predictor.SampleOutputs(model, inputs, 1);
        }

        return cat(outputs).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public override void add_param_group(ParamGroup param_group)
    {
        ArgumentNullException.ThrowIfNull(param_group);
        param_group.Options ??= new IvonOptions();
        ((IvonOptions)param_group.Options).Complete(Defaults);
        param_group.Parameters = [.. param_group.Parameters];
        _parameter_groups.Add(param_group);
        using var _ = no_grad();
        foreach (Parameter parameter in param_group.Parameters)
        {
            Guard.FloatingPoint(parameter.dtype, nameof(parameter));
            var state = new IvonParameter(parameter, param_group);
            _state[parameter.Handle] = state;
            _all.Add(state);
        }
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            foreach (IvonParameter parameter in _all)
                parameter.Dispose();
            _all.Clear();
            _noise.Dispose();
        }

        base.Dispose(disposing);
    }

    private bool HasGradients
        => _all.Exists(static parameter =>
        {
            using Tensor? gradient = parameter.Parameter.grad;
            return gradient is not null;
        });

    private void RequireClosed()
    {
        if (_open)
            throw new InvalidOperationException("The parameters are at a sample; dispose what SampleParameters() returned first.");
    }

    private void CollectPending()
    {
        if (_pending && HasGradients)
        {
            foreach (IvonParameter parameter in _all)
                parameter.Add();
            _samples++;
        }

        _pending = false;
    }

    private sealed class SampleScope(Ivon owner, bool training) : IDisposable
    {
        private Ivon? _owner = owner;

        public void Dispose()
        {
            if (_owner is not { } optimizer)
                return;
            _owner = null;
            using var _ = no_grad();
            foreach (IvonParameter parameter in optimizer._all)
                parameter.Restore(optimizer.Plain);
            optimizer._open = false;
            optimizer._pending = training;
        }
    }
}
