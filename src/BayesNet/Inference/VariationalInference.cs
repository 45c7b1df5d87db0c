using BayesNet.Training;

namespace BayesNet.Inference;

/// <summary>
/// Stochastic variational inference of a network with Bayesian layers, by <see cref="VariationalTrainer"/> (Graves 2011; Blundell et al. 2015).
/// </summary>
public sealed record VariationalInference : InferenceMethod
{
    /// <inheritdoc/>
    public override string Name => "Variational inference";

    /// <summary>How the network is trained. <see cref="InferenceMethod.Seed"/> takes the place of its own, where it is set.</summary>
    public TrainerOptions Training
    {
        get;
        init
        {
            ArgumentNullException.ThrowIfNull(value, nameof(Training));
            field = value;
        }
    } = new();

    internal override FittedPosterior FitCore(FitRequest request)
        => Fitting.Owned(request.Network, request, (model, likelihood) =>
        {
            Fitting.Train(model, likelihood, Training with { Seed = Seed ?? Training.Seed }, request);
            return new NetworkPosterior(Name, model, likelihood);
        });
}

/// <summary>
/// One network at the maximum a posteriori: the baseline that a posterior has to beat. Its predictive has one component, so no epistemic part.
/// </summary>
public sealed record MaximumAPosteriori : PointTrainedMethod
{
    /// <inheritdoc/>
    public override string Name => "Maximum a posteriori";

    internal override FittedPosterior FitCore(FitRequest request) => Fit(request, (model, likelihood) => new NetworkPosterior(Name, model, likelihood));
}
