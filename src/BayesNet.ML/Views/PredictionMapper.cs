using Microsoft.ML;
using Microsoft.ML.Data;

namespace BayesNet.ML.Views;

/// <summary>Predicts single rows, as a <c>PredictionEngine</c> asks for them.</summary>
internal sealed class PredictionMapper(BayesianTransformer transformer, DataViewSchema input) : IRowToRowMapper
{
    private readonly PredictionSchema _schema = new(transformer, input);

    public DataViewSchema InputSchema => _schema.Input;

    public DataViewSchema OutputSchema => _schema.Output;

    public IEnumerable<DataViewSchema.Column> GetDependencies(IEnumerable<DataViewSchema.Column> dependingColumns)
    {
        bool[] active = _schema.Active(dependingColumns);
        IEnumerable<DataViewSchema.Column> passed = _schema.PassedOn(active);
        return _schema.Predicts(active) ? passed.Append(_schema.Features).DistinctBy(column => column.Index) : passed;
    }

    public DataViewRow GetRow(DataViewRow input, IEnumerable<DataViewSchema.Column> activeColumns) => new PredictionRow(_schema, input, _schema.Active(activeColumns));
}

/// <summary>A row with predictions, which follows a row of the input that moves.</summary>
internal sealed class PredictionRow : DataViewRow
{
    private readonly PredictionSchema _schema;
    private readonly DataViewRow _input;
    private readonly bool[] _active;
    private readonly ValueGetter<VBuffer<float>>? _features;
    private readonly float[] _values;
    private VBuffer<float> _buffer;
    private PredictedRows? _rows;
    private long _position = -1;

    internal PredictionRow(PredictionSchema schema, DataViewRow input, bool[] active)
    {
        (_schema, _input, _active) = (schema, input, active);
        _values = new float[schema.Transformer.Model.Inputs];
        if (schema.Predicts(active))
            _features = input.GetGetter<VBuffer<float>>(schema.Features);
    }

    public override long Position => _input.Position;

    public override long Batch => _input.Batch;

    public override DataViewSchema Schema => _schema.Output;

    public override bool IsColumnActive(DataViewSchema.Column column) => _active[column.Index];

    public override ValueGetter<DataViewRowId> GetIdGetter() => _input.GetIdGetter();

    public override ValueGetter<TValue> GetGetter<TValue>(DataViewSchema.Column column) => _schema.Getter<TValue>(_input, _active, column, () => (Current(), 0));

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _rows?.Dispose();
            _input.Dispose();
        }

        base.Dispose(disposing);
    }

    private PredictedRows Current()
    {
        if (_rows is not null && _position == _input.Position)
            return _rows;
        _rows?.Dispose();
        _features!(ref _buffer);
        _buffer.CopyTo(_values);
        _position = _input.Position;
        return _rows = new PredictedRows(_schema.Transformer, _values);
    }
}
