using System.Numerics;
using BayesNet.Estimators;
using BayesNet.Kernels;
using BayesNet.Maps;
using BayesNet.Posteriors;
using BayesNet.Priors;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace BayesNet.Training.Compiled;

/// <summary>How the noise of a layer enters.</summary>
internal enum NoiseKind
{
    /// <summary>A deterministic layer.</summary>
    None,

    /// <summary>Local reparameterization.</summary>
    Local,

    /// <summary>One weight for the batch.</summary>
    Shared,
}

/// <summary>
/// A linear layer and the activation behind it: where its parameters are in the step under way, and what is kept from the forward to the
/// backward pass. Matrices are row-major; rows are examples, or output channels in a weight.
/// </summary>
internal sealed unsafe class Layer<T> : IDisposable
    where T : unmanaged, IBinaryFloatingPointIeee754<T>
{
    private readonly IBayesianAffine? _bayesian;
    private readonly NativeBuffer<T> _activations = new(), _slopes = new(), _factors = new(), _squares = new();
    private readonly NativeBuffer<T> _spread = new(), _sample = new(), _bias = new();

    /// <summary>Compiles a module that <see cref="WhyNot(nn.Module)"/> has nothing against.</summary>
    public Layer(nn.Module module)
    {
        if (module is Linear plain)
        {
            (Inputs, Outputs) = (checked((int)plain.in_features), checked((int)plain.out_features));
            Mean = new TrainedParameter<T>(() => plain.weight!);
            if (plain.bias is not null)
                BiasMean = new TrainedParameter<T>(() => plain.bias!);
            return;
        }

        _bayesian = (IBayesianAffine)module;
        Estimator = _bayesian.Estimator;
        Kind = ReferenceEquals(Estimator, Estimator.LocalReparameterization) ? NoiseKind.Local : NoiseKind.Shared;
        (Inputs, Outputs) = (checked((int)_bayesian.Map.InputChannels), checked((int)_bayesian.Map.OutputChannels));
        var weight = (MeanFieldGaussian)_bayesian.WeightPosterior;
        Mean = new TrainedParameter<T>(() => weight.MeanParameter);
        Scale = new TrainedParameter<T>(() => weight.ScaleParameter);
        WeightPrior = (GaussianPrior)_bayesian.WeightPrior;
        if (_bayesian.BiasPosterior is MeanFieldGaussian bias)
        {
            BiasMean = new TrainedParameter<T>(() => bias.MeanParameter);
            BiasScale = new TrainedParameter<T>(() => bias.ScaleParameter);
            BiasPrior = (GaussianPrior)_bayesian.BiasPrior!;
        }
    }

    public int Inputs { get; }

    public int Outputs { get; }

    public NoiseKind Kind { get; }

    /// <summary>mu of a Bayesian layer, the weight of a deterministic one.</summary>
    public TrainedParameter<T> Mean { get; }

    public TrainedParameter<T>? Scale { get; }

    public TrainedParameter<T>? BiasMean { get; }

    public TrainedParameter<T>? BiasScale { get; }

    public GaussianPrior? WeightPrior { get; }

    public GaussianPrior? BiasPrior { get; }

    public NoiseSource Noise => _bayesian!.Noise;

    public IEnumerable<TrainedParameter<T>> Parameters => new[] { Mean, Scale, BiasMean, BiasScale }.OfType<TrainedParameter<T>>();

    /// <summary>(batch, out): zeta, then the activations.</summary>
    public T* Activations => _activations.Pointer;

    /// <summary>(batch, out): the mean products, then f', then dL/dm.</summary>
    public T* Slopes => _slopes.Pointer;

    /// <summary>(batch, out): the variance products, then f' zeta / (2 sqrt v), then dL/dv; null for a layer without noise of its own.</summary>
    public T* Factors => _factors.Pointer;

    /// <summary>(batch, out): the squared activations; null where the next layer does not ask for them.</summary>
    public T* Squares => _squares.Pointer;

    /// <summary>(out, in): sigma^2 (local) or sigma eps (shared).</summary>
    public T* Spread => _spread.Pointer;

    /// <summary>(out, in): what the mean products read, mu or the shared sample.</summary>
    public T* Weight => Kind == NoiseKind.Shared ? _sample.Pointer : Mean.Pointer;

    /// <summary>(out): sigma^2 (local) or sigma eps (shared) of the bias; null without a bias.</summary>
    public T* BiasSpread => BiasScale is null ? null : _bias.Pointer;

    /// <summary>(out): the bias that is added, its mean or the shared sample; null without a bias.</summary>
    public T* Bias => BiasMean is null ? null : Kind == NoiseKind.Shared ? _bias.Pointer + Outputs : BiasMean.Pointer;

    /// <summary>(out): room for the gradient of the bias's mean.</summary>
    public T* BiasGradient => _bias.Pointer + 2L * Outputs;

    /// <summary>(out): room for the gradient of the bias's scale.</summary>
    public T* BiasScaleGradient => _bias.Pointer + 3L * Outputs;

    private Estimator? Estimator { get; }

    /// <summary>Why a module can't be one of these, as the end of a sentence; null where it can.</summary>
    public static string? WhyNot(nn.Module module)
        => module switch
        {
            Linear => null,
            IBayesianAffine { Map: LinearMap } layer
                => !IsCompiled(layer.Estimator) ? $"draws by {layer.Estimator}, and local reparameterization and shared weights are compiled"
                    : WhyNot(layer.WeightPosterior, layer.WeightPrior) ?? (layer.BiasPosterior is { } bias ? WhyNot(bias, layer.BiasPrior!) : null),
            _ => "is neither a linear layer nor an activation that is compiled",
        };

    /// <summary>Finds the parameters where they are now; false where the layer is no longer the one that was compiled.</summary>
    public bool Fetch()
        => (_bayesian is null || (ReferenceEquals(_bayesian.Estimator, Estimator) && !IsPruned(_bayesian.WeightPosterior) && !IsPruned(_bayesian.BiasPosterior)))
            && Mean.Fetch() && (Scale?.Fetch() ?? true) && (BiasMean?.Fetch() ?? true) && (BiasScale?.Fetch() ?? true);

    /// <summary>Makes room for a batch.</summary>
    public void Reserve(int batch, bool squares)
    {
        long entries = (long)batch * Outputs, weights = (long)Outputs * Inputs;
        _activations.Reserve(entries);
        _slopes.Reserve(entries);
        _bias.Reserve(4L * Outputs);
        if (squares)
            _squares.Reserve(entries);
        if (Kind == NoiseKind.Local)
            _factors.Reserve(entries);
        if (Kind != NoiseKind.None)
            _spread.Reserve(weights);
        if (Kind == NoiseKind.Shared)
            _sample.Reserve(weights);
    }

    /// <summary>Draws the layer's noise, in the order in which its estimator draws it.</summary>
    public void DrawNoise(int batch)
    {
        switch (Kind)
        {
            case NoiseKind.Local:
                Noise.FillNormal(new Span<T>(Activations, checked(batch * Outputs)));
                break;
            case NoiseKind.Shared:
                Noise.FillNormal(new Span<T>(Spread, checked(Outputs * Inputs)));
                if (BiasMean is not null)
                    Noise.FillNormal(new Span<T>(BiasSpread, Outputs));
                break;
        }
    }

    /// <summary>Samples rows of the weight, or makes their variances, and returns their KL divergence.</summary>
    public double Prepare(long start, long count)
        => Prepare(Mean, Scale, WeightPrior, Spread, _sample.Pointer, start, count);

    /// <summary>The same for the whole bias.</summary>
    public double PrepareBias()
        => BiasMean is null ? 0 : Prepare(BiasMean, BiasScale, BiasPrior, BiasSpread, _bias.Pointer + Outputs, 0, Outputs);

    private double Prepare(TrainedParameter<T> mean, TrainedParameter<T>? scale, GaussianPrior? prior, T* spread, T* sample, long start, long count)
    {
        if (scale is null)
            return 0;
        var divergence = new GaussianKlKernel.Entry<T>(prior!.ScalarMean, prior.ScalarStdDev, weight: 0);
        double varying = Kind == NoiseKind.Local
            ? MeanFieldKernels.Variance(mean.Pointer + start, scale.Pointer + start, spread + start, count, divergence)
            : MeanFieldKernels.Sample(mean.Pointer + start, scale.Pointer + start, spread + start, sample + start, count, divergence);
        return varying + count * divergence.Constant;
    }

    public void Dispose()
    {
        foreach (NativeBuffer<T> buffer in new[] { _activations, _slopes, _factors, _squares, _spread, _sample, _bias })
            buffer.Dispose();
    }

    private static bool IsPruned(Posterior? posterior) => posterior is MeanFieldGaussian { Mask: not null };

    private static bool IsCompiled(Estimator estimator)
        => ReferenceEquals(estimator, Estimator.LocalReparameterization) || ReferenceEquals(estimator, Estimator.SharedWeights);

    private static string? WhyNot(Posterior posterior, Prior prior)
        => posterior is not MeanFieldGaussian gaussian ? $"has a {posterior.GetName()} posterior, and MeanFieldGaussian is compiled"
            : !ReferenceEquals(gaussian.ScaleParameterization, ScaleParameterization.Log)
                ? $"has a scale that is the {gaussian.ScaleParameterization} of its parameter, and ScaleParameterization.Log is compiled"
            : gaussian.Mask is not null ? "has pruned weights, and layers without are compiled"
            : prior is not GaussianPrior { IsScalar: true } ? $"has a {prior.GetName()} without one mean and one standard deviation for all, and such a GaussianPrior is compiled"
            : null;
}
