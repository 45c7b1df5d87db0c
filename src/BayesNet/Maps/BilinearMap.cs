using BayesNet.Runtime;
using static TorchSharp.torch;

namespace BayesNet.Maps;

/// <summary>
/// y_o = x1' A_o x2 + b_o, as <c>nn.Bilinear</c> computes it. Both inputs come in one, (..., in1 + in2), x1 before x2; the weight is
/// (out, in1, in2).
/// </summary>
/// <remarks>
/// Computed as a linear map of the products x1_i x2_j, or, where there are fewer outputs than features of x2, as x1' (A_o x2): the smaller of the two
/// intermediate results, in1 in2 or in1 out an example.
/// </remarks>
public sealed class BilinearMap : AffineMap, ILocalProducts
{
    private readonly long[] _weightShape;
    private readonly LinearMap _ofProducts;

    /// <summary>Creates the map from <paramref name="firstInputs"/> and <paramref name="secondInputs"/> to <paramref name="outputs"/> features.</summary>
    /// <exception cref="ArgumentOutOfRangeException">A number is below 1.</exception>
    public BilinearMap(long firstInputs, long secondInputs, long outputs)
    {
        _weightShape = [Guard.AtLeastOne(outputs), Guard.AtLeastOne(firstInputs), Guard.AtLeastOne(secondInputs)];
        _ofProducts = new LinearMap(firstInputs * secondInputs, outputs);
    }

    /// <inheritdoc/>
    public override ReadOnlySpan<long> WeightShape => _weightShape;

    /// <inheritdoc/>
    public override long OutputChannels => _weightShape[0];

    /// <inheritdoc/>
    public override long InputChannels => FirstInputs + SecondInputs;

    /// <summary>The features of x1.</summary>
    public long FirstInputs => _weightShape[1];

    /// <summary>The features of x2.</summary>
    public long SecondInputs => _weightShape[2];

    /// <inheritdoc/>
    /// <remarks>The features of x1, as <c>nn.Bilinear</c> has it.</remarks>
    public override long FanIn => FirstInputs;

    internal override bool HasOneGroup => true;

    /// <inheritdoc/>
    public override bool IsBatched(Tensor input)
        => input.dim() > 0 && input.size(-1) == InputChannels
            ? input.dim() > 1
            : throw new ArgumentException(
                $"The map {this} got an input of shape {Guard.Format(input.shape)}; the last dimension must be {FirstInputs} + {SecondInputs}.", nameof(input));

    /// <inheritdoc/>
    public override Tensor Apply(Tensor input, Tensor weight, Tensor? bias)
    {
        using var scope = NewDisposeScope();
        if (weight.size(0) >= SecondInputs)
            return _ofProducts.Apply(Products(input), weight.flatten(1), bias).MoveToOuterDisposeScope();
        (Tensor first, Tensor second) = Split(input);
        Tensor projected = nn.functional.linear(second, weight.flatten(0, 1)).reshape([.. input.shape.AsSpan(..^1), weight.size(0), FirstInputs]);
        Tensor output = projected.matmul(first.unsqueeze(-1)).squeeze(-1);
        return (bias is null ? output : output.Plus(bias)).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public override Tensor ApplyPerExample(Tensor input, Tensor weight, Tensor? bias)
    {
        using var scope = NewDisposeScope();
        return _ofProducts.ApplyPerExample(Products(input), weight.flatten(2), bias).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public override Tensor OverPositions(Tensor perChannel, long rank) => _ofProducts.OverPositions(perChannel, rank);

    /// <inheritdoc/>
    public override int ChannelDimension(long rank) => _ofProducts.ChannelDimension(rank);

    /// <inheritdoc/>
    public override string ToString() => $"bilinear {FirstInputs} x {SecondInputs} -> {OutputChannels}";

    bool ILocalProducts.IsFused => OutputChannels >= SecondInputs;

    Tensor ILocalProducts.Prepare(Tensor input)
    {
        using Tensor products = Products(input);
        return ((ILocalProducts)_ofProducts).Prepare(products);
    }

    Tensor ILocalProducts.Finish(Tensor product, Tensor input) => ((ILocalProducts)_ofProducts).Finish(product, input);

    Tensor ILocalProducts.Product(Tensor prepared, Tensor weight, Tensor? bias)
    {
        using Tensor matrix = weight.flatten(1);
        return nn.functional.linear(prepared, matrix, bias);
    }

    Tensor ILocalProducts.InputGradient(Tensor gradient, Tensor prepared, Tensor weight)
    {
        using Tensor matrix = weight.flatten(1);
        return gradient.mm(matrix);
    }

    void ILocalProducts.WeightGradient(Tensor gradient, Tensor prepared, Tensor target, bool add)
    {
        using Tensor matrix = target.view(OutputChannels, -1);
        ((ILocalProducts)_ofProducts).WeightGradient(gradient, prepared, matrix, add);
    }

    Tensor ILocalProducts.BiasGradient(Tensor gradient) => ((ILocalProducts)_ofProducts).BiasGradient(gradient);

    private (Tensor First, Tensor Second) Split(Tensor input) => (input.narrow(-1, 0, FirstInputs), input.narrow(-1, FirstInputs, SecondInputs));

    /// <summary>x1_i x2_j, (..., in1 in2).</summary>
    private Tensor Products(Tensor input)
    {
        using var scope = NewDisposeScope();
        (Tensor first, Tensor second) = Split(input);
        return first.unsqueeze(-1).mul(second.unsqueeze(-2)).flatten(-2).MoveToOuterDisposeScope();
    }
}
