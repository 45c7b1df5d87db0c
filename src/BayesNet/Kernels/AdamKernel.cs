using System.Numerics;
using System.Runtime.CompilerServices;

namespace BayesNet.Kernels;

/// <summary>
/// Adam and AdamW in one pass over memory: parameter, gradient and both moments are read once, and all but the gradient written once, 28 bytes
/// a float32 scalar.
/// </summary>
internal static unsafe class AdamKernel
{
    // Some ten microseconds of work, against the few that it takes to wake a thread.
    private const long Grain = 16_384;

    /// <summary>One step's constants (Kingma and Ba 2015, algorithm 1, in the order of operations of its section 2).</summary>
    /// <param name="Beta1">The decay of the first moment.</param>
    /// <param name="Beta2">The decay of the second moment.</param>
    /// <param name="StepSize">The learning rate over 1 - beta1^t.</param>
    /// <param name="RootCorrection">The root of 1 - beta2^t.</param>
    /// <param name="Epsilon">What is added to the root of the second moment.</param>
    /// <param name="WeightDecay">The factor of the parameter that is added to the gradient (Adam's penalty).</param>
    /// <param name="Shrinkage">The factor that the parameter is multiplied by before the step (AdamW's decay), else 1.</param>
    /// <param name="GradientFactor">The gradient's factor: -1 to maximise, else 1, times that of clipping.</param>
    internal readonly record struct Constants(
        double Beta1, double Beta2, double StepSize, double RootCorrection, double Epsilon, double WeightDecay, double Shrinkage, double GradientFactor);

    /// <summary>Updates a parameter and its moments in place, on all of libtorch's threads where it is large.</summary>
    internal static void Step<T>(T* parameter, T* gradient, T* first, T* second, long count, in Constants constants)
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        var body = new Body<T>(parameter, gradient, first, second, new Update<T>(constants));
        TorchThreads.For(count, Grain, ref body);
    }

    /// <summary>The step of one scalar, or of a vector of them, for kernels that do other work in the same pass.</summary>
    internal readonly struct Update<T>
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        private readonly T _beta1, _newWeight1, _beta2, _newWeight2, _stepSize, _correction, _epsilon, _decay, _shrinkage, _factor;

        internal Update(in Constants constants)
        {
            (_beta1, _newWeight1) = (T.CreateTruncating(constants.Beta1), T.CreateTruncating(1 - constants.Beta1));
            (_beta2, _newWeight2) = (T.CreateTruncating(constants.Beta2), T.CreateTruncating(1 - constants.Beta2));
            (_stepSize, _correction) = (T.CreateTruncating(constants.StepSize), T.CreateTruncating(1 / constants.RootCorrection));
            (_epsilon, _decay) = (T.CreateTruncating(constants.Epsilon), T.CreateTruncating(constants.WeightDecay));
            (_shrinkage, _factor) = (T.CreateTruncating(constants.Shrinkage), T.CreateTruncating(constants.GradientFactor));
        }

        /// <summary>The parameters after the step; the moments are updated in place.</summary>
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        internal Vector<T> Apply(Vector<T> parameter, Vector<T> gradient, ref Vector<T> first, ref Vector<T> second)
        {
            Vector<T> g = gradient * _factor + parameter * _decay;
            first = first * _beta1 + g * _newWeight1;
            second = second * _beta2 + g * g * _newWeight2;
            return parameter * _shrinkage - first * _stepSize / (Vector.SquareRoot(second) * _correction + new Vector<T>(_epsilon));
        }

        /// <summary>The parameter after the step; the moments are updated in place.</summary>
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        internal T Apply(T parameter, T gradient, ref T first, ref T second)
        {
            T g = gradient * _factor + parameter * _decay;
            first = first * _beta1 + g * _newWeight1;
            second = second * _beta2 + g * g * _newWeight2;
            return parameter * _shrinkage - first * _stepSize / (T.Sqrt(second) * _correction + _epsilon);
        }
    }

    private readonly struct Body<T>(T* parameter, T* gradient, T* first, T* second, Update<T> update) : IRangeBody
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        public void Run(long begin, long end)
        {
            Update<T> step = update;
            long i = begin;
            if (Vector.IsHardwareAccelerated)
            {
                for (; i <= end - Vector<T>.Count; i += Vector<T>.Count)
                {
                    Vector<T> m = Vector.Load(first + i), v = Vector.Load(second + i);
                    step.Apply(Vector.Load(parameter + i), Vector.Load(gradient + i), ref m, ref v).Store(parameter + i);
                    m.Store(first + i);
                    v.Store(second + i);
                }
            }

            for (; i < end; i++)
                parameter[i] = step.Apply(parameter[i], gradient[i], ref first[i], ref second[i]);
        }
    }
}
