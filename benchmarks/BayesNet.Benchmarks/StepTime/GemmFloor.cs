using BayesNet.Kernels;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace BayesNet.Benchmarks.StepTime;

/// <summary>
/// The matrix products of a local reparameterization's forward and backward pass and nothing else: two forward, two for the weights' gradients,
/// two for the inputs' but at the first layer. Convolutions are libtorch's by way of autograd, which is the only way to their backward pass.
/// </summary>
internal sealed class GemmFloor : Contestant
{
    private readonly List<Action> _products = [];

    public GemmFloor(StepTimeShape shape, Place place)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        using nn.Module<Tensor, Tensor> model = shape.Build(new DeterministicLayers(), place.Device, place.Dtype);
        Tensor x = shape.Data(place.Device, place.Dtype).Inputs;
        bool first = true;
        foreach ((string _, nn.Module layer) in model.named_children())
        {
            Tensor output = ((nn.Module<Tensor, Tensor>)layer).call(x);
            if (layer is Linear linear)
                Add(linear, x, output, first);
            else if (layer is Conv2d convolution)
                Add(convolution, x, output, first);
            first &= layer is not (Linear or Conv2d);
            x = output;
        }
    }

    public override void Run()
    {
        foreach (Action product in _products)
            product();
    }

    private void Add(Linear layer, Tensor input, Tensor output, bool first)
    {
        (int batch, int inputs, int outputs) = ((int)input.size(0), (int)input.size(1), (int)output.size(1));
        Tensor x = Keep(input), weight = Keep(layer.weight), y = Keep(output), gradient = Own(empty_like(weight)), inputGradient = Own(empty_like(x));
        if (!MatrixProduct.IsAvailable || x.device_type != DeviceType.CPU)
            Twice(Products);
        else if (x.dtype == ScalarType.Float64)
            Twice(RawProducts<double>);
        else
            Twice(RawProducts<float>);

        // Once for the means, once for the variances.
        void Twice(Action products) => _products.AddRange([products, products]);

        void Products()
        {
            using var scope = NewDisposeScope();
            using Tensor transposedWeight = weight.t(), transposedOutput = y.t();
            x.mm(transposedWeight);
            transposedOutput.mm(x);
            if (!first)
                y.mm(weight);
        }

        unsafe void RawProducts<T>()
            where T : unmanaged
        {
            T* a = TensorMemory.Pointer<T>(x), w = TensorMemory.Pointer<T>(weight), c = TensorMemory.Pointer<T>(y);
            MatrixProduct.Multiply(false, true, batch, outputs, inputs, 1, a, inputs, w, inputs, 0, c, outputs);
            MatrixProduct.Multiply(true, false, outputs, inputs, batch, 1, c, outputs, a, inputs, 0, TensorMemory.Pointer<T>(gradient), inputs);
            if (!first)
                MatrixProduct.Multiply(false, false, batch, inputs, outputs, 1, c, outputs, w, inputs, 0, TensorMemory.Pointer<T>(inputGradient), inputs);
        }
    }

    private void Add(Conv2d layer, Tensor input, Tensor output, bool first)
    {
        Tensor x = Keep(input), weight = Keep(layer.weight), y = Keep(output);
        weight.requires_grad = true;
        x.requires_grad = !first;
        long[] padding = [.. layer.padding!];
        _products.AddRange([Products, Products]);

        void Products()
        {
            using var scope = NewDisposeScope();
            using var _ = enable_grad();
            Tensor convolved = nn.functional.conv2d(x, weight, padding: padding);
            autograd.grad([convolved], first ? [weight] : [weight, x], [y]);
        }
    }

    private Tensor Keep(Tensor value) => Own(value.detach().clone());
}
