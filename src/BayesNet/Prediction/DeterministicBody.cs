using static TorchSharp.torch;

namespace BayesNet.Prediction;

/// <summary>
/// The layers of a chain that come before the first with noise, a network's body where only its last layers are Bayesian: computed once for all
/// samples, which then cost what the rest costs.
/// </summary>
/// <remarks>Layers are called one by one, so their hooks run; those of the <c>Sequential</c>s around them do not.</remarks>
internal sealed class DeterministicBody
{
    private readonly nn.Module<Tensor, Tensor>[] _body, _rest;

    private DeterministicBody(IEnumerable<nn.Module> body, IEnumerable<nn.Module> rest)
        => (_body, _rest) = ([.. body.Cast<nn.Module<Tensor, Tensor>>()], [.. rest.Cast<nn.Module<Tensor, Tensor>>()]);

    /// <summary>Whether the layers draw nothing now: none of them is in training mode, as dropout layers may be for their own reasons.</summary>
    internal bool IsDeterministic => !_body.Any(layer => layer.training || layer.modules().Any(part => part.training));

    /// <summary>The body of a chain; null where it has none, or no layer has noise.</summary>
    /// <param name="chain">The layers in order.</param>
    /// <param name="hasNoise">Whether a layer, or one within it, draws noise.</param>
    /// <param name="trusted">Whether layers that are not known are said to compute row by row, without noise of their own.</param>
    internal static DeterministicBody? Of(IReadOnlyList<nn.Module> chain, Func<nn.Module, bool> hasNoise, bool trusted)
    {
        int length = chain.TakeWhile(layer => !hasNoise(layer) && (trusted || RowIndependence.IsKnown(layer))).Count();
        return length == 0 || !chain.Any(hasNoise) ? null : new DeterministicBody(chain.Take(length), chain.Skip(length));
    }

    /// <summary>What the body makes of some rows.</summary>
    internal Tensor Call(Tensor rows) => Run(_body, rows);

    /// <summary>What the layers behind the body make of its output.</summary>
    internal Tensor Rest(Tensor features) => Run(_rest, features);

    /// <summary>What the body makes of all rows, <paramref name="most"/> at a time; null where that would take more than <paramref name="budget"/> bytes.</summary>
    internal Tensor? Features(Tensor inputs, long most, long budget)
    {
        long count = inputs.dim() == 0 ? 1 : inputs.size(0);
        if (count <= most)
            return Within(Call(inputs), 1);
        var parts = new List<Tensor>();
        for (long first = 0; first < count; first += most)
        {
            long rows = Math.Min(most, count - first);
            parts.Add(Call(inputs.narrow(0, first, rows)));
            if (Within(parts[^1], (double)count / rows) is null)
                return null;
        }

        Tensor all = cat(parts, 0);
        parts.ForEach(part => part.Dispose());
        return all;

        Tensor? Within(Tensor part, double share) => part.numel() * part.element_size() * share <= budget ? part : null;
    }

    private static Tensor Run(nn.Module<Tensor, Tensor>[] layers, Tensor input)
    {
        using var scope = NewDisposeScope();
        Tensor value = input;
        foreach (nn.Module<Tensor, Tensor> layer in layers)
        {
            Tensor next = layer.call(value);
            if (!ReferenceEquals(value, input))
                value.Dispose();
            value = next;
        }

        return value.MoveToOuterDisposeScope();
    }
}
