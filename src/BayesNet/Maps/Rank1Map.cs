using BayesNet.Runtime;
using static TorchSharp.torch;

namespace BayesNet.Maps;

/// <summary>
/// y = f(x o s, W) o r + b with a deterministic W and b: the weight W o r s' (Dusenberry et al. 2020). What is drawn is one vector, the
/// factors s of the input channels and then r of the output channels.
/// </summary>
/// <remarks>
/// A draw for each example costs two elementwise products. The map is not linear in its factors: y is a sum of products of s and r, whose law is
/// none that can be drawn from directly even where the factors are Gaussian, so local reparameterization and flipout are refused.
/// </remarks>
public sealed class Rank1Map : AffineMap
{
    private readonly long[] _weightShape;
    private readonly Func<(Tensor Weight, Tensor? Bias)> _parameters;

    /// <summary>Creates the map.</summary>
    /// <param name="inner">f, which reads the weight.</param>
    /// <param name="parameters">W and b as they are now; asked for at every application.</param>
    /// <exception cref="ArgumentException"><paramref name="inner"/> looks rows up, or has factors of its own.</exception>
    public Rank1Map(AffineMap inner, Func<(Tensor Weight, Tensor? Bias)> parameters)
    {
        ArgumentNullException.ThrowIfNull(inner);
        ArgumentNullException.ThrowIfNull(parameters);
        if (inner is LookupMap or Rank1Map or BilinearMap)
            throw new ArgumentException($"Factors of input and output channels do not go with {inner}; give a linear map or a convolution.", nameof(inner));
        (Inner, _parameters) = (inner, parameters);
        _weightShape = [inner.InputChannels + inner.OutputChannels];
    }

    /// <summary>f.</summary>
    public AffineMap Inner { get; }

    /// <inheritdoc/>
    public override ReadOnlySpan<long> WeightShape => _weightShape;

    /// <inheritdoc/>
    public override long OutputChannels => Inner.OutputChannels;

    /// <inheritdoc/>
    public override long InputChannels => Inner.InputChannels;

    /// <inheritdoc/>
    public override long FanIn => Inner.FanIn;

    internal override string? WhyNotLinear => $"the outputs of {this} are sums of products of two random factors";

    /// <inheritdoc/>
    public override bool IsBatched(Tensor input) => Inner.IsBatched(input);

    /// <inheritdoc/>
    /// <remarks>The weight is the factors; the bias is added to the map's own.</remarks>
    public override Tensor Apply(Tensor input, Tensor weight, Tensor? bias)
    {
        using Tensor one = weight.unsqueeze(0);
        using Tensor? shift = bias?.unsqueeze(0);
        return ApplyPerExample(input, one, shift);
    }

    /// <inheritdoc/>
    public override Tensor ApplyPerExample(Tensor input, Tensor weight, Tensor? bias)
    {
        using var scope = NewDisposeScope();
        (Tensor matrix, Tensor? shift) = _parameters();
        Tensor ofInputs = weight.narrow(1, 0, InputChannels), ofOutputs = weight.narrow(1, InputChannels, OutputChannels);
        Tensor product = Inner.Apply(input.mul(Inner.OverPositions(ofInputs, input.dim())), matrix, null);
        Tensor output = product.mul(Inner.OverPositions(ofOutputs, product.dim()));
        if (shift is not null)
            output = output.Plus(Inner.OverPositions(shift.unsqueeze(0), product.dim()));
        if (bias is not null)
            output = output.Plus(Inner.OverPositions(bias, product.dim()));
        return output.MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public override Tensor OverPositions(Tensor perChannel, long rank) => Inner.OverPositions(perChannel, rank);

    /// <inheritdoc/>
    public override int ChannelDimension(long rank) => Inner.ChannelDimension(rank);

    /// <inheritdoc/>
    public override string ToString() => $"rank-1 factors of {Inner}";
}
