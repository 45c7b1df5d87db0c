using BayesNet.Estimators;
using BayesNet.Prediction;
using BayesNet.Runtime;
using static TorchSharp.torch;

namespace BayesNet.Inference;

/// <summary>
/// What members of an ensemble that has <c>count</c> of them make of their samples in a range of the ensemble's, in which each has equally many, one
/// behind the other: of all members, or those of one process.
/// </summary>
internal static class EnsembleMixture
{
    /// <summary>The samples that each member is asked for.</summary>
    internal static int Each(int samples, int count) => (int)(((long)samples + count - 1) / count);

    internal static Predictive? Predict(
        IEnumerable<(int Number, FittedPosterior Member)> members, int count, Tensor inputs, SampleRange samples, PredictionOptions options)
    {
        var parts = new List<Predictive>();
        try
        {
            foreach ((int m, FittedPosterior member) in members)
            {
                if (member.PredictCore(inputs, samples.Of(m, count), Of(m, options)) is { } part)
                    parts.Add(part);
            }

            return parts.Count == 0 ? null : Predictive.Join(parts);
        }
        catch
        {
            parts.ForEach(part => part.Dispose());
            throw;
        }
    }

    internal static SampledLogDensity? LogDensity(
        IEnumerable<(int Number, FittedPosterior Member)> members, int count, Tensor inputs, Tensor targets, SampleRange samples, PredictionOptions options)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        SampledLogDensity[] parts =
        [
            .. members.Select(entry => entry.Member.LogDensityCore(inputs, targets, samples.Of(entry.Number, count), Of(entry.Number, options))).OfType<SampledLogDensity>(),
        ];
        if (parts.Length == 0)
            return null;
        long all = parts.Sum(part => part.Samples);
        Tensor mixture = stack([.. parts.Select(part => part.Values.Plus(Math.Log((double)part.Samples / all)))]).logsumexp(0L);
        return new SampledLogDensity(mixture.MoveToOuterDisposeScope(), all);
    }

    internal static Tensor? Outputs(
        IEnumerable<(int Number, FittedPosterior Member)> members, int count, Tensor inputs, SampleRange samples, PredictionOptions options)
    {
        using var scope = NewDisposeScope();
        Tensor[] parts = [.. members.Select(entry => entry.Member.OutputsCore(inputs, samples.Of(entry.Number, count), Of(entry.Number, options))).OfType<Tensor>()];
        return parts.Length == 0 ? null : cat(parts, 0).MoveToOuterDisposeScope();
    }

    /// <summary>The options of a member: a seed of its own.</summary>
    private static PredictionOptions Of(int member, PredictionOptions options) => options with { Seed = Seeds.Derive(options.Seed, member) };
}
