using BayesNet.Kernels;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace BayesNet.Distributed;

/// <summary>
/// The gradients of a set of parameters in buckets, contiguous memory that is reduced at a stroke: many small gradients cost one message. Where
/// the ranks overlap, a bucket is on its way while the gradients of the next are computed.
/// </summary>
/// <remarks>
/// <para>
/// The buckets stand in the order in which a backward pass completes them, the last parameters first, and their reductions begin in that order on every
/// rank, whatever is complete.
/// </para>
/// <para>After a sum, <c>.grad</c> of a parameter is its place in the bucket. A compiled step writes the next gradient right there, and nothing is copied.</para>
/// </remarks>
internal sealed class GradientBuckets : IDisposable
{
    /// <summary>The least number of entries of a full bucket: 1 MB in float32.</summary>
    private const long Entries = 1 << 18;

    /// <summary>In front of the shared numbers: two values, and how many ranks have failed.</summary>
    private const int Front = 3;

    private readonly ICollectives _ranks;
    private readonly IReadOnlyList<Parameter> _trained;
    private readonly List<Bucket> _buckets = [];
    private readonly Dictionary<nint, Bucket> _of = [];

    /// <summary>Numbers that are summed beside the gradients: the front, how many ranks have a gradient of each parameter, and those of others.</summary>
    private readonly Tensor _shared;
    private readonly IPendingReduction[] _pending;
    private int _begun;

    /// <summary>Makes buckets.</summary>
    /// <param name="ranks">The ranks.</param>
    /// <param name="trained">The parameters.</param>
    /// <param name="others">How many numbers are summed beside them.</param>
    internal GradientBuckets(ICollectives ranks, IReadOnlyList<Parameter> trained, long others)
    {
        (_ranks, _trained) = (ranks, trained);
        foreach (IGrouping<(ScalarType, DeviceType), int> alike in Enumerable.Range(0, trained.Count).Reverse().GroupBy(i => (trained[i].dtype, trained[i].device_type)))
        {
            var members = new List<int>();
            long entries = 0;
            foreach (int i in alike)
            {
                members.Add(i);
                entries += trained[i].numel();
                if (entries < Entries)
                    continue;
                Add(members);
                (members, entries) = ([], 0);
            }

            if (members.Count > 0)
                Add(members);
        }

        _pending = new IPendingReduction[_buckets.Count];
        _shared = zeros([Front + trained.Count + others], ScalarType.Float64, CPU).DetachFromDisposeScope();
    }

    /// <summary>Numbers that <see cref="Sum"/> sums too; to be set before it.</summary>
    internal Span<double> Others => TensorMemory.Span<double>(_shared)[(Front + _trained.Count)..];

    /// <summary>Whether these are the buckets of a list of parameters.</summary>
    internal bool AreOf(IReadOnlyList<Parameter> trained) => ReferenceEquals(_trained, trained);

    /// <summary>Begins a step: no gradient is complete.</summary>
    internal void Begin()
    {
        _begun = 0;
        _buckets.ForEach(bucket => bucket.Missing = bucket.Count);
    }

    /// <summary>A gradient is complete; the reduction begins where it was the last of its bucket, and those before have begun.</summary>
    internal void Complete(Parameter parameter)
    {
        if (!_ranks.Overlaps)
            return;
        if (_of.TryGetValue(parameter.Handle, out Bucket? own))
            own.Missing--;
        for (int i = 0; i < _begun; i++)
            _pending[i].Progress();
        while (_begun < _buckets.Count && _buckets[_begun].Missing == 0)
            Fill(_begun++, begin: true);
    }

    /// <summary>Sums gradients and values over all ranks.</summary>
    /// <param name="values">Two of them.</param>
    /// <param name="failed">Whether this rank has nothing to add but that it has failed.</param>
    /// <returns>Whether any has failed; gradients and values are then of no use.</returns>
    internal bool Sum(Span<double> values, bool failed)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        bool overlaps = _ranks.Overlaps;
        for (int i = _begun; i < _buckets.Count; i++)
            Fill(i, overlaps);
        Span<double> sums = TensorMemory.Span<double>(_shared);
        (sums[0], sums[1], sums[2]) = (values[0], values[1], failed ? 1 : 0);
        _ranks.AllReduce(_shared);
        values[0] = sums[0];
        values[1] = sums[1];
        for (int i = 0; i < _buckets.Count; i++)
        {
            if (overlaps)
                _pending[i].Wait();
            else
                _ranks.AllReduce(_buckets[i].Memory);
            _buckets[i].HandOver(sums[Front..]);
        }

        return sums[2] > 0;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _buckets.ForEach(bucket => bucket.Dispose());
        _shared.Dispose();
    }

    private void Add(List<int> members)
    {
        var bucket = new Bucket(_trained, members);
        _buckets.Add(bucket);
        members.ForEach(i => _of.Add(_trained[i].Handle, bucket));
    }

    private void Fill(int bucket, bool begin)
    {
        _buckets[bucket].Fill(TensorMemory.Span<double>(_shared)[Front..]);
        if (begin)
            _pending[bucket] = _ranks.BeginAllReduce(_buckets[bucket].Memory);
    }

    private sealed class Bucket : IDisposable
    {
        private readonly (int Index, Parameter Parameter, Tensor Place)[] _members;

        internal Bucket(IReadOnlyList<Parameter> trained, List<int> members)
        {
            using var scope = NewDisposeScope();
            Parameter first = trained[members[0]];
            Memory = zeros([members.Sum(i => trained[i].numel())], first.dtype, first.device).DetachFromDisposeScope();
            _members = new (int, Parameter, Tensor)[members.Count];
            long start = 0;
            for (int m = 0; m < _members.Length; m++)
            {
                Parameter parameter = trained[members[m]];
                long length = parameter.numel();
                _members[m] = (members[m], parameter, Memory.narrow(0, start, length).view(parameter.shape).DetachFromDisposeScope());
                start += length;
            }
        }

        internal Tensor Memory { get; }

        internal int Count => _members.Length;

        /// <summary>How many of its gradients are not complete.</summary>
        internal int Missing { get; set; }

        /// <summary>Copies what is not there already, and counts what there is.</summary>
        internal void Fill(Span<double> present)
        {
            using var _ = no_grad();
            foreach ((int index, Parameter parameter, Tensor place) in _members)
            {
                using Tensor? gradient = parameter.grad;
                present[index] = gradient is null ? 0 : 1;
                if (gradient is null)
                    place.zero_();
                else if (!IsSame(gradient, place))
                    place.copy_(gradient);
            }
        }

        internal void HandOver(Span<double> present)
        {
            foreach ((int index, Parameter parameter, Tensor place) in _members)
                parameter.grad = present[index] > 0 ? place : null;
        }

        public void Dispose()
        {
            foreach ((_, _, Tensor place) in _members)
                place.Dispose();
            Memory.Dispose();
        }

        private static unsafe bool IsSame(Tensor gradient, Tensor place)
            => gradient.device_type == DeviceType.CPU && !gradient.is_sparse && gradient.is_contiguous() && place.numel() > 0
                && TensorMemory.Pointer<byte>(gradient) == TensorMemory.Pointer<byte>(place);
    }
}
