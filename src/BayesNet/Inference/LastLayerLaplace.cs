using BayesNet.Estimators;
using BayesNet.Likelihoods;
using BayesNet.Prediction;
using BayesNet.Runtime;
using BayesNet.Training;
using static TorchSharp.torch;

namespace BayesNet.Inference;

/// <summary>
/// A Laplace approximation of the last linear layer of a trained network, whose other layers stay as they are (Kristiadi, Hein and Hennig 2020; Daxberger
/// et al. 2021): a Gaussian with the inverse of the Gauss-Newton matrix as its covariance. Prior precision and noise level are those of greatest
/// marginal likelihood (MacKay 1992).
/// </summary>
/// <remarks>
/// <para>
/// <see cref="GaussianLikelihood"/>: the posterior of the last layer is exact, Bayesian linear regression on the features, with mean and noise fitted
/// anew, and the predictive is in closed form: one component, whatever the number of samples.
/// </para>
/// <para>
/// <see cref="CategoricalLikelihood"/>, <see cref="BernoulliLikelihood"/> and <see cref="HeteroscedasticGaussianLikelihood"/>: around the trained weights, the Fisher
/// information for the Hessian; the predictive is the mixture over drawn weights. Other likelihoods are refused.
/// </para>
/// </remarks>
public sealed record LastLayerLaplace : PointTrainedMethod
{
    /// <inheritdoc/>
    public override string Name => "Last-layer Laplace";

    /// <summary>The precision of the zero-mean Gaussian prior on the last layer's weights and bias; null, the default, for that of greatest marginal likelihood.</summary>
    /// <exception cref="ArgumentOutOfRangeException">Not a finite number above zero.</exception>
    public double? PriorPrecision { get; init => field = value is { } precision ? Guard.Positive(precision, nameof(PriorPrecision)) : null; }

    /// <summary>
    /// The most weights of the last layer whose covariance is computed in full for classes; with more it is a Kronecker product. 1,024 by default.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">Below 1.</exception>
    public int FullCovarianceLimit { get; init => field = (int)Guard.AtLeastOne(value, nameof(FullCovarianceLimit)); } = 1024;

    /// <summary>The approximation for a network that has been trained, however it was; the method's training options are not used.</summary>
    /// <param name="model">A network that ends with a linear layer; it stays the caller's, and as it is.</param>
    /// <param name="likelihood">How targets are distributed around its output; the caller's, and left as it is.</param>
    /// <param name="data">The training set.</param>
    /// <exception cref="InvalidOperationException">The network does not end with a linear layer, or has Bayesian layers.</exception>
    /// <exception cref="NotSupportedException">The likelihood is not one of those named above.</exception>
    public LaplacePosterior Around(nn.Module<Tensor, Tensor> model, Likelihood likelihood, TrainingData data)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(likelihood);
        ArgumentNullException.ThrowIfNull(data);
        Prepare(FitRequest.Deterministic(model, Name), likelihood);
        return Approximate(model, likelihood, data, owned: false);
    }

    internal override FittedPosterior FitCore(FitRequest request)
        => Fit(request, (model, likelihood) => Approximate(model, likelihood, request.Data, owned: true));

    private protected override void Prepare(nn.Module<Tensor, Tensor> model, Likelihood likelihood)
    {
        _ = new LastLayer(model);
        OutputFisher.RequireSupported(likelihood);
    }

    private LaplacePosterior Approximate(nn.Module<Tensor, Tensor> model, Likelihood likelihood, TrainingData data, bool owned)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        var layer = new LastLayer(model);
        Tensor inputs = data.Inputs.to(layer.Device), targets = data.Targets.to(layer.Device);
        ulong? seed = Seeds.Derive(Seed, 1);
        if (likelihood is GaussianLikelihood gaussian)
        {
            LastLayerRegression regression = LastLayerRegression.Fit(
                layer, gaussian, inputs, targets, PriorPrecision, out Tensor weights, out OutputwiseCurvature exact);
            return new LaplacePosterior(Name, model, likelihood, owned, layer, weights, exact, regression.Precision, regression.LogEvidence, regression.Noise, seed);
        }

        (LastLayerCurvature curvature, double logLikelihood) = OutputFisher.Curvature(layer, likelihood, inputs, targets, FullCovarianceLimit);
        Tensor mode = layer.Weights();
        double norm = mode.Squared().sum().item<double>();
        double[] values = curvature.Eigenvalues.cpu().flatten().data<double>().ToArray();
        double precision = PriorPrecision ?? GreatestEvidence(values, norm);
        double evidence = logLikelihood - 0.5 * precision * norm - 0.5 * values.Sum(h => Math.Log(1 + h / precision));
        return new LaplacePosterior(Name, model, likelihood, owned, layer, mode, curvature, precision, evidence, null, seed);
    }

    /// <summary>The fixed point of lambda = gamma / |w|^2, where d/d(lambda) [-lambda |w|^2 / 2 - sum ln(1 + h / lambda) / 2] = 0.</summary>
    private static double GreatestEvidence(double[] curvatures, double norm)
    {
        double precision = 1;
        for (int update = 0; update < 10_000; update++)
        {
            double next = Math.Clamp(curvatures.Sum(h => h / (h + precision)) / norm, 1e-12, 1e12);
            if (Math.Abs(Math.Log(next / precision)) < 1e-11)
                return next;
            precision = next;
        }

        return precision;
    }
}

/// <summary>A Gaussian over the weights of a network's last layer. The network itself is as it was trained.</summary>
public sealed class LaplacePosterior : NetworkPosterior
{
    private readonly LastLayer _layer;
    private readonly Tensor _mean;
    private readonly LastLayerCurvature _curvature;
    private readonly double[]? _noise;
    private readonly NoiseSource _draws;

    internal LaplacePosterior(
        string method, nn.Module<Tensor, Tensor> model, Likelihood likelihood, bool owned, LastLayer layer, Tensor mean, LastLayerCurvature curvature,
        double precision, double logEvidence, double[]? noise, ulong? seed)
        : base(method, model, likelihood, owned)
    {
        (_layer, _curvature, _noise) = (layer, curvature, noise);
        _mean = mean.DetachFromDisposeScope();
        (PriorPrecision, LogMarginalLikelihood, _draws) = (precision, logEvidence, new NoiseSource(seed));
    }

    /// <summary>The precision of the prior on the last layer's weights.</summary>
    public double PriorPrecision { get; }

    /// <summary>ln p(targets | features, prior precision, noise) in nats, of all rows: exact for a Gaussian likelihood, else Laplace's approximation.</summary>
    public double LogMarginalLikelihood { get; }

    /// <summary>The noise's standard deviation of each output that goes with the posterior, in place of the likelihood's own; empty but for a Gaussian likelihood.</summary>
    public IReadOnlyList<double> NoisePerOutput => _noise ?? [];

    /// <summary>The posterior's mean, (features, outputs), float64, the bias last; this object's.</summary>
    public Tensor Mean => _mean;

    private bool IsExact => _noise is not null;

    /// <summary>Draws from the posterior, (samples, features, outputs), float64, the bias last; the caller's to dispose.</summary>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="samples"/> is below 1.</exception>
    public Tensor SampleWeights(int samples)
    {
        Guard.AtLeastOne(samples);
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        return _curvature.Deviations(_draws, samples, PriorPrecision).Plus(_mean).MoveToOuterDisposeScope();
    }

    private protected override NoiseSource MethodNoise => _draws;

    internal override int Used(int samples) => samples;

    internal override Predictive? PredictCore(Tensor inputs, SampleRange samples, PredictionOptions options)
    {
        if (!IsExact)
            return base.PredictCore(inputs, samples, options);

        // The closed form stands for all samples, and is the first's to give.
        if (samples.First > 0 || samples.Count == 0)
            return null;
        using var scope = NewDisposeScope();
        var means = new List<Tensor>();
        var variances = new List<Tensor>();
        _layer.Run(inputs.to(Device), options, (_, features, _) =>
        {
            (Tensor mean, Tensor variance) = Exact(features);
            means.Add(mean.MoveToOtherDisposeScope(scope));
            variances.Add(variance.MoveToOtherDisposeScope(scope));
        });
        return InClosedForm(cat(means, 0), cat(variances, 0));
    }

    internal override SampledLogDensity? LogDensityCore(Tensor inputs, Tensor targets, SampleRange samples, PredictionOptions options)
    {
        if (!IsExact)
            return base.LogDensityCore(inputs, targets, samples, options);
        if (samples.First > 0 || samples.Count == 0)
            return null;
        using var scope = NewDisposeScope();
        Tensor y = targets.to(Device);
        var parts = new List<Tensor>();
        _layer.Run(inputs.to(Device), options, (row, features, _) =>
        {
            (Tensor mean, Tensor variance) = Exact(features);
            using Predictive predictive = InClosedForm(mean, variance);
            parts.Add(predictive.LogDensity(y.narrow(0, row, features.size(0))).MoveToOtherDisposeScope(scope));
        });
        return new SampledLogDensity(cat(parts, 0).MoveToOuterDisposeScope(), samples.Total);
    }

    internal override void Run(Tensor inputs, SampleRange samples, PredictionOptions options, Action<SampleBlock> receive)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        Tensor weights = SampleWeights(samples.Count).to(_layer.Dtype);
        _layer.Run(inputs, options, (row, features, _) =>
        {
            long rows = features.size(0), bytes = rows * _layer.Outputs * features.element_size();
            int most = (int)Math.Clamp(options.MemoryBudget / bytes, 1, samples.Count);
            for (int first = 0; first < samples.Count; first += most)
            {
                using var inner = NewDisposeScope();
                Tensor some = weights.narrow(0, first, Math.Min(most, samples.Count - first));
                receive(new SampleBlock(first, rows == inputs.size(0) ? null : row, features.matmul(some)));
            }
        });
    }

    private protected override void Dispose(bool disposing)
    {
        _mean.Dispose();
        _curvature.Dispose();
        _draws.Dispose();
        base.Dispose(disposing);
    }

    private (Tensor Mean, Tensor Variance) Exact(Tensor features)
        => (features.to(ScalarType.Float64).mm(_mean).to(features.dtype),
            ((OutputwiseCurvature)_curvature).Variances(features, PriorPrecision).to(features.dtype));

    private GaussianPredictive InClosedForm(Tensor mean, Tensor variance)
    {
        using var scope = NewDisposeScope();
        Tensor logNoise = tensor(_noise!, dtype: mean.dtype, device: mean.device).log().reshape(1, 1, -1);
        return new GaussianPredictive(mean.unsqueeze(0), logNoise, ((GaussianLikelihood)Likelihood).Missing, variance.unsqueeze(0));
    }
}
