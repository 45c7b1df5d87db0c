using System.Numerics;
using BayesNet.Kernels;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace BayesNet.Training.Compiled;

/// <summary>The activations that a compiled step knows.</summary>
internal static class Activation
{
    /// <summary>Whether a module is one of them.</summary>
    internal static bool IsKnown(nn.Module module)
        => module is TorchSharp.Modules.Identity or ReLU or LeakyReLU or ELU or TorchSharp.Modules.Tanh or TorchSharp.Modules.Sigmoid or SiLU or Softplus;

    /// <summary>Calls <paramref name="visitor"/> with the kernel of a module that <see cref="IsKnown"/>; null is the identity.</summary>
    internal static TResult Visit<T, TResult>(nn.Module? module, IVisitor<T, TResult> visitor)
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
        => module switch
        {
            null or TorchSharp.Modules.Identity => visitor.Visit(default(Identity<T>)),
            ReLU => visitor.Visit(default(Rectifier<T>)),
            LeakyReLU leaky => visitor.Visit(new LeakyRectifier<T>(leaky.negative_slope)),
            ELU elu => visitor.Visit(new ExponentialLinear<T>(elu.alpha)),
            TorchSharp.Modules.Tanh => visitor.Visit(default(HyperbolicTangent<T>)),
            TorchSharp.Modules.Sigmoid => visitor.Visit(default(LogisticSigmoid<T>)),
            SiLU => visitor.Visit(default(SigmoidLinear<T>)),
            Softplus softplus => visitor.Visit(new SoftRectifier<T>(softplus.beta, softplus.threshold)),
            _ => throw new ArgumentException($"{module.GetName()} is no activation that is compiled.", nameof(module)),
        };

    /// <summary>Called with the one kernel that fits.</summary>
    internal interface IVisitor<T, TResult>
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        TResult Visit<TActivation>(TActivation activation)
            where TActivation : struct, IActivation<T>;
    }

    private static Vector<T> Log1P<T>(Vector<T> x)
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        // ln(1 + x) = x ln(u) / (u - 1) with u = 1 + x rounded: the rounding cancels (Goldberg 1991, theorem 4).
        Vector<T> u = Vector<T>.One + x, excess = u - Vector<T>.One;
        Vector<T> log = typeof(T) == typeof(float) ? Vector.Log(u.As<T, float>()).As<float, T>() : Vector.Log(u.As<T, double>()).As<double, T>();
        return Vector.ConditionalSelect(Vector.Equals(excess, Vector<T>.Zero), x, x * log / excess);
    }

    private static Vector<T> Sigmoid<T>(Vector<T> x)
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
        => Vector<T>.One / (Vector<T>.One + VectorExp.Exp(-x));

    private readonly struct Rectifier<T> : IActivation<T>
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        public (Vector<T> Value, Vector<T> Derivative) Apply(Vector<T> x)
        {
            // Written so that a NaN stays one, as in libtorch.
            Vector<T> off = Vector.LessThanOrEqual(x, Vector<T>.Zero);
            return (Vector.AndNot(x, off), Vector.AndNot(Vector<T>.One, off));
        }
    }

    private readonly struct LeakyRectifier<T>(double slope) : IActivation<T>
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        private readonly T _slope = T.CreateTruncating(slope);

        public (Vector<T> Value, Vector<T> Derivative) Apply(Vector<T> x)
        {
            Vector<T> factor = Vector.ConditionalSelect(Vector.GreaterThan(x, Vector<T>.Zero), Vector<T>.One, new Vector<T>(_slope));
            return (x * factor, factor);
        }
    }

    private readonly struct ExponentialLinear<T>(double alpha) : IActivation<T>
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        private readonly T _alpha = T.CreateTruncating(alpha);

        public (Vector<T> Value, Vector<T> Derivative) Apply(Vector<T> x)
        {
            // exp(x) - 1 for small x as 2 sinh(x/2) exp(x/2) would need more than this: tanh(x/2) (exp(x) + 1), exact to rounding near 0.
            Vector<T> positive = Vector.GreaterThan(x, Vector<T>.Zero), below = Vector.Min(x, Vector<T>.Zero), exp = VectorExp.Exp(below);
            Vector<T> scaled = new Vector<T>(_alpha) * ExpM1(below, exp);
            return (Vector.ConditionalSelect(positive, x, scaled), Vector.ConditionalSelect(positive, Vector<T>.One, new Vector<T>(_alpha) * exp));
        }
    }

    private readonly struct HyperbolicTangent<T> : IActivation<T>
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        public (Vector<T> Value, Vector<T> Derivative) Apply(Vector<T> x)
        {
            Vector<T> value = Tanh(x);
            return (value, Vector<T>.One - value * value);
        }
    }

    private readonly struct LogisticSigmoid<T> : IActivation<T>
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        public (Vector<T> Value, Vector<T> Derivative) Apply(Vector<T> x)
        {
            Vector<T> value = Sigmoid(x);
            return (value, value * (Vector<T>.One - value));
        }
    }

    private readonly struct SigmoidLinear<T> : IActivation<T>
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        public (Vector<T> Value, Vector<T> Derivative) Apply(Vector<T> x)
        {
            Vector<T> sigmoid = Sigmoid(x);
            return (x * sigmoid, sigmoid * (Vector<T>.One + x * (Vector<T>.One - sigmoid)));
        }
    }

    private readonly struct SoftRectifier<T>(double beta, double threshold) : IActivation<T>
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        private readonly T _beta = T.CreateTruncating(beta), _threshold = T.CreateTruncating(threshold);

        public (Vector<T> Value, Vector<T> Derivative) Apply(Vector<T> x)
        {
            Vector<T> scaled = x * new Vector<T>(_beta), linear = Vector.GreaterThan(scaled, new Vector<T>(_threshold));
            Vector<T> value = (Vector.Max(scaled, Vector<T>.Zero) + Log1P(VectorExp.Exp(-Vector.Abs(scaled)))) / new Vector<T>(_beta);
            return (Vector.ConditionalSelect(linear, x, value), Vector.ConditionalSelect(linear, Vector<T>.One, Sigmoid(scaled)));
        }
    }

    // u = exp(x) rounded; (u - 1) x / ln(u): the rounding of u cancels (Higham 2002, section 1.14.1).
    private static Vector<T> ExpM1<T>(Vector<T> x, Vector<T> exp)
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        Vector<T> log = typeof(T) == typeof(float) ? Vector.Log(exp.As<T, float>()).As<float, T>() : Vector.Log(exp.As<T, double>()).As<double, T>();
        Vector<T> excess = exp - Vector<T>.One;
        Vector<T> corrected = excess * x / log;
        Vector<T> far = Vector.LessThan(x, new Vector<T>(T.CreateTruncating(-0.6)));
        return Vector.ConditionalSelect(Vector.Equals(log, Vector<T>.Zero), x, Vector.ConditionalSelect(far, excess, corrected));
    }

    // tanh(x) = -expm1(-2|x|) / (expm1(-2|x|) + 2), with the sign of x.
    private static Vector<T> Tanh<T>(Vector<T> x)
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        Vector<T> two = Vector<T>.One + Vector<T>.One, argument = -two * Vector.Abs(x);
        Vector<T> expM1 = ExpM1(argument, VectorExp.Exp(argument));
        Vector<T> magnitude = -expM1 / (expM1 + two);
        return Vector.ConditionalSelect(Vector.LessThan(x, Vector<T>.Zero), -magnitude, magnitude);
    }
}
