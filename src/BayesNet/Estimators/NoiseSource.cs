using System.Numerics;
using BayesNet.Kernels;
using BayesNet.Runtime;
using TorchSharp;
using static TorchSharp.torch;

namespace BayesNet.Estimators;

/// <summary>
/// Where a layer's noise comes from. Unseeded, <c>torch.manual_seed</c> governs it; seeded, the same seed gives the same sequence of draws
/// whatever else the program draws.
/// </summary>
/// <remarks>
/// <para>
/// On the CPU, noise is counter-based (Philox 4x32-10; Salmon et al. 2011): entry i of a draw is a function of a key, the number of the draw
/// and i, so it is the same on any number of threads. A seeded source's key is its seed, and it counts its draws; an unseeded one takes a
/// fresh key for every draw from libtorch's global generator.
/// </para>
/// <para>
/// On CUDA an unseeded source draws on the device from libtorch's own generator. A seeded one draws on the CPU and copies, which is
/// reproducible and slow; leave the seed unset where speed on CUDA matters.
/// </para>
/// <para>
/// Normals end at |z| = 6.66 in float32 and 8.65 in float64, beyond which a true normal lies once in 4e10 and 2e17 draws. Not thread safe:
/// one source belongs to one layer.
/// </para>
/// </remarks>
public sealed class NoiseSource : IDisposable
{
    private ulong? _seed;
    private ulong _counter;
    private Generator? _gammaGenerator;

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
            Dispose();
            _seed = value;
            _counter = 0;
        }
    }

    /// <summary>
    /// The key and the number of draws so far of a seeded source, null of an unseeded one; a source that is given it goes on from there. The
    /// gamma draws, whose state is libtorch's, begin again.
    /// </summary>
    internal (ulong Key, ulong Counter)? State
    {
        get => _seed is { } key ? (key, _counter) : null;
        set
        {
            Seed = value?.Key;
            _counter = value?.Counter ?? 0;
        }
    }

    /// <summary>
    /// Draws from a seed of its own until the returned object is disposed; then the sequence goes on from where it was, as if nothing had been drawn.
    /// </summary>
    internal IDisposable Seeded(ulong seed)
    {
        var scope = new SeedScope(this, State, GammaState);
        Seed = seed;
        return scope;
    }

    /// <summary>The state of libtorch's generator behind the gamma draws; null where there have been none, or they come from the global one.</summary>
    internal byte[]? GammaState
    {
        get
        {
            using Tensor? state = _gammaGenerator?.get_state();
            return state?.bytes.ToArray();
        }

        set
        {
            _gammaGenerator?.Dispose();
            _gammaGenerator = null;
            if (value is null)
                return;
            _gammaGenerator = new Generator(_seed ?? 0, CPU);
            using Tensor state = tensor(value);
            _gammaGenerator.set_state(state);
        }
    }

    /// <summary>Whether draws are the antithetic twins of those that the same state gives otherwise; on the CPU, or seeded.</summary>
    internal bool Mirrored { get; set; }

    /// <summary>Independent standard normal draws of the given shape; no gradient.</summary>
    public Tensor Normal(ReadOnlySpan<long> shape, ScalarType dtype, Device device)
        => Draw(NoiseLaw.Normal, shape, dtype, device);

    /// <summary>Independent uniform draws on [0, 1) of the given shape; no gradient.</summary>
    public Tensor Uniform(ReadOnlySpan<long> shape, ScalarType dtype, Device device)
        => Draw(NoiseLaw.Uniform, shape, dtype, device);

    /// <summary>
    /// Independent uniform draws on the open interval (-1/2, 1/2) of the given shape; no gradient. They are odd multiples of 2^-25 (float32)
    /// or 2^-54 (float64), so exactly symmetric: never zero, never an endpoint, and 1/2 - |u| is exact.
    /// </summary>
    public Tensor SymmetricUniform(ReadOnlySpan<long> shape, ScalarType dtype, Device device)
        => Draw(NoiseLaw.SymmetricUniform, shape, dtype, device);

    /// <summary>Independent signs, +1 or -1 with probability one half each (Rademacher), of the given shape; no gradient.</summary>
    public Tensor Signs(ReadOnlySpan<long> shape, ScalarType dtype, Device device)
        => Draw(NoiseLaw.Sign, shape, dtype, device);

    /// <summary>
    /// Independent draws of Gamma(concentration, 1), one for each entry of <paramref name="concentration"/>; differentiable in it by the
    /// implicit derivative -(dF/da)/p (Figurnov, Mohamed and Mnih 2018), which libtorch approximates to a relative error of about 5e-4.
    /// </summary>
    /// <remarks>They come from a generator of libtorch's, with the same seed.</remarks>
    /// <param name="concentration">Positive entries; any shape.</param>
    public Tensor StandardGamma(Tensor concentration)
    {
        ArgumentNullException.ThrowIfNull(concentration);
        if (_seed is not { } seed)
            return _standard_gamma(concentration);
        _gammaGenerator ??= new Generator(seed, CPU);
        if (concentration.device_type == DeviceType.CPU)
            return _standard_gamma(concentration, _gammaGenerator);
        using Tensor onCpu = concentration.cpu();
        using Tensor draws = _standard_gamma(onCpu, _gammaGenerator);
        return draws.to(concentration.device);
    }

    /// <summary>Frees libtorch's generator, which only gamma draws make; the source stays usable.</summary>
    public void Dispose()
    {
        _gammaGenerator?.Dispose();
        _gammaGenerator = null;
    }

    /// <summary>The identity of the next draw, which counts as drawn: its entries can be had at any time, in any part.</summary>
    internal NoiseDraw NextDraw() => _seed is { } key ? new NoiseDraw(key, _counter++, Mirrored) : new NoiseDraw(GlobalKeys.Next(), 0, Mirrored);

    /// <summary>The entries that <see cref="Normal"/> of as many would give at this place of the sequence.</summary>
    internal void FillNormal<T>(Span<T> destination)
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
        => NextDraw().FillInParallel(NoiseLaw.Normal, destination);

    private Tensor Draw(NoiseLaw law, ReadOnlySpan<long> shape, ScalarType dtype, Device device)
    {
        using var _ = no_grad();
        if (_seed is null && device.type != DeviceType.CPU)
            return DrawOnDevice(law, shape.ToArray(), dtype, device);
        Tensor drawn = empty(shape, dtype == ScalarType.Float64 ? ScalarType.Float64 : ScalarType.Float32, CPU);
        if (dtype == ScalarType.Float64)
            NextDraw().FillInParallel(law, TensorMemory.Span<double>(drawn));
        else
            NextDraw().FillInParallel(law, TensorMemory.Span<float>(drawn));
        if (dtype == drawn.dtype && device.type == DeviceType.CPU)
            return drawn;
        using (drawn)
            return drawn.to(dtype, device);
    }

    private static Tensor DrawOnDevice(NoiseLaw law, long[] shape, ScalarType dtype, Device device)
    {
        switch (law)
        {
            case NoiseLaw.Normal:
                return randn(shape, dtype: dtype, device: device);
            case NoiseLaw.Uniform:
                return rand(shape, dtype: dtype, device: device);
            case NoiseLaw.Sign:
                return randint(0, 2, shape, dtype: dtype, device: device).mul_(Scalars.Two).sub_(Scalars.One);
            default:
                // Half the spacing of libtorch's uniform draws, 2^-24 and 2^-53, from the middle.
                using (Scalar offset = Math.ScaleB(1, dtype == ScalarType.Float64 ? -54 : -25))
                    return rand(shape, dtype: dtype, device: device).sub_(Scalars.Half).add_(offset, Scalars.One);
        }
    }

    private sealed class SeedScope(NoiseSource noise, (ulong Key, ulong Counter)? state, byte[]? gammaState) : IDisposable
    {
        public void Dispose()
        {
            noise.State = state;
            noise.GammaState = gammaState;
        }
    }
}
