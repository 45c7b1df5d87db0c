using Microsoft.ML;
using Microsoft.ML.Data;

namespace BayesNet.ML.Views;

/// <summary>A data view with predictions, computed as they are read.</summary>
internal sealed class PredictionView(BayesianTransformer transformer, IDataView input) : IDataView
{
    private readonly PredictionSchema _schema = new(transformer, input.Schema);

    public bool CanShuffle => false;

    public DataViewSchema Schema => _schema.Output;

    public long? GetRowCount() => input.GetRowCount();

    public DataViewRowCursor GetRowCursor(IEnumerable<DataViewSchema.Column> columnsNeeded, Random? rand = null)
    {
        ArgumentNullException.ThrowIfNull(columnsNeeded);
        return new PredictionCursor(_schema, input, _schema.Active(columnsNeeded));
    }

    // A cursor for each thread would cut the rows into smaller blocks; libtorch has threads of its own.
    public DataViewRowCursor[] GetRowCursorSet(IEnumerable<DataViewSchema.Column> columnsNeeded, int n, Random? rand = null) => [GetRowCursor(columnsNeeded, rand)];
}

/// <summary>
/// Reads rows with predictions. A second cursor over the input runs ahead, reads features alone and has a block of rows predicted at once, which is many
/// times faster than row by row. Where no predicted column is asked for there is none.
/// </summary>
internal sealed class PredictionCursor : DataViewRowCursor
{
    // Bounds the activations of a block, samples x rows x units, and the time to the first row.
    internal const int MostRows = 256;
    private const long MostActivations = 4 << 20;

    private readonly PredictionSchema _schema;
    private readonly bool[] _active;
    private readonly DataViewRowCursor _input;
    private readonly DataViewRowCursor? _ahead;
    private readonly ValueGetter<VBuffer<float>>? _features;
    private readonly float[] _block = [];
    private PredictedRows? _rows;
    private int _row = -1;

    internal PredictionCursor(PredictionSchema schema, IDataView input, bool[] active)
    {
        (_schema, _active) = (schema, active);
        _input = input.GetRowCursor(schema.PassedOn(active));
        if (!schema.Predicts(active))
            return;
        _ahead = input.GetRowCursor([schema.Features]);
        _features = _ahead.GetGetter<VBuffer<float>>(schema.Features);
        PosteriorSample model = schema.Transformer.Model;
        int rows = (int)Math.Clamp(MostActivations / ((long)model.Count * model.WidestLayer), 1, MostRows);
        _block = new float[rows * model.Inputs];
    }

    public override long Position => _input.Position;

    public override long Batch => _input.Batch;

    public override DataViewSchema Schema => _schema.Output;

    public override bool IsColumnActive(DataViewSchema.Column column) => _active[column.Index];

    public override ValueGetter<DataViewRowId> GetIdGetter() => _input.GetIdGetter();

    public override ValueGetter<TValue> GetGetter<TValue>(DataViewSchema.Column column) => _schema.Getter<TValue>(
        _input, _active, column, () => (_rows ?? throw new InvalidOperationException("The cursor is before the first row or behind the last; call MoveNext."), _row));

    public override bool MoveNext()
    {
        bool there = _input.MoveNext();
        if (_ahead is not null && (!there || ++_row >= (_rows?.Count ?? 0)))
        {
            _rows?.Dispose();
            (_rows, _row) = (there ? NextBlock() : null, 0);
        }

        return there;
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _rows?.Dispose();
            _ahead?.Dispose();
            _input.Dispose();
        }

        base.Dispose(disposing);
    }

    private PredictedRows NextBlock()
    {
        int size = _schema.Transformer.Model.Inputs, filled = 0;
        VBuffer<float> buffer = default;
        while (filled < _block.Length && _ahead!.MoveNext())
        {
            _features!(ref buffer);
            buffer.CopyTo(_block.AsSpan(filled, size));
            filled += size;
        }

        if (filled == 0)
            throw new InvalidOperationException("A second pass over the input had fewer rows than the first; cache data that change while they are read, by ml.Data.Cache.");
        return new PredictedRows(_schema.Transformer, _block.AsSpan(0, filled));
    }
}
