using Microsoft.ML;
using Microsoft.ML.Data;

namespace BayesNet.ML.Tests;

/// <summary>Data with a known truth.</summary>
internal static class Made
{
    public const double Noise = 0.5;

    /// <summary>Quick to train, and good enough for what is tested.</summary>
    public static readonly BayesianNetworkOptions Quick = new() { HiddenUnits = [16], Epochs = 60, BatchSize = 32, LearningRate = 0.02, Samples = 40, Seed = 7 };

    /// <summary>y = 20 + 3 a - 40 b + noise, with a in (-1, 1) and b in (-0.1, 0.1).</summary>
    public static House[] Houses(int count, int seed)
    {
        var random = new Random(seed);
        return
        [
            .. Enumerable.Range(0, count).Select(_ =>
            {
                float a = (float)(2 * random.NextDouble() - 1), b = (float)(0.2 * random.NextDouble() - 0.1);
                return new House { A = a, B = b, Label = (float)(Truth(a, b) + Noise * Normal(random)) };
            }),
        ];
    }

    public static double Truth(double a, double b) => 20 + 3 * a - 40 * b;

    /// <summary>Three clouds, far enough apart that hardly a point is nearer to another's centre.</summary>
    public static Point[] Clouds(int count, int seed)
    {
        var random = new Random(seed);
        string[] names = ["ash", "beech", "cedar"];
        return
        [
            .. Enumerable.Range(0, count).Select(i =>
            {
                double angle = 2 * Math.PI * (i % 3) / 3;
                return new Point { X = (float)(3 * Math.Cos(angle) + 0.7 * Normal(random)), Y = (float)(3 * Math.Sin(angle) + 0.7 * Normal(random)), Label = names[i % 3], Number = 10 * (i % 3) };
            }),
        ];
    }

    public static IEstimator<ITransformer> HousePipeline(MLContext ml, BayesianNetworkOptions? options = null)
        => ml.Transforms.Concatenate("Features", "A", "B").Append(ml.Regression.Trainers.BayesianNetwork(options: options ?? Quick));

    public static IEstimator<ITransformer> CloudPipeline(MLContext ml, BayesianNetworkOptions? options = null, string label = "Label")
        => ml.Transforms.Concatenate("Features", "X", "Y").Append(ml.Transforms.Conversion.MapValueToKey("Key", label))
            .Append(ml.MulticlassClassification.Trainers.BayesianNetwork("Key", options: options ?? Quick))
            .Append(ml.Transforms.Conversion.MapKeyToValue("Predicted", "PredictedLabel"));

    public static float[] Numbers(this IDataView data, string column) => [.. data.GetColumn<float>(column)];

    private static double Normal(Random random) => Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble());
}

internal sealed class House
{
    public float A { get; set; }
    public float B { get; set; }
    public float Label { get; set; }
}

internal sealed class HousePrediction
{
    public float Score { get; set; }
    public float StandardDeviation { get; set; }
    public float Lower { get; set; }
    public float Upper { get; set; }
}

internal sealed class Point
{
    public float X { get; set; }
    public float Y { get; set; }
    public string Label { get; set; } = "";
    public float Number { get; set; }
}

internal sealed class PointPrediction
{
    public string Predicted { get; set; } = "";
    public float[] Score { get; set; } = [];
    public float MutualInformation { get; set; }
    public float Entropy { get; set; }
}
