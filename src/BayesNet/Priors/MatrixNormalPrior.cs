using BayesNet.Estimators;
using BayesNet.Maps;
using BayesNet.Posteriors;
using BayesNet.Reparameterization;
using BayesNet.Runtime;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace BayesNet.Priors;

/// <summary>
/// A matrix normal prior, w = M + A E B' with E of independent normals: the posterior of an earlier task, say, as the prior of the next.
/// </summary>
/// <remarks>State dict: the buffers <c>mean</c>, <c>output_factor</c> (A) and <c>input_factor</c> (B).</remarks>
public sealed class MatrixNormalPrior : Prior
{
    [ComponentName(Name = "mean")]
    private readonly Tensor _mean;

    [ComponentName(Name = "output_factor")]
    private readonly Tensor _outputFactor;

    [ComponentName(Name = "input_factor")]
    private readonly Tensor _inputFactor;

    private readonly WeightLayout _layout;
    private readonly long[] _outputsFirst;

    /// <summary>Creates a prior.</summary>
    /// <param name="mean">M, the weight's shape; copied.</param>
    /// <param name="outputFactor">A, (out, out), lower triangular with a positive diagonal; copied.</param>
    /// <param name="inputFactor">B, (n, n), the same, n the entries of the weight of one output; copied.</param>
    /// <param name="layout">Which dimensions of the weight count outputs and inputs.</param>
    /// <exception cref="ArgumentException">Shapes do not fit, or a factor is not lower triangular with a positive diagonal.</exception>
    public MatrixNormalPrior(Tensor mean, Tensor outputFactor, Tensor inputFactor, WeightLayout layout = default)
        : base(nameof(MatrixNormalPrior))
    {
        ArgumentNullException.ThrowIfNull(mean);
        Guard.AllFinite(mean);
        if (mean.dim() < 2)
            throw new ArgumentException($"mean has shape {Guard.Format(mean.shape)}; a matrix normal needs two dimensions or more.", nameof(mean));
        _layout = layout;
        _outputsFirst = layout.ShapeOf(mean.shape);
        Factor(outputFactor, _outputsFirst[0], nameof(outputFactor));
        Factor(inputFactor, mean.numel() / _outputsFirst[0], nameof(inputFactor));
        using (NewDisposeScope())
        {
            _mean = mean.detach().clone().DetachFromDisposeScope();
            _outputFactor = outputFactor.detach().clone().DetachFromDisposeScope();
            _inputFactor = inputFactor.detach().clone().DetachFromDisposeScope();
        }

        RegisterComponents();
    }

    internal override bool HasIndependentEntries => false;

    /// <summary>M: the buffer itself.</summary>
    public Tensor Mean => _mean;

    /// <summary>A: the buffer itself.</summary>
    public Tensor OutputFactor => _outputFactor;

    /// <summary>B: the buffer itself.</summary>
    public Tensor InputFactor => _inputFactor;

    /// <summary>The posterior as it stands, frozen as a prior.</summary>
    public static MatrixNormalPrior From(MatrixNormal posterior)
    {
        ArgumentNullException.ThrowIfNull(posterior);
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        return new MatrixNormalPrior(posterior.Mean, posterior.OutputFactor(), posterior.InputFactor(), posterior.Layout);
    }

    /// <inheritdoc/>
    public override Tensor LogDensity(Tensor weight)
    {
        using var scope = NewDisposeScope();
        Tensor standard = LocationScaleLaw.Normal.LogDensity(Standardise(weight)).sum([1, 2]).sub(LogDeterminant());
        return standard.reshape([.. weight.shape.AsSpan(..^(int)_mean.dim()), 1]).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public override Tensor Sample(NoiseSource noise, ReadOnlySpan<long> shape, ScalarType dtype, Device device)
    {
        ArgumentNullException.ThrowIfNull(noise);
        using var scope = NewDisposeScope();
        Tensor eps = noise.Normal(shape, dtype, device).reshape(-1, _outputFactor.size(0), _inputFactor.size(0));
        Tensor deviation = _outputFactor.matmul(eps).matmul(_inputFactor.t());
        return _layout.FromOutputsFirst(deviation.reshape([-1, .. _outputsFirst])).reshape(shape.ToArray()).Plus(_mean).MoveToOuterDisposeScope();
    }

    /// <summary>E' of w = M + A E B' for each weight (L, W), shape (S, n, out).</summary>
    internal Tensor Standardise(Tensor weight)
    {
        using var scope = NewDisposeScope();
        Tensor matrices = _layout.ToOutputsFirst(weight.sub(_mean), _mean.shape).reshape(-1, _outputFactor.size(0), _inputFactor.size(0));
        Tensor left = linalg.solve_triangular(_outputFactor, matrices, upper: false);
        return linalg.solve_triangular(_inputFactor, left.transpose(1, 2), upper: false).MoveToOuterDisposeScope();
    }

    /// <summary>1/2 ln det Cov[vec(w)], a scalar.</summary>
    internal Tensor LogDeterminant()
    {
        using var scope = NewDisposeScope();
        Tensor outputs = _outputFactor.diagonal().log().sum().Times(_inputFactor.size(0));
        return outputs.Plus(_inputFactor.diagonal().log().sum().Times(_outputFactor.size(0))).MoveToOuterDisposeScope();
    }

    private static void Factor(Tensor factor, long size, string name)
    {
        ArgumentNullException.ThrowIfNull(factor, name);
        Guard.AllFinite(factor, name);
        using var scope = NewDisposeScope();
        bool fits = factor.dim() == 2 && factor.size(0) == size && factor.size(1) == size;
        if (!fits || !factor.diagonal().gt(Scalars.Zero).all().item<bool>() || !factor.triu(1).eq(Scalars.Zero).all().item<bool>())
        {
            throw new ArgumentException(
                $"{name} has shape {Guard.Format(factor.shape)}; it must be ({size}, {size}), lower triangular with a positive diagonal, as "
                + "linalg.cholesky returns it.", name);
        }
    }
}
