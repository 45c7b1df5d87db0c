using BayesNet.Likelihoods;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace BayesNet.Training;

/// <summary>Refuses losses that are not finite, with the reason as far as it can be found.</summary>
internal sealed class LossCheck(nn.Module model, Likelihood likelihood)
{
    /// <summary>The value of a scalar tensor.</summary>
    /// <inheritdoc cref="Finite(double, string, long, Tensor, Tensor)"/>
    public double Finite(Tensor loss, string name, long step, Tensor inputs, Tensor targets)
        => Finite(
            loss.dtype switch
            {
                ScalarType.Float32 => loss.item<float>(),
                ScalarType.Float64 => loss.item<double>(),
                _ => loss.to(ScalarType.Float64).item<double>(),
            },
            name,
            step,
            inputs,
            targets);

    /// <summary>The value, where it is finite.</summary>
    /// <param name="value">A part of the loss.</param>
    /// <param name="name">What it is called.</param>
    /// <param name="step">The number of the step that it would be.</param>
    /// <param name="inputs">The minibatch's inputs.</param>
    /// <param name="targets">The minibatch's targets.</param>
    /// <exception cref="NonFiniteLossException">It is NaN or infinite.</exception>
    public double Finite(double value, string name, long step, Tensor inputs, Tensor targets)
    {
        if (double.IsFinite(value))
            return value;
        string? culprit = NamedParameters().FirstOrDefault(entry => !IsFinite(entry.Parameter)).Name;
        string reason = culprit is not null
            ? $"the first parameter that is not finite is '{culprit}'. Lower the learning rate, or start again from an earlier state"
            : !IsFinite(inputs) ? "the minibatch's inputs hold NaN or infinite values; remove or impute them"
            : !IsFinite(targets) ? "the minibatch's targets hold NaN or infinite values; remove or impute them"
            : "all parameters are finite, so a value overflowed on the way: standardise inputs and targets, or lower the learning rate";
        throw new NonFiniteLossException($"The {name} is {value} at step {step}: {reason}. No step was taken.") { ParameterName = culprit };
    }

    private static bool IsFinite(Tensor tensor)
    {
        using var scope = NewDisposeScope();
        return tensor.isfinite().all().item<bool>();
    }

    private IEnumerable<(string Name, Parameter Parameter)> NamedParameters()
        => model.named_parameters().Concat(likelihood.named_parameters().Select(entry => ("likelihood." + entry.name, entry.parameter)));
}
