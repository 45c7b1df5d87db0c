using BayesNet.Runtime;
using TorchSharp;
using static TorchSharp.torch;

namespace BayesNet.Layers;

/// <summary>Tables of embeddings with a padding row that their posterior does not have.</summary>
internal static class Table
{
    /// <summary>The rows of a table that is given.</summary>
    internal static long RowsOf(Tensor table)
    {
        ArgumentNullException.ThrowIfNull(table);
        return table.dim() == 2
            ? table.size(0)
            : throw new ArgumentException($"The table has shape {Guard.Format(table.shape)}; it must be (rows, columns).", nameof(table));
    }

    /// <summary>A padding index from the front; null for none.</summary>
    internal static long? PaddingRow(long rows, long? paddingIndex)
    {
        if (paddingIndex is not { } index)
            return null;
        long row = index < 0 ? index + rows : index;
        return row >= 0 && row < rows && rows > 1
            ? row
            : throw new ArgumentOutOfRangeException(
                nameof(paddingIndex), index, $"paddingIndex must be a row of a table of {rows} rows, of which one at least is not padding.");
    }

    /// <summary>Standard normal means for all rows but that of the padding.</summary>
    internal static Tensor Draw(long rows, long columns, long? paddingIndex, Device? device, ScalarType? dtype)
    {
        ScalarType type = Guard.FloatingPoint(dtype ?? get_default_dtype(), nameof(dtype));
        return randn([paddingIndex is null ? rows : rows - 1, columns], dtype: type, device: device ?? get_default_device());
    }

    /// <summary>A table without its padding row.</summary>
    internal static Tensor Without(Tensor table, long? paddingIndex, bool mustBeZero)
    {
        if (PaddingRow(table.size(0), paddingIndex) is not { } row)
            return table;
        if (mustBeZero && table[row].ne(Scalars.Zero).any().item<bool>())
        {
            throw new ArgumentException(
                $"The padding row {row} of the table is not zero, and a row that has no posterior is; set it to zero, or give no paddingIndex.", nameof(table));
        }

        return cat([table.narrow(0, 0, row), table.narrow(0, row + 1, table.size(0) - row - 1)]);
    }

    /// <summary>The inverse: the table with zeros in the padding row.</summary>
    internal static Tensor With(Tensor values, long? paddingIndex)
    {
        if (paddingIndex is not { } row)
            return values.alias();
        using var scope = NewDisposeScope();
        Tensor zero = zeros([1, values.size(1)], dtype: values.dtype, device: values.device);
        return cat([values.narrow(0, 0, row), zero, values.narrow(0, row, values.size(0) - row)]).MoveToOuterDisposeScope();
    }

    /// <summary>Indices of a table as those of the rows that are no padding, 0 for the padding itself, and which are no padding.</summary>
    internal static Tensor Renumber(Tensor input, Scalar padding, out Tensor kept)
    {
        kept = input.ne(padding);
        return input.sub(input.gt(padding).to(input.dtype)).mul(kept.to(input.dtype));
    }

    /// <summary>An index that is no row; null where all are.</summary>
    internal static long? OutOfRange(Tensor input, long rows)
    {
        using var scope = NewDisposeScope();
        long least = input.min().to(ScalarType.Int64).item<long>(), most = input.max().to(ScalarType.Int64).item<long>();
        return least < 0 ? least : most >= rows ? most : null;
    }
}
