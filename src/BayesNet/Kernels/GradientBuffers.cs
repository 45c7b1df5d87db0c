using TorchSharp.Modules;
using static TorchSharp.torch;

namespace BayesNet.Kernels;

/// <summary>
/// Standing memory for the gradients of a set of parameters, into which fused functions write while a pass over them is open, in place of
/// returning tensors that autograd would copy and add up.
/// </summary>
/// <remarks>
/// <para>
/// While a pass is open, <c>.grad</c> is null; what reaches a parameter by other ways, autograd accumulates there as ever. When it ends,
/// <c>.grad</c> is the sum of both, or null where nothing came: a parameter that took no part in a step has no gradient, and an optimizer
/// leaves it as it is. A tensor read from <c>.grad</c> after one pass is written over in the next.
/// </para>
/// <para>
/// A function asks in its forward pass for the pass that is open on its thread, and writes in its backward pass if that one still is. Outside of
/// a pass, and after it, functions return their gradients, so that hooks, <c>autograd.grad</c> and anyone's own loop see what they expect.
/// </para>
/// </remarks>
internal sealed class GradientBuffers : IDisposable
{
    [ThreadStatic]
    private static Pass? _current;

    private readonly Dictionary<nint, Buffer> _buffers = [];

    /// <summary>Makes buffers for <paramref name="parameters"/>; memory is taken when it is first written to.</summary>
    internal GradientBuffers(IEnumerable<Parameter> parameters)
    {
        foreach (Parameter parameter in parameters)
            _buffers.TryAdd(parameter.Handle, new Buffer(parameter));
    }

    /// <summary>The pass that is open on this thread, or null.</summary>
    internal static Pass? Current => _current;

    /// <summary>Opens a pass on this thread: every gradient is null until something adds to it.</summary>
    internal Pass Open()
    {
        foreach (Buffer buffer in _buffers.Values)
            buffer.Start();
        return _current = new Pass(this, _current);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (Buffer buffer in _buffers.Values)
            buffer.Memory?.Dispose();
        _buffers.Clear();
    }

    /// <summary>From the opening of a pass to its end.</summary>
    internal sealed class Pass(GradientBuffers owner, Pass? outer) : IDisposable
    {
        private readonly Dictionary<nint, Divergence> _divergences = [];
        private bool _closed;

        /// <summary>
        /// The memory to write a parameter's gradient to: for <paramref name="add"/> to add to, else to overwrite, contents undefined. The caller
        /// writes all of it at once. False where the gradient must go through autograd.
        /// </summary>
        internal bool TryWrite(Tensor parameter, out Tensor memory, out bool add)
        {
            if (_closed || !owner._buffers.TryGetValue(parameter.Handle, out Buffer? buffer))
            {
                (memory, add) = (null!, false);
                return false;
            }

            add = buffer.Written;
            buffer.Written = true;
            memory = buffer.Memory ??= empty(buffer.Parameter.shape, dtype: parameter.dtype, device: parameter.device).DetachFromDisposeScope();
            return true;
        }

        /// <summary>Offers a divergence to the functions that pass over its parameters anyway; what none of them takes is the caller's to compute.</summary>
        internal void Offer(Tensor logScale, Divergence divergence) => _divergences.Add(logScale.Handle, divergence);

        /// <summary>The divergence whose log scale this is, where one is on offer.</summary>
        internal Divergence? DivergenceOf(Tensor logScale) => _closed ? null : _divergences.GetValueOrDefault(logScale.Handle);

        /// <summary>Hands the gradients over to the parameters.</summary>
        public void Dispose()
        {
            if (_closed)
                return;
            _closed = true;
            _current = outer;
            using var _ = no_grad();
            foreach (Buffer buffer in owner._buffers.Values)
                buffer.Finish();
        }
    }

    /// <summary>KL(N(mu, e^2rho) || N(m, s^2)) of a parameter pair in a pass under way, for a function to compute beside its own work.</summary>
    /// <param name="priorMean">m.</param>
    /// <param name="priorStdDev">s.</param>
    /// <param name="weight">The gradient's weight.</param>
    internal sealed class Divergence(double priorMean, double priorStdDev, double weight)
    {
        internal double PriorMean { get; } = priorMean;

        internal double PriorStdDev { get; } = priorStdDev;

        internal double Weight { get; } = weight;

        /// <summary>In nats; set by a forward pass.</summary>
        internal double Value { get; set; }

        /// <summary>Whether a backward pass has added the gradient, with the weight, to the buffers of mu and rho.</summary>
        internal bool HasGradient { get; set; }
    }

    private sealed class Buffer(Parameter parameter)
    {
        internal Parameter Parameter { get; } = parameter;

        internal Tensor? Memory { get; set; }

        internal bool Written { get; set; }

        internal void Start()
        {
            Written = false;
            Parameter.grad = null;
        }

        internal void Finish()
        {
            if (!Written)
                return;
            using (Tensor? other = Parameter.grad)
            {
                if (other is not null)
                    Memory!.add_(other, Runtime.Scalars.One);
            }

            Parameter.grad = Memory;
        }
    }
}
