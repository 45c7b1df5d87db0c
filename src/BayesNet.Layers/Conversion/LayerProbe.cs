using System.Runtime.InteropServices;
using TorchSharp;
using static TorchSharp.torch;

namespace BayesNet.Layers.Conversion;

/// <summary>
/// Finds what TorchSharp does not tell of a layer by what it computes: the candidate that reproduces its output to rounding, where no other does.
/// </summary>
/// <remarks>
/// In training mode both draw from the same state of libtorch's generator: dropout of the same share then drops the same entries. Mode, generator and
/// weights are left as they were, and forward hooks are not called.
/// </remarks>
internal static class LayerProbe
{
    // The usual shares first, then all hundredths and halves of one, sixteenths and thirds.
    private static readonly double[] Dropouts =
    [
        .. new[] { 0, 0.1, 0.2, 0.5, 0.25, 0.3, 0.4, 0.05 }
            .Concat(Enumerable.Range(0, 201).Select(i => i / 200.0)).Concat(Enumerable.Range(1, 15).Select(i => i / 16.0)).Concat([1 / 3.0, 2 / 3.0]).Distinct(),
    ];

    /// <summary>Normal entries, the same at every call.</summary>
    internal static Tensor Input(nn.Module layer, params ReadOnlySpan<long> shape)
    {
        using var generator = new Generator(1);
        using Tensor onCpu = randn(shape.ToArray(), dtype: ScalarType.Float64, device: CPU, generator: generator);
        Tensor weight = layer.parameters().First();
        return onCpu.to(weight.dtype, weight.device);
    }

    /// <summary>The one candidate that computes what the layer does; null where none does or several do.</summary>
    /// <param name="layer">The layer, which is set to evaluation mode.</param>
    /// <param name="candidates">What it may have been made with.</param>
    /// <param name="run">Its output for the input times a factor: attention over small inputs does not tell its heads.</param>
    /// <param name="emulate">That of a candidate.</param>
    internal static T? Only<T>(nn.Module layer, IReadOnlyList<T> candidates, Func<double, Tensor> run, Func<T, double, Tensor> emulate)
        where T : struct
    {
        if (IsHalf(layer))
            return candidates[0];
        using var mode = new Mode(layer, training: false);
        using var scope = NewDisposeScope();
        try
        {
            foreach (double factor in new[] { 1.0, 4, 16 })
            {
                Tensor output = run(factor);
                candidates = [.. candidates.Where(candidate => IsSame(emulate(candidate, factor), output))];
                if (candidates.Count < 2)
                    return candidates.Count == 1 ? candidates[0] : null;
            }
        }
        catch (ExternalException)
        {
            // libtorch refuses to run some layers that it lets one make.
            return null;
        }

        return null;
    }

    /// <summary>
    /// The share that a layer drops in training mode; null where no candidate drops the same, where it makes no difference, and on CUDA, whose generator can't be
    /// put back.
    /// </summary>
    internal static double? Dropout(nn.Module layer, Func<Tensor> run, Func<double, Tensor> emulate)
    {
        if (IsHalf(layer))
            return 0;
        if (layer.parameters().First().device_type != DeviceType.CPU)
            return null;
        using var mode = new Mode(layer, training: true);
        using var scope = NewDisposeScope();
        Tensor before = random.get_rng_state();
        try
        {
            Tensor Seeded(Func<Tensor> compute)
            {
                random.manual_seed(1);
                return compute();
            }

            Tensor output = Seeded(run);
            bool Fits(double share) => IsSame(Seeded(() => emulate(share)), output);
            int found = Array.FindIndex(Dropouts, Fits);
            return found >= 0 && !Fits(Dropouts[(found + 1) % Dropouts.Length]) ? Dropouts[found] : null;
        }
        catch (ExternalException)
        {
            return null;
        }
        finally
        {
            random.set_rng_state(before);
        }
    }

    // The twin refuses these by name.
    private static bool IsHalf(nn.Module layer) => layer.parameters().First().dtype is not (ScalarType.Float32 or ScalarType.Float64);

    // Far above what rounding does to a layer's output, far below what another setting does.
    private static bool IsSame(Tensor emulated, Tensor output)
    {
        using var scope = NewDisposeScope();
        if (!emulated.shape.AsSpan().SequenceEqual(output.shape))
            return false;
        double tolerance = output.dtype == ScalarType.Float64 ? 1e-9 : 1e-4;
        double largest = output.abs().max().to(ScalarType.Float64).item<double>();
        return emulated.sub(output).abs().max().to(ScalarType.Float64).item<double>() <= tolerance * largest;
    }

    /// <summary>Holds a layer in a mode.</summary>
    private readonly struct Mode : IDisposable
    {
        private readonly nn.Module _layer;
        private readonly bool _before;

        internal Mode(nn.Module layer, bool training)
        {
            (_layer, _before) = (layer, layer.training);
            layer.train(training);
        }

        public void Dispose() => _layer.train(_before);
    }
}
