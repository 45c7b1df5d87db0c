using System.Collections;
using System.Numerics;
using System.Reflection;
using BayesNet.Kernels;
using BayesNet.Likelihoods;
using BayesNet.Reparameterization;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace BayesNet.Training.Compiled;

/// <summary>
/// A training step as one hand-driven pass, for a <see cref="Sequential"/> of linear layers, Bayesian or not, and elementwise activations:
/// forward, loss, KL, backward and optimizer with no autograd, in workspaces that are kept. It has the numbers of the autograd path under
/// the same noise, to rounding.
/// </summary>
/// <remarks>
/// Each layer's products are cut into blocks small enough that the passes behind a product find it in the cache; the gradient of a block
/// goes straight into the optimizer where that is a <see cref="FusedAdam"/>, so that no gradient as large as a weight exists.
/// </remarks>
internal abstract class CompiledStep : IDisposable
{
    /// <summary>What the forward pass of a step has found.</summary>
    /// <param name="NegativeLogLikelihood">In nats an example.</param>
    /// <param name="KlDivergence">In nats.</param>
    internal readonly record struct Losses(double NegativeLogLikelihood, double KlDivergence);

    /// <summary>Compiles a model, or says in one sentence why it can't.</summary>
    public static CompiledStep? TryCreate(nn.Module<Tensor, Tensor> model, Likelihood likelihood, out string? whyNot)
    {
        if (!MatrixProduct.IsAvailable)
        {
            whyNot = "this platform's libtorch gives no direct access to its matrix products";
            return null;
        }

        nn.Module[] parts = model.GetType() == typeof(Sequential) ? [.. model.children()] : [model];
        if (model.GetType() == typeof(Sequential) && ((Sequential)model).Count != parts.Length)
        {
            whyNot = "a module stands in the Sequential more than once";
            return null;
        }

        var layers = new List<(nn.Module Module, nn.Module? Activation)>();
        bool flatten = false;
        foreach ((int index, nn.Module part) in parts.Index())
        {
            if (part is Flatten { start_dim: 1, end_dim: -1 } && layers.Count == 0)
            {
                flatten = true;
            }
            else if (Activation.IsKnown(part) && layers.Count > 0 && layers[^1].Activation is null)
            {
                layers[^1] = (layers[^1].Module, part);
            }
            else if (Layer<float>.WhyNot(part) is { } reason)
            {
                whyNot = $"part {index}, {part.GetName()}, {reason}";
                return null;
            }
            else
            {
                layers.Add((part, null));
            }
        }

        if (layers.Count == 0)
        {
            whyNot = "it has no linear layer";
            return null;
        }

        whyNot = null;
        Parameter first = model.parameters().First();
        nn.Module[] hooked = [model, .. parts];
        return first.dtype == ScalarType.Float64
            ? new CompiledStep<double>(model, hooked, layers, flatten, likelihood)
            : new CompiledStep<float>(model, hooked, layers, flatten, likelihood);
    }

    /// <summary>
    /// The forward pass of a sample; null, with nothing done, where the minibatch or the model is not what was compiled, which the autograd
    /// path then takes or refuses.
    /// </summary>
    /// <param name="inputs">(batch, ...).</param>
    /// <param name="targets">As the likelihood takes them.</param>
    /// <param name="gradientScale">The factor of the gradient of the mean negative log likelihood: one over the number of samples.</param>
    /// <param name="add">Whether gradients are added to those of the samples before.</param>
    public abstract Losses? Forward(Tensor inputs, Tensor targets, double gradientScale, bool add);

    /// <summary>Whether <see cref="Backward"/> can hand its gradients to an optimizer.</summary>
    public abstract bool CanUpdate(AdamParameters optimizer);

    /// <summary>The backward pass of the sample that <see cref="Forward"/> has just run.</summary>
    /// <param name="klFactor">The factor of the KL term's gradient: its weight over N, or zero.</param>
    /// <param name="pointDecay">The factor of a deterministic parameter that is added to its gradient: its prior's.</param>
    /// <param name="add">Whether gradients are added to those of the samples before.</param>
    /// <param name="optimizer">What consumes the gradients; null to store them in <c>grad</c>.</param>
    /// <param name="complete">Told of each stored gradient that nothing more is added to, while others are still to come; null for nobody.</param>
    public abstract void Backward(double klFactor, double pointDecay, bool add, AdamParameters? optimizer, Action<Parameter>? complete);

    /// <inheritdoc/>
    public abstract void Dispose();
}

/// <inheritdoc cref="CompiledStep"/>
internal sealed unsafe class CompiledStep<T> : CompiledStep
    where T : unmanaged, IBinaryFloatingPointIeee754<T>
{
    private static readonly T Floor = FloatRange.LeastNormal<T>();

    private readonly Layer<T>[] _layers;
    private readonly TrainedParameter<T>[] _parameters;
    private readonly Pass[] _passes;
    private readonly ICollection[] _hooks;
    private readonly nn.Module<Tensor, Tensor> _model;
    private readonly int _parts;
    private readonly bool _flatten;
    private readonly Likelihood _likelihood;
    private readonly Parameter[] _likelihoodParameters;
    private readonly NativeBuffer<T> _inputSquares = new(), _gradient = new(), _varianceGradient = new(), _scratch = new();
    private readonly NativeBuffer<double> _divergences = new();

    private T* _input;
    private int _batch;
    private Tensor? _inputs;
    private LossGradient _loss;

    public CompiledStep(
        nn.Module<Tensor, Tensor> model, nn.Module[] hooked, List<(nn.Module Module, nn.Module? Activation)> layers, bool flatten, Likelihood likelihood)
    {
        _model = model;
        _parts = hooked.Length - 1;
        _flatten = flatten;
        _likelihood = likelihood;
        _layers = [.. layers.Select(layer => new Layer<T>(layer.Module))];
        _parameters = [.. _layers.SelectMany(layer => layer.Parameters)];
        _passes = [.. layers.Select(layer => Activation.Visit(layer.Activation, new PassFactory()))];
        _hooks = [.. hooked.SelectMany(Hooks)];
        _likelihoodParameters = [.. likelihood.parameters().Where(parameter => parameter.requires_grad)];
    }

    /// <inheritdoc/>
    public override Losses? Forward(Tensor inputs, Tensor targets, double gradientScale, bool add)
    {
        if (!Fits(inputs))
            return null;
        foreach (Layer<T> layer in _layers)
        {
            if (!layer.Fetch())
                return null;
        }

        _batch = (int)inputs.size(0);
        _inputs = inputs;
        _input = TensorMemory.Pointer<T>(inputs);
        Reserve();
        T* input = _input, squares = null;
        if (_layers[0].Kind == NoiseKind.Local)
        {
            squares = _inputSquares.Pointer;
            LocalKernel.Multiply(_input, _input, squares, (long)_batch * _layers[0].Inputs);
        }

        double divergence = 0;
        for (int i = 0; i < _layers.Length; i++)
        {
            Layer<T> layer = _layers[i];
            layer.DrawNoise(_batch);
            divergence += layer.PrepareBias();
            var blocks = Blocks.Of(layer.Outputs, layer.Inputs);
            double* parts = _divergences.Reserve(blocks.Count);
            _passes[i].Forward(layer, blocks, _batch, input, squares, parts);
            for (int block = 0; block < blocks.Count; block++)
                divergence += parts[block];

            input = layer.Activations;
            squares = layer.Squares;
        }

        // A likelihood without a closed form adds to the gradients of its own parameters.
        foreach (Parameter parameter in add ? [] : _likelihoodParameters)
        {
            using Tensor? gradient = parameter.grad;
            gradient?.zero_();
        }

        Layer<T> last = _layers[^1];
        int outputs = checked(_batch * last.Outputs);
        LossGradient? loss = _likelihood.Differentiate<T>(
            new ReadOnlySpan<T>(last.Activations, outputs), [_batch, last.Outputs], targets, -gradientScale / _batch, new Span<T>(_gradient.Pointer, outputs));
        if (loss is null)
            return null;
        _loss = loss.Value;
        return new Losses(-_loss.LogLikelihood / _batch, divergence);
    }

    /// <inheritdoc/>
    public override bool CanUpdate(AdamParameters optimizer)
        => Array.TrueForAll(_parameters, parameter => parameter.IsIn(optimizer))
            && Array.TrueForAll(_likelihoodParameters, parameter => optimizer.Find(parameter) is { GreatestMoment: null });

    /// <inheritdoc/>
    public override void Backward(double klFactor, double pointDecay, bool add, AdamParameters? optimizer, Action<Parameter>? complete)
    {
        using var _ = no_grad();
        foreach (TrainedParameter<T> parameter in _parameters)
        {
            if (optimizer is not null)
                parameter.BeginUpdate(optimizer);
            else
                parameter.BeginGradient();
        }

        TakeLikelihood(add, optimizer);
        foreach (Parameter own in _likelihoodParameters)
            complete?.Invoke(own);
        Layer<T> last = _layers[^1];
        LayerKernels.Backward<T>(
            new LayerKernels.Columns(_batch, last.Outputs, 0, last.Outputs), _gradient.Pointer, null, null, last.Slopes,
            last.Kind == NoiseKind.Local ? last.Factors : null);
        for (int i = _layers.Length - 1; i >= 0; i--)
        {
            Layer<T> layer = _layers[i];
            if (i > 0)
                InputGradient(layer, _layers[i - 1]);
            WeightGradient(layer, i == 0 ? _input : _layers[i - 1].Activations, i == 0 ? _inputSquares.Pointer : _layers[i - 1].Squares, klFactor, pointDecay, add);
            foreach (TrainedParameter<T> parameter in layer.Parameters)
                parameter.End(complete);
        }

        GC.KeepAlive(_inputs);
        _inputs = null;
    }

    /// <inheritdoc/>
    public override void Dispose()
    {
        foreach (Layer<T> layer in _layers)
            layer.Dispose();
        foreach (NativeBuffer<T> buffer in new[] { _inputSquares, _gradient, _varianceGradient, _scratch })
            buffer.Dispose();
        _divergences.Dispose();
    }

    private void TakeLikelihood(bool add, AdamParameters? optimizer)
    {
        foreach (Parameter own in _likelihoodParameters)
        {
            bool inClosedForm = ReferenceEquals(own, _loss.Parameter);
            if (optimizer is null && !inClosedForm)
                continue;
            var parameter = new TrainedParameter<T>(() => own);
            using Tensor? stored = own.grad;
            T value = T.CreateTruncating(_loss.ParameterGradient);
            T* gradient = inClosedForm ? &value : stored is null ? null : TensorMemory.Pointer<T>(stored);
            if (gradient is null || !parameter.Fetch())
                continue;
            if (optimizer is not null)
                parameter.BeginUpdate(optimizer);
            else
                parameter.BeginGradient();
            parameter.Take(0, parameter.Count, gradient, add);
            parameter.End();
        }
    }

    private void InputGradient(Layer<T> layer, Layer<T> below)
    {
        var blocks = Blocks.Of(layer.Inputs, layer.Outputs);
        var task = new InputGradientTask<T>
        {
            Layer = layer,
            Below = below,
            Blocks = blocks,
            Batch = _batch,
            Gradient = _gradient.Pointer,
            VarianceGradient = _varianceGradient.Pointer,
        };
        TorchThreads.For(blocks.Count, blocks.Grain(layer.Outputs, _batch), ref task);
    }

    private void WeightGradient(Layer<T> layer, T* input, T* squares, double klFactor, double pointDecay, bool add)
    {
        var blocks = Blocks.Of(layer.Outputs, layer.Inputs);
        int taken = 0;
        int threads = Math.Min(blocks.Count, get_num_threads());
        var task = new WeightGradientTask<T>
        {
            Layer = layer,
            Blocks = blocks,
            Batch = _batch,
            Input = input,
            InputSquares = squares,
            KlWeight = klFactor,
            PointDecay = pointDecay,
            Add = add,
            Scratch = _scratch.Reserve(2L * threads * blocks.Room(layer.Inputs)),
            Taken = &taken,
        };
        TorchThreads.For(blocks.Count, blocks.Grain(layer.Inputs, _batch), ref task);
    }

    private void Reserve()
    {
        long widest = 0;
        for (int i = 0; i < _layers.Length; i++)
        {
            _layers[i].Reserve(_batch, squares: i + 1 < _layers.Length && _layers[i + 1].Kind == NoiseKind.Local);
            widest = Math.Max(widest, Math.Max(i == 0 ? 0 : _layers[i].Inputs, _layers[i].Outputs));
        }

        _gradient.Reserve(_batch * widest);
        _varianceGradient.Reserve(_batch * widest);
        if (_layers[0].Kind == NoiseKind.Local)
            _inputSquares.Reserve((long)_batch * _layers[0].Inputs);
    }

    private bool Fits(Tensor inputs)
    {
        long rank = inputs.dim();
        if (rank < 2 || (rank > 2 && !_flatten) || !TensorMemory.IsPlain<T>(inputs) || inputs.requires_grad)
            return false;
        long batch = inputs.size(0);
        if (batch == 0 || inputs.numel() != batch * _layers[0].Inputs)
            return false;
        if (_model is Sequential sequential && sequential.Count != _parts)
            return false;
        foreach (ICollection hooks in _hooks)
        {
            if (hooks.Count > 0)
                return false;
        }

        return true;
    }

    /// <summary>The tables of a module's hooks, which the autograd path would call.</summary>
    private static IEnumerable<ICollection> Hooks(nn.Module module)
    {
        for (Type? type = module.GetType(); type is not null; type = type.BaseType)
        {
            foreach (FieldInfo field in type.GetFields(BindingFlags.Instance | BindingFlags.NonPublic | BindingFlags.DeclaredOnly))
            {
                if (field.Name.EndsWith("_hooks", StringComparison.Ordinal) && field.GetValue(module) is ICollection hooks)
                    yield return hooks;
            }
        }
    }

    /// <summary>A layer's forward pass with its activation compiled in.</summary>
    private abstract class Pass
    {
        public abstract void Forward(Layer<T> layer, Blocks blocks, int batch, T* input, T* squares, double* divergences);
    }

    private sealed class Pass<TActivation>(TActivation activation) : Pass
        where TActivation : struct, IActivation<T>
    {
        public override void Forward(Layer<T> layer, Blocks blocks, int batch, T* input, T* squares, double* divergences)
        {
            var task = new ForwardTask<T, TActivation>
            {
                Layer = layer,
                Activation = activation,
                Blocks = blocks,
                Batch = batch,
                Input = input,
                InputSquares = squares,
                Divergences = divergences,
                Floor = Floor,
            };
            TorchThreads.For(blocks.Count, blocks.Grain(layer.Inputs, batch), ref task);
        }
    }

    private readonly struct PassFactory : Activation.IVisitor<T, Pass>
    {
        public Pass Visit<TActivation>(TActivation activation)
            where TActivation : struct, IActivation<T>
            => new Pass<TActivation>(activation);
    }
}
