using TorchSharp.Modules;
using static TorchSharp.torch;

namespace BayesNet.Prediction;

/// <summary>Which modules are known to compute each row of a batch from that row alone, in evaluation mode.</summary>
internal static class RowIndependence
{
    /// <summary>The layers of a tree of <c>Sequential</c>s in the order in which they run, or null where the model is more than that.</summary>
    internal static IReadOnlyList<nn.Module>? Chain(nn.Module model)
    {
        var layers = new List<nn.Module>();
        return Collect(model) ? layers : null;

        bool Collect(nn.Module module)
        {
            if (module.GetType() == typeof(Sequential))
                return module.children().All(Collect);
            layers.Add(module);
            return module is nn.Module<Tensor, Tensor>;
        }
    }

    /// <summary>Whether a layer is one of those known.</summary>
    internal static bool IsKnown(nn.Module layer) => layer switch
    {
        IBayesianModule => layer.modules().All(part => part is not BatchNorm { track_running_stats: false }),
        Flatten flatten => flatten.start_dim >= 1,
        Unflatten unflatten => unflatten.dim >= 1,
        NormBase norm => norm.track_running_stats,
        IRowwiseModule module => module.ComputesRowByRow,
        Linear or Conv1d or Conv2d or Conv3d or ConvTranspose1d or ConvTranspose2d or ConvTranspose3d => true,
        LayerNorm or GroupNorm => true,
        Identity or Dropout or Dropout1d or Dropout2d or Dropout3d or AlphaDropout => true,
        MaxPool1d or MaxPool2d or MaxPool3d or AvgPool1d or AvgPool2d or AvgPool3d => true,
        AdaptiveAvgPool1d or AdaptiveAvgPool2d or AdaptiveAvgPool3d or AdaptiveMaxPool1d or AdaptiveMaxPool2d or AdaptiveMaxPool3d => true,
        ReLU or ReLU6 or LeakyReLU or ELU or CELU or SELU or GELU or SiLU or Mish or Tanh or Sigmoid or Softplus => true,
        Hardsigmoid or Hardswish or Hardtanh or LogSigmoid or Softsign or Tanhshrink or PReLU => true,
        _ => false,
    };
}
