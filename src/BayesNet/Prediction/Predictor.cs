using BayesNet.Estimators;
using BayesNet.Likelihoods;
using BayesNet.Runtime;
using static TorchSharp.torch;

namespace BayesNet.Prediction;

/// <summary>Predicts with any model that has Bayesian layers, however it was trained.</summary>
/// <remarks>
/// Samples are computed many at a time where that leaves their joint distribution as it is, else one by one. Layers with local
/// reparameterization or weights per example give every row noise of its own, so one pass over repeated rows is as good as many passes; with
/// shared weights a sample is one weight for the batch, so it is one pass a sample, and with flipout as well, since its rows share a
/// deviation. In a <c>Sequential</c>, what comes before the first layer with noise is computed once for all samples, and so are that layer's
/// matrix products under local reparameterization: where only the last layer is Bayesian, a sample costs what that layer costs. Layers that are not
/// known to have no noise of their own are counted among the first with noise, unless <see cref="PredictionOptions.RowsAreIndependent"/> is true. With seeded noise a call repeats itself, given the same
/// <see cref="PredictionOptions"/>; another memory budget draws the same numbers for other samples. A model predicts for one caller at a time:
/// it is in evaluation mode, and its estimators have stand-ins, until the call returns.
/// </remarks>
public static class Predictor
{
    /// <summary>The predictive distribution of a batch.</summary>
    /// <param name="model">The network; in evaluation mode for the call, whatever mode it is in.</param>
    /// <param name="likelihood">How targets are distributed around its output.</param>
    /// <param name="inputs">(batch, ...) as the model takes it.</param>
    /// <param name="samples">Posterior samples S, each with fresh noise.</param>
    /// <param name="options">Memory, and whether samples are kept; null for <see cref="PredictionOptions.Default"/>.</param>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="samples"/> is below 1.</exception>
    public static Predictive Predict(
        nn.Module<Tensor, Tensor> model, Likelihood likelihood, Tensor inputs, int samples = 100, PredictionOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(likelihood);
        SampleRun run = Run(model);
        return (options ?? PredictionOptions.Default).Predict(Checked(samples), (range, own) => run.Predict(likelihood, inputs, range, own));
    }

    /// <summary>
    /// The log predictive density of targets in nats, ln (1/S) sum_s p(y | f_s): what <see cref="Predictive.LogDensity"/> gives, without ever
    /// holding the outputs of all samples.
    /// </summary>
    /// <param name="model">The network; in evaluation mode for the call, whatever mode it is in.</param>
    /// <param name="likelihood">How targets are distributed around its output.</param>
    /// <param name="inputs">(batch, ...) as the model takes it.</param>
    /// <param name="targets">(batch, ...) as the likelihood takes them.</param>
    /// <param name="samples">Posterior samples S, each with fresh noise.</param>
    /// <param name="options">Memory; null for <see cref="PredictionOptions.Default"/>.</param>
    /// <returns>Shape (batch), without gradients.</returns>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="samples"/> is below 1.</exception>
    /// <exception cref="ArgumentException">Targets and inputs have different numbers of rows, or the targets do not fit the network's output.</exception>
    public static Tensor LogDensity(
        nn.Module<Tensor, Tensor> model, Likelihood likelihood, Tensor inputs, Tensor targets, int samples = 100, PredictionOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(likelihood);
        SampleRun run = Run(model);
        return (options ?? PredictionOptions.Default).LogDensity(Checked(samples), (range, own) => run.LogDensity(likelihood, inputs, targets, range, own));
    }

    /// <summary>The network's output under fresh posterior samples, (samples, batch, ...), without gradients.</summary>
    /// <inheritdoc cref="Predict"/>
    public static Tensor SampleOutputs(nn.Module<Tensor, Tensor> model, Tensor inputs, int samples, PredictionOptions? options = null)
    {
        SampleRun run = Run(model);
        return (options ?? PredictionOptions.Default).Outputs(Checked(samples), (range, own) => run.Outputs(inputs, range, own));
    }

    /// <summary>The predictive distributions of the batches of a loader, one after another: no more than one is held.</summary>
    /// <remarks>
    /// Each predictive is disposed when the next is asked for; tensors that the loader makes while it is enumerated, once they are used. Batches have independent samples, unless
    /// <see cref="PredictionOptions.Seed"/> is given: every batch then has the same noise, so that with shared weights a sample is one function
    /// over all batches.
    /// </remarks>
    /// <param name="model">The network; in evaluation mode while a batch is computed.</param>
    /// <param name="likelihood">How targets are distributed around its output.</param>
    /// <param name="loader">Inputs, (batch, ...) each.</param>
    /// <param name="samples">Posterior samples S of each batch.</param>
    /// <param name="options">Memory, whether samples are kept, and the seed; null for <see cref="PredictionOptions.Default"/>.</param>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="samples"/> is below 1.</exception>
    public static IEnumerable<Predictive> PredictBatches(
        nn.Module<Tensor, Tensor> model, Likelihood likelihood, IEnumerable<Tensor> loader, int samples = 100, PredictionOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(likelihood);
        ArgumentNullException.ThrowIfNull(loader);
        Guard.AtLeastOne(samples);
        return Iterate();

        IEnumerable<Predictive> Iterate()
        {
            using IEnumerator<Tensor> batches = loader.GetEnumerator();
            while (true)
            {
                Predictive predictive;

                // Closed again before the caller goes on, whose own tensors it would take.
                using (NewDisposeScope())
                {
                    if (!batches.MoveNext())
                        yield break;
                    predictive = Predict(model, likelihood, batches.Current, samples, options);
                }

                using (predictive)
                    yield return predictive;
            }
        }
    }

    /// <summary>
    /// Functions drawn from the posterior, each with one weight for all inputs, whatever estimator the model trains with:
    /// <c>Predictor.DrawFunctions(model, 20).Evaluate(x)</c>.
    /// </summary>
    /// <param name="model">The network; its parameters are read when the functions are evaluated.</param>
    /// <param name="count">How many.</param>
    /// <param name="seed">The same seed gives the same functions; null for fresh ones.</param>
    /// <param name="options">Memory; null for <see cref="PredictionOptions.Default"/>.</param>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="count"/> is below 1.</exception>
    public static PosteriorFunctions DrawFunctions(
        nn.Module<Tensor, Tensor> model, int count, ulong? seed = null, PredictionOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(model);
        Guard.AtLeastOne(count);

        // Processes that draw together need a seed in common.
        return new PosteriorFunctions(model, count, seed ?? (options?.Peers is null ? null : options.Seed) ?? GlobalKeys.Next(), options ?? PredictionOptions.Default);
    }

    private static SampleRun Run(nn.Module<Tensor, Tensor> model)
    {
        ArgumentNullException.ThrowIfNull(model);
        return (inputs, samples, options, receive) =>
        {
            ArgumentNullException.ThrowIfNull(inputs);
            using var sampler = new PosteriorSampler(model, options);
            sampler.Run(inputs, samples.Count, receive);
        };
    }

    private static int Checked(int samples) => (int)Guard.AtLeastOne(samples, nameof(samples));
}
