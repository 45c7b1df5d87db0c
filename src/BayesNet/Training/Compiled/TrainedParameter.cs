using System.Numerics;
using BayesNet.Kernels;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace BayesNet.Training.Compiled;

/// <summary>A parameter in a compiled step: where its values are, and what becomes of its gradient.</summary>
/// <param name="find">Finds the parameter: <c>.to()</c> replaces it, so it is looked up in every step.</param>
internal sealed unsafe class TrainedParameter<T>(Func<Parameter> find)
    where T : unmanaged, IBinaryFloatingPointIeee754<T>
{
    private Parameter? _parameter;
    private AdamParameter? _state;
    private AdamKernel.Constants _constants;
    private T* _first, _second, _gradient;

    public T* Pointer { get; private set; }

    public int Count { get; private set; }

    /// <summary>Finds the values; false where they are not what a compiled step can work on.</summary>
    public bool Fetch()
    {
        Parameter parameter = find();
        if (!ReferenceEquals(parameter, _parameter))
        {
            if (!TensorMemory.IsPlain<T>(parameter))
                return false;
            _parameter = parameter;
            Count = (int)parameter.numel();
        }

        Pointer = TensorMemory.Pointer<T>(parameter);
        return parameter.requires_grad;
    }

    /// <summary>Whether an optimizer can consume the gradient block by block.</summary>
    public bool IsIn(AdamParameters optimizer) => optimizer.Find(find()) is { GreatestMoment: null };

    /// <summary>The gradient will be consumed by the optimizer at once, block by block, in place of being stored.</summary>
    public void BeginUpdate(AdamParameters optimizer)
    {
        _state = optimizer.Find(_parameter!)!;
        _constants = _state.Advance();
        _first = TensorMemory.Pointer<T>(_state.FirstMoment);
        _second = TensorMemory.Pointer<T>(_state.SecondMoment);
    }

    /// <summary>The gradient will be stored in the parameter's <c>grad</c>.</summary>
    public void BeginGradient()
    {
        _state = null;
        Tensor? gradient = _parameter!.grad;
        if (gradient is null || !TensorMemory.IsPlain<T>(gradient))
        {
            gradient?.Dispose();
            gradient = empty_like(_parameter);
            _parameter.grad = gradient;
        }

        // The parameter holds the gradient; the wrapper is not needed for it to live.
        _gradient = TensorMemory.Pointer<T>(gradient);
        gradient.Dispose();
    }

    /// <summary>Takes the gradient of a block of entries; blocks may be taken on several threads at once.</summary>
    /// <param name="start">The first entry.</param>
    /// <param name="count">The number of entries.</param>
    /// <param name="gradient">Their gradient.</param>
    /// <param name="add">Whether a stored gradient is added to.</param>
    public void Take(long start, int count, T* gradient, bool add)
    {
        if (_state is not null)
        {
            AdamKernel.Step(Pointer + start, gradient, _first + start, _second + start, count, _constants);
            return;
        }

        LocalKernel.PutHere(gradient, _gradient + start, count, add);
    }

    /// <summary>Tells autograd, the runtime and who waits for it that the gradient has been taken.</summary>
    public void End(Action<Parameter>? complete = null)
    {
        _state?.MarkChanged();
        complete?.Invoke(_parameter!);
    }
}
