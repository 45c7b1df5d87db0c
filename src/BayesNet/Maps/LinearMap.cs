using BayesNet.Kernels;
using BayesNet.Runtime;
using static TorchSharp.torch;

namespace BayesNet.Maps;

/// <summary>y = x W' + b over the last dimension, as <c>nn.Linear</c> computes it.</summary>
public sealed class LinearMap : AffineMap, ILocalProducts
{
    private readonly long[] _weightShape;

    /// <summary>Creates the map from <paramref name="inputs"/> to <paramref name="outputs"/> features.</summary>
    /// <exception cref="ArgumentOutOfRangeException">Either is below 1.</exception>
    public LinearMap(long inputs, long outputs)
        => _weightShape = [Guard.AtLeastOne(outputs), Guard.AtLeastOne(inputs)];

    /// <inheritdoc/>
    public override ReadOnlySpan<long> WeightShape => _weightShape;

    /// <inheritdoc/>
    public override long OutputChannels => _weightShape[0];

    /// <inheritdoc/>
    public override long InputChannels => _weightShape[1];

    /// <inheritdoc/>
    public override bool IsBatched(Tensor input)
    {
        long rank = input.dim();
        if (rank == 0 || input.size(-1) != InputChannels)
        {
            throw new ArgumentException(
                $"A linear map of {InputChannels} features got an input of shape {Guard.Format(input.shape)}; "
                + $"the last dimension must be {InputChannels}.", nameof(input));
        }

        return rank > 1;
    }

    /// <inheritdoc/>
    public override Tensor Apply(Tensor input, Tensor weight, Tensor? bias) => nn.functional.linear(input, weight, bias);

    /// <inheritdoc/>
    public override Tensor ApplyPerExample(Tensor input, Tensor weight, Tensor? bias)
    {
        // input (batch, positions..., in) -> (batch, P, in); weight (batch, out, in); product (batch, P, out)
        long[] shape = input.shape;
        Tensor flat = shape.Length == 3 ? input : input.reshape(shape[0], -1, InputChannels);
        Tensor product = flat.bmm(weight.transpose(1, 2));
        if (bias is not null)
            product = product.Plus(bias.unsqueeze(1));
        if (shape.Length == 3)
            return product;
        shape[^1] = OutputChannels;
        return product.reshape(shape);
    }

    /// <inheritdoc/>
    public override Tensor OverPositions(Tensor perChannel, long rank)
    {
        if (rank == 2)
            return perChannel;
        var shape = new long[rank];
        Array.Fill(shape, 1);
        shape[0] = perChannel.size(0);
        shape[^1] = perChannel.size(1);
        return perChannel.reshape(shape);
    }

    /// <inheritdoc/>
    public override int ChannelDimension(long rank) => (int)rank - 1;

    /// <inheritdoc/>
    public override string ToString() => $"linear {InputChannels} -> {OutputChannels}";

    Tensor ILocalProducts.Prepare(Tensor input)
    {
        if (input.dim() == 2)
            return input.contiguous();
        using Tensor flat = input.reshape(-1, InputChannels);
        return flat.contiguous();
    }

    Tensor ILocalProducts.Finish(Tensor product, Tensor input)
        => input.dim() == 2 ? product : product.view([.. input.shape.AsSpan(0, (int)input.dim() - 1), OutputChannels]);

    Tensor ILocalProducts.Product(Tensor prepared, Tensor weight, Tensor? bias) => nn.functional.linear(prepared, weight, bias);

    Tensor ILocalProducts.InputGradient(Tensor gradient, Tensor prepared, Tensor weight) => gradient.mm(weight);

    void ILocalProducts.WeightGradient(Tensor gradient, Tensor prepared, Tensor target, bool add)
    {
        if (MatrixProduct.TryMultiplyTransposed(gradient, prepared, target, add))
            return;
        using Tensor transposed = gradient.t();
        target.addmm_(transposed, prepared, add ? 1 : 0, 1);
    }

    Tensor ILocalProducts.BiasGradient(Tensor gradient) => gradient.sum(dim: 0);
}
