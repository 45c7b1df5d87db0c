using Microsoft.ML;
using Microsoft.ML.Data;
using Xunit;

namespace BayesNet.ML.Tests;

public sealed class RegressionTests
{
    private static readonly string[] Columns = ["Score", "StandardDeviation", "Lower", "Upper", "EpistemicStandardDeviation", "AleatoricStandardDeviation"];

    private readonly MLContext _ml = new(1);

    /// <summary>A linear model of a linear truth: mean, noise and coverage are known.</summary>
    [Fact]
    public void FindsAKnownTruthAndCoversIt()
    {
        House[] fresh = Made.Houses(4000, seed: 2);
        ITransformer model = Made.HousePipeline(_ml, Made.Quick with { HiddenUnits = [], Epochs = 200 }).Fit(_ml.Data.LoadFromEnumerable(Made.Houses(400, seed: 1)));
        IDataView predicted = model.Transform(_ml.Data.LoadFromEnumerable(fresh));
        float[][] columns = [.. Columns.Select(predicted.Numbers)];
        float[] score = columns[0], stdDev = columns[1], lower = columns[2], upper = columns[3], epistemic = columns[4], aleatoric = columns[5];

        // Three coefficients from 400 rows: the mean's standard error averages 0.5 sqrt(3 / 400) = 0.043 over the rows.
        double error = Math.Sqrt(score.Zip(fresh, (s, row) => Math.Pow(s - Made.Truth(row.A, row.B), 2)).Average());
        Assert.InRange(error, 0, 4.5 * 0.043 / Math.Sqrt(1.5));

        // A standard deviation from 400 rows has the standard error 1 / sqrt(800) of itself.
        Assert.InRange(aleatoric[0] / Made.Noise, 1 - 4.5 / Math.Sqrt(800), 1 + 4.5 / Math.Sqrt(800));
        Assert.InRange(epistemic.Average(), 0.01, 0.1);
        for (int row = 0; row < fresh.Length; row++)
        {
            Assert.Equal(Math.Sqrt(epistemic[row] * epistemic[row] + aleatoric[row] * aleatoric[row]), stdDev[row], 1e-4);
            Assert.Equal(1.96 * stdDev[row], (upper[row] - lower[row]) / 2, 0.03 * stdDev[row]);
        }

        // Two errors add up: that of a share of 4,000 rows, 0.0034, and that of the noise level, 3.5 % of it, by which coverage moves 0.229 times as much.
        double covered = fresh.Where((row, i) => row.Label >= lower[i] && row.Label <= upper[i]).Count() / 4000.0;
        Assert.Equal(0.95, covered, 4.5 * Math.Sqrt(0.0034 * 0.0034 + Math.Pow(0.229 * 0.035, 2)));

        RegressionMetrics metrics = _ml.Regression.Evaluate(predicted);
        Assert.Equal(Made.Noise, metrics.RootMeanSquaredError, 0.05);
    }

    [Fact]
    public void IsLessSureAwayFromTheData()
    {
        ITransformer model = Made.HousePipeline(_ml).Fit(_ml.Data.LoadFromEnumerable(Made.Houses(200, seed: 1)));
        House[] rows = [new House(), new House { A = 8, B = 0.8f }];
        float[] epistemic = model.Transform(_ml.Data.LoadFromEnumerable(rows)).Numbers("EpistemicStandardDeviation");
        Assert.True(epistemic[1] > 3 * epistemic[0], $"{epistemic[0]} near, {epistemic[1]} far away");
    }

    [Fact]
    public void IntervalsHaveTheLevelThatWasAskedFor()
    {
        IDataView data = _ml.Data.LoadFromEnumerable(Made.Houses(100, seed: 1));
        IDataView predicted = Made.HousePipeline(_ml, Made.Quick with { IntervalLevel = 0.5, Epochs = 20 }).Fit(data).Transform(data);
        float[] lower = predicted.Numbers("Lower"), upper = predicted.Numbers("Upper"), stdDev = predicted.Numbers("StandardDeviation");

        // The quartiles of a normal distribution lie 0.674 standard deviations off the mean, those of a mixture of them nearer.
        Assert.InRange((upper[0] - lower[0]) / 2 / stdDev[0], 0.5, 0.68);
    }

    /// <summary>Under uniform noise a normal distribution's interval is wrong; held-out rows set it right.</summary>
    [Fact]
    public void RowsThatAreHeldBackCalibrateTheIntervals()
    {
        var options = Made.Quick with { HiddenUnits = [], IntervalLevel = 0.5, BatchSize = 128, Epochs = 60 };
        IDataView data = _ml.Data.LoadFromEnumerable(Uniform(2000, seed: 1));
        House[] fresh = Uniform(4000, seed: 2);

        // The central half of a normal distribution is 0.674 standard deviations wide to each side, that of a uniform one sqrt(3) / 2: of the rows, 0.674 / sqrt(3)
        // are within the first. Both are shares of 4,000 rows; the second has that of 1,000 held back beside.
        Assert.Equal(0.389, Covered(options), 4.5 * Math.Sqrt(0.25 / 4000) + 0.01);
        Assert.Equal(0.5, Covered(options with { CalibrationFraction = 0.5 }), 4.5 * Math.Sqrt(0.25 / 4000 + 0.25 / 1000));

        var none = Assert.Throws<ArgumentException>(() => Made.HousePipeline(_ml, Made.Quick with { CalibrationFraction = 0.1 }).Fit(_ml.Data.LoadFromEnumerable(Made.Houses(100, seed: 1))));
        Assert.Contains("CalibrationFraction 0.1 holds back 10 rows; intervals of level 0.95 take 19 at least", none.Message, StringComparison.Ordinal);

        double Covered(BayesianNetworkOptions some)
        {
            IDataView predicted = Made.HousePipeline(_ml, some).Fit(data).Transform(_ml.Data.LoadFromEnumerable(fresh));
            float[] lower = predicted.Numbers("Lower"), upper = predicted.Numbers("Upper");
            return fresh.Where((row, i) => row.Label >= lower[i] && row.Label <= upper[i]).Count() / 4000.0;
        }

        static House[] Uniform(int count, int seed)
        {
            var random = new Random(seed);
            return [.. Made.Houses(count, seed).Select(row => new House { A = row.A, B = row.B, Label = (float)(Made.Truth(row.A, row.B) + 4 * (random.NextDouble() - 0.5)) })];
        }
    }

    [Fact]
    public void APredictionEngineSaysTheSameAsADataView()
    {
        House[] rows = Made.Houses(600, seed: 1);
        IDataView data = _ml.Data.LoadFromEnumerable(rows);
        ITransformer model = Made.HousePipeline(_ml).Fit(data);
        HousePrediction[] batch = [.. _ml.Data.CreateEnumerable<HousePrediction>(model.Transform(data), reuseRowObject: false)];
        using PredictionEngine<House, HousePrediction> engine = _ml.Model.CreatePredictionEngine<House, HousePrediction>(model);
        Assert.Equal(600, batch.Length);

        // Blocks end at row 256 and 512. A matrix product sums in another order for another number of rows: float32 rounding of values about 20.
        foreach (int row in new[] { 0, 1, 255, 256, 599 })
        {
            HousePrediction one = engine.Predict(rows[row]);
            Assert.Equal(batch[row].Score, one.Score, 2e-4);
            Assert.Equal(batch[row].StandardDeviation, one.StandardDeviation, 2e-4);
            Assert.Equal(batch[row].Lower, one.Lower, 2e-4);
            Assert.Equal(batch[row].Upper, one.Upper, 2e-4);
        }
    }

    [Fact]
    public void CrossValidates()
    {
        IDataView data = _ml.Data.LoadFromEnumerable(Made.Houses(240, seed: 1));
        var folds = _ml.Regression.CrossValidate(data, Made.HousePipeline(_ml), numberOfFolds: 3);

        // The truth's variance is 9 / 3 + 1600 / 300, the noise's 0.25: the best R^2 is 0.97.
        Assert.All(folds, fold => Assert.InRange(fold.Metrics.RSquared, 0.9, 1));
    }

    [Fact]
    public void PermutedFeaturesTellTheirImportance()
    {
        IDataView data = _ml.Data.LoadFromEnumerable(Made.Houses(200, seed: 1));
        var chain = (TransformerChain<ITransformer>)_ml.Transforms.Concatenate("Features", "A", "B").Append<ITransformer>(_ml.Regression.Trainers.BayesianNetwork(options: Made.Quick)).Fit(data);
        var trained = (BayesianRegressionTransformer)chain.LastTransformer;
        var importance = _ml.Regression.PermutationFeatureImportance(trained, chain.Transform(data));
        Assert.Equal(2, importance.Length);
        Assert.All(importance, feature => Assert.True(feature.RSquared.Mean < -0.2));
        Assert.Equal(40, trained.Model.Count);
    }

    [Fact]
    public void LearnsANoiseLevelForEveryRow()
    {
        var random = new Random(3);
        House[] rows = [.. Made.Houses(600, seed: 1).Select(row => new House { A = row.A, B = row.B, Label = (float)(row.A > 0 ? 4 * (random.NextDouble() - 0.5) : 0.2 * (random.NextDouble() - 0.5)) })];
        ITransformer model = Made.HousePipeline(_ml, Made.Quick with { Noise = NoiseModel.Heteroscedastic }).Fit(_ml.Data.LoadFromEnumerable(rows));
        float[] noise = model.Transform(_ml.Data.LoadFromEnumerable([new House { A = -0.6f }, new House { A = 0.6f }])).Numbers("AleatoricStandardDeviation");

        // They are 0.2 and 4 over sqrt(12), 20 times as much.
        Assert.True(noise[1] > 6 * noise[0], $"{noise[0]} and {noise[1]}");
    }

    [Fact]
    public void AnEnsembleHasItsMembersForASample()
    {
        IDataView data = _ml.Data.LoadFromEnumerable(Made.Houses(200, seed: 1));
        var options = Made.Quick with { Method = PosteriorMethod.DeepEnsemble, Members = 3, Epochs = 30, Activation = HiddenActivation.Tanh };
        var chain = (TransformerChain<ITransformer>)_ml.Transforms.Concatenate("Features", "A", "B").Append<ITransformer>(_ml.Regression.Trainers.BayesianNetwork(options: options)).Fit(data);
        var trained = (BayesianRegressionTransformer)chain.LastTransformer;
        Assert.Equal((3, 2, HiddenActivation.Tanh), (trained.Model.Count, trained.Model.Inputs, trained.Model.Activation));
        IDataView predicted = chain.Transform(data);
        Assert.InRange(_ml.Regression.Evaluate(predicted).RSquared, 0.9, 1);
        Assert.True(predicted.Numbers("EpistemicStandardDeviation")[0] > 0);
    }

    [Fact]
    public void StopsEarlyOnValidationRows()
    {
        var messages = new List<string>();
        _ml.Log += (_, line) => messages.Add(line.RawMessage);
        var features = _ml.Transforms.Concatenate("Features", "A", "B");
        IDataView train = _ml.Data.LoadFromEnumerable(Made.Houses(40, seed: 1)), validation = _ml.Data.LoadFromEnumerable(Made.Houses(40, seed: 2));
        using BayesianRegressionTransformer model = _ml.Regression.Trainers.BayesianNetwork(options: Made.Quick with { Epochs = 400, Patience = 3 })
            .Fit(features.Fit(train).Transform(train), features.Fit(train).Transform(validation));
        Assert.Contains(messages, message => message.StartsWith("Stopped for want of progress", StringComparison.Ordinal));
        Assert.Contains(messages, message => message.StartsWith("Epoch 40 of 400", StringComparison.Ordinal));
    }

    [Fact]
    public void TakesSparseAndConstantFeatures()
    {
        string[] places = [.. Enumerable.Range(0, 30).Select(i => $"place {i}")];
        var rows = Made.Houses(300, seed: 1).Select((row, i) => new { Place = places[i % 30], Same = 4f, row.A, Label = row.Label + i % 30 }).ToArray();
        IDataView data = _ml.Data.LoadFromEnumerable(rows);
        var pipeline = _ml.Transforms.Categorical.OneHotEncoding("Place").Append(_ml.Transforms.Concatenate("Features", "A", "Same", "Place"))
            .Append(_ml.Regression.Trainers.BayesianNetwork(options: Made.Quick with { HiddenUnits = [] }));
        IDataView predicted = pipeline.Fit(data).Transform(data);

        // B is not among the features: of the variance, 9 / 3 + 75 can be explained and 1600 / 300 + 0.25 can not.
        Assert.InRange(_ml.Regression.Evaluate(predicted).RSquared, 0.88, 0.98);
        Assert.All(predicted.Numbers("StandardDeviation"), value => Assert.InRange(value, 1, 5));
    }

    [Fact]
    public void ASeedRepeatsATraining()
    {
        IDataView data = _ml.Data.LoadFromEnumerable(Made.Houses(64, seed: 1));
        BayesianNetworkOptions unseeded = Made.Quick with { Epochs = 10, Seed = null };
        Assert.Equal(Train(new MLContext(), unseeded with { Seed = 3 }), Train(new MLContext(), unseeded with { Seed = 3 }));
        Assert.NotEqual(Train(new MLContext(), unseeded with { Seed = 3 }), Train(new MLContext(), unseeded with { Seed = 4 }));
        Assert.Equal(Train(new MLContext(5), unseeded), Train(new MLContext(5), unseeded));
        Assert.NotEqual(Train(new MLContext(), unseeded), Train(new MLContext(), unseeded));

        // On several threads too, where trainings take turns.
        float[][] parallel = new float[3][];
        Parallel.For(0, 3, i => parallel[i] = Train(new MLContext(), unseeded with { Seed = 3 }));
        Assert.All(parallel, one => Assert.Equal(parallel[0], one));

        float[] Train(MLContext ml, BayesianNetworkOptions options) => Made.HousePipeline(ml, options).Fit(data).Transform(data).Numbers("Score");
    }
}
