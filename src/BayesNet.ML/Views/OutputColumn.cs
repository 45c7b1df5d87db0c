using BayesNet.Prediction;
using Microsoft.ML;
using Microsoft.ML.Data;
using static TorchSharp.torch;

namespace BayesNet.ML.Views;

/// <summary>A column that a transformer adds.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Type">Single, a vector of Single, or a key of UInt32.</param>
/// <param name="Values">The column of some rows: (rows) or (rows, size); keys count from 0 here. May be a tensor of the predictive itself.</param>
/// <param name="Annotations">What ML.NET is told of it.</param>
internal sealed record OutputColumn(string Name, DataViewType Type, Func<Predictive, Tensor> Values, DataViewSchema.Annotations Annotations)
{
    /// <summary>A getter of the column at a row that moves.</summary>
    /// <param name="values">The column's values of the rows at hand, and the row; rows whose features are missing have NaN.</param>
    internal Delegate Getter(Func<(float[] Values, int Row)> values) => Type switch
    {
        KeyDataViewType => (ValueGetter<uint>)((ref uint value) =>
        {
            (float[] all, int row) = values();
            value = float.IsNaN(all[row]) ? 0 : (uint)all[row] + 1;
        }),
        VectorDataViewType vector => (ValueGetter<VBuffer<float>>)((ref VBuffer<float> value) =>
        {
            (float[] all, int row) = values();
            var editor = VBufferEditor.Create(ref value, vector.Size);
            all.AsSpan(row * vector.Size, vector.Size).CopyTo(editor.Values);
            value = editor.Commit();
        }),
        _ => (ValueGetter<float>)((ref float value) =>
        {
            (float[] all, int row) = values();
            value = all[row];
        }),
    };
}
