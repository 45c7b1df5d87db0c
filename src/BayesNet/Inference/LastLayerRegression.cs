using BayesNet.Likelihoods;
using BayesNet.Reparameterization;
using BayesNet.Runtime;
using static TorchSharp.torch;

namespace BayesNet.Inference;

/// <summary>
/// Bayesian linear regression of targets on features, with weights of prior precision lambda and noise levels that maximise the marginal likelihood
/// (MacKay 1992): what a last-layer Laplace approximation is for a Gaussian likelihood, exactly.
/// </summary>
/// <remarks>All in float64, in the basis in which the features' Gram matrix is diagonal, so that an update of lambda and noise is linear in D.</remarks>
internal sealed class LastLayerRegression
{
    private const int MostUpdates = 10_000;
    private const double Converged = 1e-11;
    private const double LeastPrecision = 1e-12, GreatestPrecision = 1e12;

    private readonly bool _shared;
    private readonly double[][] _curvatures;
    private readonly double[][] _projections;
    private readonly double[] _squares;
    private readonly double[] _counts;

    private LastLayerRegression(bool shared, double[][] curvatures, double[][] projections, double[] squares, double[] counts)
    {
        (_shared, _curvatures, _projections, _squares, _counts) = (shared, curvatures, projections, squares, counts);
        Noise = new double[counts.Length];
    }

    /// <summary>lambda.</summary>
    internal double Precision { get; private set; }

    /// <summary>The noise's standard deviation of each output.</summary>
    internal double[] Noise { get; }

    /// <summary>ln p(targets | features, lambda, noise), all weights integrated out.</summary>
    internal double LogEvidence { get; private set; }

    /// <summary>Fits.</summary>
    /// <param name="layer">The network.</param>
    /// <param name="likelihood">Where the noise levels start, or stay.</param>
    /// <param name="inputs">(rows, ...).</param>
    /// <param name="targets">(rows, K), NaN where missing.</param>
    /// <param name="precision">lambda; null for that of greatest evidence.</param>
    /// <param name="weights">The posterior's mean, (D, K).</param>
    /// <param name="curvature">The posterior's precision, less lambda.</param>
    internal static LastLayerRegression Fit(
        LastLayer layer, GaussianLikelihood likelihood, Tensor inputs, Tensor targets, double? precision, out Tensor weights, out OutputwiseCurvature curvature)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        bool masked = likelihood.Missing == MissingTargets.Masked;
        (long d, long k) = (layer.Features, layer.Outputs);
        Tensor gram = zeros([masked ? k : 1, d, d], ScalarType.Float64, layer.Device), products = zeros([k, d, 1], ScalarType.Float64, layer.Device);
        Tensor squares = zeros([k], ScalarType.Float64, layer.Device), counts = zeros([k], ScalarType.Float64, layer.Device);
        layer.Run(inputs, Prediction.PredictionOptions.Default, (row, features, output) =>
        {
            Tensor y = targets.narrow(0, row, features.size(0));
            GaussianDensity.RequireSameShape(output, y, "network's output");
            Tensor phi = features.to(ScalarType.Float64), observed = y.isnan().logical_not().to(ScalarType.Float64);
            y = y.to(ScalarType.Float64).nan_to_num();
            if (masked)
                gram.add_(phi.unsqueeze(0).mul(observed.t().unsqueeze(2)).transpose(1, 2).matmul(phi), Scalars.One);
            else
                gram.add_(phi.t().mm(phi), Scalars.One);
            products.add_(y.t().mm(phi).unsqueeze(2), Scalars.One);
            squares.add_(y.Squared().sum(dim: 0), Scalars.One);
            counts.add_(observed.sum(dim: 0), Scalars.One);
        });

        (Tensor values, Tensor basis) = linalg.eigh(gram);
        values = values.clamp_min(Scalars.Zero).expand(k, d);
        Tensor projections = basis.transpose(1, 2).matmul(products).squeeze(2);
        var regression = new LastLayerRegression(likelihood.IsShared, Rows(values), Rows(projections), Row(squares), Row(counts));
        regression.Maximise(likelihood, precision);

        Tensor variances = tensor(regression.Noise, device: layer.Device).Squared().unsqueeze(1);
        Tensor coordinates = projections.div(values.Plus(variances.Times(regression.Precision)));
        weights = basis.matmul(coordinates.unsqueeze(2)).squeeze(2).t().contiguous().MoveToOuterDisposeScope();
        curvature = new OutputwiseCurvature(values.div(variances), basis);
        return regression;

        static double[] Row(Tensor t) => t.cpu().contiguous().data<double>().ToArray();

        static double[][] Rows(Tensor t) => [.. Enumerable.Range(0, (int)t.size(0)).Select(k => Row(t.select(0, k)))];
    }

    /// <summary>MacKay's re-estimation, gamma the number of well-determined weights: lambda = gamma / |m|^2, noise^2 = residuals / (n - gamma).</summary>
    private void Maximise(GaussianLikelihood likelihood, double? precision)
    {
        for (int k = 0; k < Noise.Length; k++)
            Noise[k] = likelihood.NoisePerOutput[_shared ? 0 : k];
        Precision = precision ?? 1;
        for (int update = 0; update < MostUpdates; update++)
        {
            double change = 0, determined = 0, weightSquares = 0, residuals = 0, freedom = 0;
            var noise = new double[Noise.Length];
            for (int k = 0; k < Noise.Length; k++)
            {
                (double gamma, double norm, double rest) = Moments(k);
                determined += gamma;
                weightSquares += norm;
                residuals += rest;
                freedom += _counts[k] - gamma;
                noise[k] = Math.Sqrt(rest / (_counts[k] - gamma));
            }

            if (precision is null)
            {
                double next = Math.Clamp(determined / weightSquares, LeastPrecision, GreatestPrecision);
                change = Math.Abs(Math.Log(next / Precision));
                Precision = next;
            }

            if (likelihood.LearnNoise)
            {
                for (int k = 0; k < Noise.Length; k++)
                {
                    double next = _shared ? Math.Sqrt(residuals / freedom) : noise[k];
                    if (!(next > 0) || !double.IsFinite(next))
                    {
                        throw new InvalidOperationException(
                            "The features determine the targets of the training set exactly, so there is no noise level of greatest marginal likelihood: give the likelihood a "
                            + "fixed noise level (learnNoise: false), or the last layer fewer features.");
                    }

                    change = Math.Max(change, Math.Abs(Math.Log(next / Noise[k])));
                    Noise[k] = next;
                }
            }

            if (change < Converged)
                break;
        }

        LogEvidence = Evidence();
    }

    /// <summary>gamma, |m|^2 and |y - Phi m|^2 of an output.</summary>
    private (double Determined, double WeightSquares, double Residuals) Moments(int k)
    {
        double ridge = Precision * Noise[k] * Noise[k], determined = 0, norm = 0, residuals = _squares[k];
        for (int i = 0; i < _curvatures[k].Length; i++)
        {
            double d = _curvatures[k][i], c = _projections[k][i], m = c / (d + ridge);
            determined += d / (d + ridge);
            norm += m * m;
            residuals += m * (d * m - 2 * c);
        }

        return (determined, norm, Math.Max(0, residuals));
    }

    private double Evidence()
    {
        double total = 0;
        for (int k = 0; k < Noise.Length; k++)
        {
            (_, double norm, double residuals) = Moments(k);
            double variance = Noise[k] * Noise[k];
            total -= _counts[k] * (LocationScaleLaw.HalfLogTwoPi + Math.Log(Noise[k])) + 0.5 * residuals / variance + 0.5 * Precision * norm;
            foreach (double d in _curvatures[k])
                total -= 0.5 * Math.Log(1 + d / (variance * Precision));
        }

        return total;
    }
}
