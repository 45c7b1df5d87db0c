using BayesNet.Likelihoods;
using BayesNet.Runtime;
using static TorchSharp.torch;

namespace BayesNet.Prediction;

/// <summary>Predicts with any model that has Bayesian layers, however it was trained.</summary>
public static class Predictor
{
    /// <summary>The predictive distribution of a batch.</summary>
    /// <param name="model">The network; in evaluation mode for the call, whatever mode it is in.</param>
    /// <param name="likelihood">How targets are distributed around its output.</param>
    /// <param name="inputs">(batch, ...) as the model takes it.</param>
    /// <param name="samples">Posterior samples S; each is one forward pass with fresh noise.</param>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="samples"/> is below 1.</exception>
    public static Predictive Predict(nn.Module<Tensor, Tensor> model, Likelihood likelihood, Tensor inputs, int samples = 100)
    {
        ArgumentNullException.ThrowIfNull(likelihood);
        using var scope = NewDisposeScope();
        return likelihood.Predict(SampleOutputs(model, inputs, samples));
    }

    /// <summary>The network's output under fresh posterior samples, (samples, batch, ...), without gradients.</summary>
    /// <inheritdoc cref="Predict"/>
    public static Tensor SampleOutputs(nn.Module<Tensor, Tensor> model, Tensor inputs, int samples)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(inputs);
        Guard.AtLeastOne(samples);
        bool training = model.training;
        model.eval();
        try
        {
            using var scope = NewDisposeScope();
            using var _ = no_grad();
            var outputs = new Tensor[samples];
            for (int s = 0; s < samples; s++)
            {
                using var one = NewDisposeScope();
                outputs[s] = model.call(inputs).MoveToOuterDisposeScope();
            }

            return stack(outputs).MoveToOuterDisposeScope();
        }
        finally
        {
            model.train(training);
        }
    }
}
