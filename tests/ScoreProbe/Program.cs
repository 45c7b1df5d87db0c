using System.Globalization;
using Microsoft.ML;
using Microsoft.ML.Data;

// Loads a pipeline that another process saved and writes the bits of what it predicts for rows. Nothing here names BayesNet: that ML.NET finds it by
// itself is what is tested. Arguments: the model, a text file of rows (feature values between spaces), and the columns to write.
var ml = new MLContext();
ITransformer model = ml.Model.Load(args[0], out _);
Row[] rows = [.. File.ReadLines(args[1]).Select(line => new Row { Features = [.. line.Split(' ').Select(word => float.Parse(word, CultureInfo.InvariantCulture))] })];
SchemaDefinition schema = SchemaDefinition.Create(typeof(Row));
schema["Features"].ColumnType = new VectorDataViewType(NumberDataViewType.Single, rows[0].Features.Length);
IDataView predictions = model.Transform(ml.Data.LoadFromEnumerable(rows, schema));
foreach (string column in args[2..])
    Console.WriteLine(string.Join(' ', predictions.GetColumn<float>(column).Select(value => BitConverter.SingleToInt32Bits(value).ToString("x8", CultureInfo.InvariantCulture))));

/// <summary>A row.</summary>
internal sealed class Row
{
    public float[] Features { get; set; } = [];
}
