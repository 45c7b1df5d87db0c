using BayesNet.Estimators;
using BayesNet.Kernels;
using BayesNet.Maps;
using BayesNet.Posteriors;
using BayesNet.Priors;
using BayesNet.Runtime;
using static TorchSharp.torch;

namespace BayesNet.Layers.Recurrent;

/// <summary>The layers and directions of a recurrent network: what is believed of their weights, and how they run.</summary>
internal sealed class RecurrentStack
{
    private readonly RecurrentCell _cell;
    private readonly RecurrentGeometry _geometry;
    private readonly (Product OfInput, Product OfState)[] _cells;
    private readonly OrderedDictionary<string, Posterior> _posteriors = [];
    private readonly OrderedDictionary<string, Prior> _priors = [];

    /// <summary>Makes posteriors and priors around initial means, asked for by name and shape in the order of the twin's parameters.</summary>
    internal RecurrentStack(RecurrentCell cell, RecurrentGeometry geometry, Func<string, long[], Tensor> initial, BayesOptions options)
    {
        (_cell, _geometry) = (cell, geometry);
        _cells = new (Product, Product)[geometry.Layers * geometry.Directions];
        long outputs = cell.Gates * geometry.HiddenSize;
        for (int i = 0; i < _cells.Length; i++)
        {
            long layer = i / geometry.Directions;
            string suffix = $"_l{layer}{(i % geometry.Directions == 1 ? "_reverse" : "")}";
            var ofInput = new LinearMap(geometry.InputOf(layer), outputs);
            var ofState = new LinearMap(geometry.HiddenSize, outputs);
            Posterior inputWeight = Add("weight_ih" + suffix, ofInput.WeightShape);
            Posterior stateWeight = Add("weight_hh" + suffix, ofState.WeightShape);
            Posterior? Bias(string name) => geometry.HasBias ? Add(name + suffix, [outputs]) : null;
            _cells[i] = (new Product(ofInput, inputWeight, Bias("bias_ih")), new Product(ofState, stateWeight, Bias("bias_hh")));
        }

        Posterior Add(string name, ReadOnlySpan<long> shape)
        {
            Tensor mean = initial(name, shape.ToArray());
            (Posterior created, Prior prior) = shape.Length > 1 ? options.OfWeight(mean, WeightLayout.OutputsFirst, fanIn: shape[1]) : options.OfBias(mean);
            _priors.Add(name, prior);
            _posteriors.Add(name, created);
            return created;
        }
    }

    internal IReadOnlyDictionary<string, Posterior> Posteriors => _posteriors;

    internal IReadOnlyDictionary<string, Prior> Priors => _priors;

    internal string? WhyNot(Estimator estimator)
        => _cells.SelectMany(cell => new[] { cell.OfInput, cell.OfState })
            .Select(product => estimator.WhyNot(product.Map, product.Weight, product.Bias)).FirstOrDefault(reason => reason is not null);

    /// <summary>The output and the last states, in the twin's shapes.</summary>
    /// <param name="estimator">How the noise enters.</param>
    /// <param name="noise">Where it comes from.</param>
    /// <param name="training">Whether entries are dropped between layers.</param>
    /// <param name="input">As the twin takes it.</param>
    /// <param name="states">(layers * directions, batch, hidden) each, without the batch where the input has none; null for zeros.</param>
    /// <param name="lengths">How many steps each sequence has, int64, (batch); null for all that there are.</param>
    internal (Tensor Output, Tensor[] States) Run(
        Estimator estimator, NoiseSource noise, bool training, Tensor input, Tensor[]? states, Tensor? lengths)
    {
        using var scope = NewDisposeScope();
        CheckInput(input);
        bool batched = input.dim() == 3;
        Tensor x = !batched ? input.unsqueeze(0) : _geometry.BatchFirst ? input : input.transpose(0, 1);
        Tensor[] first = InitialStates(x, states, batched);
        double dropout = training ? _geometry.Dropout : 0;
        (Tensor output, Tensor[] last) = lengths is null && estimator.IsOneWeight && RecurrentOperator.IsAvailable
            ? RunAtOnce(estimator, noise, dropout, x, first)
            : RunByStep(estimator, noise, dropout, x, first, lengths);
        if (!batched)
            (output, last) = (output.squeeze(0), [.. last.Select(state => state.squeeze(1))]);
        else if (!_geometry.BatchFirst)
            output = output.transpose(0, 1);
        return (output.MoveToOuterDisposeScope(), [.. last.Select(state => state.MoveToOuterDisposeScope())]);
    }

    /// <summary>One weight for the batch: libtorch's own network.</summary>
    private (Tensor Output, Tensor[] States) RunAtOnce(Estimator estimator, NoiseSource noise, double dropout, Tensor x, Tensor[] states)
    {
        var parameters = new List<Tensor>();
        foreach ((Product ofInput, Product ofState) in _cells)
        {
            var input = (OneWeight)ofInput.Hold(estimator, x.size(0), noise);
            var state = (OneWeight)ofState.Hold(estimator, x.size(0), noise);
            parameters.AddRange([input.Weight, state.Weight]);
            if (_geometry.HasBias)
                parameters.AddRange([input.Bias!, state.Bias!]);
        }

        return RecurrentOperator.Run(
            _cell.Operator, x, states, [.. parameters], _geometry.HasBias, _geometry.Layers, dropout, _geometry.IsBidirectional);
    }

    /// <summary>The same, and every other estimator, in operations that have gradients of their own.</summary>
    private (Tensor Output, Tensor[] States) RunByStep(
        Estimator estimator, NoiseSource noise, double dropout, Tensor x, Tensor[] states, Tensor? lengths)
    {
        Tensor[]? present = lengths is null
            ? null
            : arange(x.size(1), device: x.device).unsqueeze(0).lt(lengths.to(x.device).unsqueeze(1)).unsqueeze(2).unbind(1);
        var last = new List<Tensor[]>();
        for (int layer = 0; layer < _geometry.Layers; layer++)
        {
            if (layer > 0 && dropout > 0)
                x = nn.functional.dropout(x, dropout, training: true);
            var outputs = new List<Tensor>();
            for (int direction = 0; direction < _geometry.Directions; direction++)
            {
                int index = (int)(layer * _geometry.Directions) + direction;
                (Product ofInput, Product ofState) = _cells[index];
                Tensor fromInput = estimator.Forward(ofInput.Map, ofInput.Weight, ofInput.Bias, x, noise);
                HeldDraw weight = ofState.Hold(estimator, x.size(0), noise);
                (Tensor output, Tensor[] final) = Steps(fromInput, weight, [.. states.Select(state => state.select(0, index))], present, direction == 1);
                outputs.Add(output);
                last.Add(final);
            }

            x = outputs.Count == 1 ? outputs[0] : cat(outputs, 2);
        }

        return (x, [.. Enumerable.Range(0, _cell.States).Select(part => stack(last.Select(state => state[part]), 0))]);
    }

    private (Tensor Output, Tensor[] State) Steps(Tensor fromInput, HeldDraw weight, Tensor[] state, Tensor[]? present, bool backwards)
    {
        Tensor[] steps = fromInput.unbind(1);
        var outputs = new Tensor[steps.Length];
        for (int i = 0; i < steps.Length; i++)
        {
            int t = backwards ? steps.Length - 1 - i : i;
            using var scope = NewDisposeScope();
            Tensor[] next = _cell.Step(steps[t], weight.Apply(state[0]), state);
            if (present is not null)
                next = [.. next.Zip(state, (after, before) => where(present[t], after, before))];
            state = [.. next.Select(part => part.MoveToOuterDisposeScope())];
            outputs[t] = state[0];
        }

        return (stack(outputs, 1), state);
    }

    private void CheckInput(Tensor input)
    {
        ArgumentNullException.ThrowIfNull(input);
        Tensor mean = _posteriors.GetAt(0).Value.Mean;
        if (input.dim() is not (2 or 3) || input.size(-1) != _geometry.InputSize || input.size(_geometry.BatchFirst || input.dim() == 2 ? -2 : 0) == 0)
        {
            throw new ArgumentException(
                $"A recurrent layer of {_geometry.InputSize} features got an input of shape {Guard.Format(input.shape)}; it takes "
                + $"{(_geometry.BatchFirst ? "(batch, time" : "(time, batch")}, {_geometry.InputSize}) or (time, {_geometry.InputSize}), of one step or more.", nameof(input));
        }

        if (input.dtype != mean.dtype)
        {
            Guard.FloatingPoint(mean.dtype, "the layer's type");
            throw new ArgumentException($"The layer is {mean.dtype} and got an input of {input.dtype}; convert one of them with .to().", nameof(input));
        }
    }

    private Tensor[] InitialStates(Tensor x, Tensor[]? states, bool batched)
    {
        long[] shape = [_cells.Length, x.size(0), _geometry.HiddenSize];
        if (states is null)
        {
            Tensor zero = zeros(shape, dtype: x.dtype, device: x.device);
            return [.. Enumerable.Repeat(zero, _cell.States)];
        }

        return [.. states.Select(state =>
        {
            ArgumentNullException.ThrowIfNull(state);
            Tensor given = batched ? state : state.unsqueeze(1);
            return given.shape.AsSpan().SequenceEqual(shape) && given.dtype == x.dtype
                ? given
                : throw new ArgumentException(
                    $"An initial state has shape {Guard.Format(state.shape)} and type {state.dtype}; it must have {Guard.Format(batched ? shape : [shape[0], shape[2]])}: "
                    + $"layers * directions, {(batched ? "batch, " : "")}hidden size; and the input's type {x.dtype}.", nameof(state));
        })];
    }

    /// <summary>A product with a weight, and what is believed of that.</summary>
    private sealed record Product(LinearMap Map, Posterior Weight, Posterior? Bias)
    {
        internal HeldDraw Hold(Estimator estimator, long batch, NoiseSource noise) => estimator.Hold(Map, Weight, Bias, batch, noise);
    }
}
