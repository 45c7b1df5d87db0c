using Microsoft.ML;
using Microsoft.ML.Data;
using Xunit;

namespace BayesNet.ML.Tests;

public sealed class MulticlassTests
{
    private readonly MLContext _ml = new(1);

    [Fact]
    public void ClassifiesAndSaysWhereItDoesNotKnow()
    {
        ITransformer model = Made.CloudPipeline(_ml).Fit(_ml.Data.LoadFromEnumerable(Made.Clouds(240, seed: 1)));
        Point[] fresh = Made.Clouds(300, seed: 2);
        IDataView predicted = model.Transform(_ml.Data.LoadFromEnumerable(fresh));
        PointPrediction[] rows = [.. _ml.Data.CreateEnumerable<PointPrediction>(predicted, reuseRowObject: false)];

        // Half the distance between centres is 2.6, 3.7 standard deviations: no more than one point in a thousand is beyond.
        Assert.InRange(rows.Zip(fresh).Count(pair => pair.First.Predicted == pair.Second.Label), 291, 300);
        Assert.All(rows, row => Assert.Equal(1, row.Score.Sum(), 1e-5));
        Assert.All(rows, row => Assert.InRange(row.MutualInformation, 0, row.Entropy + 1e-6));

        MulticlassClassificationMetrics metrics = _ml.MulticlassClassification.Evaluate(predicted, "Key");
        Assert.InRange(metrics.MicroAccuracy, 0.97, 1);
        Assert.InRange(metrics.LogLoss, 0, 0.3);

        // Beyond the corners that two clouds share, networks that agree on the data disagree.
        Point[] between = [.. Enumerable.Range(0, 3).Select(i => new Point { X = (float)(12 * Math.Cos((2 * i + 1) * Math.PI / 3)), Y = (float)(12 * Math.Sin((2 * i + 1) * Math.PI / 3)), Label = "ash" })];
        float[] far = model.Transform(_ml.Data.LoadFromEnumerable(between)).Numbers("MutualInformation");
        Assert.True(far.Average() > 5 * rows.Average(row => row.MutualInformation), $"{far.Average()} away, {rows.Average(row => row.MutualInformation)} on the data");
    }

    [Fact]
    public void ColumnsCarryTheNamesOfTheClasses()
    {
        IDataView data = _ml.Data.LoadFromEnumerable(Made.Clouds(60, seed: 1));
        IEstimator<ITransformer> pipeline = Made.CloudPipeline(_ml, Made.Quick with { Epochs = 2 });
        DataViewSchema schema = pipeline.Fit(data).GetOutputSchema(data.Schema);
        VBuffer<ReadOnlyMemory<char>> names = default;
        schema["Score"].Annotations.GetValue("SlotNames", ref names);
        Assert.Equal(["ash", "beech", "cedar"], names.DenseValues().Select(name => name.ToString()));
        schema["PredictedLabel"].Annotations.GetValue("KeyValues", ref names);
        Assert.Equal(["ash", "beech", "cedar"], names.DenseValues().Select(name => name.ToString()));
        ReadOnlyMemory<char> kind = default;
        schema["Score"].Annotations.GetValue("ScoreColumnKind", ref kind);
        Assert.Equal("MulticlassClassification", kind.ToString());
        Assert.Equal(new KeyDataViewType(typeof(uint), 3), schema["PredictedLabel"].Type);
        Assert.Equal(new VectorDataViewType(NumberDataViewType.Single, 3), schema["Score"].Type);
    }

    [Fact]
    public void KeysOfNumbersStayNumbers()
    {
        IDataView data = _ml.Data.LoadFromEnumerable(Made.Clouds(150, seed: 1));
        ITransformer model = Made.CloudPipeline(_ml, label: "Number").Fit(data);
        float[] predicted = model.Transform(data).Numbers("Predicted");
        Assert.Equal([0f, 10f, 20f], predicted[..3]);
    }

    [Fact]
    public void KeysWithoutValuesAreNumbered()
    {
        var rows = Made.Clouds(90, seed: 1).Select((point, i) => new { point.X, point.Y, Label = (uint)(i % 3 + 1) }).ToArray();
        SchemaDefinition definition = SchemaDefinition.Create(rows[0].GetType());
        definition["Label"].ColumnType = new KeyDataViewType(typeof(uint), 3);
        IDataView data = Load(rows, definition);
        var pipeline = _ml.Transforms.Concatenate("Features", "X", "Y").Append(_ml.MulticlassClassification.Trainers.BayesianNetwork(options: Made.Quick));
        var model = pipeline.Fit(data);
        Assert.Equal(["0", "1", "2"], model.LastTransformer.ClassNames);
        Assert.InRange(_ml.MulticlassClassification.Evaluate(model.Transform(data)).MicroAccuracy, 0.95, 1);

        IDataView Load<T>(T[] all, SchemaDefinition schema)
            where T : class
            => _ml.Data.LoadFromEnumerable(all, schema);
    }

    [Fact]
    public void CrossValidates()
    {
        IDataView data = _ml.Data.LoadFromEnumerable(Made.Clouds(150, seed: 1));
        var keyed = _ml.Transforms.Conversion.MapValueToKey("Key", "Label").Fit(data).Transform(data);
        var pipeline = _ml.Transforms.Concatenate("Features", "X", "Y").Append(_ml.MulticlassClassification.Trainers.BayesianNetwork("Key", options: Made.Quick));
        Assert.All(_ml.MulticlassClassification.CrossValidate(keyed, pipeline, 3, "Key"), fold => Assert.InRange(fold.Metrics.MacroAccuracy, 0.9, 1));
    }

    [Fact]
    public void APredictionEngineSaysTheSameAsADataView()
    {
        Point[] rows = Made.Clouds(60, seed: 1);
        IDataView data = _ml.Data.LoadFromEnumerable(rows);
        ITransformer model = Made.CloudPipeline(_ml).Fit(data);
        PointPrediction[] batch = [.. _ml.Data.CreateEnumerable<PointPrediction>(model.Transform(data), reuseRowObject: false)];
        using PredictionEngine<Point, PointPrediction> engine = _ml.Model.CreatePredictionEngine<Point, PointPrediction>(model);
        for (int row = 0; row < 10; row++)
        {
            PointPrediction one = engine.Predict(rows[row]);
            Assert.Equal(batch[row].Predicted, one.Predicted);
            Assert.Equal(batch[row].Score[0], one.Score[0], 1e-5);
            Assert.Equal(batch[row].Entropy, one.Entropy, 1e-5);
        }
    }
}
