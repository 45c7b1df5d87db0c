using System.Runtime.InteropServices;
using BayesNet.Estimators;
using static TorchSharp.torch;

namespace BayesNet.Prediction;

/// <summary>
/// Computes a network's outputs under posterior samples, block by block. From its creation to its disposal the model is in evaluation mode
/// and its Bayesian layers have stand-ins for their estimators.
/// </summary>
/// <remarks>
/// Where no layer's noise couples rows (local reparameterization, weights per example) and the model computes row by row, many samples are one
/// pass over repeated rows. Shared weights take a pass a sample, in parts of its rows where need be, with the weight held. Flipout, whose rows
/// share one deviation, estimators of others and models that are not known to compute row by row take one pass of the whole batch a sample.
/// What comes before the first layer with noise of a <c>Sequential</c> is computed once: see <see cref="DeterministicBody"/>.
/// </remarks>
internal sealed class PosteriorSampler : IDisposable
{
    private readonly nn.Module<Tensor, Tensor> _model;
    private readonly NetworkModes _modes;
    private readonly long _budget;
    private readonly List<(IBayesianModule Module, Estimator Before, PassEstimator Pass)> _layers;
    private readonly RowCoupling _coupling;
    private readonly DeterministicBody? _body;
    private readonly PassEstimator? _first;
    private readonly IDisposable? _noise;
    private readonly Action<long>? _load;
    private readonly bool _alone;

    /// <summary>Takes over a model.</summary>
    /// <param name="model">The network.</param>
    /// <param name="options">Memory, and what is known of the network.</param>
    /// <param name="load">Puts the weights of a sample into the network; null where its own layers have the noise.</param>
    /// <param name="alone">Whether every sample is received before the next is loaded.</param>
    internal PosteriorSampler(nn.Module<Tensor, Tensor> model, PredictionOptions options, Action<long>? load = null, bool alone = false)
    {
        (_load, _alone) = (load, alone);
        _model = model;
        _modes = new NetworkModes(model);
        _budget = options.MemoryBudget;
        _layers = [.. model.BayesianModules().Select(entry => (entry.Module, entry.Module.Estimator, PassEstimator.For(entry.Module)))];
        IReadOnlyList<nn.Module>? chain = RowIndependence.Chain(model);
        bool rowwise = options.RowsAreIndependent ?? (chain is not null && chain.All(RowIndependence.IsKnown));
        _coupling = rowwise ? _layers.Select(layer => layer.Pass.Coupling).Append(load is null ? RowCoupling.None : RowCoupling.Weight).Max() : RowCoupling.Call;
        _body = load is null && chain is not null ? DeterministicBody.Of(chain, HasNoise, options.RowsAreIndependent == true) : null;
        _first = _coupling == RowCoupling.None && chain is not null ? FirstWithNoise(chain) : null;

        _noise = options.Seed is { } seed ? model.WithNoiseSeed(seed) : null;
        model.eval();
        foreach ((IBayesianModule module, _, PassEstimator pass) in _layers)
            module.Estimator = pass;
    }

    /// <summary>Computes every row's output under every sample once.</summary>
    internal void Run(Tensor inputs, long samples, Action<SampleBlock> receive)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        DeterministicBody? body = _body is { IsDeterministic: true } ? _body : null;
        Footprint? row = _coupling == RowCoupling.Call || inputs.dim() < 2 || inputs.size(0) == 0 ? null : Measure(inputs);
        if (row is not null && _coupling == RowCoupling.None)
        {
            RepeatedRows(inputs, samples, row, body, receive);
            return;
        }

        long most = row is null ? long.MaxValue : Capacity(Math.Max(row.OncePerRow, row.PerSample));
        if (body?.Features(inputs, row is null ? long.MaxValue : most, row is null ? long.MaxValue : _budget) is { } features)
            PassPerSample(features, samples, most, body.Rest, receive);
        else
            PassPerSample(inputs, samples, most, _model.call, receive);
    }

    public void Dispose()
    {
        foreach ((IBayesianModule module, Estimator before, PassEstimator pass) in _layers)
        {
            module.Estimator = before;
            pass.Release();
        }

        _noise?.Dispose();
        _modes.Dispose();
    }

    private void RepeatedRows(Tensor inputs, long samples, Footprint row, DeterministicBody? body, Action<SampleBlock> receive)
    {
        // Where no layer repeats the rows, they are copies from the input on.
        long count = inputs.size(0), pairs = Capacity(_first is null ? Math.Max(row.OncePerRow, row.PerSample) : row.PerSample);
        long rows = Even(count, Math.Min(pairs, _first is null ? pairs : Capacity(row.OncePerRow)));
        for (long firstRow = 0; firstRow < count; firstRow += rows)
        {
            using var part = NewDisposeScope();
            long taken = Math.Min(rows, count - firstRow);
            Tensor some = inputs.narrow(0, firstRow, taken);
            if (body is not null)
                some = body.Call(some);
            long copies = Even(samples, Math.Max(1, pairs / taken));
            BeginRows();
            for (long sample = 0; sample < samples; sample += copies)
            {
                using var block = NewDisposeScope();
                long now = Math.Min(copies, samples - sample);
                Tensor copied = Copied(some, now), outputs = body is null ? _model.call(copied) : body.Rest(copied);
                receive(new SampleBlock(sample, taken == count ? null : firstRow, outputs.reshape([now, taken, .. outputs.shape.AsSpan(1)])));
            }
        }
    }

    /// <summary>The input of a pass of several samples: the rows themselves where the first layer with noise repeats them.</summary>
    private Tensor Copied(Tensor rows, long copies)
    {
        if (_first is null)
            return PassEstimator.Repeat(rows, copies);
        _first.Copies = copies;
        return rows;
    }

    private void PassPerSample(Tensor inputs, long samples, long most, Func<Tensor, Tensor> network, Action<SampleBlock> receive)
    {
        // What a receiver does for one sample costs more than a pass of a small network: it gets several at a time.
        long waiting = 0;
        using var pending = NewDisposeScope();
        var outputs = new List<Tensor>();
        for (long sample = 0; sample < samples; sample++)
        {
            _load?.Invoke(sample);
            foreach ((_, _, PassEstimator pass) in _layers)
                pass.BeginSample();
            Tensor one = Pass(inputs, most, network);
            outputs.Add(one);
            waiting += one.numel() * one.element_size();
            if (!_alone && sample + 1 < samples && waiting < _budget / 2)
                continue;
            using (NewDisposeScope())
                receive(new SampleBlock(sample + 1 - outputs.Count, null, stack(outputs)));
            outputs.ForEach(output => output.Dispose());
            outputs.Clear();
            waiting = 0;
        }
    }

    private Tensor Pass(Tensor inputs, long most, Func<Tensor, Tensor> network)
    {
        using var scope = NewDisposeScope();
        if (inputs.dim() == 0 || inputs.size(0) <= most)
        {
            BeginRows();
            return network(inputs).MoveToOuterDisposeScope();
        }

        long count = inputs.size(0), rows = Even(count, most);
        var parts = new List<Tensor>();
        for (long firstRow = 0; firstRow < count; firstRow += rows)
        {
            using var part = NewDisposeScope();
            BeginRows();
            parts.Add(network(inputs.narrow(0, firstRow, Math.Min(rows, count - firstRow))).MoveToOuterDisposeScope());
        }

        return cat(parts, 0).MoveToOuterDisposeScope();
    }

    private void BeginRows()
    {
        foreach ((_, _, PassEstimator pass) in _layers)
            pass.BeginRows();
    }

    /// <summary>
    /// What a row takes, by a pass of one row at the means; null where the model does not take one row and return one, as it would where rows
    /// are no rows: a whole pass then shows what is wrong with the caller's own shapes, if anything is.
    /// </summary>
    private Footprint? Measure(Tensor inputs)
    {
        using var scope = NewDisposeScope();
        var footprint = new Footprint();
        foreach ((_, _, PassEstimator pass) in _layers)
            pass.Pilot = footprint;
        List<Action> removals = [];
        try
        {
            foreach (nn.Module module in _model.named_modules().Select(entry => entry.module).Append(_model))
            {
                if (module is IBayesianModule || module is not nn.Module<Tensor, Tensor> watched)
                    continue;
                var hook = watched.register_forward_hook((_, input, output) =>
                {
                    footprint.Record((input.numel() + output.numel()) * output.element_size());
                    return output;
                });
                removals.Add(hook.remove);
            }

            Tensor one = _model.call(inputs.narrow(0, 0, 1));
            return one.dim() > 0 && one.size(0) == 1 ? footprint : null;
        }
        catch (Exception e) when (e is ArgumentException or ExternalException)
        {
            return null;
        }
        finally
        {
            removals.ForEach(remove => remove());
            foreach ((_, _, PassEstimator pass) in _layers)
                pass.Pilot = null;
        }
    }

    /// <summary>The first layer with noise, where it is a Bayesian layer itself, called once.</summary>
    private PassEstimator? FirstWithNoise(IReadOnlyList<nn.Module> chain)
    {
        nn.Module? first = chain.FirstOrDefault(HasNoise);
        return chain.Count(layer => ReferenceEquals(layer, first)) == 1 ? _layers.FirstOrDefault(entry => ReferenceEquals(entry.Module, first)).Pass : null;
    }

    /// <summary>Whether a layer, or one within it, draws noise.</summary>
    private bool HasNoise(nn.Module layer)
        => layer.BayesianModules().Any(entry => _layers.Any(known => ReferenceEquals(known.Module, entry.Module) && !known.Pass.IsDeterministic));

    private long Capacity(long bytes) => Math.Max(1, _budget / bytes);

    /// <summary>The size of the parts when <paramref name="count"/> is cut into as few as parts of at most <paramref name="most"/> allow.</summary>
    private static long Even(long count, long most)
    {
        long parts = (count + most - 1) / most;
        return (count + parts - 1) / parts;
    }
}

/// <summary>Outputs of some samples for some rows.</summary>
/// <param name="FirstSample">The first sample.</param>
/// <param name="FirstRow">The first row; null for all rows, whatever the network makes of them.</param>
/// <param name="Outputs">(samples, rows, ...), without gradients; the receiver's to read until it returns, or to move out of its dispose scope.</param>
internal readonly record struct SampleBlock(long FirstSample, long? FirstRow, Tensor Outputs);
