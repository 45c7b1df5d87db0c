using BayesNet.Runtime;
using TorchSharp;
using static TorchSharp.torch;

namespace BayesNet.Prediction;

/// <summary>Inverts distribution functions of mixtures, entry by entry, by bisection in float64. Without gradients.</summary>
internal static class MixtureQuantile
{
    private const int Steps = 60;

    // A bracket that doubled so often has left the range of any count or of float32.
    private const int MostDoublings = 1000;

    /// <summary>The root of cdf(y) = probability between <paramref name="low"/> and <paramref name="high"/>, both of which are used up.</summary>
    internal static Tensor Bisect(Tensor low, Tensor high, double probability, Func<Tensor, Tensor> cdf)
    {
        using Scalar target = probability;
        for (int step = 0; step < Steps; step++)
        {
            using var inner = NewDisposeScope();
            Tensor middle = low.Plus(high).mul(Scalars.Half);
            Tensor below = cdf(middle).lt(target);
            (Tensor newLow, Tensor newHigh) = (where(below, middle, low), where(below, high, middle));
            low.Dispose();
            high.Dispose();
            (low, high) = (newLow.MoveToOuterDisposeScope(), newHigh.MoveToOuterDisposeScope());
        }

        return low.Plus(high).mul(Scalars.Half);
    }

    /// <summary>The same where no bracket is known: around the components' range, widened by twice as much each time until it holds the root.</summary>
    /// <param name="components">Locations, (samples, batch, ...), float64.</param>
    /// <param name="scale">What the widening starts with; of the components' dimensions.</param>
    /// <param name="probability">Strictly between 0 and 1.</param>
    /// <param name="cdf">The mixture's distribution function of (batch, ...).</param>
    internal static Tensor Continuous(Tensor components, Tensor scale, double probability, Func<Tensor, Tensor> cdf)
    {
        using Scalar target = probability;
        Tensor low = components.amin([0]), high = components.amax([0]);
        Tensor width = scale.expand_as(components).amax([0]);
        for (int doubling = 0; doubling < MostDoublings; doubling++)
        {
            using var inner = NewDisposeScope();
            Tensor above = cdf(low).ge(target), below = cdf(high).lt(target);
            if (!above.logical_or(below).any().item<bool>())
                break;
            low = where(above, low.sub(width), low).MoveToOuterDisposeScope();
            high = where(below, high.Plus(width), high).MoveToOuterDisposeScope();
            width = width.mul(Scalars.Two).MoveToOuterDisposeScope();
        }

        return Bisect(low, high, probability, cdf);
    }

    /// <summary>The least count whose distribution function reaches <paramref name="probability"/>.</summary>
    /// <param name="start">Where the search for an upper bound starts, at least 0; of the result's shape, float64.</param>
    /// <param name="probability">Of that shape, or one entry.</param>
    /// <param name="cdf">The distribution function of counts of that shape.</param>
    internal static Tensor Count(Tensor start, Tensor probability, Func<Tensor, Tensor> cdf)
    {
        Tensor low = full_like(start, Scalars.MinusOne), high = start.ceil();
        for (int doubling = 0; doubling < MostDoublings; doubling++)
        {
            using var inner = NewDisposeScope();
            Tensor below = cdf(high).lt(probability).logical_and(high.isfinite());
            if (!below.any().item<bool>())
                break;
            low = where(below, high, low).MoveToOuterDisposeScope();
            high = where(below, high.mul(Scalars.Two).Plus(1), high).MoveToOuterDisposeScope();
        }

        for (int step = 0; step < MostDoublings; step++)
        {
            using var inner = NewDisposeScope();

            // Beyond 2^53 counts are not a unit apart: the middle is then one of the bounds, and there is nothing left to halve.
            Tensor middle = low.Plus(high).mul(Scalars.Half).floor();
            Tensor open = middle.gt(low).logical_and(middle.lt(high));
            if (!open.any().item<bool>())
                break;
            Tensor below = cdf(middle).lt(probability);
            low = where(open.logical_and(below), middle, low).MoveToOuterDisposeScope();
            high = where(open.logical_and(below.logical_not()), middle, high).MoveToOuterDisposeScope();
        }

        return high;
    }
}
