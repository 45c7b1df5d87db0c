using System.Globalization;
using System.IO.Compression;
using Microsoft.ML;
using Microsoft.ML.Data;
using Xunit;

namespace BayesNet.ML.Tests;

/// <summary>Models are saved and loaded with the pipeline, by ML.NET's own calls.</summary>
public sealed class PersistenceTests : IDisposable
{
    private static readonly string[] Columns = ["Score", "StandardDeviation", "Lower", "Upper", "EpistemicStandardDeviation", "AleatoricStandardDeviation"];

    private readonly MLContext _ml = new(1);
    private readonly string _folder = Directory.CreateTempSubdirectory("bayesnet-tests-").FullName;

    private string File => Path.Combine(_folder, "model.zip");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData(NoiseModel.Constant, PosteriorMethod.VariationalInference, 0)]
    [InlineData(NoiseModel.Heteroscedastic, PosteriorMethod.VariationalInference, 0)]
    [InlineData(NoiseModel.Constant, PosteriorMethod.DeepEnsemble, 0.4)]
    public void ALoadedRegressionPredictsTheSameBits(NoiseModel noise, PosteriorMethod method, double calibration)
    {
        IDataView data = _ml.Data.LoadFromEnumerable(Made.Houses(64, seed: 1));
        var options = Made.Quick with { Epochs = 10, Noise = noise, Method = method, Members = 2, Activation = HiddenActivation.Tanh, HiddenUnits = [8, 5], CalibrationFraction = calibration };
        ITransformer model = Made.HousePipeline(_ml, options).Fit(data);
        var ml = new MLContext();
        ITransformer loaded = Again(model, data.Schema, ml, out DataViewSchema schema), twice = Again(loaded, data.Schema, new MLContext(), out _);
        Assert.Equal(["A", "B", "Label"], schema.Select(column => column.Name));
        foreach (string column in Columns)
        {
            float[] expected = model.Transform(data).Numbers(column);
            Assert.Equal(expected, loaded.Transform(data).Numbers(column));
            Assert.Equal(expected, twice.Transform(data).Numbers(column));
        }

        using PredictionEngine<House, HousePrediction> engine = ml.Model.CreatePredictionEngine<House, HousePrediction>(loaded), original = _ml.Model.CreatePredictionEngine<House, HousePrediction>(model);
        Assert.Equal(original.Predict(new House { A = 0.5f }).Upper, engine.Predict(new House { A = 0.5f }).Upper);
    }

    [Theory]
    [InlineData("Label")]
    [InlineData("Number")]
    public void ALoadedClassifierPredictsTheSame(string label)
    {
        IDataView data = _ml.Data.LoadFromEnumerable(Made.Clouds(60, seed: 1));
        ITransformer model = Made.CloudPipeline(_ml, Made.Quick with { Epochs = 5 }, label).Fit(data);
        IDataView expected = model.Transform(data), loaded = Again(model, data.Schema, new MLContext(), out _).Transform(data);
        Assert.Equal(expected.GetColumn<float[]>("Score"), loaded.GetColumn<float[]>("Score"));
        Assert.Equal(expected.GetColumn<uint>("PredictedLabel"), loaded.GetColumn<uint>("PredictedLabel"));
        Assert.Equal(expected.Numbers("MutualInformation"), loaded.Numbers("MutualInformation"));
        if (label == "Label")
            Assert.Equal(expected.GetColumn<string>("Predicted"), loaded.GetColumn<string>("Predicted"));
        else
            Assert.Equal(expected.Numbers("Predicted"), loaded.Numbers("Predicted"));
    }

    /// <summary>The other process has BayesNet.ML beside it and never names it.</summary>
    [Fact]
    public void AnotherProcessPredictsTheSameBits()
    {
        House[] rows = Made.Houses(40, seed: 1);
        IDataView data = _ml.Transforms.Concatenate("Features", "A", "B").Fit(_ml.Data.LoadFromEnumerable(rows)).Transform(_ml.Data.LoadFromEnumerable(rows));
        using BayesianRegressionTransformer model = _ml.Regression.Trainers.BayesianNetwork(options: Made.Quick with { Epochs = 5 }).Fit(data);
        _ml.Model.Save(model, data.Schema, File);
        string text = Path.Combine(_folder, "rows.txt");
        System.IO.File.WriteAllLines(text, rows.Select(row => string.Create(CultureInfo.InvariantCulture, $"{row.A:R} {row.B:R}")));
        string[] bits = ScoreProbe.Run(File, text, Columns);
        IDataView predicted = model.Transform(data);
        Assert.Equal(Columns.Select(column => string.Join(' ', predicted.Numbers(column).Select(value => BitConverter.SingleToInt32Bits(value).ToString("x8", CultureInfo.InvariantCulture)))), bits);
    }

    /// <summary>A file of a later version says so; one that ends too early is refused by ML.NET's own header.</summary>
    [Fact]
    public void ALaterOrDamagedModelIsRefused()
    {
        IDataView data = _ml.Data.LoadFromEnumerable(Made.Houses(32, seed: 1));
        _ml.Model.Save(Made.HousePipeline(_ml, Made.Quick with { Epochs = 1 }).Fit(data), data.Schema, File);
        byte[] start = [1, 0, 0, 0, 1, .. "\bFeatures"u8];
        string later = Copy("later.zip", bytes =>
        {
            int place = bytes.AsSpan().IndexOf(start);
            if (place >= 0)
                bytes[place] = 2;
            return bytes;
        });
        Assert.Contains("has version 2 of the format, and this BayesNet.ML reads version 1", Refusal(later), StringComparison.Ordinal);
        string damaged = Copy("damaged.zip", bytes => bytes.AsSpan().IndexOf(start) < 0 ? bytes : bytes[..(bytes.Length / 2)]);
        Assert.NotEmpty(Refusal(damaged));

        static string Refusal(string file) => Assert.ThrowsAny<Exception>(() => new MLContext().Model.Load(file, out _)).ToString();

        string Copy(string name, Func<byte[], byte[]> change)
        {
            string path = Path.Combine(_folder, name);
            using ZipArchive from = ZipFile.OpenRead(File), to = ZipFile.Open(path, ZipArchiveMode.Create);
            foreach (ZipArchiveEntry entry in from.Entries)
            {
                using Stream source = entry.Open(), target = to.CreateEntry(entry.FullName).Open();
                var bytes = new byte[entry.Length];
                source.ReadExactly(bytes);
                target.Write(change(bytes));
            }

            return path;
        }
    }


    private ITransformer Again(ITransformer model, DataViewSchema schema, MLContext ml, out DataViewSchema loadedSchema)
    {
        _ml.Model.Save(model, schema, File);
        return ml.Model.Load(File, out loadedSchema);
    }
}
