using BayesNet.Estimators;
using BayesNet.Likelihoods;
using BayesNet.Runtime;
using BayesNet.Training;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace BayesNet.Inference;

/// <summary>
/// SWAG, stochastic weight averaging Gaussian (Maddox et al. 2019, algorithm 1): after training, the run goes on at a constant rate, and the weights after
/// each few epochs give a Gaussian: their mean, the diagonal of their covariance, and their last deviations from the running mean as a low-rank part.
/// </summary>
/// <remarks>
/// The spread of the iterates depends on the rate and the optimizer, which the paper has as SGD with momentum; here it is the training's, Adam unless
/// <see cref="TrainerOptions.Optimizer"/> says otherwise. What the likelihood learns belongs to the Gaussian.
/// </remarks>
public sealed record Swag : PointTrainedMethod
{
    /// <inheritdoc/>
    public override string Name => "SWAG";

    /// <summary>The number of snapshots of the weights; 30 by default.</summary>
    /// <exception cref="ArgumentOutOfRangeException">Below 2.</exception>
    public int Snapshots { get; init => field = AtLeastTwo(value, nameof(Snapshots)); } = 30;

    /// <summary>Epochs from one snapshot to the next; 1 by default.</summary>
    /// <exception cref="ArgumentOutOfRangeException">Below 1.</exception>
    public int EpochsPerSnapshot { get; init => field = (int)Guard.AtLeastOne(value, nameof(EpochsPerSnapshot)); } = 1;

    /// <summary>The learning rate while snapshots are taken; null, the default, for that of <see cref="PointTrainedMethod.Training"/>.</summary>
    /// <exception cref="ArgumentOutOfRangeException">Not a finite number above zero.</exception>
    public double? SnapshotLearningRate { get; init => field = value is { } rate ? Guard.Positive(rate, nameof(SnapshotLearningRate)) : null; }

    /// <summary>K, the last deviations that are kept, or as many as there are snapshots; 20 by default.</summary>
    /// <exception cref="ArgumentOutOfRangeException">Below 2.</exception>
    public int Rank { get; init => field = AtLeastTwo(value, nameof(Rank)); } = 20;

    /// <summary>The covariance is this times (diagonal + low rank); 1/2, the paper's, by default, which counts the variances once in all.</summary>
    /// <exception cref="ArgumentOutOfRangeException">Not a finite number above zero.</exception>
    public double Scale { get; init => field = Guard.Positive(value, nameof(Scale)); } = 0.5;

    private protected override double TrainingShare => Training.Epochs / (Training.Epochs + (double)Snapshots * EpochsPerSnapshot);

    internal override FittedPosterior FitCore(FitRequest request) => Fit(request, (model, likelihood) =>
    {
        var moments = new SwagMoments(Math.Min(Rank, Snapshots));
        try
        {
            TrainerOptions options = Effective with
            {
                Epochs = EpochsPerSnapshot,
                LearningRate = SnapshotLearningRate ?? Training.LearningRate,
                Seed = Seeds.Derive(Seed ?? Training.Seed, 1),
            };
            using (VariationalTrainer trainer = Fitting.Trainer(model, likelihood, options, request))
            {
                double share = (1 - TrainingShare) / Snapshots;
                for (int snapshot = 0; snapshot < Snapshots; snapshot++)
                {
                    Fitting.Train(trainer, request.Part(TrainingShare + snapshot * share, share), validation: null);
                    moments.Add(TrainedParameters.Of(model, likelihood));
                }
            }

            // Buffers that training does not average and the sequences of noise are each process's own up to here.
            request.Peers?.Share(model, likelihood);

            return new SwagPosterior(Name, model, likelihood, moments, Scale, BatchNormStatistics.For(model, request.Data, Training.BatchSize), Seeds.Derive(Seed, 2));
        }
        catch
        {
            moments.Dispose();
            throw;
        }
    });

    private static int AtLeastTwo(int value, string name)
        => value >= 2 ? value : throw new ArgumentOutOfRangeException(name, value, $"{name} must be at least 2: a covariance takes two points.");
}

/// <summary>
/// Running moments of weights: mean, sum of squared deviations (by Welford's update, which does not cancel), and the last deviations from the running
/// mean of their time.
/// </summary>
internal sealed class SwagMoments(int rank) : IDisposable
{
    private Tensor[] _means = [];
    private Tensor[] _squares = [];
    private Tensor[] _deviations = [];

    internal int Count { get; private set; }

    /// <summary>The deviations kept so far.</summary>
    internal int Kept => Math.Min(Count, rank);

    internal void Add(IReadOnlyList<Parameter> parameters)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        if (Count == 0)
        {
            _means = [.. parameters.Select(parameter => zeros_like(parameter).DetachFromDisposeScope())];
            _squares = [.. _means.Select(mean => zeros_like(mean).DetachFromDisposeScope())];
            _deviations = [.. _means.Select(mean => zeros([rank, .. mean.shape], dtype: mean.dtype, device: mean.device).DetachFromDisposeScope())];
        }

        int column = Count++ % rank;
        for (int i = 0; i < _means.Length; i++)
        {
            Tensor before = parameters[i].detach().sub(_means[i]);
            _means[i].add_(before.Times(1.0 / Count), Scalars.One);
            Tensor after = parameters[i].detach().sub(_means[i]);
            _squares[i].addcmul_(before, after, Scalars.One);
            _deviations[i].select(0, column).copy_(after);
        }
    }

    /// <summary>Sets the parameters to the means.</summary>
    internal void LoadMeans(IReadOnlyList<Parameter> parameters)
    {
        using var _ = no_grad();
        for (int i = 0; i < _means.Length; i++)
            parameters[i].copy_(_means[i]);
    }

    /// <summary>
    /// Sets the parameters to mean + sqrt(scale) (sqrt(diagonal) z_1 + D z_2 / sqrt(K - 1)), a draw of N(mean, scale (diagonal + D D^T / (K - 1))), the
    /// paper's equation 1 at scale 1/2.
    /// </summary>
    internal void LoadSample(IReadOnlyList<Parameter> parameters, double scale, NoiseSource noise)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        Tensor common = noise.Normal([Kept], ScalarType.Float64, CPU).Times(Math.Sqrt(scale / (Kept - 1)));
        for (int i = 0; i < _means.Length; i++)
        {
            using var inner = NewDisposeScope();
            Tensor mean = _means[i];
            Tensor diagonal = _squares[i].Times(scale / Count).clamp_min(Scalars.Zero).sqrt();
            Tensor columns = _deviations[i].narrow(0, 0, Kept).reshape(Kept, -1);
            Tensor lowRank = common.to(mean.dtype, mean.device).unsqueeze(0).mm(columns).reshape(mean.shape);
            parameters[i].copy_(mean.addcmul(diagonal, noise.Normal(mean.shape, mean.dtype, mean.device), Scalars.One).Plus(lowRank));
        }
    }

    public void Dispose()
    {
        foreach (Tensor tensor in (Tensor[])[.. _means, .. _squares, .. _deviations])
            tensor.Dispose();
        (_means, _squares, _deviations) = ([], [], []);
    }
}

/// <summary>The Gaussian of <see cref="Swag"/>. The network is at its mean.</summary>
public sealed class SwagPosterior : WeightPosterior
{
    private readonly SwagMoments _moments;
    private readonly double _scale;
    private readonly BatchNormStatistics? _statistics;
    private readonly NoiseSource _noise;

    internal SwagPosterior(
        string method, nn.Module<Tensor, Tensor> model, Likelihood likelihood, SwagMoments moments, double scale, BatchNormStatistics? statistics, ulong? seed)
        : base(method, model, likelihood)
    {
        (_moments, _scale, _statistics, _noise) = (moments, scale, statistics, new NoiseSource(seed));
        moments.LoadMeans(TrainedParameters.Of(model, likelihood));
        statistics?.Recompute();
    }

    /// <summary>The snapshots that the Gaussian was made of.</summary>
    public int Snapshots => _moments.Count;

    private protected override NoiseSource MethodNoise => _noise;

    internal override int Used(int samples) => samples;

    private protected override void Load(long sample, int samples)
    {
        _moments.LoadSample(TrainedParameters.Of(Model, Likelihood), _scale, _noise);
        _statistics?.Recompute();
    }

    private protected override void Dispose(bool disposing)
    {
        _moments.Dispose();
        _noise.Dispose();
        base.Dispose(disposing);
    }
}
