using System.Runtime.CompilerServices;
using BayesNet.Runtime;
using static TorchSharp.torch;

namespace BayesNet.Reparameterization;

/// <summary>A parameter of a distribution: a tensor that the caller owns, a leaf or any differentiable function of leaves.</summary>
public sealed record DistributionParameter
{
    private DistributionParameter(string name, Tensor value, int eventDimensions)
        => (Name, Value, EventDimensions) = (name, value, eventDimensions);

    /// <summary>The name of the constructor's argument.</summary>
    public string Name { get; }

    /// <summary>The tensor itself, not a copy.</summary>
    public Tensor Value { get; }

    /// <summary>How many of the last dimensions belong to one event; those before them broadcast between parameters.</summary>
    public int EventDimensions { get; }

    /// <summary>A parameter that may take any finite value.</summary>
    /// <exception cref="ArgumentException">A value is not finite, or the tensor has too few dimensions.</exception>
    /// <exception cref="NotSupportedException">The tensor is not float32 or float64.</exception>
    public static DistributionParameter Real(Tensor value, int eventDimensions = 0, [CallerArgumentExpression(nameof(value))] string name = "")
    {
        ArgumentNullException.ThrowIfNull(value, name);
        Guard.FloatingPoint(value.dtype, name);
        Guard.AllFinite(value, name);
        return value.dim() >= eventDimensions
            ? new DistributionParameter(name, value, eventDimensions)
            : throw new ArgumentException(
                $"{name} has shape {Guard.Format(value.shape)}; it needs at least {eventDimensions} dimensions, those of one event.", name);
    }

    /// <summary>A parameter whose values are finite and above zero. The values are read once, here; later changes in place are not seen.</summary>
    /// <inheritdoc cref="Real"/>
    public static DistributionParameter Positive(Tensor value, int eventDimensions = 0, [CallerArgumentExpression(nameof(value))] string name = "")
    {
        DistributionParameter parameter = Real(value, eventDimensions, name);
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        return value.gt(Scalars.Zero).all().item<bool>()
            ? parameter
            : throw new ArgumentException($"{name} holds values that are not above zero; pass it through exp or softplus first.", name);
    }
}
