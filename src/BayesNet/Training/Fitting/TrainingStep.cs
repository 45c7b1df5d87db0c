using System.Numerics;
using BayesNet.Kernels;
using BayesNet.Likelihoods;
using BayesNet.Runtime;
using BayesNet.Training.Compiled;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace BayesNet.Training.Fitting;

/// <summary>One optimisation step: the gradients of the loss of one minibatch or several, compiled or through autograd, and the update.</summary>
internal sealed class TrainingStep : IDisposable
{
    private readonly nn.Module<Tensor, Tensor> _model;
    private readonly Likelihood _likelihood;
    private readonly optim.Optimizer _optimizer;
    private readonly Parameter[] _trained;
    private readonly long _trainingSetSize;
    private readonly TrainerOptions _options;
    private readonly Device _device;
    private readonly LossCheck _check;
    private readonly KlTerm _klTerm;
    private readonly PointPrior? _pointPrior;
    private readonly AntitheticNoise? _pairs;
    private readonly GradientBuffers _gradients;
    private readonly Action<Parameter>? _complete;
    private readonly bool _mayCompile, _mayFuse;
    private CompiledStep? _compiled;

    internal TrainingStep(
        nn.Module<Tensor, Tensor> model, Likelihood likelihood, optim.Optimizer optimizer, Parameter[] trained, long trainingSetSize, Device device,
        TrainerOptions options)
    {
        (_model, _likelihood, _optimizer, _trained) = (model, likelihood, optimizer, trained);
        (_trainingSetSize, _device, _options) = (trainingSetSize, device, options);
        _check = new LossCheck(model, likelihood);
        _klTerm = new KlTerm(model);
        _pointPrior = options.PointPrior is { } stdDev ? new PointPrior(model, stdDev) : null;
        _pairs = options.Antithetic ? new AntitheticNoise([.. model.BayesianModules().Select(entry => entry.Module.Noise).Distinct()]) : null;
        _gradients = new GradientBuffers(trained);
        _complete = options.Peers is { } peers ? peers.Complete : null;
        _mayFuse = options.Peers is null && options.Samples == 1 && options.MaxGradientNorm is null && optimizer is IFusedAdam { MaxGradientNorm: null };
        _mayCompile = Compile();
    }

    /// <summary>Steps taken so far.</summary>
    internal long Count { get; set; }

    internal bool IsCompiled => _compiled is not null;

    internal string? WhyNotCompiled { get; private set; }

    /// <summary>Begins a step that several processes take together, once they know that they do.</summary>
    internal void Begin() => _options.Peers?.BeginStep(_trained, Count);

    /// <summary>The gradients of the union of minibatches, and the optimizer's step.</summary>
    /// <param name="minibatches">This process's rows.</param>
    /// <param name="klWeight">The weight of the KL term.</param>
    /// <param name="rows">The rows of all processes that take the step together, where it has begun.</param>
    internal StepResult Run(ReadOnlySpan<(Tensor Inputs, Tensor Targets)> minibatches, double klWeight, long? rows = null)
    {
        if (_mayFuse && minibatches.Length == 1)
        {
            AdamParameters adam = ((IFusedAdam)_optimizer).Fused;
            if ((_compiled?.CanUpdate(adam) ?? false) && TryCompiled(minibatches, klWeight, adam) is { } compiled)
            {
                Count++;
                return compiled;
            }
        }

        StepResult result = _options.Peers is { } peers ? AccumulateWith(peers, minibatches, klWeight, rows) : AccumulateGradients(minibatches, klWeight);
        if (_options.MaxGradientNorm is { } most)
            result = result with { GradientNorm = GradientNorm.Clip(_trained, most) };
        using (NewDisposeScope())
            _optimizer.step();
        Count++;
        return result;
    }

    /// <summary>
    /// Sets the gradients of the union of minibatches: the mean over rows and samples of the gradients of the negative log likelihood, each
    /// sample with fresh noise and a backward pass of its own, and the gradient of the KL term.
    /// </summary>
    /// <param name="minibatches">The rows.</param>
    /// <param name="klWeight">The weight of the KL term.</param>
    /// <param name="part">What all gradients are multiplied by, and the mean log likelihood of the result: the share of the step's rows.</param>
    internal StepResult AccumulateGradients(ReadOnlySpan<(Tensor Inputs, Tensor Targets)> minibatches, double klWeight, double part = 1)
    {
        foreach ((Tensor inputs, Tensor targets) in minibatches)
            RequireRows(inputs, targets);

        Guard.Finite(klWeight);
        if (TryCompiled(minibatches, klWeight, optimizer: null, part) is { } compiled)
            return compiled;

        using var scope = NewDisposeScope();
        using GradientBuffers.Pass pass = _gradients.Open();
        double weight = part * klWeight / _trainingSetSize;
        _klTerm.Offer(pass, weight);
        double negativeLogLikelihood = 0, rows = Rows(minibatches);
        Tensor x = null!, y = null!;
        foreach ((Tensor inputs, Tensor targets) in minibatches)
        {
            (x, y) = (inputs.to(_device), targets.to(_device));
            double share = part * (minibatches.Length == 1 ? 1.0 / _options.Samples : inputs.size(0) / (rows * _options.Samples));
            for (int s = 0; s < _options.Samples; s++)
            {
                using var sample = NewDisposeScope();
                using IDisposable? noise = _pairs?.Begin(twin: s % 2 == 1);
                negativeLogLikelihood += Differentiate(_model.call(x), x, y, share, pass) * share;
            }
        }

        // What the KL term still adds goes to gradients that stand.
        pass.Dispose();
        double kl = _check.Finite(_klTerm.Accumulate(weight), "KL divergence", Count + 1, x, y);
        return Result(negativeLogLikelihood, kl, klWeight, _pointPrior?.Accumulate(weight) ?? 0);
    }

    /// <summary>
    /// Sets the gradients of the union of the minibatches of all processes. Each multiplies its own by its share of the rows; the shares add up to
    /// one, so that rows weigh alike and the KL term counts once.
    /// </summary>
    private StepResult AccumulateWith(IPeers peers, ReadOnlySpan<(Tensor Inputs, Tensor Targets)> minibatches, double klWeight, long? rows)
    {
        try
        {
            (Tensor Inputs, Tensor Targets)[] present = [.. minibatches];
            foreach ((Tensor inputs, Tensor targets) in present)
            {
                ArgumentNullException.ThrowIfNull(inputs);
                ArgumentNullException.ThrowIfNull(targets);
            }

            // The slice of a process may be empty.
            present = Array.FindAll(present, minibatch => minibatch.Inputs.dim() == 0 || minibatch.Inputs.size(0) > 0);
            double own = Rows(present);
            if (rows is null)
                rows = BeginWith(peers, own);
            if (rows == 0)
                RequireRows(minibatches[0].Inputs, minibatches[0].Targets);
            double share = own / rows.Value;
            StepResult mine = own == 0 ? WithoutRows(klWeight) : AccumulateGradients(present, klWeight, share);
            Span<double> sums = [mine.NegativeLogLikelihood, mine.KlDivergence * share];
            peers.EndStep(sums, share);
            return Result(sums[0], sums[1], klWeight, mine.PointPenalty);
        }
        catch (Exception failure)
        {
            peers.Fail(failure);
            throw;
        }
    }

    /// <summary>Begins a step of a loop of one's own, and returns the rows of all processes.</summary>
    private long BeginWith(IPeers peers, double own)
    {
        Span<double> rows = [own, 0];
        peers.Sum(rows, Count);
        Begin();
        return (long)rows[0];
    }

    /// <summary>The part of a process in a step that it has no rows for.</summary>
    private StepResult WithoutRows(double klWeight)
    {
        _gradients.Open().Dispose();
        return Result(0, 0, klWeight, _pointPrior?.Value() ?? 0);
    }

    public void Dispose()
    {
        _compiled?.Dispose();
        _gradients.Dispose();
    }

    private static void RequireRows(Tensor inputs, Tensor targets)
    {
        ArgumentNullException.ThrowIfNull(inputs);
        ArgumentNullException.ThrowIfNull(targets);
        if (inputs.dim() == 0 || inputs.size(0) == 0)
            throw new ArgumentException($"The minibatch has shape {Guard.Format(inputs.shape)}; it needs at least one row.", nameof(inputs));
    }

    private static double Rows(ReadOnlySpan<(Tensor Inputs, Tensor Targets)> minibatches)
    {
        long rows = 0;
        foreach ((Tensor inputs, _) in minibatches)
            rows += inputs.size(0);
        return rows;
    }

    /// <summary>Returns the mean negative log likelihood and runs the backward pass of it times its share.</summary>
    private double Differentiate(Tensor output, Tensor x, Tensor y, double share, GradientBuffers.Pass pass)
    {
        double? inClosedForm = !_likelihood.HasClosedForm || !output.requires_grad || output.dim() != 2 || output.size(0) == 0 ? null
            : TensorMemory.IsPlain<float>(output) ? DifferentiateInClosedForm<float>(output, x, y, share, pass)
            : TensorMemory.IsPlain<double>(output) ? DifferentiateInClosedForm<double>(output, x, y, share, pass)
            : null;
        if (inClosedForm is { } found)
            return found;
        Tensor loss = _likelihood.LogLikelihood(output, y).mean().neg();
        double value = _check.Finite(loss, "negative log likelihood", Count + 1, x, y);
        (share == 1 ? loss : loss.Times(share)).backward();
        return value;
    }

    private double? DifferentiateInClosedForm<T>(Tensor output, Tensor x, Tensor y, double share, GradientBuffers.Pass pass)
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        Tensor gradient = empty(output.shape, dtype: output.dtype);
        long batch = output.size(0);
        if (_likelihood.Differentiate(
            TensorMemory.Span<T>(output), [batch, output.size(1)], y, -share / batch, TensorMemory.Span<T>(gradient)) is not { } loss)
        {
            return null;
        }

        double value = _check.Finite(-loss.LogLikelihood / batch, "negative log likelihood", Count + 1, x, y);
        if (loss.Parameter is { requires_grad: true } own && pass.TryWrite(own, out Tensor memory, out bool add))
        {
            Span<T> stored = TensorMemory.Span<T>(memory);
            stored[0] = (add ? stored[0] : T.Zero) + T.CreateTruncating(loss.ParameterGradient);
        }

        output.backward([gradient]);
        return value;
    }

    /// <summary>
    /// A step in compiled passes: with an optimizer that consumes the gradients, or leaving them in <c>grad</c>. Null, with nothing done,
    /// where the autograd path has to take it.
    /// </summary>
    private StepResult? TryCompiled(ReadOnlySpan<(Tensor Inputs, Tensor Targets)> minibatches, double klWeight, AdamParameters? optimizer, double part = 1)
    {
        if (!_mayCompile || !double.IsFinite(klWeight) || minibatches[0].Inputs is null || minibatches[0].Targets is null || (_compiled is null && !Compile()))
            return null;
        double negativeLogLikelihood = 0, kl = 0, penalty = _pointPrior?.Value() ?? 0;
        double rows = minibatches.Length == 1 ? 0 : Rows(minibatches);
        bool add = false;
        int passes = minibatches.Length * _options.Samples;
        foreach ((Tensor inputs, Tensor targets) in minibatches)
        {
            double share = part * (minibatches.Length == 1 ? 1.0 / _options.Samples : inputs.size(0) / (rows * _options.Samples));
            for (int s = 0; s < _options.Samples; s++)
            {
                using IDisposable? noise = _pairs?.Begin(twin: s % 2 == 1);
                if (_compiled!.Forward(inputs, targets, share, add) is not { } losses)
                {
                    // The next step looks again.
                    _compiled.Dispose();
                    _compiled = null;
                    WhyNotCompiled = "The last minibatch or the model was not what had been compiled: another estimator, a frozen parameter, a hook, "
                        + "or tensors of another shape, type or place.";
                    return null;
                }

                negativeLogLikelihood += _check.Finite(losses.NegativeLogLikelihood, "negative log likelihood", Count + 1, inputs, targets) * share;
                kl = _check.Finite(losses.KlDivergence, "KL divergence", Count + 1, inputs, targets);
                double factor = add ? 0 : part * klWeight / _trainingSetSize;
                _compiled.Backward(factor, factor * (_pointPrior?.Precision ?? 0), add, optimizer, --passes == 0 ? _complete : null);
                add = true;
            }
        }

        return Result(negativeLogLikelihood, kl, klWeight, penalty);
    }

    private bool Compile()
    {
        string? whyNot = !_options.Compile ? "TrainerOptions.Compile is off" : _device.type != DeviceType.CPU ? "it is not on the CPU" : null;
        if (whyNot is null)
            _compiled = CompiledStep.TryCreate(_model, _likelihood, out whyNot);
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
}
