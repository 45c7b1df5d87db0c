using BayesNet.Runtime;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace BayesNet.Layers.Conversion;

/// <summary>What TorchSharp does not tell of an embedding bag.</summary>
internal readonly record struct BagProbe(EmbeddingBagMode Mode, bool IncludesLastOffset, long? PaddingIndex)
{
    /// <summary>TorchSharp's padding index of a bag without one.</summary>
    internal const long NoPadding = -1;

    /// <summary>Finds it by the bags of each row alone and of each two neighbours; null where several modes give what the layer does, or none.</summary>
    internal static BagProbe? Find(EmbeddingBag layer, LayerHints hints)
    {
        Tensor table = layer.weight!;
        long rows = table.size(0);
        long? given = Table.PaddingRow(rows, hints.PaddingIndex);
        Tensor each = arange(rows, dtype: ScalarType.Int64, device: table.device);
        Tensor[] bags = [each.unsqueeze(1), stack([each, each.roll([-1L], [0L])], 1)];
        using Tensor before = table.clone();
        try
        {
            bool includesLast = layer.forward(zeros([2], dtype: ScalarType.Int64, device: table.device), Offsets(2, 1, table.device), null!).size(0) == 2;
            if (hints.Mode is { } known && given is not null)
                return new BagProbe(known, includesLast, given);

            // A padding row counts as zero in a bag of itself alone; one that is zero shows in a mean or a maximum with another.
            Tensor[] outputs = [.. bags.Select(two => layer.forward(two.flatten(), Offsets(includesLast ? rows : rows - 1, two.size(1), table.device), null!))];
            EmbeddingBagMode[] modes = hints.Mode is { } mode ? [mode] : Enum.GetValues<EmbeddingBagMode>();
            long?[] paddings = given is not null ? [given] : [null, .. Suspects(before, outputs[0])];
            BagProbe[] candidates = [.. from padding in paddings from one in modes select new BagProbe(one, includesLast, padding)];
            BagProbe[] fitting = [.. candidates.Where(candidate => bags.Zip(outputs).All(pair => candidate.Fits(before, pair.First, pair.Second)))];
            return fitting.Select(candidate => candidate.Mode).Distinct().Count() == 1 ? fitting[0] : null;
        }
        finally
        {
            // max_norm scales the rows that are looked up, in place.
            if (table.ne(before).any().item<bool>())
                table.copy_(before);
        }
    }

    /// <summary>Where bags of one size begin: 0, size, ..., last * size.</summary>
    private static Tensor Offsets(long last, long size, Device device) => arange(0, (last + 1) * size, size, dtype: ScalarType.Int64, device: device);

    private static IEnumerable<long?> Suspects(Tensor table, Tensor alone)
    {
        using Tensor rows = alone.ne(table).any(1).logical_or(table.eq(Scalars.Zero).all(1)).nonzero().flatten().cpu();
        return [.. rows.data<long>().Take(8).Select(row => (long?)row)];
    }

    private bool Fits(Tensor table, Tensor bags, Tensor output)
    {
        using var scope = NewDisposeScope();
        Tensor rows = table.index_select(0, bags.flatten()).reshape([.. bags.shape, table.size(1)]);
        using Scalar padding = PaddingIndex ?? NoPadding;
        Tensor counts = bags.ne(padding).unsqueeze(2), kept = counts.to(table.dtype);
        Tensor emulated = Mode == EmbeddingBagMode.Max
            ? rows.masked_fill(counts.logical_not(), double.NegativeInfinity).amax([1L])
            : rows.mul(kept).sum([1L]);
        if (Mode == EmbeddingBagMode.Mean)
            emulated = emulated.div(kept.sum([1L]).clamp_min(Scalars.One));
        return emulated.masked_fill(counts.any(1).logical_not(), 0.0).allclose(output, 1e-5, 1e-7);
    }
}
