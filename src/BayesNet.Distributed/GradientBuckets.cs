using BayesNet.Kernels;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace BayesNet.Distributed;

/// <summary>
/// The gradients of a set of parameters in buckets, contiguous memory that is reduced at a stroke: many small gradients cost one message, and a
/// bucket is on its way while the next is filled.
/// </summary>
/// <remarks>
/// After a sum, <c>.grad</c> of a parameter is its place in the bucket. A compiled step writes the next gradient right there, and nothing is copied.
/// </remarks>
internal sealed class GradientBuckets : IDisposable
{
    /// <summary>The least number of entries of a full bucket: 4 MB in float32.</summary>
    private const long Entries = 1 << 20;

    private readonly ICollectives _ranks;
    private readonly IReadOnlyList<Parameter> _trained;
    private readonly List<Bucket> _buckets = [];

    internal GradientBuckets(ICollectives ranks, IReadOnlyList<Parameter> trained)
    {
        (_ranks, _trained) = (ranks, trained);
        foreach (IGrouping<(ScalarType, DeviceType), int> alike in Enumerable.Range(0, trained.Count).GroupBy(i => (trained[i].dtype, trained[i].device_type)))
        {
            var members = new List<int>();
            long entries = 0;
            foreach (int i in alike)
            {
                members.Add(i);
                entries += trained[i].numel();
                if (entries < Entries)
                    continue;
                _buckets.Add(new Bucket(trained, members));
                (members, entries) = ([], 0);
            }

            if (members.Count > 0)
                _buckets.Add(new Bucket(trained, members));
        }
    }

    /// <summary>Whether these are the buckets of a list of parameters.</summary>
    internal bool AreOf(IReadOnlyList<Parameter> trained) => ReferenceEquals(_trained, trained);

    /// <summary>Sums gradients and values over all ranks.</summary>
    internal void Sum(Span<double> values)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();

        // Behind the values, how many ranks have a gradient, parameter by parameter.
        Tensor shared = zeros([values.Length + _trained.Count], ScalarType.Float64, CPU);
        Span<double> sums = TensorMemory.Span<double>(shared);
        values.CopyTo(sums);
        Span<double> present = sums[values.Length..];
        var pending = new IPendingReduction[_buckets.Count];
        for (int i = 0; i < pending.Length; i++)
        {
            _buckets[i].Fill(present);
            pending[i] = _ranks.BeginAllReduce(_buckets[i].Memory);
        }

        _ranks.AllReduce(shared);
        sums[..values.Length].CopyTo(values);
        for (int i = 0; i < pending.Length; i++)
        {
            pending[i].Wait();
            _buckets[i].HandOver(present);
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _buckets.ForEach(bucket => bucket.Dispose());

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

        /// <summary>Copies what is not there already, and counts what there is.</summary>
        internal void Fill(Span<double> present)
        {
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
