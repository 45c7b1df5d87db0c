using BayesNet.Estimators;
using BayesNet.Runtime;
using static TorchSharp.torch;

namespace BayesNet.Inference;

/// <summary>
/// The generalised Gauss-Newton matrix H of a last layer, sum_n J_n^T Lambda_n J_n, Lambda_n the Fisher information of the likelihood in the outputs, in
/// a basis in which it is diagonal: with a prior of precision lambda the posterior's covariance is (H + lambda I)^-1. float64.
/// </summary>
internal abstract class LastLayerCurvature(Tensor eigenvalues) : IDisposable
{
    /// <summary>The eigenvalues, as many as there are weights.</summary>
    internal Tensor Eigenvalues { get; } = eigenvalues.clamp_min(Scalars.Zero).DetachFromDisposeScope();

    /// <summary>Draws of N(0, (H + precision I)^-1), (samples, D, K).</summary>
    internal abstract Tensor Deviations(NoiseSource noise, int samples, double precision);

    public virtual void Dispose() => Eigenvalues.Dispose();

    /// <summary>Independent draws with variances 1 / (h + precision), in the basis: (samples, ...) of the eigenvalues' shape.</summary>
    private protected Tensor Draw(NoiseSource noise, int samples, double precision)
        => noise.Normal([samples, .. Eigenvalues.shape], ScalarType.Float64, Eigenvalues.device).mul(Eigenvalues.Plus(precision).rsqrt());
}

/// <summary>Outputs that are independent given the features: a block for each.</summary>
/// <param name="eigenvalues">(K, D).</param>
/// <param name="basis">(K, D, D), or (1, D, D) where all outputs have one; eigenvectors in columns.</param>
internal sealed class OutputwiseCurvature(Tensor eigenvalues, Tensor basis) : LastLayerCurvature(eigenvalues)
{
    private readonly Tensor _basis = basis.alias().DetachFromDisposeScope();

    /// <summary>From blocks (K, D, D), or (1, D, D) times a factor for each of K outputs.</summary>
    internal static OutputwiseCurvature Of(Tensor blocks, Tensor? factors = null)
    {
        using var scope = NewDisposeScope();
        (Tensor eigenvalues, Tensor basis) = linalg.eigh(blocks);
        return new OutputwiseCurvature(factors is null ? eigenvalues : eigenvalues.mul(factors.unsqueeze(1)), basis);
    }

    internal override Tensor Deviations(NoiseSource noise, int samples, double precision)
        => Draw(noise, samples, precision).unsqueeze(2).matmul(_basis.transpose(1, 2)).squeeze(2).transpose(1, 2);

    /// <summary>phi^T (H + precision I)^-1 phi of each row and output, (rows, K).</summary>
    internal Tensor Variances(Tensor features, double precision)
    {
        Tensor squares = features.to(ScalarType.Float64).matmul(_basis).Squared();
        Tensor inverses = Eigenvalues.Plus(precision).reciprocal().unsqueeze(2);
        return squares.matmul(inverses).squeeze(2).t();
    }

    public override void Dispose()
    {
        base.Dispose();
        _basis.Dispose();
    }
}

/// <summary>The whole matrix.</summary>
/// <param name="eigenvalues">(K D).</param>
/// <param name="basis">(K D, K D), weights output by output.</param>
/// <param name="outputs">K.</param>
internal sealed class FullCurvature(Tensor eigenvalues, Tensor basis, long outputs) : LastLayerCurvature(eigenvalues)
{
    private readonly Tensor _basis = basis.alias().DetachFromDisposeScope();

    internal static FullCurvature Of(Tensor matrix, long outputs)
    {
        using var scope = NewDisposeScope();
        (Tensor eigenvalues, Tensor basis) = linalg.eigh(matrix);
        return new FullCurvature(eigenvalues, basis, outputs);
    }

    internal override Tensor Deviations(NoiseSource noise, int samples, double precision)
        => Draw(noise, samples, precision).matmul(_basis.t()).reshape(samples, outputs, -1).transpose(1, 2);

    public override void Dispose()
    {
        base.Dispose();
        _basis.Dispose();
    }
}

/// <summary>The Kronecker product of sum_n phi phi^T and the mean of Lambda_n (Ritter, Botev and Barber 2018), with the prior added exactly.</summary>
/// <param name="features">(D).</param>
/// <param name="featureBasis">(D, D).</param>
/// <param name="outputs">(K).</param>
/// <param name="outputBasis">(K, K).</param>
internal sealed class KroneckerCurvature(Tensor features, Tensor featureBasis, Tensor outputs, Tensor outputBasis)
    : LastLayerCurvature(features.unsqueeze(1).mul(outputs.unsqueeze(0)))
{
    private readonly Tensor _featureBasis = featureBasis.alias().DetachFromDisposeScope();
    private readonly Tensor _outputBasis = outputBasis.alias().DetachFromDisposeScope();

    internal static KroneckerCurvature Of(Tensor features, Tensor outputs)
    {
        using var scope = NewDisposeScope();
        (Tensor featureValues, Tensor featureBasis) = linalg.eigh(features);
        (Tensor outputValues, Tensor outputBasis) = linalg.eigh(outputs);
        return new KroneckerCurvature(featureValues.clamp_min(Scalars.Zero), featureBasis, outputValues.clamp_min(Scalars.Zero), outputBasis);
    }

    internal override Tensor Deviations(NoiseSource noise, int samples, double precision)
        => _featureBasis.matmul(Draw(noise, samples, precision)).matmul(_outputBasis.t());

    public override void Dispose()
    {
        base.Dispose();
        _featureBasis.Dispose();
        _outputBasis.Dispose();
    }
}
