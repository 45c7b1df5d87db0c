using System.Collections.Concurrent;
using BayesNet.Runtime;
using TorchSharp;
using static TorchSharp.torch;

namespace BayesNet.Kernels;

/// <summary>
/// A smooth function of one variable as a table of cubics that agree with it and its derivative at equally spaced nodes (Hermite
/// interpolation): for special functions that libtorch does not have. The error is at most max |f''''| step^4 / 384.
/// </summary>
internal sealed class HermiteTable
{
    private readonly double _low;
    private readonly double _inverseStep;
    private readonly int _intervals;
    private readonly double[][] _coefficients;
    private readonly ConcurrentDictionary<(ScalarType, DeviceType, int), Tensor[]> _tensors = new();

    private HermiteTable(double low, double high, int intervals, double[] values, double[] slopes)
    {
        double step = (high - low) / intervals;
        (_low, _inverseStep, _intervals) = (low, 1 / step, intervals);
        _coefficients = [new double[intervals], new double[intervals], new double[intervals], new double[intervals]];
        for (int i = 0; i < intervals; i++)
        {
            (double f0, double f1, double d0, double d1) = (values[i], values[i + 1], slopes[i] * step, slopes[i + 1] * step);
            _coefficients[0][i] = f0;
            _coefficients[1][i] = d0;
            _coefficients[2][i] = 3 * (f1 - f0) - 2 * d0 - d1;
            _coefficients[3][i] = 2 * (f0 - f1) + d0 + d1;
        }
    }

    /// <summary>Tabulates a function with a known derivative on [low, high].</summary>
    internal static HermiteTable Of(Func<double, double> function, Func<double, double> derivative, double low, double high, int intervals)
    {
        double[] nodes = Nodes(low, high, intervals);
        return new HermiteTable(low, high, intervals, Array.ConvertAll(nodes, x => function(x)), Array.ConvertAll(nodes, x => derivative(x)));
    }

    /// <summary>Tabulates the integral of a function on [low, high], from its value at the upper end downwards.</summary>
    internal static HermiteTable OfIntegral(Func<double, double> derivative, double valueAtHigh, double low, double high, int intervals)
    {
        // Gauss-Legendre with three points, of order 6 in the step.
        double half = (high - low) / intervals / 2, offset = half * Math.Sqrt(0.6);
        double[] nodes = Nodes(low, high, intervals);
        var values = new double[intervals + 1];
        values[intervals] = valueAtHigh;
        for (int i = intervals - 1; i >= 0; i--)
        {
            double middle = (nodes[i] + nodes[i + 1]) / 2;
            values[i] = values[i + 1] - half * (5 * derivative(middle - offset) + 8 * derivative(middle) + 5 * derivative(middle + offset)) / 9;
        }

        return new HermiteTable(low, high, intervals, values, Array.ConvertAll(nodes, x => derivative(x)));
    }

    /// <summary>The function, entry by entry, with the gradient of the cubic; beyond the table's ends the value and no gradient of the end.</summary>
    internal Tensor Evaluate(Tensor x)
    {
        Tensor[] tables = _tensors.GetOrAdd((x.dtype, x.device_type, x.device_index), _ => Load(x));
        using var scope = NewDisposeScope();
        using Scalar last = _intervals - 1, end = (double)_intervals;
        Tensor position = x.Plus(-_low).Times(_inverseStep).clamp(Scalars.Zero, end);
        Tensor index, interval;
        using (no_grad())
        {
            interval = position.floor().clamp_max(last);
            index = interval.to(ScalarType.Int64).flatten();
        }

        Tensor u = position.sub(interval);
        Tensor Coefficient(int power) => tables[power].index_select(0, index).reshape(x.shape);
        return Coefficient(3).mul(u).Plus(Coefficient(2)).mul(u).Plus(Coefficient(1)).mul(u).Plus(Coefficient(0)).MoveToOuterDisposeScope();
    }

    private static double[] Nodes(double low, double high, int intervals)
        => [.. Enumerable.Range(0, intervals + 1).Select(i => low + i * ((high - low) / intervals))];

    private Tensor[] Load(Tensor like)
        => [.. _coefficients.Select(values => tensor(values, dtype: like.dtype, device: like.device).DetachFromDisposeScope())];
}
