using BayesNet.Estimators;
using BayesNet.Runtime;
using static TorchSharp.torch;

namespace BayesNet.Posteriors;

/// <summary>
/// What is believed of one weight tensor: a distribution q whose draws are w = T(theta, eps), with the parameters theta apart from the
/// noise eps. A posterior is a module, so its parameters are found by optimizers, state dicts and <c>.to(device)</c>.
/// </summary>
/// <remarks>Shapes are written with W for the weight's shape and L for leading dimensions (samples or examples).</remarks>
public abstract class Posterior : nn.Module
{
    private readonly long[] _shape;

    /// <summary>Creates a posterior over a weight of the given shape.</summary>
    protected Posterior(string name, ReadOnlySpan<long> shape)
        : base(name)
    {
        NativeLibraries.Load();
        _shape = shape.ToArray();
    }

    /// <summary>The weight's shape W.</summary>
    public ReadOnlySpan<long> Shape => _shape;

    /// <summary>The type of the weight's entries.</summary>
    internal virtual ScalarType Type
    {
        get
        {
            using var scope = NewDisposeScope();
            return Mean.dtype;
        }
    }

    /// <summary>E[w], shape W, or the centre of symmetry where the mean does not exist; differentiable in the parameters.</summary>
    public abstract Tensor Mean { get; }

    /// <summary>The marginal variance of each entry, shape W; infinite or NaN where it does not exist; differentiable in the parameters.</summary>
    public abstract Tensor Variance { get; }

    /// <summary>
    /// Whether the entries of w - E[w] are independent and symmetric about zero, which is what lets flipout multiply them by random signs
    /// without changing their joint distribution.
    /// </summary>
    public abstract bool HasIndependentSymmetricEntries { get; }

    /// <summary>Draws the noise eps of independent weights.</summary>
    /// <param name="noise">Where it comes from.</param>
    /// <param name="leading">L: how many weights, in what shape; empty for one.</param>
    /// <returns>Shape (L, W) unless the posterior documents another; no gradient.</returns>
    public abstract Tensor SampleNoise(NoiseSource noise, ReadOnlySpan<long> leading);

    /// <summary>w = T(theta, eps), shape (L, W); differentiable in the parameters.</summary>
    /// <param name="eps">What <see cref="SampleNoise"/> returned, its negative, or a replay of it.</param>
    public abstract Tensor Transform(Tensor eps);

    /// <summary>T(theta, eps) - <see cref="Mean"/>, shape (L, W), computed without the cancellation that the subtraction would have.</summary>
    public abstract Tensor Deviation(Tensor eps);

    /// <summary>ln q(w), summed over the entries of the weight.</summary>
    /// <param name="weight">Shape (L, W).</param>
    /// <returns>Shape L; differentiable in the parameters and in <paramref name="weight"/>.</returns>
    public abstract Tensor LogDensity(Tensor weight);

    /// <summary>-E[ln q(w)] in nats, a scalar; differentiable in the parameters.</summary>
    public abstract Tensor Entropy();

    /// <summary>Draws weights: <see cref="Transform"/> of <see cref="SampleNoise"/>, shape (L, W).</summary>
    public Tensor Sample(NoiseSource noise, params ReadOnlySpan<long> leading)
    {
        using Tensor eps = SampleNoise(noise, leading);
        return Transform(eps);
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
            this.DisposeOwnTensors();
        base.Dispose(disposing);
    }

    /// <summary>(L, W) summed over the weight's dimensions, shape L.</summary>
    private protected Tensor SumOverEntries(Tensor perEntry)
    {
        using Tensor flat = perEntry.flatten(perEntry.dim() - Shape.Length);
        return flat.sum(dim: -1);
    }
}
