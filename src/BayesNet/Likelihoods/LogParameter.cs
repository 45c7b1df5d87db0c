using BayesNet.Runtime;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace BayesNet.Likelihoods;

/// <summary>Positive numbers of a likelihood (noise levels, scales), kept as their logarithms in a parameter.</summary>
internal static class LogParameter
{
    /// <summary>The parameter that starts at ln <paramref name="values"/>, one entry each.</summary>
    internal static Parameter Create(ReadOnlySpan<double> values, bool learned, ScalarType? dtype)
    {
        using var scope = NewDisposeScope();
        var logarithms = new double[values.Length];
        for (int i = 0; i < values.Length; i++)
            logarithms[i] = Math.Log(values[i]);
        return OwnedTensors.Parameter(tensor(logarithms, dtype: Guard.FloatingPoint(dtype ?? get_default_dtype(), nameof(dtype))), learned);
    }

    /// <summary>What the entries of a parameter stand for, exp of each.</summary>
    internal static double[] Values(Parameter logarithms)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        return logarithms.detach().cpu().to(ScalarType.Float64).exp().data<double>().ToArray();
    }

    /// <summary>The parameter in the type and on the device of outputs, with as many dimensions, so that it broadcasts over the last alone.</summary>
    internal static Tensor Beside(Parameter logarithms, Tensor outputs)
    {
        var shape = new long[outputs.dim()];
        Array.Fill(shape, 1);
        shape[^1] = logarithms.numel();
        return logarithms.to(outputs.dtype, outputs.device).reshape(shape);
    }
}
