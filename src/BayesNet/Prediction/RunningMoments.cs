using BayesNet.Likelihoods;
using BayesNet.Runtime;
using static TorchSharp.torch;

namespace BayesNet.Prediction;

/// <summary>
/// The moments of a predictive distribution, gathered from blocks of samples: mean, sum of squared deviations and averages, merged by the
/// update of Chan, Golub and LeVeque 1983 (equation 2.1), in float64. Blocks of one range of rows may come in any order and size.
/// </summary>
internal sealed class RunningMoments : IDisposable
{
    private readonly Likelihood? _likelihood;
    private readonly SortedDictionary<long, Range> _ranges = [];
    private Predictive? _kind;

    /// <summary>Gathers what it is given.</summary>
    /// <param name="likelihood">Of the samples; null where predictives are added.</param>
    internal RunningMoments(Likelihood? likelihood = null) => _likelihood = likelihood;

    /// <summary>Adds samples of some rows.</summary>
    internal void Add(SampleBlock samples)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        Add(_likelihood!.Predict(samples.Outputs), samples.FirstRow ?? 0);
    }

    /// <summary>Adds what was predicted for some rows by samples of its own, kept or not; disposed by this object.</summary>
    internal void Add(Predictive block, long firstRow = 0)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        _kind?.Dispose();
        _kind = block;
        if (!_ranges.TryGetValue(firstRow, out Range? range))
            _ranges.Add(firstRow, range = new Range());
        range.Add(block);
    }

    /// <summary>The predictive that has these moments and no samples.</summary>
    internal Predictive Result()
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        ScalarType dtype = _kind!.Mean.dtype;
        Tensor mean = Joined(range => range.Mean), epistemic = Joined(range => range.Epistemic);
        Tensor[] averages = [.. _kind.Averages.Select((_, i) => Joined(range => range.Average(i)))];
        return _kind.WithoutSamples(_ranges.Values.First().Samples, mean, epistemic, averages);

        Tensor Joined(Func<Range, Tensor> part) => cat([.. _ranges.Values.Select(part)], 0).to(dtype);
    }

    public void Dispose()
    {
        _kind?.Dispose();
        foreach (Range range in _ranges.Values)
            range.Dispose();
    }

    private sealed class Range : IDisposable
    {
        private Tensor? _mean;
        private Tensor? _squares;
        private Tensor[] _sums = [];

        internal long Samples { get; private set; }

        internal Tensor Mean => _mean!;

        internal Tensor Epistemic => _squares!.Times(1.0 / Samples).sqrt();

        internal Tensor Average(int index) => _sums[index].Times(1.0 / Samples);

        internal void Add(Predictive block)
        {
            Tensor mean = block.Mean.to(ScalarType.Float64);
            Tensor squares = block.Epistemic.to(ScalarType.Float64).Squared().Times(block.Samples);
            Tensor[] sums = [.. block.Averages.Select(average => average.to(ScalarType.Float64).Times(block.Samples))];
            long samples = Samples + block.Samples;
            if (_mean is null)
            {
                // The block's own tensors are freed with it; in float64 they are these.
                _mean = mean.clone().DetachFromDisposeScope();
                _squares = squares.DetachFromDisposeScope();
                _sums = [.. sums.Select(sum => sum.DetachFromDisposeScope())];
            }
            else
            {
                Tensor delta = mean.sub(_mean);
                _mean.add_(delta.Times((double)block.Samples / samples), Scalars.One);
                _squares!.add_(squares, Scalars.One).add_(delta.Squared().Times((double)Samples * block.Samples / samples), Scalars.One);
                for (int i = 0; i < sums.Length; i++)
                    _sums[i].add_(sums[i], Scalars.One);
            }

            Samples = samples;
        }

        public void Dispose()
        {
            _mean?.Dispose();
            _squares?.Dispose();
            foreach (Tensor sum in _sums)
                sum.Dispose();
        }
    }
}
