using BayesNet.Likelihoods;
using BayesNet.Runtime;
using BayesNet.Training;
using static TorchSharp.torch;

namespace BayesNet.Benchmarks.GradientVariance;

/// <summary>Gradients of a network's mean negative log likelihood under any estimator, drawn again and again.</summary>
/// <remarks>The KL term adds the same to every draw, and so nothing to a variance: it is left out.</remarks>
internal sealed class NetworkGradients : IDisposable
{
    private readonly nn.Module<Tensor, Tensor> _model;
    private readonly VariationalTrainer _trainer;

    /// <summary>Of a model with Bayesian layers; neither it nor the likelihood is disposed here.</summary>
    public NetworkGradients(nn.Module<Tensor, Tensor> model, Likelihood likelihood)
    {
        _model = model;

        // Without compilation: the estimator changes from one pass to the next.
        _trainer = new VariationalTrainer(model, likelihood, trainingSetSize: 1, new TrainerOptions { Compile = false });
    }

    /// <summary>One draw of the gradient.</summary>
    /// <param name="contender">How noise enters; the mean of two passes where it goes by pairs.</param>
    /// <param name="batch">The minibatch.</param>
    /// <param name="seed">Of the noise.</param>
    /// <param name="read">Makes fresh tensors of the gradients that stand in the parameters.</param>
    public Tensor[] Draw(Contender contender, (Tensor Inputs, Tensor Targets) batch, ulong seed, Func<Tensor[]> read)
    {
        using var scope = NewDisposeScope();
        Tensor[] gradients = Pass(contender.Estimator);
        if (contender.Antithetic)
            gradients = [.. gradients.Zip(Pass(new ReflectedNoise(contender.Estimator)), (one, other) => one.Plus(other).Times(0.5))];
        foreach (Tensor gradient in gradients)
            gradient.MoveToOuterDisposeScope();
        return gradients;

        Tensor[] Pass(Estimators.Estimator estimator)
        {
            using IDisposable _ = _model.WithEstimator(estimator);
            _model.SeedNoise(seed);
            _trainer.AccumulateGradients(batch.Inputs, batch.Targets, klWeight: 0);
            return read();
        }
    }

    /// <summary>The mean over entries of the variance of a gradient, and its standard error.</summary>
    /// <param name="draws">Independent draws of the gradient, flat.</param>
    /// <remarks>
    /// With d_k the mean over entries of the squared distance of draw k from the mean, the variance is sum_k d_k / (K - 1); its standard error
    /// that of a mean of K nearly independent d_k.
    /// </remarks>
    public static (double Variance, double StandardError) VarianceOf(IReadOnlyList<Tensor> draws)
    {
        using var scope = NewDisposeScope();
        Tensor all = stack(draws);
        double count = draws.Count;
        Tensor distances = all.sub_(all.mean([0], keepdim: true)).pow_(Scalars.Two).mean([1], type: ScalarType.Float64);
        double unbiased = count / (count - 1);
        return (distances.mean().item<double>() * unbiased, distances.std().item<double>() * unbiased / Math.Sqrt(count));
    }

    public void Dispose() => _trainer.Dispose();
}
