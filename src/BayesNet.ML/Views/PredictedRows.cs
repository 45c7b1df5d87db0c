using BayesNet.Prediction;
using static TorchSharp.torch;

namespace BayesNet.ML.Views;

/// <summary>The predictions of some rows. Nothing is computed before a column is asked for, and each column once.</summary>
internal sealed class PredictedRows : IDisposable
{
    private readonly BayesianTransformer _transformer;
    private readonly float[] _features;
    private readonly bool[] _isMissing;
    private readonly float[]?[] _columns;
    private Predictive? _predictive;

    /// <param name="transformer">What predicts.</param>
    /// <param name="features">Row after row, copied; a row with a value that is not finite has no prediction.</param>
    internal PredictedRows(BayesianTransformer transformer, ReadOnlySpan<float> features)
    {
        _transformer = transformer;
        _features = features.ToArray();
        int size = transformer.Model.Inputs;
        Count = features.Length / size;
        _isMissing = new bool[Count];
        _columns = new float[]?[transformer.Outputs.Count];
        for (int row = 0; row < Count; row++)
        {
            Span<float> own = _features.AsSpan(row * size, size);
            _isMissing[row] = own.ContainsAnyExceptInRange(float.MinValue, float.MaxValue);
            if (_isMissing[row])
                own.Clear();
        }
    }

    /// <summary>The number of rows.</summary>
    internal int Count { get; }

    /// <summary>A column's values, row after row; NaN for rows without a prediction.</summary>
    internal float[] Column(int index) => _columns[index] ??= Compute(index);

    public void Dispose() => _predictive?.Dispose();

    private float[] Compute(int index)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        _predictive ??= _transformer.Predict(_features);
        using Tensor values = _transformer.Outputs[index].Values(_predictive).to(ScalarType.Float32, copy: true);
        float[] column = values.data<float>().ToArray();
        int size = column.Length / Count;
        for (int row = 0; row < Count; row++)
        {
            if (_isMissing[row])
                column.AsSpan(row * size, size).Fill(float.NaN);
        }

        return column;
    }
}
