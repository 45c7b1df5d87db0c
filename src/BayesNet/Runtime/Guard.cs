using System.Globalization;
using System.Runtime.CompilerServices;
using static TorchSharp.torch;

namespace BayesNet.Runtime;

/// <summary>Argument checks with messages that name the argument and the remedy.</summary>
internal static class Guard
{
    internal static double Positive(double value, [CallerArgumentExpression(nameof(value))] string name = "")
        => double.IsFinite(value) && value > 0
            ? value
            : throw new ArgumentOutOfRangeException(name, value, $"{name} must be a finite number above zero.");

    internal static double Finite(double value, [CallerArgumentExpression(nameof(value))] string name = "")
        => double.IsFinite(value) ? value : throw new ArgumentOutOfRangeException(name, value, $"{name} must be a finite number.");

    internal static long AtLeastOne(long value, [CallerArgumentExpression(nameof(value))] string name = "")
        => value >= 1 ? value : throw new ArgumentOutOfRangeException(name, value, $"{name} must be at least 1.");

    internal static double OpenUnitInterval(double value, [CallerArgumentExpression(nameof(value))] string name = "")
        => value is > 0 and < 1
            ? value
            : throw new ArgumentOutOfRangeException(name, value, $"{name} must lie strictly between 0 and 1.");

    /// <summary>Refuses anything but float32 and float64: the sum of a mean and a small deviation is lost in half precision.</summary>
    internal static ScalarType FloatingPoint(ScalarType dtype, [CallerArgumentExpression(nameof(dtype))] string name = "")
        => dtype is ScalarType.Float32 or ScalarType.Float64
            ? dtype
            : throw new NotSupportedException(
                $"{name} is {dtype}; Bayesian parameters are float32 or float64, because in half precision mean + deviation absorbs "
                + "small deviations. Keep the layer in float32 (model.to(ScalarType.Float32)) and convert its inputs.");

    internal static Tensor AllFinite(Tensor value, [CallerArgumentExpression(nameof(value))] string name = "", bool allowNaN = false)
    {
        using var scope = NewDisposeScope();
        if (!value.is_floating_point())
            return value;
        Tensor bad = allowNaN ? value.isinf() : value.isfinite().logical_not();
        if (bad.any().item<bool>())
        {
            string count = bad.sum().item<long>().ToString(CultureInfo.InvariantCulture);
            throw new ArgumentException($"{name} holds {count} values that are {(allowNaN ? "" : "NaN or ")}infinite; remove or impute them first.", name);
        }

        return value;
    }

    /// <summary>Formats a shape as PyTorch writes it: (32, 3, 28, 28).</summary>
    internal static string Format(ReadOnlySpan<long> shape)
    {
        var parts = new string[shape.Length];
        for (int i = 0; i < parts.Length; i++)
            parts[i] = shape[i].ToString(CultureInfo.InvariantCulture);
        return $"({string.Join(", ", parts)})";
    }
}
