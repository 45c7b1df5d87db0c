using BayesNet.Estimators;
using BayesNet.Maps;
using BayesNet.Posteriors;
using BayesNet.Reparameterization;
using BayesNet.Runtime;
using static TorchSharp.torch;
using Local = BayesNet.Estimators.LocalReparameterization;
using Mean = BayesNet.Estimators.MeanOnly;
using PerExample = BayesNet.Estimators.WeightsPerExample;
using Shared = BayesNet.Estimators.SharedWeights;

namespace BayesNet.Prediction;

/// <summary>What binds the rows of one sample of a layer's output together.</summary>
internal enum RowCoupling
{
    /// <summary>Nothing: each row has noise of its own, so rows may be computed in any grouping, those of several samples at once.</summary>
    None,

    /// <summary>One weight, which can be held, so that the rows of a sample may be computed in parts.</summary>
    Weight,

    /// <summary>Something that is gone after the call, so that a sample is one call for all rows.</summary>
    Call,
}

/// <summary>
/// Stands in for a layer's estimator while its model predicts: the same distribution, but what does not depend on the sample is computed
/// once. Without gradients.
/// </summary>
internal class PassEstimator : Estimator
{
    private readonly bool _holdsDraws;

    private protected PassEstimator(Estimator inner, bool holdsDraws) => (Inner, _holdsDraws) = (inner, holdsDraws);

    /// <summary>The stand-in for a layer's estimator; one for each layer.</summary>
    internal static PassEstimator For(IBayesianModule layer) => For(layer.Estimator, layer is IHoldsDraws);

    private static PassEstimator For(Estimator inner, bool holdsDraws) => inner switch
    {
        Local => new LocalPass(inner, holdsDraws),
        Shared => new SharedPass(inner, holdsDraws),
        _ => new PassEstimator(inner, holdsDraws),
    };

    /// <summary>Whether the layer has no noise.</summary>
    internal bool IsDeterministic => Inner is Mean;

    /// <summary>What binds the rows of a sample; of local reparameterization in a layer that holds draws, recurrent weights.</summary>
    internal RowCoupling Coupling => Inner switch
    {
        Local when _holdsDraws => RowCoupling.Call,
        Mean or Local or PerExample => RowCoupling.None,
        Shared => RowCoupling.Weight,
        _ => RowCoupling.Call,
    };

    /// <summary>
    /// How many samples of each row of the input the output has, sample by sample: (copies * rows, ...). Only for the first layer with noise
    /// of a chain, which is called once a pass, with the same input until <see cref="BeginRows"/>.
    /// </summary>
    internal long? Copies { get; set; }

    /// <summary>Where not null, calls return the output at the means and tell what a call with noise takes.</summary>
    internal Footprint? Pilot { get; set; }

    public override string Name => Inner.Name;

    private protected Estimator Inner { get; }

    public override string? WhyNot(AffineMap map, Posterior weight, Posterior? bias) => Inner.WhyNot(map, weight, bias);

    public sealed override Tensor Forward(AffineMap map, Posterior weight, Posterior? bias, Tensor input, NoiseSource noise)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        if (Pilot is null)
            return Draw(map, weight, bias, input, noise).MoveToOuterDisposeScope();
        Tensor output = MeanOnly.Forward(map, weight, bias, input, noise);
        if (!IsDeterministic)
            Pilot.BeginNoise();
        Pilot.Record(Entries(map, weight, input.numel(), output.numel()) * input.element_size());
        return output.MoveToOuterDisposeScope();
    }

    internal sealed override bool IsOneWeight => Pilot is null && Inner.IsOneWeight;

    internal sealed override HeldDraw Hold(AffineMap map, Posterior weight, Posterior? bias, long batch, NoiseSource noise)
        => Pilot is null ? Held(map, weight, bias, batch, noise) : MeanOnly.Hold(map, weight, bias, batch, noise);

    /// <summary>Forgets what belongs to the last sample.</summary>
    internal virtual void BeginSample()
    {
    }

    /// <summary>Forgets what belongs to the last rows: the next call is of others, of the same sample where its weights are held.</summary>
    internal virtual void BeginRows()
    {
    }

    /// <summary>Frees what is held.</summary>
    internal virtual void Release()
    {
    }

    private protected virtual Tensor Draw(AffineMap map, Posterior weight, Posterior? bias, Tensor input, NoiseSource noise)
        => Inner.Forward(map, weight, bias, Repeat(input, Copies ?? 1), noise);

    private protected virtual HeldDraw Held(AffineMap map, Posterior weight, Posterior? bias, long batch, NoiseSource noise)
        => Inner.Hold(map, weight, bias, batch, noise);

    /// <summary>Rows (rows, ...) as (copies * rows, ...), copy by copy.</summary>
    internal static Tensor Repeat(Tensor rows, long copies)
    {
        if (copies == 1)
            return rows.alias();
        using Tensor expanded = rows.unsqueeze(0).expand([copies, .. rows.shape]);
        return expanded.flatten(0, 1);
    }

    /// <summary>The most tensor entries that a call of the layer holds at a time, for an input and output of the given sizes (one row's).</summary>
    private long Entries(AffineMap map, Posterior weight, long input, long output) => Inner switch
    {
        Mean or Shared => input + output,
        Local => (2 * input) + (output * weight switch
        {
            IndependentGaussian => 3,
            LowRankGaussian lowRank => lowRank.Rank + 4,
            _ => map.FanIn + 4,
        }),
        PerExample when weight is not IInputMultiplicative => input + (3 * map.WeightEntries) + output,
        _ => (2 * input) + (3 * output),
    };

    /// <summary>
    /// Local reparameterization with sigma^2 computed once a prediction and, for the first layer with noise, means and variances of the
    /// outputs once for all samples.
    /// </summary>
    private sealed class LocalPass(Estimator inner, bool holdsDraws) : PassEstimator(inner, holdsDraws)
    {
        private readonly Dictionary<Posterior, Tensor> _variances = [];
        private (Tensor Mean, Tensor StdDev)? _moments;

        internal override void BeginRows()
        {
            if (_moments is { } moments)
            {
                moments.Mean.Dispose();
                moments.StdDev.Dispose();
            }

            _moments = null;
        }

        internal override void Release()
        {
            BeginRows();
            foreach (Tensor variance in _variances.Values)
                variance.Dispose();
            _variances.Clear();
        }

        private protected override Tensor Draw(AffineMap map, Posterior weight, Posterior? bias, Tensor input, NoiseSource noise)
        {
            if (weight is not IndependentGaussian)
                return base.Draw(map, weight, bias, input, noise);
            if (Copies is not { } copies)
            {
                (Tensor mean, Tensor stdDev) = Moments(map, weight, bias, input);
                return mean.addcmul_(stdDev, noise.Normal(mean.shape, mean.dtype, mean.device), Scalars.One);
            }

            if (_moments is not { } held)
            {
                held = Moments(map, weight, bias, input);
                _moments = held = (held.Mean.DetachFromDisposeScope(), held.StdDev.DetachFromDisposeScope());
            }

            Tensor zeta = noise.Normal([copies, .. held.Mean.shape], held.Mean.dtype, held.Mean.device);
            return zeta.mul_(held.StdDev).add_(held.Mean, Scalars.One).flatten(0, 1);
        }

        private (Tensor Mean, Tensor StdDev) Moments(AffineMap map, Posterior weight, Posterior? bias, Tensor input)
        {
            Tensor mean = map.Apply(input, weight.Mean, bias?.Mean);
            Tensor variance = map.ApplySquared(input, Variance(weight), bias is null ? null : Variance(bias));
            return (mean, variance.clamp_min_(FloatRange.LeastNormal(variance.dtype)).sqrt_());
        }

        private Tensor Variance(Posterior posterior)
        {
            if (!_variances.TryGetValue(posterior, out Tensor? variance))
                _variances.Add(posterior, variance = posterior.Variance.DetachFromDisposeScope());
            return variance;
        }
    }

    /// <summary>Shared weights that stay the same until the next sample, call by call where a pass calls the layer more than once.</summary>
    private sealed class SharedPass(Estimator inner, bool holdsDraws) : PassEstimator(inner, holdsDraws)
    {
        private readonly List<(Tensor Weight, Tensor? Bias)> _draws = [];
        private int _call;

        internal override void BeginSample()
        {
            foreach ((Tensor weight, Tensor? bias) in _draws)
            {
                weight.Dispose();
                bias?.Dispose();
            }

            _draws.Clear();
            BeginRows();
        }

        internal override void BeginRows() => _call = 0;

        internal override void Release() => BeginSample();

        private protected override Tensor Draw(AffineMap map, Posterior weight, Posterior? bias, Tensor input, NoiseSource noise)
            => Next(map, weight, bias, noise).Apply(input);

        private protected override HeldDraw Held(AffineMap map, Posterior weight, Posterior? bias, long batch, NoiseSource noise)
            => Next(map, weight, bias, noise);

        private OneWeight Next(AffineMap map, Posterior weight, Posterior? bias, NoiseSource noise)
        {
            if (_call == _draws.Count)
            {
                using var _ = no_grad();
                _draws.Add((weight.Sample(noise).DetachFromDisposeScope(), bias?.Sample(noise).DetachFromDisposeScope()));
            }

            (Tensor w, Tensor? b) = _draws[_call++];
            return new OneWeight(map, w, b);
        }
    }
}

/// <summary>The activations of one row in bytes: the most that one module takes, before and from the first layer with noise on.</summary>
internal sealed class Footprint
{
    private bool _noise;

    /// <summary>Of the modules that are computed once for all samples of a row; at least 1.</summary>
    internal long OncePerRow { get; private set; } = 1;

    /// <summary>Of the others; at least 1.</summary>
    internal long PerSample { get; private set; } = 1;

    /// <summary>What is recorded from here on depends on the sample.</summary>
    internal void BeginNoise() => _noise = true;

    internal void Record(long bytes)
    {
        if (_noise)
            PerSample = Math.Max(PerSample, bytes);
        else
            OncePerRow = Math.Max(OncePerRow, bytes);
    }
}
