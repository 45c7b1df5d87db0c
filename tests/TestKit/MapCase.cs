using BayesNet.Maps;
using TorchSharp;
using static TorchSharp.torch;

namespace BayesNet.TestKit;

/// <summary>An affine map with the shape of an input: one line here, and the map goes through the whole battery.</summary>
public sealed record MapCase(string Name, Func<AffineMap> Create, long[] InputShape)
{
    /// <summary>Every map, with the geometries that matter.</summary>
    public static IReadOnlyList<MapCase> All { get; } =
    [
        new("linear", () => new LinearMap(3, 2), [2, 3]) { IsRepresentative = true },
        new("linear over positions", () => new LinearMap(3, 2), [2, 2, 3]) { IsRepresentative = true },
        new("linear over a grid", () => new LinearMap(2, 2), [2, 2, 2, 2]),
        new("conv1d", () => new ConvolutionMap(2, 2, [3], padding: [1]), [2, 2, 4]),
        new("conv1d same, even kernel", () => new ConvolutionMap(1, 2, [2], samePadding: true), [2, 1, 3]),
        new("conv1d grouped, strided, dilated", () => new ConvolutionMap(4, 2, [2], stride: [2], dilation: [2], groups: 2), [2, 4, 6]) { IsRepresentative = true },
        new("conv2d", () => new ConvolutionMap(1, 2, [2, 2]), [2, 1, 3, 3]) { IsRepresentative = true },
        new("conv2d circular", () => new ConvolutionMap(1, 2, [3, 2], padding: [1, 1], stride: [2, 1], paddingMode: PaddingModes.Circular), [2, 1, 3, 2]),
        new("conv2d reflect, depthwise", () => new ConvolutionMap(2, 2, [3, 3], padding: [1, 1], groups: 2, paddingMode: PaddingModes.Reflect), [2, 2, 3, 2]),
        new("conv3d", () => new ConvolutionMap(1, 2, [2, 1, 2], padding: [1, 0, 0]), [2, 1, 2, 2, 2]),
        new("transposed conv1d, grouped, strided, cut, dilated", () => new TransposedConvolutionMap(4, 2, [2], [3], [1], [2], [2], 2), [2, 4, 2]),
        new("transposed conv2d", () => new TransposedConvolutionMap(1, 2, [2, 1], [1, 2], null, [0, 1]), [2, 1, 2, 2]),
        new("embedding", () => new EmbeddingMap(4, 2), [2, 3]) { Indices = 4 },
        new("embedding bag", () => new EmbeddingBagMap(3, 2, tensor([0.5, -1, 2, 0, 1, 0.3], [2, 3], ScalarType.Float64)), [2, 3]) { Indices = 3 },
        new("bilinear", () => new BilinearMap(2, 3, 2), [2, 5]),
        new("scale over channels", () => ScaleMap.OverChannels(3), [2, 3, 2]),
    ];

    /// <summary>Whether the map stands for the others where all of them would take too long.</summary>
    public bool IsRepresentative { get; init; }

    /// <summary>The number of values that an entry of the input takes where it is an index; 0 where it is a number.</summary>
    public long Indices { get; init; }

    /// <summary>A random input, of int64 where it is indices.</summary>
    public Tensor Input(ScalarType dtype) => Indices > 0 ? randint(Indices, InputShape, ScalarType.Int64) : randn(InputShape, dtype: dtype);

    /// <summary>The case of the given name.</summary>
    public static MapCase Named(string name) => All.Single(known => known.Name == name);

    /// <summary>The matrix J of the map at an input: vec(f(x, w, 0)) = J vec(w), found column by column with basis weights.</summary>
    /// <returns>(size of the output, size of the weight), float64.</returns>
    public static Tensor Jacobian(AffineMap map, Tensor input)
    {
        using var scope = NewDisposeScope();
        long[] shape = map.WeightShape.ToArray();
        long size = shape.Aggregate((a, b) => a * b);
        Tensor basis = eye(size, dtype: ScalarType.Float64);
        var columns = new Tensor[size];
        for (long i = 0; i < size; i++)
            columns[i] = map.Apply(input, basis[i].reshape(shape), null).flatten();
        return stack(columns, 1).MoveToOuterDisposeScope();
    }

    /// <summary>The matrix B of the bias: vec(f(x, 0, b)) = B b.</summary>
    public static Tensor BiasJacobian(AffineMap map, Tensor input)
    {
        using var scope = NewDisposeScope();
        Tensor zero = zeros(map.WeightShape.ToArray(), dtype: ScalarType.Float64);
        Tensor basis = eye(map.OutputChannels, dtype: ScalarType.Float64);
        var columns = new Tensor[map.OutputChannels];
        for (long i = 0; i < columns.Length; i++)
            columns[i] = map.Apply(input, zero, basis[i]).flatten();
        return stack(columns, 1).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public override string ToString() => Name;
}
