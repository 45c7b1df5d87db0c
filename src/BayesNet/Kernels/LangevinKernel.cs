using System.Numerics;

namespace BayesNet.Kernels;

/// <summary>
/// A step of stochastic gradient Langevin or Hamiltonian Monte Carlo in one pass over memory (Chen, Fox and Guestrin 2014, equation 15):
/// v = (1 - alpha) v - rate G g + noise sqrt(G) z, w = w + v. Noise is made where it is used and never stored.
/// </summary>
/// <remarks>Results do not depend on the number of threads.</remarks>
internal static unsafe class LangevinKernel
{
    // What noise is made for at a time: it stays in the nearest cache.
    private const int Tile = 1024;
    private const long Grain = 16_384;

    /// <summary>One step's constants.</summary>
    /// <param name="Keep">1 - alpha: what stays of the velocity.</param>
    /// <param name="Rate">The factor of the gradient.</param>
    /// <param name="Noise">The standard deviation of the noise, 0 for none.</param>
    /// <param name="Beta2">The decay of the second moment where it is estimated in this step; 1 where it stays.</param>
    /// <param name="Correction">1 over what the second moment's estimate falls short by for having begun at 0.</param>
    /// <param name="Epsilon">What is added to the root of the second moment.</param>
    internal readonly record struct Constants(double Keep, double Rate, double Noise, double Beta2, double Correction, double Epsilon);

    /// <summary>Updates weights and velocities in place.</summary>
    /// <param name="weight">w.</param>
    /// <param name="gradient">g.</param>
    /// <param name="velocity">v; null where nothing stays of it.</param>
    /// <param name="second">The second moment V, of which G = 1 / (sqrt(V) + epsilon); null for G = 1.</param>
    /// <param name="draw">z.</param>
    /// <param name="count">The number of entries.</param>
    /// <param name="constants">The constants.</param>
    internal static void Step<T>(T* weight, T* gradient, T* velocity, T* second, NoiseDraw draw, long count, in Constants constants)
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        var body = new Body<T>(weight, gradient, velocity, second, draw, count, constants);
        TorchThreads.For((count + Tile - 1) / Tile, Grain / Tile, ref body);
    }

    private readonly struct Body<T> : IRangeBody
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        private readonly T* _weight, _gradient, _velocity, _second;
        private readonly NoiseDraw _draw;
        private readonly long _count;
        private readonly T _keep, _rate, _noise, _beta2, _newWeight2, _correction, _epsilon;

        internal Body(T* weight, T* gradient, T* velocity, T* second, NoiseDraw draw, long count, in Constants constants)
        {
            _weight = weight;
            _gradient = gradient;
            _velocity = velocity;
            _second = second;
            (_draw, _count) = (draw, count);
            (_keep, _rate, _noise) = (T.CreateTruncating(constants.Keep), T.CreateTruncating(constants.Rate), T.CreateTruncating(constants.Noise));
            (_beta2, _newWeight2) = (T.CreateTruncating(constants.Beta2), T.CreateTruncating(1 - constants.Beta2));
            (_correction, _epsilon) = (T.CreateTruncating(constants.Correction), T.CreateTruncating(constants.Epsilon));
        }

        public void Run(long begin, long end)
        {
            T* noise = stackalloc T[Tile];
            for (long start = begin * Tile; start < Math.Min(end * Tile, _count); start += Tile)
            {
                int length = (int)Math.Min(Tile, _count - start);
                if (_noise != T.Zero)
                    _draw.Fill(NoiseLaw.Normal, new Span<T>(noise, length), start);
                else
                    new Span<T>(noise, length).Clear();
                Step(start, noise, length);
            }
        }

        private void Step(long start, T* noise, int length)
        {
            Body<T> my = this;
            T* w = my._weight + start, g = my._gradient + start;
            T* v = my._velocity == null ? null : my._velocity + start, second = my._second == null ? null : my._second + start;
            int i = 0;
            if (Vector.IsHardwareAccelerated)
            {
                var keep = new Vector<T>(my._keep);
                for (; i <= length - Vector<T>.Count; i += Vector<T>.Count)
                {
                    Vector<T> slope = Vector.Load(g + i), drift = slope * my._rate, spread = Vector.Load(noise + i) * my._noise;
                    if (second != null)
                    {
                        Vector<T> moment = Vector.Load(second + i) * my._beta2 + slope * slope * my._newWeight2;
                        moment.Store(second + i);
                        Vector<T> scale = Vector<T>.One / (Vector.SquareRoot(moment * my._correction) + new Vector<T>(my._epsilon));
                        drift *= scale;
                        spread *= Vector.SquareRoot(scale);
                    }

                    Vector<T> change = spread - drift;
                    if (v != null)
                    {
                        change += Vector.Load(v + i) * keep;
                        change.Store(v + i);
                    }

                    (Vector.Load(w + i) + change).Store(w + i);
                }
            }

            for (; i < length; i++)
            {
                T drift = g[i] * my._rate, spread = noise[i] * my._noise;
                if (second != null)
                {
                    second[i] = second[i] * my._beta2 + g[i] * g[i] * my._newWeight2;
                    T scale = T.One / (T.Sqrt(second[i] * my._correction) + my._epsilon);
                    drift *= scale;
                    spread *= T.Sqrt(scale);
                }

                T change = spread - drift;
                if (v != null)
                    v[i] = change += v[i] * my._keep;
                w[i] += change;
            }
        }
    }
}
