namespace BayesNet.Benchmarks.StepTime;

/// <summary>What a step may cost, and what it was measured to.</summary>
internal sealed record Target(string Shape, string What, string Against, double? Measured, double Limit)
{
    public bool? Met => Measured is { } measured ? measured <= Limit : null;

    /// <summary>The targets of the shapes that were measured, on the most threads.</summary>
    public static IEnumerable<Target> All(IReadOnlyList<StepTimeRow> rows)
    {
        const string least = "8-50-1", small = "784-400-400-10", middle = "784-1200-1200-10";
        string[] shapes = [.. rows.Select(row => row.Shape).Distinct()];
        return Candidates().Where(target => shapes.Contains(target.Shape));

        IEnumerable<Target> Candidates()
        {
            yield return Quotient(middle, Names.LocalCompiled, Names.None, Names.None, 2.0);
            yield return Quotient(small, Names.LocalCompiled, Names.None, Names.None, 1.7);
            yield return Quotient(middle, Names.Local, Names.None, Names.None, 2.3);
            yield return Quotient(middle, Best(middle, Names.LocalCompiled, Names.Local), Names.FusedAdam, Names.TorchSharpAdam, 1.2);
            yield return Quotient(middle, Best(middle, Names.LocalCompiled, Names.Local), Names.FusedAdam, Names.FusedAdam, 2.0);
            yield return Quotient(middle, Best(middle, Names.SharedCompiled, Names.Shared), Names.FusedAdam, Names.FusedAdam, 1.4);
            yield return Quotient(least, Names.LocalCompiled, Names.FusedAdam, Names.TorchSharpAdam, 0.2);
            yield return Quotient(least, Names.Local, Names.FusedAdam, Names.TorchSharpAdam, 1);
            foreach (string shape in new[] { "lenet5", "conv-64-128-128" })
                yield return Quotient(shape, Best(shape, Names.LocalCompiled, Names.Local), Names.None, Names.None, 2.3);
            yield return Quotient(middle, Best(middle, Names.LocalCompiled, Names.Local), Names.FusedAdam, Names.FusedAdam, 2.2, memory: true);
        }

        Target Quotient(string shape, string estimator, string optimizer, string against, double limit, bool memory = false)
        {
            double? over = Value(Row(shape, estimator, optimizer)), under = Value(Row(shape, Names.Deterministic, against));
            return new Target(
                shape, $"{estimator}, {Text(optimizer)}{(memory ? ", peak memory" : "")}", $"{Names.Deterministic}, {Text(against)}{(memory ? ", peak memory" : "")}",
                over / under, limit);

            double? Value(StepTimeRow? row) => memory ? row?.PeakMb : row?.MedianMs;
        }

        string Best(string shape, string compiled, string otherwise) => Row(shape, compiled, Names.FusedAdam) is null ? otherwise : compiled;

        StepTimeRow? Row(string shape, string estimator, string optimizer)
            => rows.Where(row => row.Shape == shape && row.Estimator == estimator && row.Optimizer == optimizer).MaxBy(row => row.Threads);
    }

    /// <summary>What the pieces may cost.</summary>
    public static IEnumerable<Target> All(Pieces pieces)
    {
        yield return new Target("-", "a float32 normal on one thread", "nanosecond", pieces.NanosecondsPerNormal[0], 1.4);
        yield return new Target("-", $"a float32 normal on {pieces.Threads} threads", "nanosecond", pieces.NanosecondsPerNormal[1], 0.8);
        yield return new Target(
            Pieces.Network, $"moments of {Pieces.Samples} samples for {Pieces.Rows:N0} rows", "their matrix products", pieces.PredictionSeconds / pieces.ProductSeconds, 1.3);
    }

    private static string Text(string optimizer) => optimizer == Names.None ? Names.ForwardBackward : $"{Names.Step} with {optimizer}";
}
