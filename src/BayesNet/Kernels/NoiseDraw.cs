using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace BayesNet.Kernels;

/// <summary>
/// One draw of a source of noise: a sequence of entries as long as one likes, each a function of the key, the counter and its own index
/// alone. So it is the same on any number of threads and in whatever pieces it is filled, and can be had again without being stored.
/// </summary>
/// <param name="Key">The source's key.</param>
/// <param name="Counter">The number of the draw among those of the source.</param>
/// <param name="Mirrored">
/// Whether the entries are the antithetic twins of those without it: -z of a normal, -u of a symmetric and 1 - u (less a grid step) of another
/// uniform; signs are the same.
/// </param>
internal readonly record struct NoiseDraw(ulong Key, ulong Counter, bool Mirrored = false)
{
    // About 10 us of normals: several times what it costs to start a loop on several threads.
    private const long Grain = 16384;

    /// <summary>The entries that are computed together; filling is fastest from a multiple of it on.</summary>
    internal static int GroupSize<T>()
        where T : unmanaged
        => Philox.GroupWords * sizeof(uint) / Unsafe.SizeOf<T>();

    /// <summary>Entries <paramref name="first"/>, <paramref name="first"/> + 1, ... of the draw, on all of libtorch's threads where they are many.</summary>
    internal unsafe void FillInParallel<T>(NoiseLaw law, Span<T> destination, long first = 0)
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        if (destination.Length <= Grain)
        {
            Fill(law, destination, first);
            return;
        }

        fixed (T* pointer = destination)
        {
            var body = new FillBody<T>(this, law, pointer, first, destination.Length);
            int group = GroupSize<T>();
            TorchThreads.For((destination.Length + group - 1) / group, Grain / group, ref body);
        }
    }

    /// <summary>Entries <paramref name="first"/>, <paramref name="first"/> + 1, ... of the draw, on this thread.</summary>
    internal unsafe void Fill<T>(NoiseLaw law, Span<T> destination, long first = 0)
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        int size = GroupSize<T>();
        T* group = stackalloc T[size];
        (long index, long skip) = Math.DivRem(first, size);
        if (skip > 0)
        {
            Groups(law, index++, 1, group);
            Span<T> head = new Span<T>(group, size)[(int)skip..];
            head = head[..Math.Min(head.Length, destination.Length)];
            head.CopyTo(destination);
            destination = destination[head.Length..];
        }

        int whole = destination.Length / size;
        fixed (T* pointer = destination)
            Groups(law, index, whole, pointer);
        destination = destination[(whole * size)..];
        if (!destination.IsEmpty)
        {
            Groups(law, index + whole, 1, group);
            new Span<T>(group, destination.Length).CopyTo(destination);
        }
    }

    private unsafe void Groups<T>(NoiseLaw law, long first, long count, T* destination)
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        if (law != NoiseLaw.Normal)
            Uniforms(law, first, count, destination);
        else if (typeof(T) == typeof(double))
            Normals(first, count, (double*)destination);
        else if (Vector512.IsHardwareAccelerated)
            BoxMuller.Groups<Vector512<uint>, Lanes512>(Key, Counter, first, count, (float*)destination);
        else if (Vector256.IsHardwareAccelerated)
            BoxMuller.Groups<Vector256<uint>, Lanes256>(Key, Counter, first, count, (float*)destination);
        else
            BoxMuller.Groups<Vector128<uint>, Lanes128>(Key, Counter, first, count, (float*)destination);
        if (Mirrored && law != NoiseLaw.Sign)
            Mirror(destination, count * GroupSize<T>(), law == NoiseLaw.Uniform);
    }

    // The greatest value of a uniform draw is a grid step below 1, so that the twins lie on the same grid, 0 included and 1 not.
    private static unsafe void Mirror<T>(T* values, long count, bool uniform)
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        T top = !uniform ? T.Zero : T.One - T.ScaleB(T.One, typeof(T) == typeof(double) ? -53 : -24);
        for (long i = 0; i < count; i++)
            values[i] = top - values[i];
    }

    private unsafe void Words(long group, uint* destination)
    {
        if (Vector512.IsHardwareAccelerated)
            Philox.Groups<Vector512<uint>, Lanes512>(Key, Counter, group, 1, destination);
        else if (Vector256.IsHardwareAccelerated)
            Philox.Groups<Vector256<uint>, Lanes256>(Key, Counter, group, 1, destination);
        else
            Philox.Groups<Vector128<uint>, Lanes128>(Key, Counter, group, 1, destination);
    }

    // Entries 16 h to 16 h + 15 of a group are made of the words 32 h to 32 h + 15, the lower halves, and the sixteen that follow them.
    private static unsafe Vector256<ulong> Wide(uint* words, int entry)
    {
        uint* low = words + (entry / Philox.GroupBlocks * Philox.GroupBlocks) + entry;
        (Vector128<uint> lower, Vector128<uint> upper) = (Vector128.Load(low), Vector128.Load(low + Philox.GroupBlocks));
        Vector256<ulong> Widen(Vector128<uint> half) => Vector256.Create(Vector128.WidenLower(half), Vector128.WidenUpper(half));
        return Widen(lower) | (Widen(upper) << 32);
    }

    private unsafe void Normals(long first, long count, double* destination)
    {
        const int pairs = Philox.GroupBlocks;
        uint* words = stackalloc uint[Philox.GroupWords];
        for (long group = first; group < first + count; group++, destination += 2 * pairs)
        {
            Words(group, words);
            for (int i = 0; i < pairs; i += Vector256<double>.Count)
            {
                (Vector256<double> cosines, Vector256<double> sines) = BoxMuller.Transform(Wide(words, i) >> 11, Wide(words, i + pairs) >> 11);
                cosines.Store(destination + i);
                sines.Store(destination + i + pairs);
            }
        }
    }

    private unsafe void Uniforms<T>(NoiseLaw law, long first, long count, T* destination)
        where T : unmanaged
    {
        int size = GroupSize<T>();
        uint* words = stackalloc uint[Philox.GroupWords];
        for (long group = first; group < first + count; group++, destination += size)
        {
            Words(group, words);
            if (typeof(T) == typeof(float))
            {
                for (int i = 0; i < size; i += Vector256<float>.Count)
                    Uniform(law, Vector256.Load(words + i)).Store((float*)destination + i);
            }
            else
            {
                for (int i = 0; i < size; i += Vector256<double>.Count)
                    Uniform(law, Wide(words, i)).Store((double*)destination + i);
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<float> Uniform(NoiseLaw law, Vector256<uint> words) => law switch
    {
        NoiseLaw.Sign => ((words & Vector256.Create(0x80000000)) | Vector256.Create(1f).AsUInt32()).AsSingle(),
        NoiseLaw.Uniform => Vector256.ConvertToSingle((words >> 8).AsInt32()) * MathF.ScaleB(1, -24),
        _ => Vector256.ConvertToSingle(((words >> 8 << 1) | Vector256<uint>.One).AsInt32() - Vector256.Create(1 << 24)) * MathF.ScaleB(1, -25),
    };

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<double> Uniform(NoiseLaw law, Vector256<ulong> words) => law switch
    {
        NoiseLaw.Sign => ((words & Vector256.Create(0x8000000000000000)) | Vector256.Create(1.0).AsUInt64()).AsDouble(),
        NoiseLaw.Uniform => Vector256.ConvertToDouble(words >> 11) * Math.ScaleB(1, -53),
        _ => Vector256.ConvertToDouble(((words >> 11 << 1) | Vector256<ulong>.One).AsInt64() - Vector256.Create(1L << 53)) * Math.ScaleB(1, -54),
    };

    private readonly unsafe struct FillBody<T>(NoiseDraw draw, NoiseLaw law, T* destination, long first, int length) : IRangeBody
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        public void Run(long begin, long end)
        {
            int size = GroupSize<T>();
            long start = begin * size;
            draw.Fill(law, new Span<T>(destination + start, (int)(Math.Min(end * size, length) - start)), first + start);
        }
    }
}
