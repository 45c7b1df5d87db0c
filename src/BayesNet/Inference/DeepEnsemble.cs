using System.Globalization;
using BayesNet.Estimators;
using BayesNet.Likelihoods;
using BayesNet.Prediction;
using BayesNet.Runtime;
using static TorchSharp.torch;

namespace BayesNet.Inference;

/// <summary>
/// A deep ensemble (Lakshminarayanan, Pritzel and Blundell 2017): networks trained one after the other from initial weights of their own, whose
/// predictive is the equal-weight mixture of theirs. Members may be fitted by any method.
/// </summary>
/// <param name="Member">How each member is fitted; its seed is derived from the ensemble's, or from its own where the ensemble has none.</param>
public sealed record DeepEnsemble(InferenceMethod Member) : InferenceMethod
{
    /// <summary>An ensemble of networks at their maxima a posteriori.</summary>
    public DeepEnsemble()
        : this(new MaximumAPosteriori())
    {
    }

    /// <summary>How each member is fitted.</summary>
    public InferenceMethod Member { get; init; } = Member ?? throw new ArgumentNullException(nameof(Member));

    /// <summary>The number of members M; 5 by default.</summary>
    /// <exception cref="ArgumentOutOfRangeException">Below 1.</exception>
    public int Members { get; init => field = (int)Guard.AtLeastOne(value, nameof(Members)); } = 5;

    /// <inheritdoc/>
    public override string Name => string.Create(CultureInfo.InvariantCulture, $"Deep ensemble ({Members} x {Member.Name})");

    /// <summary>How a member is fitted, with the seed that it has.</summary>
    internal InferenceMethod MemberAt(int member) => Member with { Seed = Seeds.Derive(Seed ?? Member.Seed, member) };

    internal override FittedPosterior FitCore(FitRequest request)
    {
        var members = new List<FittedPosterior>(Members);
        try
        {
            for (int m = 0; m < Members; m++)
            {
                FitRequest part = request.Part((double)m / Members, 1.0 / Members);
                members.Add(MemberAt(m).Fit(part.MakeNetwork, part.MakeLikelihood, part.Data, part.Validation, part.Progress, part.Cancellation));
            }
        }
        catch
        {
            members.ForEach(member => member.Dispose());
            throw;
        }

        return new EnsemblePosterior(Name, members);
    }
}

/// <summary>
/// The equal-weight mixture of posteriors, each with a likelihood of its own: a member's noise level goes with its own components. Samples are
/// spread evenly over the members, rounded up, so that all weigh the same.
/// </summary>
public sealed class EnsemblePosterior : FittedPosterior
{
    internal EnsemblePosterior(string method, IReadOnlyList<FittedPosterior> members)
        : base(method)
        => Members = members;

    /// <summary>The members, which belong to the ensemble; each predicts by itself too.</summary>
    public IReadOnlyList<FittedPosterior> Members { get; }

    /// <inheritdoc/>
    public override Likelihood Likelihood => Members[0].Likelihood;

    internal override int Used(int samples) => Members.Count * Each(samples);

    internal override Predictive PredictCore(Tensor inputs, int samples, PredictionOptions options)
    {
        var parts = new List<Predictive>(Members.Count);
        try
        {
            for (int m = 0; m < Members.Count; m++)
                parts.Add(Members[m].PredictCore(inputs, Each(samples), Of(m, options)));
            return Predictive.Join(parts);
        }
        catch
        {
            parts.ForEach(part => part.Dispose());
            throw;
        }
    }

    internal override Tensor LogDensityCore(Tensor inputs, Tensor targets, int samples, PredictionOptions options)
    {
        using var _ = no_grad();
        return LogMixture([.. Members.Select((member, m) => member.LogDensityCore(inputs, targets, Each(samples), Of(m, options)))]);
    }

    internal override Tensor OutputsCore(Tensor inputs, int samples, PredictionOptions options)
        => cat([.. Members.Select((member, m) => member.OutputsCore(inputs, Each(samples), Of(m, options)))], 0);

    private protected override void Dispose(bool disposing)
    {
        foreach (FittedPosterior member in Members)
            member.Dispose();
    }

    /// <summary>The log density of the equal-weight mixture of members, of theirs.</summary>
    internal static Tensor LogMixture(Tensor[] logDensities) => stack(logDensities).logsumexp(0L).Plus(-Math.Log(logDensities.Length));

    /// <summary>The options of a member: a seed of its own.</summary>
    internal static PredictionOptions Of(int member, PredictionOptions options) => options with { Seed = Seeds.Derive(options.Seed, member) };

    private int Each(int samples) => Members[0].Used((int)(((long)samples + Members.Count - 1) / Members.Count));
}
