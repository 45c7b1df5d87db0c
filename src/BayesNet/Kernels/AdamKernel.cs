using System.Numerics;

namespace BayesNet.Kernels;

/// <summary>
/// Adam in one pass over memory: parameter, gradient and both moments are read once, and all but the gradient written once, 28 bytes a
/// float32 scalar.
/// </summary>
internal static class AdamKernel
{
    /// <summary>One step's constants (Kingma and Ba 2015, algorithm 1, in the order of operations of its section 2).</summary>
    /// <param name="Beta1">The decay of the first moment.</param>
    /// <param name="Beta2">The decay of the second moment.</param>
    /// <param name="StepSize">The learning rate over 1 - beta1^t.</param>
    /// <param name="RootCorrection">The root of 1 - beta2^t.</param>
    /// <param name="Epsilon">What is added to the root of the second moment.</param>
    /// <param name="WeightDecay">The factor of the parameter that is added to the gradient.</param>
    /// <param name="Sign">-1 to maximise, else 1.</param>
    internal readonly record struct Constants(
        double Beta1, double Beta2, double StepSize, double RootCorrection, double Epsilon, double WeightDecay, double Sign);

    /// <summary>Updates <paramref name="parameter"/> and its moments in place; the four have one length.</summary>
    internal static void Step<T>(Span<T> parameter, ReadOnlySpan<T> gradient, Span<T> first, Span<T> second, in Constants constants)
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        if (gradient.Length != parameter.Length || first.Length != parameter.Length || second.Length != parameter.Length)
            throw new ArgumentException("Parameter, gradient and moments must have one length.", nameof(gradient));

        T beta1 = T.CreateTruncating(constants.Beta1), newWeight1 = T.CreateTruncating(1 - constants.Beta1);
        T beta2 = T.CreateTruncating(constants.Beta2), newWeight2 = T.CreateTruncating(1 - constants.Beta2);
        T stepSize = T.CreateTruncating(constants.StepSize), correction = T.CreateTruncating(1 / constants.RootCorrection);
        T epsilon = T.CreateTruncating(constants.Epsilon), decay = T.CreateTruncating(constants.WeightDecay), sign = T.CreateTruncating(constants.Sign);
        var (vBeta1, vNew1, vBeta2, vNew2) = (new Vector<T>(beta1), new Vector<T>(newWeight1), new Vector<T>(beta2), new Vector<T>(newWeight2));
        var (vStep, vCorrection, vEpsilon) = (new Vector<T>(stepSize), new Vector<T>(correction), new Vector<T>(epsilon));
        var (vDecay, vSign) = (new Vector<T>(decay), new Vector<T>(sign));

        int i = 0;
        for (int last = parameter.Length - Vector<T>.Count; i <= last; i += Vector<T>.Count)
        {
            var p = new Vector<T>(parameter[i..]);
            Vector<T> g = new Vector<T>(gradient[i..]) * vSign + vDecay * p;
            Vector<T> m = new Vector<T>(first[i..]) * vBeta1 + g * vNew1;
            Vector<T> v = new Vector<T>(second[i..]) * vBeta2 + g * g * vNew2;
            p -= vStep * m / (Vector.SquareRoot(v) * vCorrection + vEpsilon);
            m.CopyTo(first[i..]);
            v.CopyTo(second[i..]);
            p.CopyTo(parameter[i..]);
        }

        for (; i < parameter.Length; i++)
        {
            T p = parameter[i];
            T g = gradient[i] * sign + decay * p;
            T m = first[i] * beta1 + g * newWeight1;
            T v = second[i] * beta2 + g * g * newWeight2;
            first[i] = m;
            second[i] = v;
            parameter[i] = p - stepSize * m / (T.Sqrt(v) * correction + epsilon);
        }
    }
}
