using BayesNet.Runtime;
using static TorchSharp.torch;

namespace BayesNet.Layers.Recurrent;

/// <summary>Where the means of a recurrent network start, parameter by parameter.</summary>
internal static class RecurrentWeights
{
    /// <summary>Uniform draws within 1 / sqrt(hidden size), as TorchSharp's own layers start.</summary>
    internal static Func<string, long[], Tensor> Drawn(RecurrentGeometry geometry, Device? device, ScalarType? dtype)
    {
        ScalarType type = Guard.FloatingPoint(dtype ?? get_default_dtype(), nameof(dtype));
        Device where = device ?? get_default_device();
        double bound = 1 / Math.Sqrt(geometry.HiddenSize);
        return (_, shape) => empty(shape, dtype: type, device: where).uniform_(-bound, bound);
    }

    /// <summary>The parameters of a trained network, by name.</summary>
    /// <exception cref="ArgumentException">A parameter is missing, or has another shape.</exception>
    internal static Func<string, long[], Tensor> Of(nn.Module trained)
    {
        Dictionary<string, Tensor> parameters = trained.named_parameters().ToDictionary(entry => entry.name, entry => (Tensor)entry.parameter);
        return (name, shape) => parameters.TryGetValue(name, out Tensor? parameter) && parameter.shape.AsSpan().SequenceEqual(shape)
            ? parameter
            : throw new ArgumentException(
                $"{trained.GetName()} has {(parameter is null ? "no parameter" : $"shape {Guard.Format(parameter.shape)} for")} {name}, which must have shape "
                + $"{Guard.Format(shape)} here; give the TorchSharp twin of this layer.", nameof(trained));
    }
}
