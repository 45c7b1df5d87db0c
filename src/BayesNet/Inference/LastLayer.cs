using BayesNet.Prediction;
using BayesNet.Runtime;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace BayesNet.Inference;

/// <summary>The linear layer that a network ends with, and what comes before it: output = features * weights, the bias a weight of a feature that is 1.</summary>
/// <remarks>The network is used as it is; a hook on the layer reads its input.</remarks>
internal sealed class LastLayer
{
    private readonly nn.Module<Tensor, Tensor> _model;
    private readonly Linear _layer;
    private readonly string _name;
    private bool _checked;

    /// <exception cref="InvalidOperationException">There is no linear layer.</exception>
    internal LastLayer(nn.Module<Tensor, Tensor> model)
    {
        _model = model;
        (_name, nn.Module? last) = model.named_modules().Prepend(("", model)).LastOrDefault(entry => entry.Item2 is Linear);
        _layer = last as Linear ?? throw new InvalidOperationException(
            $"The network {model.GetName()} has no linear layer; a last-layer Laplace approximation needs one as the last operation.");
    }

    internal bool HasBias => _layer.bias is not null;

    internal Device Device => _layer.weight.device;

    internal ScalarType Dtype => _layer.weight.dtype;

    /// <summary>Outputs K.</summary>
    internal long Outputs => _layer.weight.size(0);

    /// <summary>Features D, the constant included.</summary>
    internal long Features => _layer.weight.size(1) + (HasBias ? 1 : 0);

    /// <summary>The weights as they are, (D, K), float64; the bias is the last row.</summary>
    internal Tensor Weights()
    {
        using var _ = no_grad();
        Tensor weight = _layer.weight!.detach().t().to(ScalarType.Float64);
        return HasBias ? cat([weight, _layer.bias!.detach().unsqueeze(0).to(ScalarType.Float64)], 0) : weight.contiguous();
    }

    /// <summary>Computes features and outputs of every row once, in evaluation mode, in blocks that fit the memory.</summary>
    /// <param name="inputs">(batch, ...) as the network takes it.</param>
    /// <param name="options">Memory.</param>
    /// <param name="receive">
    /// Told of each block: the first row, features (rows, D), and outputs (rows, K), both of the network's type and valid until it returns.
    /// </param>
    internal void Run(Tensor inputs, PredictionOptions options, Action<long, Tensor, Tensor> receive)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        Tensor? read = null, made = null;
        var hook = _layer.register_forward_hook((_, input, output) =>
        {
            read?.Dispose();
            made?.Dispose();
            (read, made) = (input.alias().DetachFromDisposeScope(), output.alias().DetachFromDisposeScope());
            return output;
        });
        try
        {
            using var sampler = new PosteriorSampler(_model, options);
            sampler.Run(inputs, 1, block =>
            {
                using var inner = NewDisposeScope();
                Tensor output = block.Outputs.select(0, 0);
                Require(read, made, output);
                Tensor features = HasBias ? cat([read!, ones([read!.size(0), 1], dtype: read.dtype, device: read.device)], 1) : read!;
                receive(block.FirstRow ?? 0, features, output);
            });
        }
        finally
        {
            hook.remove();
            read?.Dispose();
            made?.Dispose();
        }
    }

    private void Require(Tensor? read, Tensor? made, Tensor output)
    {
        if (_checked)
            return;
        if (read is null || made is null || read.dim() != 2 || !made.shape.AsSpan().SequenceEqual(output.shape) || !made.eq(output).all().item<bool>())
        {
            throw new InvalidOperationException(
                $"The network's output, of shape {Guard.Format(output.shape)}, is not that of its last linear layer '{_name}' on a batch of features; a last-layer Laplace "
                + "approximation needs a network that ends with a linear layer.");
        }

        _checked = true;
    }
}
