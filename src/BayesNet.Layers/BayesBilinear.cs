using BayesNet.Estimators;
using BayesNet.Maps;
using BayesNet.Posteriors;
using BayesNet.Priors;
using BayesNet.Runtime;
using static TorchSharp.torch;

namespace BayesNet.Layers;

/// <summary>A Bayesian <c>nn.Bilinear</c>: y_o = x1' A_o x2 + b_o; inputs (..., in1) and (..., in2), output (..., out).</summary>
/// <remarks>
/// The first dimension of inputs with two or more dimensions counts examples. Local reparameterization is exact for the outputs of one position,
/// Var[y_o] = sum_ij x1_i^2 x2_j^2 sigma_oij^2, and drops the covariance between positions. Flipout has signs for both inputs.
/// </remarks>
public sealed class BayesBilinear : nn.Module<Tensor, Tensor, Tensor>, IBayesianModule
{
    private readonly InnerLayer _layer;

    /// <summary>Creates a layer from <paramref name="firstInputs"/> and <paramref name="secondInputs"/> to <paramref name="outputs"/> features.</summary>
    /// <param name="firstInputs">Features of x1.</param>
    /// <param name="secondInputs">Features of x2.</param>
    /// <param name="outputs">Features of the output.</param>
    /// <param name="hasBias">Whether there is a bias.</param>
    /// <param name="device">Where the parameters live; null for the default device.</param>
    /// <param name="dtype">float32 or float64; null for the default type.</param>
    /// <param name="options">Posterior, prior and estimator; null for <see cref="BayesOptions.Default"/>.</param>
    /// <exception cref="ArgumentOutOfRangeException">A size is below 1.</exception>
    /// <exception cref="NotSupportedException">The type is a half-precision one, or the estimator does not fit the posterior.</exception>
    public BayesBilinear(
        long firstInputs, long secondInputs, long outputs, bool hasBias = true, Device? device = null, ScalarType? dtype = null, BayesOptions? options = null)
        : base(nameof(BayesBilinear))
    {
        Map = new BilinearMap(firstInputs, secondInputs, outputs);
        _layer = new InnerLayer(nameof(BayesBilinear), Map, hasBias, device, dtype, options);
        _layer.RegisterIn(this);
    }

    /// <summary>Creates a layer whose means start at given weights, such as those of a trained <c>nn.Bilinear</c>.</summary>
    /// <param name="weight">(out, in1, in2); copied. Its type and device become the layer's.</param>
    /// <param name="bias">(out), copied, or null for a layer without a bias.</param>
    /// <param name="options">Posterior, prior and estimator; null for <see cref="BayesOptions.Default"/>.</param>
    /// <exception cref="ArgumentException">The weight has another number of dimensions than three.</exception>
    /// <exception cref="NotSupportedException">The type is a half-precision one, or the estimator does not fit the posterior.</exception>
    public BayesBilinear(Tensor weight, Tensor? bias = null, BayesOptions? options = null)
        : base(nameof(BayesBilinear))
    {
        ArgumentNullException.ThrowIfNull(weight);
        if (weight.dim() != 3)
            throw new ArgumentException($"The weight has shape {Guard.Format(weight.shape)}; a bilinear layer's is (out, in1, in2).", nameof(weight));
        Map = new BilinearMap(weight.size(1), weight.size(2), weight.size(0));
        _layer = new InnerLayer(nameof(BayesBilinear), Map, () => (weight, bias), options);
        _layer.RegisterIn(this);
    }

    /// <summary>What the layer computes, of both inputs in one tensor.</summary>
    public BilinearMap Map { get; }

    /// <inheritdoc cref="BayesianLayer.WeightPosterior"/>
    public Posterior WeightPosterior => _layer.WeightPosterior;

    /// <inheritdoc cref="BayesianLayer.BiasPosterior"/>
    public Posterior? BiasPosterior => _layer.BiasPosterior;

    /// <inheritdoc cref="BayesianLayer.WeightPrior"/>
    public Prior WeightPrior => _layer.WeightPrior;

    /// <inheritdoc cref="BayesianLayer.BiasPrior"/>
    public Prior? BiasPrior => _layer.BiasPrior;

    /// <inheritdoc/>
    public Estimator Estimator
    {
        get => _layer.Estimator;
        set => _layer.Estimator = value;
    }

    /// <inheritdoc/>
    public NoiseSource Noise => _layer.Noise;

    /// <inheritdoc/>
    public IReadOnlyList<(Posterior Posterior, Prior Prior)> DivergenceTerms => _layer.DivergenceTerms;

    /// <inheritdoc/>
    public string? WhyNot(Estimator estimator) => _layer.WhyNot(estimator);

    /// <inheritdoc/>
    public Tensor KlDivergence() => _layer.KlDivergence();

    /// <summary>The layer's output with noise as the estimator draws it, fresh at every call.</summary>
    /// <param name="input1">x1, (..., in1).</param>
    /// <param name="input2">x2, (..., in2), the other dimensions as those of x1.</param>
    /// <returns>(..., out), differentiable in the inputs and in the posterior's parameters.</returns>
    /// <exception cref="ArgumentException">Shapes or types do not fit.</exception>
    public override Tensor forward(Tensor input1, Tensor input2)
    {
        ArgumentNullException.ThrowIfNull(input1);
        ArgumentNullException.ThrowIfNull(input2);
        bool fit = input1.dim() > 0 && input1.dim() == input2.dim() && input1.size(-1) == Map.FirstInputs && input2.size(-1) == Map.SecondInputs
            && input1.shape.AsSpan(..^1).SequenceEqual(input2.shape.AsSpan(..^1)) && input1.dtype == input2.dtype;
        if (!fit)
        {
            throw new ArgumentException(
                $"The map {Map} got inputs of shapes {Guard.Format(input1.shape)} ({input1.dtype}) and {Guard.Format(input2.shape)} ({input2.dtype}); it takes "
                + $"(..., {Map.FirstInputs}) and (..., {Map.SecondInputs}), alike but for the last dimension.", nameof(input2));
        }

        using Tensor joined = cat([input1, input2], -1);
        return _layer.Draw(Map, joined);
    }

    /// <summary>The layer's parts in one line.</summary>
    public override string ToString() => _layer.ToString();

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
            _layer.Dispose();
        base.Dispose(disposing);
    }
}
