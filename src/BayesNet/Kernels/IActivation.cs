using System.Numerics;

namespace BayesNet.Kernels;

/// <summary>An elementwise function and its derivative.</summary>
internal interface IActivation<T>
    where T : unmanaged, IBinaryFloatingPointIeee754<T>
{
    /// <summary>f(x), and f'(x) as libtorch's own backward has it where f has a kink.</summary>
    (Vector<T> Value, Vector<T> Derivative) Apply(Vector<T> x);
}

/// <summary>f(x) = x.</summary>
internal readonly struct Identity<T> : IActivation<T>
    where T : unmanaged, IBinaryFloatingPointIeee754<T>
{
    public (Vector<T> Value, Vector<T> Derivative) Apply(Vector<T> x) => (x, Vector<T>.One);
}
