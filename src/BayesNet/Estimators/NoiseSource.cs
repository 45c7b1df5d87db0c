using System.Numerics;
using BayesNet.Kernels;
using BayesNet.Runtime;
using TorchSharp;
using static TorchSharp.torch;

namespace BayesNet.Estimators;

/// <summary>
/// Where a layer's noise comes from. Unseeded, it draws from libtorch's global generator of the device, so <c>torch.manual_seed</c>
/// governs it; seeded, from a generator of its own, and the same seed gives the same sequence of draws whatever else the program draws.
/// </summary>
/// <remarks>
/// libtorch's CPU generator gives the same numbers on any number of threads. TorchSharp has no CUDA generators: a seeded source draws
/// on the CPU and copies, which is reproducible and slow; leave the seed unset where speed on CUDA matters.
/// Not thread safe: one source belongs to one layer.
/// </remarks>
public sealed class NoiseSource : IDisposable
{
    // Half the spacing of libtorch's uniform draws, 2^-24 and 2^-53.
    private static readonly Scalar HalfSpacingFloat32 = Math.ScaleB(1, -25);
    private static readonly Scalar HalfSpacingFloat64 = Math.ScaleB(1, -54);

    private Generator? _generator;
    private ulong? _seed;

    /// <summary>Creates a source; <paramref name="seed"/> null draws from the global generator.</summary>
    public NoiseSource(ulong? seed = null) => Seed = seed;

    /// <summary>
    /// The seed, or null for the global generator. Setting it, to the same value too, starts the sequence of draws again.
    /// </summary>
    public ulong? Seed
    {
        get => _seed;
        set
        {
            _generator?.Dispose();
            _generator = value is { } seed ? new Generator(seed, CPU) : null;
            _seed = value;
        }
    }

    /// <summary>Independent standard normal draws of the given shape; no gradient.</summary>
    public Tensor Normal(ReadOnlySpan<long> shape, ScalarType dtype, Device device)
        => Draw(shape, dtype, device, static (size, type, where, generator) => randn(size, dtype: type, device: where, generator: generator));

    /// <summary>Fills a span with the entries that <see cref="Normal"/> would give for as many.</summary>
    internal void FillNormal<T>(Span<T> destination)
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        using Tensor draws = Normal([destination.Length], TensorMemory.DtypeOf<T>(), CPU);
        TensorMemory.Span<T>(draws).CopyTo(destination);
    }

    /// <summary>Independent uniform draws on [0, 1) of the given shape; no gradient.</summary>
    public Tensor Uniform(ReadOnlySpan<long> shape, ScalarType dtype, Device device)
        => Draw(shape, dtype, device, static (size, type, where, generator) => rand(size, dtype: type, device: where, generator: generator));

    /// <summary>
    /// Independent uniform draws on the open interval (-1/2, 1/2) of the given shape; no gradient. On the CPU they are odd multiples of
    /// 2^-25 (float32) or 2^-54 (float64), so exactly symmetric: never zero, never an endpoint, and 1/2 - |u| is exact.
    /// </summary>
    public Tensor SymmetricUniform(ReadOnlySpan<long> shape, ScalarType dtype, Device device)
    {
        Tensor uniform = Uniform(shape, dtype, device);
        using var _ = no_grad();
        return uniform.sub_(Scalars.Half).add_(dtype == ScalarType.Float64 ? HalfSpacingFloat64 : HalfSpacingFloat32, Scalars.One);
    }

    /// <summary>
    /// Independent draws of Gamma(concentration, 1), one for each entry of <paramref name="concentration"/>; differentiable in it by the
    /// implicit derivative -(dF/da)/p (Figurnov, Mohamed and Mnih 2018), which libtorch approximates to a relative error of about 5e-4.
    /// </summary>
    /// <param name="concentration">Positive entries; any shape.</param>
    public Tensor StandardGamma(Tensor concentration)
    {
        ArgumentNullException.ThrowIfNull(concentration);
        if (_generator is null || concentration.device_type == DeviceType.CPU)
            return _standard_gamma(concentration, _generator);
        using Tensor onCpu = concentration.cpu();
        using Tensor draws = _standard_gamma(onCpu, _generator);
        return draws.to(concentration.device);
    }

    /// <summary>Independent signs, +1 or -1 with probability one half each (Rademacher), of the given shape; no gradient.</summary>
    public Tensor Signs(ReadOnlySpan<long> shape, ScalarType dtype, Device device)
        => Draw(shape, dtype, device, static (size, type, where, generator) =>
            randint(0, 2, size, dtype: type, device: where, generator: generator).mul_(Scalars.Two).sub_(Scalars.One));

    /// <inheritdoc/>
    public void Dispose()
    {
        _generator?.Dispose();
        _generator = null;
    }

    private Tensor Draw(ReadOnlySpan<long> shape, ScalarType dtype, Device device, Func<long[], ScalarType, Device, Generator?, Tensor> draw)
    {
        using var _ = no_grad();
        long[] size = shape.ToArray();
        if (_generator is null || device.type == DeviceType.CPU)
            return draw(size, dtype, device, _generator);
        using Tensor onCpu = draw(size, dtype, CPU, _generator);
        return onCpu.to(device);
    }
}
