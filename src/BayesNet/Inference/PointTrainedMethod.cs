using BayesNet.Likelihoods;
using BayesNet.Training;
using static TorchSharp.torch;

namespace BayesNet.Inference;

/// <summary>A method that starts from one network without Bayesian layers, trained to the maximum a posteriori.</summary>
public abstract record PointTrainedMethod : InferenceMethod
{
    private protected PointTrainedMethod()
    {
    }

    /// <summary>
    /// How the network is trained. Where it names neither <see cref="TrainerOptions.PointPrior"/> nor <see cref="TrainerOptions.PointEstimate"/> (maximum
    /// likelihood), the weights have the prior N(0, 1). <see cref="InferenceMethod.Seed"/> takes the place of its own, where it is set.
    /// </summary>
    public TrainerOptions Training
    {
        get;
        init
        {
            ArgumentNullException.ThrowIfNull(value, nameof(Training));
            field = value;
        }
    } = new();

    /// <summary>The options that networks are trained with.</summary>
    private protected TrainerOptions Effective => Training with
    {
        Seed = Seed ?? Training.Seed,
        PointPrior = Training.PointPrior ?? (Training.PointEstimate ? null : 1),
    };

    /// <summary>The share of the method's epochs that the training to the maximum a posteriori is.</summary>
    private protected virtual double TrainingShare => 1;

    /// <summary>A trained network and likelihood, which <paramref name="finish"/> makes a posterior of; both are freed where anything fails.</summary>
    internal FittedPosterior Fit(FitRequest request, Func<nn.Module<Tensor, Tensor>, Likelihood, FittedPosterior> finish)
        => Fitting.Owned(() => request.DeterministicNetwork(Name), request, (model, likelihood) =>
        {
            Prepare(model, likelihood);
            Fitting.Train(model, likelihood, Effective, request.Part(0, TrainingShare));
            return finish(model, likelihood);
        });

    /// <summary>Refuses networks that the method can't do with, before they are trained.</summary>
    private protected virtual void Prepare(nn.Module<Tensor, Tensor> model, Likelihood likelihood)
    {
    }
}

/// <summary>What methods share.</summary>
internal static class Fitting
{
    /// <summary>Makes a network and a likelihood and then something that owns them.</summary>
    internal static FittedPosterior Owned(
        Func<nn.Module<Tensor, Tensor>> network, FitRequest request, Func<nn.Module<Tensor, Tensor>, Likelihood, FittedPosterior> make)
    {
        nn.Module<Tensor, Tensor>? model = null;
        Likelihood? likelihood = null;
        try
        {
            request.Own(() =>
            {
                model = network();
                likelihood = request.Likelihood();
            });
            return make(model!, likelihood!);
        }
        catch
        {
            likelihood?.Dispose();
            model?.Dispose();
            throw;
        }
    }

    /// <summary>Trains; processes that fit together then have the same network and likelihood.</summary>
    internal static void Train(nn.Module<Tensor, Tensor> model, Likelihood likelihood, TrainerOptions options, FitRequest request)
    {
        using (VariationalTrainer trainer = Trainer(model, likelihood, options, request))
            Train(trainer, request, request.Validation);
        request.Peers?.Share(model, likelihood);
    }

    internal static VariationalTrainer Trainer(nn.Module<Tensor, Tensor> model, Likelihood likelihood, TrainerOptions options, FitRequest request)
        => new(model, likelihood, request.Data.Count, request.Peers?.OnAll(options) ?? options);

    /// <exception cref="OperationCanceledException">The run was cancelled.</exception>
    internal static void Train(VariationalTrainer trainer, FitRequest request, TrainingData? validation)
    {
        FitResult result = trainer.Fit(request.Data, validation, request.Progress, request.Cancellation);
        if (result.Cancelled)
            throw new OperationCanceledException(request.Cancellation);
    }
}
