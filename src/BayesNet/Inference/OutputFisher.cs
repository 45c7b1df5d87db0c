using BayesNet.Likelihoods;
using BayesNet.Prediction;
using BayesNet.Runtime;
using static TorchSharp.torch;

namespace BayesNet.Inference;

/// <summary>
/// The Fisher information of a likelihood in the network's outputs, and the Gauss-Newton matrix that it gives a last layer. For these likelihoods but the
/// heteroscedastic one, whose outputs are no natural parameters, it is their Hessian.
/// </summary>
internal static class OutputFisher
{
    internal static void RequireSupported(Likelihood likelihood)
    {
        if (likelihood is not (GaussianLikelihood or HeteroscedasticGaussianLikelihood or CategoricalLikelihood or BernoulliLikelihood))
        {
            throw new NotSupportedException(
                $"The last-layer Laplace approximation takes a Gaussian, heteroscedastic Gaussian, categorical or Bernoulli likelihood, not {likelihood.GetName()}; "
                + "DeepEnsemble, Swag and Sghmc take any.");
        }
    }

    /// <summary>The Gauss-Newton matrix at the layer's weights, and ln p of the targets.</summary>
    /// <param name="layer">The network.</param>
    /// <param name="likelihood">Any supported one but the Gaussian.</param>
    /// <param name="inputs">(rows, ...).</param>
    /// <param name="targets">(rows, ...).</param>
    /// <param name="fullLimit">The most weights for a full matrix where outputs depend on each other.</param>
    internal static (LastLayerCurvature Curvature, double LogLikelihood) Curvature(
        LastLayer layer, Likelihood likelihood, Tensor inputs, Tensor targets, int fullLimit)
    {
        using var scope = NewDisposeScope();
        (long d, long k) = (layer.Features, layer.Outputs);
        double logLikelihood = 0;
        Func<LastLayerCurvature> finish;
        Action<Tensor, Tensor, Tensor> add;
        if (likelihood is not CategoricalLikelihood categorical)
        {
            Tensor blocks = Zeros(k, d, d);
            add = (features, output, target) =>
            {
                Tensor weights = Information(likelihood, output, target).t().unsqueeze(2);
                blocks.add_(features.unsqueeze(0).mul(weights).transpose(1, 2).matmul(features), Scalars.One);
            };
            finish = () => OutputwiseCurvature.Of(blocks);
        }
        else if (k * d <= fullLimit)
        {
            Tensor matrix = Zeros(k, d, k, d);
            add = (features, output, target) =>
            {
                Tensor information = Information(categorical, output, target);
                for (long i = 0; i < k; i++)
                {
                    for (long j = 0; j <= i; j++)
                    {
                        using var inner = NewDisposeScope();
                        Tensor block = features.mul(information.select(1, i).select(1, j).unsqueeze(1)).t().mm(features);
                        matrix.select(0, i).select(1, j).add_(block, Scalars.One);
                        if (i != j)
                            matrix.select(0, j).select(1, i).add_(block, Scalars.One);
                    }
                }
            };
            finish = () => FullCurvature.Of(matrix.reshape(k * d, k * d), k);
        }
        else
        {
            Tensor featureMatrix = Zeros(d, d), outputMatrix = Zeros(k, k);
            add = (features, output, target) =>
            {
                featureMatrix.add_(features.t().mm(features), Scalars.One);
                outputMatrix.add_(Information(categorical, output, target).sum(dim: 0), Scalars.One);
            };
            finish = () => KroneckerCurvature.Of(featureMatrix, outputMatrix.Times(1.0 / inputs.size(0)));
        }

        layer.Run(inputs, PredictionOptions.Default, (row, features, output) =>
        {
            Tensor target = targets.narrow(0, row, features.size(0));
            logLikelihood += likelihood.LogLikelihood(output, target).sum(ScalarType.Float64).item<double>();
            add(features.to(ScalarType.Float64), output.to(ScalarType.Float64), target);
        });
        return (finish(), logLikelihood);

        Tensor Zeros(params long[] shape) => zeros(shape, ScalarType.Float64, layer.Device);
    }

    /// <summary>diag(p) - p p^T of each row, (rows, K, K); zero where the label is missing.</summary>
    private static Tensor Information(CategoricalLikelihood likelihood, Tensor output, Tensor target)
    {
        Tensor p = output.softmax(1);
        Tensor information = p.diag_embed().sub(p.unsqueeze(2).mul(p.unsqueeze(1)));
        if (likelihood.IgnoreIndex is not { } ignored)
            return information;
        using TorchSharp.Scalar index = ignored;
        return information.mul(target.ne(index).to(p.dtype).reshape(-1, 1, 1));
    }

    /// <summary>The information of each output, which are independent: (rows, K).</summary>
    private static Tensor Information(Likelihood likelihood, Tensor output, Tensor target)
    {
        if (likelihood is BernoulliLikelihood)
        {
            Tensor p = output.sigmoid();
            return p.mul(p.neg().Plus(1)).masked_fill(target.isnan(), Scalars.Zero);
        }

        // In the mean 1 / noise^2; in s, with noise = e^s + least, 2 (d ln noise / d s)^2.
        var heteroscedastic = (HeteroscedasticGaussianLikelihood)likelihood;
        long half = output.size(1) / 2;
        Tensor spread = output.narrow(1, half, half).exp(), noise = spread.Plus(heteroscedastic.MinNoise);
        Tensor absent = target.isnan();
        return cat([noise.Squared().reciprocal().masked_fill(absent, Scalars.Zero), spread.div(noise).Squared().mul(Scalars.Two).masked_fill(absent, Scalars.Zero)], 1);
    }
}
