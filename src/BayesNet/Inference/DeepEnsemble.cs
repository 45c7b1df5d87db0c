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

    internal override int Used(int samples) => Members.Count * Members[0].Used(EnsembleMixture.Each(samples, Members.Count));

    internal override Predictive? PredictCore(Tensor inputs, SampleRange samples, PredictionOptions options)
        => EnsembleMixture.Predict(Members.Index(), Members.Count, inputs, samples, options);

    internal override SampledLogDensity? LogDensityCore(Tensor inputs, Tensor targets, SampleRange samples, PredictionOptions options)
        => EnsembleMixture.LogDensity(Members.Index(), Members.Count, inputs, targets, samples, options);

    internal override Tensor? OutputsCore(Tensor inputs, SampleRange samples, PredictionOptions options)
        => EnsembleMixture.Outputs(Members.Index(), Members.Count, inputs, samples, options);

    private protected override void Dispose(bool disposing)
    {
        foreach (FittedPosterior member in Members)
            member.Dispose();
    }
}
