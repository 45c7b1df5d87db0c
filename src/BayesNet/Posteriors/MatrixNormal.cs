using BayesNet.Estimators;
using BayesNet.Maps;
using BayesNet.Reparameterization;
using BayesNet.Runtime;
using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace BayesNet.Posteriors;

/// <summary>
/// Matrix normal over a weight seen as a matrix (out, n): w = M + A E B', E of independent normals, so that Cov[vec(w)] is the Kronecker
/// product of U = A A' over outputs and V = B B' over what an output reads (Louizos and Welling 2016, section 2). A and B are lower
/// triangular with positive diagonals; memory is O(out^2 + n^2).
/// </summary>
/// <remarks>
/// State dict: <c>mean</c>, <c>output_factor</c> (out, out) and <c>input_factor</c> (n, n), with the logarithm of the diagonal in the
/// diagonal's place. The scale of A times that of B is what the data see. Local reparameterization has the exact law of an example's
/// outputs, their covariance (x'Vx) U included, where the map has one group of channels.
/// </remarks>
public sealed class MatrixNormal : GaussianPosterior, ILocallyReparameterizable
{
    [ComponentName(Name = "output_factor")]
    private readonly Parameter _outputFactor;

    [ComponentName(Name = "input_factor")]
    private readonly Parameter _inputFactor;

    private readonly WeightLayout _layout;
    private readonly long[] _outputsFirst;
    private readonly long _rows;
    private readonly long _columns;

    /// <summary>Creates a posterior with the given initial means, A = I and B the standard deviation times I.</summary>
    /// <param name="initialMean">The means, shape W of two dimensions or more; copied.</param>
    /// <param name="initialStdDev">The standard deviation every entry starts with.</param>
    /// <param name="layout">Which dimensions of W count outputs and inputs.</param>
    /// <exception cref="ArgumentException"><paramref name="initialMean"/> has fewer than two dimensions.</exception>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="initialStdDev"/> is not a finite number above zero.</exception>
    /// <exception cref="NotSupportedException"><paramref name="initialMean"/> is not float32 or float64.</exception>
    public MatrixNormal(Tensor initialMean, double initialStdDev, WeightLayout layout = default)
        : base(nameof(MatrixNormal), initialMean)
    {
        if (initialMean.dim() < 2)
        {
            throw new ArgumentException(
                $"A matrix normal needs a weight of two dimensions or more and got shape {Guard.Format(Shape)}; use a MeanFieldGaussian for a bias.",
                nameof(initialMean));
        }

        _layout = layout;
        _outputsFirst = layout.ShapeOf(Shape);
        _rows = _outputsFirst[0];
        _columns = initialMean.numel() / _rows;
        double logStdDev = Math.Log(Guard.Positive(initialStdDev));
        using (NewDisposeScope())
        using (no_grad())
        {
            _outputFactor = OwnedTensors.Parameter(zeros([_rows, _rows], dtype: initialMean.dtype, device: initialMean.device));
            _inputFactor = OwnedTensors.Parameter(eye(_columns, dtype: initialMean.dtype, device: initialMean.device).Times(logStdDev));
        }

        RegisterComponents();
    }

    /// <inheritdoc/>
    public override Tensor Variance
    {
        get
        {
            using var scope = NewDisposeScope();
            Tensor rows = OutputFactor().Squared().sum(dim: 1, keepdim: true), columns = InputFactor().Squared().sum(dim: 1);
            return FromMatrices(rows.mul(columns), Shape).MoveToOuterDisposeScope();
        }
    }

    /// <inheritdoc/>
    public override bool HasIndependentSymmetricEntries => false;

    /// <summary>A, (out, out), of U = A A'; differentiable.</summary>
    public Tensor OutputFactor() => CholeskyGaussianDistribution.Factor(_outputFactor, ScaleParameterization.Log);

    /// <summary>B, (n, n), of V = B B'; differentiable.</summary>
    public Tensor InputFactor() => CholeskyGaussianDistribution.Factor(_inputFactor, ScaleParameterization.Log);

    /// <inheritdoc/>
    public override Tensor Deviation(Tensor eps)
    {
        using var scope = NewDisposeScope();
        return FromMatrices(OutputFactor().matmul(AsMatrices(eps)).matmul(InputFactor().t()), eps.shape).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public override Tensor LogDensity(Tensor weight)
    {
        using var scope = NewDisposeScope();
        Tensor left = linalg.solve_triangular(OutputFactor(), AsMatrices(weight.sub(Mean)), upper: false);
        Tensor eps = linalg.solve_triangular(InputFactor(), left.transpose(1, 2), upper: false);
        Tensor density = LocationScaleLaw.Normal.LogDensity(eps).sum([1, 2]).sub(LogDeterminant());
        return density.reshape(weight.shape.AsSpan(..^Shape.Length).ToArray()).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public override Tensor Entropy()
    {
        using var scope = NewDisposeScope();
        return LogDeterminant().Plus(Count * LocationScaleLaw.Normal.Entropy).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public string? WhyNotLocally(AffineMap map)
    {
        ArgumentNullException.ThrowIfNull(map);
        return map.WhyNotByOutput is { } reason ? $"the entries of a row covary under a {GetName()} posterior, and {reason}"
            : map.HasOneGroup ? null
            : $"under a {GetName()} posterior the channel groups of a {map} covary in a way that is not a matrix normal's";
    }

    /// <inheritdoc/>
    public Tensor OutputVariance(AffineMap map, Tensor input, Tensor? biasVariance)
    {
        ArgumentNullException.ThrowIfNull(map);
        using var scope = NewDisposeScope();
        Tensor quadratic = Quadratic(map, input);
        Tensor perOutput = OutputFactor().Squared().sum(dim: 1).unsqueeze(0);
        Tensor variance = quadratic.mul(map.OverPositions(perOutput, quadratic.dim()));
        if (biasVariance is not null)
            variance = variance.Plus(map.OverPositions(biasVariance.unsqueeze(0), variance.dim()));
        return variance.MoveToOuterDisposeScope();
    }

    /// <summary>sqrt(x'Vx) A zeta for each example and position, and the bias's own deviation.</summary>
    /// <inheritdoc cref="ILocallyReparameterizable.SampleOutputDeviation"/>
    public Tensor SampleOutputDeviation(AffineMap map, Tensor input, Tensor? biasVariance, NoiseSource noise)
    {
        ArgumentNullException.ThrowIfNull(map);
        ArgumentNullException.ThrowIfNull(noise);
        using var scope = NewDisposeScope();
        Tensor root = ILocallyReparameterizable.Root(Quadratic(map, input));
        int channel = map.ChannelDimension(root.dim());
        long[] shape = root.shape;
        shape[channel] = _rows;
        Tensor zeta = noise.Normal(shape, root.dtype, root.device);
        Tensor correlated = zeta.transpose(channel, -1).matmul(OutputFactor().t()).transpose(channel, -1);
        Tensor deviation = correlated.mul(root);
        if (biasVariance is not null)
        {
            Tensor stdDev = map.OverPositions(ILocallyReparameterizable.Root(biasVariance).unsqueeze(0), root.dim());
            deviation = addcmul(deviation, stdDev, noise.Normal(shape, root.dtype, root.device), Scalars.One);
        }

        return deviation.MoveToOuterDisposeScope();
    }

    /// <summary>x'Vx = |B'x|^2 for each example and position: the map's output shape with one channel.</summary>
    private Tensor Quadratic(AffineMap map, Tensor input)
    {
        using var scope = NewDisposeScope();
        return map.SumOfSquares(input, InputFactor().t().reshape([1, _columns, .. _outputsFirst.AsSpan(1)])).MoveToOuterDisposeScope();
    }

    /// <summary>(L, W) or (W) as (S, out, n), S the product of L.</summary>
    private Tensor AsMatrices(Tensor value) => _layout.ToOutputsFirst(value, Shape).reshape(-1, _rows, _columns);

    /// <summary>The inverse, in the given shape.</summary>
    private Tensor FromMatrices(Tensor matrices, ReadOnlySpan<long> shape)
        => _layout.FromOutputsFirst(matrices.reshape([-1, .. _outputsFirst])).reshape(shape.ToArray());

    /// <summary>How the weight is laid out.</summary>
    internal WeightLayout Layout => _layout;

    /// <summary>1/2 ln det Cov[vec(w)] = n ln det A + out ln det B.</summary>
    private Tensor LogDeterminant()
    {
        using var scope = NewDisposeScope();
        return _outputFactor.diagonal().sum().Times(_columns).Plus(_inputFactor.diagonal().sum().Times(_rows)).MoveToOuterDisposeScope();
    }
}

/// <summary>Matrix normal: see <see cref="MatrixNormal"/>. A bias, which is no matrix, gets independent entries.</summary>
public sealed record MatrixNormalSpecification : PosteriorSpecification
{
    /// <summary>The standard deviation that every entry starts with; 0.01 by default.</summary>
    /// <exception cref="ArgumentOutOfRangeException">Not a finite number above zero.</exception>
    public double InitialStdDev { get; init => field = Guard.Positive(value, nameof(InitialStdDev)); } = 0.01;

    /// <inheritdoc/>
    public override Posterior Create(Tensor initialMean) => Create(initialMean, WeightLayout.OutputsFirst);

    /// <inheritdoc/>
    public override Posterior Create(Tensor initialMean, WeightLayout layout)
        => initialMean.dim() <= 1 ? new MeanFieldGaussian(initialMean, InitialStdDev) : new MatrixNormal(initialMean, InitialStdDev, layout);
}
