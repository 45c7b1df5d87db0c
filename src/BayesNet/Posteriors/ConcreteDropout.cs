using BayesNet.Estimators;
using BayesNet.Maps;
using BayesNet.Reparameterization;
using BayesNet.Runtime;
using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace BayesNet.Posteriors;

/// <summary>
/// Dropout on a layer's inputs with a learned rate p, as a posterior of its weight: column k is m_k z_k / (1 - p), z_k kept with probability
/// 1 - p (Gal, Hron and Kendall 2017). In training z is the concrete relaxation of a Bernoulli draw, differentiable in p; in evaluation
/// mode it is the draw itself, exactly 0 or 1.
/// </summary>
/// <remarks>
/// State dict: <c>mean</c> (m), the weight's shape, and <c>logit</c>, ln(p / (1 - p)), one or one for each input. Columns are the weight's
/// second dimension, of a transposed convolution its first: input features, or the input channels of a group. The posterior has no density. Its divergence from a Gaussian prior
/// leaves out the constant that the paper leaves out, and is |m|^2 / (2 s^2 (1 - p)) - K H(p) for N(0, s^2), K masks and H the entropy of
/// a Bernoulli draw, plus P ln s + P/2 ln 2 pi. Weights per example masks the inputs of each example, and is the dropout of the textbooks;
/// shared weights masks the batch as one.
/// </remarks>
public sealed class ConcreteDropout : Posterior, IInputMultiplicative
{
    [ComponentName(Name = "mean")]
    private readonly Parameter _mean;

    [ComponentName(Name = "logit")]
    private readonly Parameter _logit;

    private readonly double _temperature;
    private readonly int _inputDimension;

    /// <summary>Creates a posterior with the given initial weights and one initial rate.</summary>
    /// <param name="initialMean">m, shape W of two dimensions or more; copied. Its type and device become the posterior's.</param>
    /// <param name="initialRate">p, strictly between 0 and 1.</param>
    /// <param name="ratePerInput">Whether each input learns a rate of its own; else there is one.</param>
    /// <param name="temperature">The temperature of the relaxation in training.</param>
    /// <param name="layout">Which dimensions of W count outputs and inputs.</param>
    /// <exception cref="ArgumentException"><paramref name="initialMean"/> has fewer than two dimensions: it has no inputs.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The rate is not between 0 and 1, or the temperature not a finite number above zero.</exception>
    /// <exception cref="NotSupportedException"><paramref name="initialMean"/> is not float32 or float64.</exception>
    public ConcreteDropout(
        Tensor initialMean, double initialRate = 0.1, bool ratePerInput = false, double temperature = 0.1, WeightLayout layout = default)
        : base(nameof(ConcreteDropout), initialMean.shape)
    {
        Guard.OpenUnitInterval(initialRate);
        _temperature = Guard.Positive(temperature);
        _inputDimension = layout.InputDimension;
        if (initialMean.dim() < 2)
        {
            throw new ArgumentException(
                $"Concrete dropout masks inputs, and a weight of shape {Guard.Format(Shape)} has none; use a MeanFieldGaussian for a bias.", nameof(initialMean));
        }

        ParameterSharing sharing = ratePerInput ? ParameterSharing.PerInput : ParameterSharing.PerLayer;
        using (NewDisposeScope())
        using (no_grad())
        {
            _mean = OwnedTensors.Location(initialMean);
            Tensor logit = zeros(sharing.ShapeOver(Shape, layout), dtype: initialMean.dtype, device: initialMean.device);
            _logit = OwnedTensors.Parameter(logit.Plus(Math.Log(initialRate / (1 - initialRate))));
        }

        RegisterComponents();
    }

    /// <inheritdoc/>
    public override Tensor Mean => _mean;

    /// <summary>p, one for the layer or for each input, in a shape that broadcasts to the weight's; differentiable.</summary>
    public Tensor Rate => _logit.sigmoid();

    /// <inheritdoc/>
    public override Tensor Variance
    {
        get
        {
            // p / (1 - p) is exp(logit).
            using var scope = NewDisposeScope();
            return _mean.Squared().mul(_logit.exp()).MoveToOuterDisposeScope();
        }
    }

    /// <inheritdoc/>
    public override bool HasIndependentSymmetricEntries => false;

    /// <inheritdoc/>
    /// <returns>(L, columns): a logistic draw for each mask.</returns>
    public override Tensor SampleNoise(NoiseSource noise, ReadOnlySpan<long> leading)
        => BaseNoise.Logistic.Draw(noise, [.. leading, Shape[_inputDimension]], _mean.dtype, _mean.device);

    /// <inheritdoc/>
    public override Tensor Transform(Tensor eps)
    {
        using var scope = NewDisposeScope();
        Tensor factor = InputFactor(eps);
        var entries = new long[Shape.Length];
        Array.Fill(entries, 1);
        entries[_inputDimension] = Shape[_inputDimension];
        long[] shape = [.. eps.shape.AsSpan(..^1), .. entries];
        return factor.reshape(shape).mul(_mean).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public override Tensor Deviation(Tensor eps)
    {
        using var scope = NewDisposeScope();
        return Transform(eps).sub(_mean).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public Tensor InputFactor(Tensor eps)
    {
        using var scope = NewDisposeScope();
        Tensor logit = _logit.flatten();
        Tensor keep = Gate.Open(eps.sub(logit), training, _temperature);

        // 1 / (1 - p) = 1 + exp(logit)
        return keep.mul(logit.exp().Plus(1)).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    /// <exception cref="NotSupportedException">Always: the posterior has atoms.</exception>
    public override Tensor LogDensity(Tensor weight)
        => throw new NotSupportedException("A ConcreteDropout posterior has no density; its closed divergences are from GaussianPrior and LearnedGaussianPrior.");

    /// <inheritdoc/>
    /// <remarks>The entropy of the masks; that of a weight given its mask, a constant, is left out.</remarks>
    public override Tensor Entropy()
    {
        using var scope = NewDisposeScope();
        return Gate.Entropy(_logit).sum().Times((double)Shape[_inputDimension] / _logit.numel()).MoveToOuterDisposeScope();
    }
}

/// <summary>Dropout with a learned rate: see <see cref="ConcreteDropout"/>. A bias, which has no inputs, gets independent Gaussian entries.</summary>
public sealed record ConcreteDropoutSpecification : PosteriorSpecification
{
    /// <summary>The rate p that it starts with; 0.1 by default.</summary>
    /// <exception cref="ArgumentOutOfRangeException">Not strictly between 0 and 1.</exception>
    public double InitialRate { get; init => field = Guard.OpenUnitInterval(value, nameof(InitialRate)); } = 0.1;

    /// <summary>Whether each input learns a rate of its own; false by default.</summary>
    public bool RatePerInput { get; init; }

    /// <summary>The temperature of the relaxation in training; 0.1 by default, the paper's.</summary>
    /// <exception cref="ArgumentOutOfRangeException">Not a finite number above zero.</exception>
    public double Temperature { get; init => field = Guard.Positive(value, nameof(Temperature)); } = 0.1;

    /// <summary>The standard deviation that a bias starts with; 0.01 by default.</summary>
    /// <exception cref="ArgumentOutOfRangeException">Not a finite number above zero.</exception>
    public double BiasStdDev { get; init => field = Guard.Positive(value, nameof(BiasStdDev)); } = 0.01;

    /// <inheritdoc/>
    public override Posterior Create(Tensor initialMean) => Create(initialMean, WeightLayout.OutputsFirst);

    /// <inheritdoc/>
    public override Posterior Create(Tensor initialMean, WeightLayout layout)
        => initialMean.dim() < 2
            ? new MeanFieldGaussian(initialMean, BiasStdDev)
            : new ConcreteDropout(initialMean, InitialRate, RatePerInput, Temperature, layout);
}
