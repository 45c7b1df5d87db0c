using BayesNet.Divergences;
using BayesNet.Estimators;
using BayesNet.Posteriors;
using BayesNet.Priors;
using BayesNet.Runtime;
using static TorchSharp.torch;

namespace BayesNet.Layers.Recurrent;

/// <summary>
/// A recurrent network with a posterior over its weights, which are drawn once a forward pass, not once a step (Fortunato, Blundell and Vinyals
/// 2017); their divergence counts once.
/// </summary>
/// <remarks>
/// <para>
/// What each estimator draws for the product with the input, W_ih x_t + b_ih, and with the state, W_hh h + b_hh:
/// </para>
/// <list type="bullet">
/// <item><b>Shared weights</b>, the default here: one weight for all examples and steps. Exact, and libtorch's own fused network computes it.</item>
/// <item><b>Weights per example</b>: a weight for each example, the same at all its steps. Exact, examples independent; step by step, with batched
/// products and the memory of batch weights: slow.</item>
/// <item><b>Flipout</b>: one deviation for the batch, its signs for each example and the same at all its steps. The weights of each example
/// have their exact law over the whole sequence, so that every expectation of a function of one example, and its gradient, is exact; examples are
/// not independent, though their weights are uncorrelated. Step by step.</item>
/// <item><b>Local reparameterization</b>, an approximation: the products with the input are drawn from their own laws, exact at each step, and the
/// covariance across steps, sum_k x_tk x_sk sigma_k^2, which a weight held over the sequence gives them, is dropped; exact for sequences of one
/// step. The state's weight is one draw for the batch, exact: local noise there would be another weight at every step.</item>
/// <item><b>Mean only</b>: the deterministic network at the means.</item>
/// </list>
/// <para>
/// State dict: the twin's names, each with the posterior's, such as <c>weight_ih_l0.mean</c>, and <c>weight_ih_l0_prior.*</c> where a prior holds
/// tensors. Dropout between layers, in training mode, comes from libtorch's global generator, as the twin's does.
/// </para>
/// </remarks>
/// <typeparam name="TState">The initial state as the twin takes it; null for zeros.</typeparam>
/// <typeparam name="TResult">The twin's result: the output, and the last state.</typeparam>
public abstract class BayesianRecurrentLayer<TState, TResult> : nn.Module<Tensor, TState, TResult>, IBayesianModule, IHoldsDraws
{
    private readonly RecurrentStack _stack;
    private readonly RecurrentGeometry _geometry;
    private readonly int _klSamples;
    private Estimator _estimator;

    /// <summary>A layer whose initial means are drawn as TorchSharp draws the twin's weights: uniform within 1 / sqrt(hidden size).</summary>
    private protected BayesianRecurrentLayer(
        string name, RecurrentCell cell, RecurrentGeometry geometry, Device? device, ScalarType? dtype, BayesOptions? options)
        : this(name, cell, geometry, RecurrentWeights.Drawn(geometry, device, dtype), options)
    {
    }

    /// <summary>A layer whose means start at a twin's weights; they are copied, and give the layer its type and device.</summary>
    private protected BayesianRecurrentLayer(string name, RecurrentCell cell, RecurrentGeometry geometry, nn.Module twin, BayesOptions? options)
        : this(name, cell, geometry, RecurrentWeights.Of(twin), options)
    {
    }

    private BayesianRecurrentLayer(string name, RecurrentCell cell, RecurrentGeometry geometry, Func<string, long[], Tensor> initial, BayesOptions? options)
        : base(name)
    {
        NativeLibraries.Load();
        options ??= BayesOptions.Default;
        _geometry = geometry;
        _klSamples = (int)Guard.AtLeastOne(options.KlSamples, nameof(options.KlSamples));
        using (NewDisposeScope())
        using (no_grad())
            _stack = new RecurrentStack(cell, geometry, initial, options);
        foreach ((string parameter, Posterior posterior) in _stack.Posteriors)
            register_module(parameter, posterior);
        foreach ((string parameter, Prior prior) in _stack.Priors)
            register_module(parameter + "_prior", prior);

        _estimator = options.RecurrentEstimator;
        if (WhyNot(_estimator) is { } reason)
            throw new NotSupportedException(reason);
        Noise = new NoiseSource(options.Seed);
    }

    /// <summary>Features of the input.</summary>
    public long InputSize => _geometry.InputSize;

    /// <summary>Units of each layer and direction.</summary>
    public long HiddenSize => _geometry.HiddenSize;

    /// <summary>Layers.</summary>
    public long NumLayers => _geometry.Layers;

    /// <summary>Whether the batch comes before the time in inputs and outputs.</summary>
    public bool BatchFirst => _geometry.BatchFirst;

    /// <summary>Whether each layer runs both ways.</summary>
    public bool Bidirectional => _geometry.IsBidirectional;

    /// <summary>The share of entries dropped between layers in training mode.</summary>
    public double Dropout => _geometry.Dropout;

    internal bool HasBias => _geometry.HasBias;

    /// <summary>The posterior of each parameter by the twin's name for it, such as <c>weight_ih_l0</c>, in the twin's order.</summary>
    public IReadOnlyDictionary<string, Posterior> Posteriors => _stack.Posteriors;

    /// <summary>The prior of each parameter by the twin's name for it.</summary>
    public IReadOnlyDictionary<string, Prior> Priors => _stack.Priors;

    /// <inheritdoc/>
    public Estimator Estimator
    {
        get => _estimator;
        set
        {
            ArgumentNullException.ThrowIfNull(value);
            if (WhyNot(value) is { } reason)
                throw new NotSupportedException(reason);
            _estimator = value;
        }
    }

    /// <inheritdoc/>
    public NoiseSource Noise { get; }

    /// <inheritdoc cref="NoiseSource.Seed"/>
    public ulong? Seed
    {
        get => Noise.Seed;
        set => Noise.Seed = value;
    }

    /// <inheritdoc/>
    public IReadOnlyList<(Posterior Posterior, Prior Prior)> DivergenceTerms
        => [.. Posteriors.Select(entry => (entry.Value, Priors[entry.Key]))];

    /// <inheritdoc/>
    public string? WhyNot(Estimator estimator)
    {
        ArgumentNullException.ThrowIfNull(estimator);
        return _stack.WhyNot(estimator);
    }

    /// <inheritdoc/>
    public Tensor KlDivergence() => KlDivergences.Sum(DivergenceTerms, Noise, _klSamples);

    /// <summary>The layer's parts in one line.</summary>
    public sealed override string ToString()
        => $"{GetName()}({InputSize} -> {HiddenSize}, layers {NumLayers}{(Bidirectional ? ", bidirectional" : "")}, "
            + $"{Posteriors["weight_ih_l0"].GetName()}, prior {Priors["weight_ih_l0"].GetName()}, {_estimator})";

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            this.DisposeChildren();
            Noise.Dispose();
        }

        base.Dispose(disposing);
    }

    /// <summary>The output and the last states, with noise as the estimator draws it, fresh at every call.</summary>
    /// <param name="input">(time, batch, features), (batch, time, features) if <see cref="BatchFirst"/>, or (time, features).</param>
    /// <param name="states">(layers * directions, batch, hidden) each, without the batch where the input has none; null for zeros.</param>
    private protected (Tensor Output, Tensor[] States) Run(Tensor input, Tensor[]? states)
        => _stack.Run(_estimator, Noise, training, input, states, null);

    /// <summary>The same of sequences of different lengths, packed; the output is packed as the input was.</summary>
    private protected (nn.utils.rnn.PackedSequence Output, Tensor[] States) Run(nn.utils.rnn.PackedSequence input, Tensor[]? states)
    {
        ArgumentNullException.ThrowIfNull(input);
        using var scope = NewDisposeScope();
        (Tensor padded, Tensor lengths) = nn.utils.rnn.pad_packed_sequence(input, batch_first: BatchFirst);
        (Tensor output, Tensor[] last) = _stack.Run(_estimator, Noise, training, padded, states, lengths);
        bool sorted = input.sorted_indices.IsInvalid;
        var packed = nn.utils.rnn.pack_padded_sequence(output, lengths, BatchFirst, enforce_sorted: sorted);
        return (packed.MoveToOuterDisposeScope(), [.. last.Select(state => state.MoveToOuterDisposeScope())]);
    }
}
