using static TorchSharp.torch;

namespace BayesNet.Inference;

/// <summary>
/// A sequence of random numbers of its own in libtorch's global CPU generator, for what draws from there alone: initial weights, dropout. Without a seed
/// it is the global sequence itself.
/// </summary>
internal sealed class GlobalStream : IDisposable
{
    private Tensor? _state;

    internal GlobalStream(ulong? seed)
    {
        if (seed is not { } value)
            return;
        using Tensor before = random.get_rng_state();
        random.manual_seed(unchecked((long)value));
        _state = random.get_rng_state().DetachFromDisposeScope();
        random.set_rng_state(before);
    }

    /// <summary>Goes on with this sequence until the returned object is disposed, which goes on with the one that was.</summary>
    internal IDisposable Enter() => new Scope(this);

    public void Dispose()
    {
        _state?.Dispose();
        _state = null;
    }

    private sealed class Scope : IDisposable
    {
        private readonly GlobalStream _owner;
        private Tensor? _before;

        internal Scope(GlobalStream owner)
        {
            _owner = owner;
            if (owner._state is null)
                return;
            _before = random.get_rng_state().DetachFromDisposeScope();
            random.set_rng_state(owner._state);
        }

        public void Dispose()
        {
            if (_before is null)
                return;
            _owner._state?.Dispose();
            _owner._state = random.get_rng_state().DetachFromDisposeScope();
            random.set_rng_state(_before);
            _before.Dispose();
            _before = null;
        }
    }
}
