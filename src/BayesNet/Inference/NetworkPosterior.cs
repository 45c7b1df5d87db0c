using BayesNet.Estimators;
using BayesNet.Likelihoods;
using BayesNet.Prediction;
using static TorchSharp.torch;

namespace BayesNet.Inference;

/// <summary>A posterior over the weights of one network.</summary>
public class NetworkPosterior : FittedPosterior
{
    private readonly bool _owned;

    /// <param name="method">The method's name.</param>
    /// <param name="model">The network.</param>
    /// <param name="likelihood">How targets are distributed around its output.</param>
    /// <param name="owned">Whether both are disposed with this object.</param>
    internal NetworkPosterior(string method, nn.Module<Tensor, Tensor> model, Likelihood likelihood, bool owned = true)
        : base(method)
    {
        Model = model;
        Likelihood = likelihood;
        _owned = owned;
    }

    /// <summary>The network, at the posterior's mean or mode; how samples are drawn from it is the method's matter.</summary>
    public nn.Module<Tensor, Tensor> Model { get; }

    /// <inheritdoc/>
    public override Likelihood Likelihood { get; }

    private protected Device Device => Model.parameters().First().device;

    /// <summary>Where the method draws samples from, beside the network's own layers; null where it does not.</summary>
    private protected virtual NoiseSource? MethodNoise => null;

    /// <summary>Whether the likelihood has other parameters for each block of samples.</summary>
    private protected virtual bool LikelihoodVaries => false;

    // Without a Bayesian layer all samples are the same.
    internal override int Used(int samples) => Model.BayesianModules().Any() ? samples : 1;

    internal override Predictive? PredictCore(Tensor inputs, SampleRange samples, PredictionOptions options)
    {
        Tensor x = inputs.to(Device);
        SampleRun run = SeededRun;
        if (!LikelihoodVaries || !options.KeepSamples || samples.Count == 0)
            return run.Predict(Likelihood, x, samples, options);
        var parts = new List<Predictive>();
        try
        {
            run(x, samples, options, block => parts.Add(Likelihood.Predict(block.Outputs)));
            return Predictive.Join(parts);
        }
        catch
        {
            parts.ForEach(part => part.Dispose());
            throw;
        }
    }

    internal override SampledLogDensity? LogDensityCore(Tensor inputs, Tensor targets, SampleRange samples, PredictionOptions options)
    {
        SampleRun run = SeededRun;
        return run.LogDensity(Likelihood, inputs.to(Device), targets.to(Device), samples, options);
    }

    internal override Tensor? OutputsCore(Tensor inputs, SampleRange samples, PredictionOptions options)
    {
        SampleRun run = SeededRun;
        return run.Outputs(inputs.to(Device), samples, options);
    }

    /// <inheritdoc cref="SampleRun"/>
    internal virtual void Run(Tensor inputs, SampleRange samples, PredictionOptions options, Action<SampleBlock> receive)
    {
        using var sampler = new PosteriorSampler(Model, options);
        sampler.Run(inputs, samples.Count, receive);
    }

    private void SeededRun(Tensor inputs, SampleRange samples, PredictionOptions options, Action<SampleBlock> receive)
    {
        using IDisposable? seeded = options.Seed is { } seed ? MethodNoise?.Seeded(seed) : null;
        Run(inputs, samples, options, receive);
    }

    private protected override void Dispose(bool disposing)
    {
        if (!disposing || !_owned)
            return;
        Model.Dispose();
        Likelihood.Dispose();
    }
}
