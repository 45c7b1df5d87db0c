using BayesNet.Estimators;
using BayesNet.Likelihoods;
using BayesNet.Runtime;
using BayesNet.Training;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace BayesNet.Inference;

/// <summary>
/// Markov chains over the weights of a network without Bayesian layers, whose steps take the gradient of the potential U = -sum_n ln p(y_n | w) - ln p(w)
/// from minibatches, scaled to the whole training set, and add noise. The predictive is the mixture over stored weights.
/// </summary>
/// <remarks>
/// <para>
/// Weights and biases have the prior N(0, <see cref="PriorStdDev"/>^2). What the likelihood learns, a log noise level say, is sampled with them, under
/// a flat prior.
/// </para>
/// <para>
/// A step size is <see cref="LearningRate"/> / N, so that the gradient's part of a step is that of gradient descent on the loss an example. Without a test
/// of acceptance the samples have a bias that falls with the step size and the variance of the minibatch gradients: with curvature h of the loss, the
/// full batch and Langevin dynamics a variance is 1 / (1 - LearningRate h / 2) times what it should be.
/// </para>
/// </remarks>
public abstract record StochasticGradientMonteCarlo : InferenceMethod
{
    private protected StochasticGradientMonteCarlo()
    {
    }

    /// <summary>Passes over the data, burn-in included; 200 by default.</summary>
    /// <exception cref="ArgumentOutOfRangeException">Below 1.</exception>
    public int Epochs { get; init => field = (int)Guard.AtLeastOne(value, nameof(Epochs)); } = 200;

    /// <summary>Rows of a minibatch; 128 by default.</summary>
    /// <exception cref="ArgumentOutOfRangeException">Below 1.</exception>
    public int BatchSize { get; init => field = (int)Guard.AtLeastOne(value, nameof(BatchSize)); } = 128;

    /// <summary>The greatest step size, times N.</summary>
    /// <exception cref="ArgumentOutOfRangeException">Not a finite number above zero.</exception>
    public double LearningRate { get; init => field = Guard.Positive(value, nameof(LearningRate)); } = 1e-2;

    /// <summary>The step size over the run; cyclical by default.</summary>
    public StepSizeSchedule Schedule
    {
        get;
        init
        {
            ArgumentNullException.ThrowIfNull(value, nameof(Schedule));
            field = value;
        }
    } = StepSizeSchedule.Cyclical();

    /// <summary>The standard deviation of the zero-mean Gaussian prior on weights and biases; 1 by default.</summary>
    /// <exception cref="ArgumentOutOfRangeException">Not a finite number above zero.</exception>
    public double PriorStdDev { get; init => field = Guard.Positive(value, nameof(PriorStdDev)); } = 1;

    /// <summary>Weight samples that a chain stores, spread evenly over the steps that sample; 50 by default.</summary>
    /// <exception cref="ArgumentOutOfRangeException">Below 1.</exception>
    public int SamplesPerChain { get; init => field = (int)Guard.AtLeastOne(value, nameof(SamplesPerChain)); } = 50;

    /// <summary>Chains, each from initial weights of its own; 1 by default.</summary>
    /// <exception cref="ArgumentOutOfRangeException">Below 1.</exception>
    public int Chains { get; init => field = (int)Guard.AtLeastOne(value, nameof(Chains)); } = 1;

    /// <summary>
    /// Whether each weight's step size is divided by the root mean square of its gradients (Li et al. 2016); false by default. The mean squares are
    /// estimated up to the first sample and then fixed, so that the chain needs no correction for a metric that moves. Learning rates are then of
    /// the size of RMSprop's.
    /// </summary>
    public bool Preconditioned { get; init; }

    /// <summary>What the potential is divided by; 1, the default, for the posterior. Below 1 the posterior is colder than Bayes' rule has it.</summary>
    /// <exception cref="ArgumentOutOfRangeException">Not a finite number above zero.</exception>
    public double Temperature { get; init => field = Guard.Positive(value, nameof(Temperature)); } = 1;

    private protected abstract double Alpha { get; }

    internal override FittedPosterior FitCore(FitRequest request) => Fitting.Owned(() => request.DeterministicNetwork(Name), request, (model, likelihood) =>
    {
        var samples = new WeightSamples(TrainedParameters.Of(model, likelihood), SamplesPerChain * Chains);
        try
        {
            (int rank, int size) = request.Peers is { } peers ? (peers.Rank, peers.Size) : (0, 1);
            int own = (Chains - rank + size - 1) / size;
            request.Own(() =>
            {
                for (int i = 0; i < own; i++)
                    RunChain(model, likelihood, rank + i * size, request.Part((double)i / own, 1.0 / own) with { Peers = null }, samples);
            });
            if (request.Peers is { } all)
            {
                all.Share(model, likelihood);
                for (int chain = 0; chain < Chains; chain++)
                    samples.Broadcast(all, chain * SamplesPerChain, SamplesPerChain, chain % size);
            }

            return new SampledPosterior(Name, model, likelihood, samples, Chains);
        }
        catch
        {
            samples.Dispose();
            throw;
        }
    });

    /// <summary>
    /// The first chain's network is the one that predicts; the others lend their weights to it. Each has initial weights from a sequence of its own, so that they
    /// don't depend on what other chains drew.
    /// </summary>
    private void RunChain(nn.Module<Tensor, Tensor> model, Likelihood likelihood, int chain, FitRequest request, WeightSamples samples)
    {
        if (chain == 0)
        {
            Sample(model, likelihood, chain, request, samples);
            return;
        }

        using var stream = new GlobalStream(Seeds.Derive(Seed, chain));
        using IDisposable entered = stream.Enter();
        using nn.Module<Tensor, Tensor> other = request.Network();
        using Likelihood itsOwn = request.Likelihood();
        Sample(other, itsOwn, chain, request, samples);
    }

    private void Sample(nn.Module<Tensor, Tensor> model, Likelihood likelihood, int chain, FitRequest request, WeightSamples samples)
    {
        int next = chain * SamplesPerChain;
        ulong? seed = Seeds.Derive(Seed, chain);
        long steps = Epochs * request.Data.Batches(BatchSize);
        Parameter[] sampled = [];
        var options = new TrainerOptions
        {
            Epochs = Epochs,
            BatchSize = BatchSize,
            PointPrior = PriorStdDev,
            Seed = seed,
            Optimizer = parameters =>
            {
                sampled = [.. parameters];
                var settings = new LangevinOptimizer.Settings(
                    request.Data.Count, steps, LearningRate, Alpha, Temperature, Preconditioned, Schedule, SamplesPerChain);
                var optimizer = new LangevinOptimizer(sampled, settings, () => samples.Store(next++, sampled), Seeds.Derive(seed, 0));
                if (optimizer.Sampling >= SamplesPerChain)
                    return optimizer;
                long sampling = optimizer.Sampling;
                optimizer.Dispose();
                throw new InvalidOperationException(
                    $"A chain of {steps} steps samples in {sampling} of them, and {nameof(SamplesPerChain)} is {SamplesPerChain}: raise {nameof(Epochs)}, lower "
                    + $"{nameof(BatchSize)}, or shorten the burn-in or exploration of {nameof(Schedule)}.");
            },
        };
        Fitting.Train(model, likelihood, options, request with { Validation = null });
    }
}

/// <summary>Stochastic gradient Langevin dynamics (Welling and Teh 2011): w = w - epsilon/2 grad U + N(0, epsilon), epsilon = 2 LearningRate / N.</summary>
public sealed record Sgld : StochasticGradientMonteCarlo
{
    /// <inheritdoc/>
    public override string Name => "SGLD";

    private protected override double Alpha => 1;
}

/// <summary>
/// Stochastic gradient Hamiltonian Monte Carlo (Chen, Fox and Guestrin 2014, equation 15): v = (1 - alpha) v - eta grad U + N(0, 2 alpha eta),
/// w = w + v, eta = LearningRate / N. Steps go 1 / alpha times as far as without momentum.
/// </summary>
public sealed record Sghmc : StochasticGradientMonteCarlo
{
    /// <summary>Creates the method with a learning rate of 1e-3.</summary>
    public Sghmc() => LearningRate = 1e-3;

    /// <inheritdoc/>
    public override string Name => "SGHMC";

    /// <summary>alpha, what the velocity loses in a step: 1 less the momentum; 0.1 by default.</summary>
    /// <exception cref="ArgumentOutOfRangeException">Not above 0, or above 1.</exception>
    public double Friction
    {
        get;
        init => field = value is > 0 and <= 1
            ? value
            : throw new ArgumentOutOfRangeException(nameof(Friction), value, "Friction must be above 0 and at most 1, where it is Langevin dynamics.");
    } = 0.1;

    private protected override double Alpha => Friction;
}
