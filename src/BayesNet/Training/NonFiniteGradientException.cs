using System.Globalization;

namespace BayesNet.Training;

/// <summary>The norm of the gradients, which they were to be clipped by, is NaN or infinite. Parameters and optimizer are as before the step.</summary>
public sealed class NonFiniteGradientException : ArithmeticException
{
    /// <summary>Creates the exception.</summary>
    public NonFiniteGradientException()
        : this(double.NaN)
    {
    }

    /// <summary>Creates the exception.</summary>
    public NonFiniteGradientException(string message)
        : base(message)
    {
    }

    /// <summary>Creates the exception.</summary>
    public NonFiniteGradientException(string message, Exception innerException)
        : base(message, innerException)
    {
    }

    internal NonFiniteGradientException(double norm)
        : base(
            $"The norm of the gradients is {norm.ToString(CultureInfo.InvariantCulture)}, and they can't be clipped by it. No step was taken. Look for "
            + "NaN or infinite values in the loss and the inputs, or lower the learning rate.")
    {
    }
}
