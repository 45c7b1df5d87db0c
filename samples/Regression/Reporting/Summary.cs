using System.Text.Json;
using BayesNet.Samples.Regression.Modelling;

namespace BayesNet.Samples.Regression.Reporting;

/// <summary>summary.json: the figures of the held-out rows in units of the target, and what gave them.</summary>
internal sealed record Summary
{
    private static readonly JsonSerializerOptions Format = new() { WriteIndented = true, PropertyNamingPolicy = JsonNamingPolicy.CamelCase };

    /// <summary>The root mean squared error of the predictive mean.</summary>
    public required double Rmse { get; init; }

    /// <summary>The mean log predictive density, in nats.</summary>
    public required double LogLikelihood { get; init; }

    /// <summary>The share of targets in the 95 % interval.</summary>
    public required double Coverage95 { get; init; }

    /// <summary>The wall-clock time of training.</summary>
    public required double Seconds { get; init; }

    public required string Data { get; init; }

    public required string Target { get; init; }

    public required IReadOnlyList<string> Inputs { get; init; }

    public required IReadOnlyList<string> DroppedInputs { get; init; }

    public required int TrainingRows { get; init; }

    public required int HeldOutRows { get; init; }

    /// <summary>The method's name.</summary>
    public required string Method { get; init; }

    /// <summary>The root of the mean epistemic variance of the held-out rows.</summary>
    public required double Epistemic { get; init; }

    /// <summary>Of one input, the epistemic standard deviation in the middle of the widest stretch without training rows; null of several.</summary>
    public required double? GapEpistemic { get; init; }

    /// <summary>The root of their mean aleatoric variance.</summary>
    public required double Aleatoric { get; init; }

    /// <summary>Epochs that were finished, below the setting where the run was cancelled; of other methods than variational inference, the setting.</summary>
    public required int Epochs { get; init; }

    public required bool Cancelled { get; init; }

    /// <summary>The evidence lower bound of the training part at the end, in nats and units of the standardised target; null before a first epoch, and for other methods.</summary>
    public required double? Elbo { get; init; }

    public required ulong Seed { get; init; }

    public required SettingsSummary Settings { get; init; }

    public static Summary Of(FittedModel model, Evaluation evaluation) => new()
    {
        Rmse = evaluation.Rmse,
        LogLikelihood = evaluation.LogLikelihood,
        Coverage95 = evaluation.Coverage95,
        Seconds = model.Duration.TotalSeconds,
        Data = model.Data.Training.Name,
        Target = model.Data.Training.TargetName,
        Inputs = model.Data.Training.InputNames,
        DroppedInputs = model.Data.DroppedColumns,
        TrainingRows = model.Data.Training.Rows,
        HeldOutRows = model.Data.HeldOut.Rows,
        Method = model.Settings.Method.Name,
        Epistemic = evaluation.Epistemic,
        GapEpistemic = evaluation.GapEpistemic,
        Aleatoric = evaluation.Aleatoric,
        Epochs = model.Fit?.History.Count ?? model.Settings.Epochs,
        Cancelled = model.Fit is { Cancelled: true },
        Elbo = model.Fit is { History: [.., var last] } ? last.Elbo : null,
        Seed = model.Settings.Seed,
        Settings = SettingsSummary.Of(model.Settings),
    };

    public void Write(string path) => File.WriteAllText(path, JsonSerializer.Serialize(this, Format) + "\n");
}

/// <summary>The settings of a run as summary.json has them.</summary>
internal sealed record SettingsSummary(
    int Epochs, int BatchSize, double LearningRate, int Hidden, double HiddenWeightScale, double HiddenBiasScale, double OutputScale, double NoiseScale,
    string Estimator, int Samples, double TestFraction)
{
    public static SettingsSummary Of(Settings settings) => new(
        settings.Epochs, settings.BatchSize, settings.LearningRate, settings.Hidden, settings.HiddenWeightScale, settings.HiddenBiasScale,
        settings.OutputScale, settings.NoiseScale, settings.Estimator.Name, settings.Samples, settings.TestFraction);
}
