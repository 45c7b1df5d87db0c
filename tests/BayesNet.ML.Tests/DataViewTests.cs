using BayesNet.TestKit;
using Microsoft.ML;
using Microsoft.ML.Data;
using TorchSharp;
using Xunit;

namespace BayesNet.ML.Tests;

/// <summary>Schemas, cursors, errors, threads and memory.</summary>
public sealed class DataViewTests
{
    private static readonly BayesianNetworkOptions Short = Made.Quick with { Epochs = 2 };

    private readonly MLContext _ml = new(1);

    [Fact]
    public void AddsItsColumnsBehindThoseOfTheInput()
    {
        IDataView data = _ml.Data.LoadFromEnumerable(Made.Houses(40, seed: 1));
        ITransformer model = Made.HousePipeline(_ml, Short).Fit(data);
        IDataView predicted = model.Transform(data);
        string[] names = ["A", "B", "Label", "Features", "Score", "StandardDeviation", "Lower", "Upper", "EpistemicStandardDeviation", "AleatoricStandardDeviation"];
        Assert.Equal(names, predicted.Schema.Select(column => column.Name));
        Assert.Equal(names, model.GetOutputSchema(data.Schema).Select(column => column.Name));
        Assert.All(names[4..], name => Assert.Equal(NumberDataViewType.Single, predicted.Schema[name].Type));
        Assert.Equal(data.GetRowCount(), predicted.GetRowCount());

        // Columns that pass through keep their rows.
        Assert.Equal(data.Numbers("Label"), predicted.Numbers("Label"));
        DataDebuggerPreview preview = predicted.Preview(maxRows: 3);
        Assert.Equal(3, preview.RowView.Length);
    }

    /// <summary>Estimators behind the trainer see the columns' shapes before anything is trained.</summary>
    [Fact]
    public void LaterEstimatorsFindTheColumns()
    {
        IDataView data = _ml.Data.LoadFromEnumerable(Made.Houses(40, seed: 1));
        var pipeline = Made.HousePipeline(_ml, Short).Append(_ml.Transforms.Concatenate("Both", "Score", "StandardDeviation"));
        float[][] both = [.. pipeline.Fit(data).Transform(data).GetColumn<float[]>("Both")];
        Assert.Equal(2, both[0].Length);
        var unknown = Made.HousePipeline(_ml, Short).Append(_ml.Transforms.CopyColumns("Copy", "Quantile"));
        Assert.Contains("Quantile", Assert.ThrowsAny<ArgumentException>(() => unknown.Fit(data)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void AMissingFeatureGivesNoPrediction()
    {
        House[] rows = Made.Houses(40, seed: 1);
        ITransformer model = Made.HousePipeline(_ml, Short).Fit(_ml.Data.LoadFromEnumerable(rows));
        float[] whole = model.Transform(_ml.Data.LoadFromEnumerable(rows)).Numbers("Upper");
        (rows[3].A, rows[5].B) = (float.NaN, float.PositiveInfinity);
        float[] some = model.Transform(_ml.Data.LoadFromEnumerable(rows)).Numbers("Upper");
        Assert.True(float.IsNaN(some[3]) && float.IsNaN(some[5]));
        Assert.Equal(whole.Where((_, i) => i is not 3 and not 5), some.Where((_, i) => i is not 3 and not 5));

        Point[] points = Made.Clouds(30, seed: 1);
        ITransformer classifier = Made.CloudPipeline(_ml, Short).Fit(_ml.Data.LoadFromEnumerable(points));
        points[2].X = float.NaN;
        IDataView predicted = classifier.Transform(_ml.Data.LoadFromEnumerable(points));
        Assert.Equal([false, false, true, false], predicted.GetColumn<uint>("PredictedLabel").Take(4).Select(key => key == 0));
        Assert.All(predicted.GetColumn<float[]>("Score").ElementAt(2), value => Assert.True(float.IsNaN(value)));
    }

    [Fact]
    public void RowsWithoutALabelAreLeftOut()
    {
        House[] rows = Made.Houses(60, seed: 1);
        float[] expected = Train(rows[..40]);
        foreach (House row in rows[40..])
            row.Label = float.NaN;
        var warnings = new List<string>();
        _ml.Log += (_, line) => warnings.Add(line.RawMessage);
        Assert.Equal(expected, Train(rows));
        Assert.Contains("20 rows have no label 'Label' and are left out.", warnings);

        float[] Train(House[] some) => Made.HousePipeline(_ml, Short).Fit(_ml.Data.LoadFromEnumerable(some)).Transform(_ml.Data.LoadFromEnumerable(some)).Numbers("Score")[..40];
    }

    [Fact]
    public void WrongColumnsAreNamedBeforeAnythingIsTrained()
    {
        IDataView data = _ml.Data.LoadFromEnumerable(Made.Houses(8, seed: 1));
        IDataView points = _ml.Data.LoadFromEnumerable(Made.Clouds(9, seed: 1));
        var joined = _ml.Transforms.Concatenate("Features", "A", "B");
        Says("There is no feature column 'Features'; the columns are 'A', 'B', 'Label'. Make it by ml.Transforms.Concatenate(\"Features\", ...)", () => _ml.Regression.Trainers.BayesianNetwork().Fit(data));
        Says("There is no label column 'Price'", () => joined.Append(_ml.Regression.Trainers.BayesianNetwork("Price")).Fit(data));
        Says("The feature column 'A' has the type Single; a Bayesian network takes a vector", () => _ml.Regression.Trainers.BayesianNetwork(featureColumnName: "A").Fit(data));
        Says("The label column 'Label' has the type Single; a multiclass trainer takes a key. Convert it by ml.Transforms.Conversion.MapValueToKey", () => joined.Append(_ml.MulticlassClassification.Trainers.BayesianNetwork()).Fit(data));
        Says("The label column 'Label' has the type String; a regression takes Single", () => _ml.Transforms.Concatenate("Features", "X", "Y").Append(_ml.Regression.Trainers.BayesianNetwork()).Fit(points));

        // The same of data at hand, by trainers that stand alone.
        IDataView features = joined.Fit(data).Transform(data);
        Says("There is no label column 'Price'", () => _ml.Regression.Trainers.BayesianNetwork("Price").Fit(features));
        Says("a multiclass trainer takes a key", () => _ml.MulticlassClassification.Trainers.BayesianNetwork().Fit(features));
        ITransformer model = Made.HousePipeline(_ml, Short).Fit(data);
        Says("the model was trained on 2", () => ((TransformerChain<ITransformer>)Chain(model)).LastTransformer.Transform(_ml.Transforms.Concatenate("Features", "A", "B", "A").Fit(data).Transform(data)));

        static ITransformer Chain(ITransformer model) => model is TransformerChain<ITransformer> ? model : new TransformerChain<ITransformer>(((IEnumerable<ITransformer>)model).ToArray());
    }

    [Fact]
    public void UnusableRowsAreNamed()
    {
        House[] rows = Made.Houses(8, seed: 1);
        Says("The data view has no rows", () => Train([]));
        rows[2].B = float.NaN;
        Says("Feature 1 of 'Features' in row 2 is missing (NaN). Impute such values before the trainer, by ml.Transforms.ReplaceMissingValues(\"Features\"", () => Train(rows));
        rows[2].B = float.NegativeInfinity;
        Says("Feature 1 of 'Features' in row 2 is infinite", () => Train(rows));
        rows[2].B = 0;
        rows[4].Label = float.PositiveInfinity;
        Says("The label 'Label' of row 4 is infinite", () => Train(rows));
        foreach (House row in rows)
            row.Label = float.NaN;
        Says("None of the 8 rows has a label 'Label'", () => Train(rows));
        Point[] one = [.. Made.Clouds(9, seed: 1).Where(point => point.Label == "ash")];
        Says("has 1 class; there must be two at least", () => Made.CloudPipeline(_ml, Short).Fit(_ml.Data.LoadFromEnumerable(one)));

        ITransformer Train(House[] some) => Made.HousePipeline(_ml, Short).Fit(_ml.Data.LoadFromEnumerable(some));
    }

    [Fact]
    public void OptionsAreChecked()
    {
        Says("HiddenUnits must be at least 1", () => new BayesianNetworkOptions { HiddenUnits = [10, 0] });
        Says("Samples must be at least 1", () => new BayesianNetworkOptions { Samples = 0 });
        Says("CalibrationFraction must be 0, for none, or a share of the rows below 1", () => new BayesianNetworkOptions { CalibrationFraction = 1 });
        Says("IntervalLevel must lie strictly between 0 and 1", () => new BayesianNetworkOptions { IntervalLevel = 95 });
    }

    /// <summary>A small network is trained on one thread; the caller's number of threads is as it was.</summary>
    [Fact]
    public void ThreadsAreAsTheyWere()
    {
        int before = torch.get_num_threads();
        try
        {
            torch.set_num_threads(2);
            Made.HousePipeline(_ml, Short).Fit(_ml.Data.LoadFromEnumerable(Made.Houses(40, seed: 1)));
            Assert.Equal(2, torch.get_num_threads());
        }
        finally
        {
            torch.set_num_threads(before);
        }
    }

    /// <summary>A label, or a row, of one value: nothing to divide by.</summary>
    [Fact]
    public void ConstantLabelsAndSingleRowsTrain()
    {
        House[] rows = [.. Made.Houses(32, seed: 1).Select(row => new House { A = row.A, B = row.B, Label = 5 })];
        IDataView data = _ml.Data.LoadFromEnumerable(rows), single = _ml.Data.LoadFromEnumerable(rows[..1]);
        Assert.All(Made.HousePipeline(_ml).Fit(data).Transform(data).Numbers("Score"), score => Assert.Equal(5, score, 0.5));
        Assert.True(float.IsFinite(Made.HousePipeline(_ml, Short).Fit(single).Transform(single).Numbers("Upper")[0]));
    }

    [Fact]
    public void ManyThreadsPredictTheSame()
    {
        IDataView data = _ml.Data.LoadFromEnumerable(Made.Houses(600, seed: 1));
        ITransformer model = Made.HousePipeline(_ml, Short).Fit(data);
        IDataView predicted = model.Transform(data);
        float[] expected = predicted.Numbers("Upper");
        float[][] parallel = new float[4][];
        Parallel.For(0, 4, i => parallel[i] = predicted.Numbers("Upper"));
        Assert.All(parallel, one => Assert.Equal(expected, one));
    }

    [Fact]
    public void PredictionsLeaveNoTensorsBehind()
    {
        House[] rows = Made.Houses(600, seed: 1);
        IDataView data = _ml.Data.LoadFromEnumerable(rows);
        ITransformer model = Made.HousePipeline(_ml, Short).Fit(data);
        using PredictionEngine<House, HousePrediction> engine = _ml.Model.CreatePredictionEngine<House, HousePrediction>(model);
        Predict();
        long before = LiveTensors.Settled();
        for (int i = 0; i < 3; i++)
            Predict();

        // An engine keeps the predictive of its last row until the next.
        Assert.InRange(torch.Tensor.TotalCount - before, 0, 0);

        void Predict()
        {
            model.Transform(data).Numbers("Upper");
            foreach (House row in rows[..20])
                engine.Predict(row);
        }
    }

    [Fact]
    public void ADisposedModelHasGivenItsWeightsBack()
    {
        IDataView data = _ml.Data.LoadFromEnumerable(Made.Houses(32, seed: 1));
        string file = Path.Combine(Path.GetTempPath(), Path.GetRandomFileName());
        try
        {
            _ml.Model.Save(Made.HousePipeline(_ml, Short).Fit(data), data.Schema, file);
            (_ml.Model.Load(file, out _) as IDisposable)?.Dispose();
            long before = LiveTensors.Settled();
            (_ml.Model.Load(file, out _) as IDisposable)?.Dispose();
            Assert.Equal(before, torch.Tensor.TotalCount);
        }
        finally
        {
            File.Delete(file);
        }
    }

    private static void Says(string expected, Func<object> action)
        => Assert.Contains(expected, Assert.ThrowsAny<ArgumentException>(action).Message, StringComparison.Ordinal);
}
