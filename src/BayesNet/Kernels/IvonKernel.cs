using System.Numerics;

namespace BayesNet.Kernels;

/// <summary>
/// IVON's passes over memory (Shen et al. 2024, algorithm 1): drawing the weights of a step, putting the means back, and the step. Noise is made
/// where it is used and never stored.
/// </summary>
/// <remarks>Results do not depend on the number of threads.</remarks>
internal static unsafe class IvonKernel
{
    // What noise is made for at a time: it stays in the nearest cache.
    private const int Tile = 1024;
    private const long Grain = 16_384;

    /// <summary>One step's constants.</summary>
    /// <param name="Beta1">The decay of the momentum g.</param>
    /// <param name="Beta2">The decay of the Hessian's estimate h.</param>
    /// <param name="StepSize">alpha: the learning rate times h0 + delta.</param>
    /// <param name="MomentumCorrection">1 - beta1^t.</param>
    /// <param name="WeightDecay">delta.</param>
    /// <param name="EffectiveSampleSize">lambda.</param>
    /// <param name="ClipRadius">The greatest change of an entry, before the step size.</param>
    /// <param name="Samples">S, the samples whose sums are given.</param>
    internal readonly record struct Constants(
        double Beta1, double Beta2, double StepSize, double MomentumCorrection, double WeightDecay, double EffectiveSampleSize, double ClipRadius,
        int Samples);

    /// <summary>Adds deviations eps / sqrt(lambda (h + delta)) to a parameter, whose values go to <paramref name="mean"/>.</summary>
    internal static void Sample<T>(T* parameter, T* mean, T* hessian, NoiseDraw draw, long count, double effectiveSampleSize, double weightDecay)
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        var body = new SampleBody<T>(parameter, mean, hessian, draw, count, T.CreateTruncating(effectiveSampleSize), T.CreateTruncating(weightDecay));
        TorchThreads.For((count + Tile - 1) / Tile, Grain / Tile, ref body);
    }

    /// <summary>Puts the means back, and leaves in their place the deviations that were added to them.</summary>
    internal static void Restore<T>(T* parameter, T* mean, long count)
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        var body = new RestoreBody<T>(parameter, mean);
        TorchThreads.For(count, Grain, ref body);
    }

    /// <summary>Updates parameter, momentum and Hessian in place.</summary>
    /// <param name="parameter">m.</param>
    /// <param name="gradient">The sum over the samples of the gradients.</param>
    /// <param name="product">
    /// The sum over the samples of gradient times deviation; or, with <paramref name="isDeviation"/>, the deviation of the only one.
    /// </param>
    /// <param name="isDeviation">What <paramref name="product"/> is.</param>
    /// <param name="momentum">g.</param>
    /// <param name="hessian">h.</param>
    /// <param name="count">The number of entries.</param>
    /// <param name="constants">The constants.</param>
    internal static void Step<T>(
        T* parameter, T* gradient, T* product, bool isDeviation, T* momentum, T* hessian, long count, in Constants constants)
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        var body = new StepBody<T>(parameter, gradient, product, isDeviation, momentum, hessian, constants);
        TorchThreads.For(count, Grain, ref body);
    }

    private readonly struct SampleBody<T>(
        T* parameter, T* mean, T* hessian, NoiseDraw draw, long count, T effectiveSampleSize, T weightDecay) : IRangeBody
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        public void Run(long begin, long end)
        {
            T* noise = stackalloc T[Tile];
            for (long start = begin * Tile; start < Math.Min(end * Tile, count); start += Tile)
            {
                int length = (int)Math.Min(Tile, count - start);
                draw.Fill(NoiseLaw.Normal, new Span<T>(noise, length), start);
                Add(parameter + start, mean + start, hessian + start, noise, length, effectiveSampleSize, weightDecay);
            }
        }

        private static void Add(T* parameter, T* mean, T* hessian, T* noise, int length, T effectiveSampleSize, T weightDecay)
        {
            int i = 0;
            if (Vector.IsHardwareAccelerated)
            {
                Vector<T> delta = new(weightDecay), lambda = new(effectiveSampleSize);
                for (; i <= length - Vector<T>.Count; i += Vector<T>.Count)
                {
                    Vector<T> m = Vector.Load(parameter + i);
                    m.Store(mean + i);
                    Vector<T> stdDev = Vector<T>.One / Vector.SquareRoot((Vector.Load(hessian + i) + delta) * lambda);
                    (m + Vector.Load(noise + i) * stdDev).Store(parameter + i);
                }
            }

            for (; i < length; i++)
            {
                mean[i] = parameter[i];
                parameter[i] += noise[i] * (T.One / T.Sqrt((hessian[i] + weightDecay) * effectiveSampleSize));
            }
        }
    }

    private readonly struct RestoreBody<T>(T* parameter, T* mean) : IRangeBody
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        public void Run(long begin, long end)
        {
            T* sample = parameter, kept = mean;
            long i = begin;
            if (Vector.IsHardwareAccelerated)
            {
                for (; i <= end - Vector<T>.Count; i += Vector<T>.Count)
                {
                    Vector<T> w = Vector.Load(sample + i), m = Vector.Load(kept + i);
                    m.Store(sample + i);
                    (w - m).Store(kept + i);
                }
            }

            for (; i < end; i++)
                (sample[i], kept[i]) = (kept[i], sample[i] - kept[i]);
        }
    }

    private readonly struct StepBody<T> : IRangeBody
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        private readonly T* _parameter, _gradient, _product, _momentum, _hessian;
        private readonly bool _isDeviation;
        private readonly T _beta1, _newWeight1, _newWeight2, _stepSize, _correction, _delta, _lambda, _radius;

        internal StepBody(T* parameter, T* gradient, T* product, bool isDeviation, T* momentum, T* hessian, in Constants constants)
        {
            _parameter = parameter;
            _gradient = gradient;
            _product = product;
            _isDeviation = isDeviation;
            _momentum = momentum;
            _hessian = hessian;
            (_beta1, _newWeight1) = (T.CreateTruncating(constants.Beta1), T.CreateTruncating((1 - constants.Beta1) / constants.Samples));
            (_newWeight2, _lambda) = (T.CreateTruncating(1 - constants.Beta2), T.CreateTruncating(constants.EffectiveSampleSize / constants.Samples));
            (_stepSize, _correction) = (T.CreateTruncating(constants.StepSize), T.CreateTruncating(1 / constants.MomentumCorrection));
            (_delta, _radius) = (T.CreateTruncating(constants.WeightDecay), T.CreateTruncating(constants.ClipRadius));
        }

        public void Run(long begin, long end)
        {
            StepBody<T> my = this;
            long i = begin;
            if (Vector.IsHardwareAccelerated)
            {
                Vector<T> delta = new(my._delta), radius = new(my._radius), half = new(T.CreateTruncating(0.5));
                for (; i <= end - Vector<T>.Count; i += Vector<T>.Count)
                {
                    Vector<T> g = Vector.Load(my._gradient + i), product = Vector.Load(my._product + i);
                    Vector<T> m = Vector.Load(my._parameter + i), h = Vector.Load(my._hessian + i);
                    if (my._isDeviation)
                        product *= g;
                    Vector<T> momentum = Vector.Load(my._momentum + i) * my._beta1 + g * my._newWeight1;
                    Vector<T> damped = h + delta;
                    Vector<T> change = (product * my._lambda - h / damped) * my._newWeight2;
                    h += damped * (change + change * change * half);
                    Vector<T> direction = (momentum * my._correction + m * my._delta) / (h + delta);
                    momentum.Store(my._momentum + i);
                    h.Store(my._hessian + i);
                    (m - Vector.Min(Vector.Max(direction, -radius), radius) * my._stepSize).Store(my._parameter + i);
                }
            }

            for (; i < end; i++)
            {
                T g = my._gradient[i], m = my._parameter[i], h = my._hessian[i];
                T product = my._isDeviation ? my._product[i] * g : my._product[i];
                T momentum = my._momentum[i] * my._beta1 + g * my._newWeight1;
                T damped = h + my._delta;
                T change = (product * my._lambda - h / damped) * my._newWeight2;
                h += damped * (change + change * change * T.CreateTruncating(0.5));
                T direction = (momentum * my._correction + m * my._delta) / (h + my._delta);
                my._momentum[i] = momentum;
                my._hessian[i] = h;
                my._parameter[i] = m - T.Min(T.Max(direction, -my._radius), my._radius) * my._stepSize;
            }
        }
    }
}
