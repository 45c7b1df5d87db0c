using BayesNet.Estimators;
using BayesNet.Likelihoods;
using BayesNet.Prediction;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace BayesNet.Inference;

/// <summary>
/// Monte Carlo dropout (Gal and Ghahramani 2016): a network trained with dropout, whose dropout layers stay on in prediction; all others are in
/// evaluation mode.
/// </summary>
/// <remarks>
/// Every row has masks of its own in every sample, so that samples are not functions. The layers are TorchSharp's dropout modules; a call
/// to <c>nn.functional.dropout</c> inside a module is not seen.
/// </remarks>
public sealed record McDropout : PointTrainedMethod
{
    /// <inheritdoc/>
    public override string Name => "MC dropout";

    /// <summary>The posterior of a network that has been trained; the method's training options are not used.</summary>
    /// <param name="model">A network with dropout layers; it stays the caller's, and as it is.</param>
    /// <param name="likelihood">How targets are distributed around its output; the caller's.</param>
    /// <exception cref="InvalidOperationException">The network has no dropout layer that does anything, or has Bayesian layers.</exception>
    public FittedPosterior Around(nn.Module<Tensor, Tensor> model, Likelihood likelihood)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(likelihood);
        Prepare(FitRequest.Deterministic(model, Name), likelihood);
        return new DropoutPosterior(Name, model, likelihood, Seed, owned: false);
    }

    internal override FittedPosterior FitCore(FitRequest request)
        => Fit(request, (model, likelihood) => new DropoutPosterior(Name, model, likelihood, Seed, owned: true));

    private protected override void Prepare(nn.Module<Tensor, Tensor> model, Likelihood likelihood)
    {
        if (!DropoutLayers(model).Any())
        {
            throw new InvalidOperationException(
                $"The network {model.GetName()} has no dropout layer; MC dropout needs at least one: put nn.Dropout(p) with 0 < p < 1 before a layer with weights.");
        }
    }

    private static IEnumerable<nn.Module> DropoutLayers(nn.Module model) => model.modules().Append(model).Where(module => module switch
    {
        Dropout layer => layer.p > 0,
        Dropout1d layer => layer.p > 0,
        Dropout2d layer => layer.p > 0,
        Dropout3d layer => layer.p > 0,
        AlphaDropout layer => layer.p > 0,
        FeatureAlphaDropout layer => layer.p > 0,
        _ => false,
    });

    private sealed class DropoutPosterior(string method, nn.Module<Tensor, Tensor> model, Likelihood likelihood, ulong? seed, bool owned)
        : NetworkPosterior(method, model, likelihood, owned)
    {
        private readonly GlobalStream _stream = new(Seeds.Derive(seed, 0));

        internal override int Used(int samples) => samples;

        internal override void Run(Tensor inputs, SampleRange samples, PredictionOptions options, Action<SampleBlock> receive)
        {
            using GlobalStream? seeded = options.Seed is { } own ? new GlobalStream(own) : null;
            using var sampler = new PosteriorSampler(Model, options);
            foreach (nn.Module layer in DropoutLayers(Model))
                layer.train();
            using ((seeded ?? _stream).Enter())
                sampler.Run(inputs, samples.Count, receive);
        }

        private protected override void Dispose(bool disposing)
        {
            _stream.Dispose();
            base.Dispose(disposing);
        }
    }
}
