using BayesNet.Inference;

namespace BayesNet.Samples.Regression.Modelling;

/// <summary>A way from the training part to a posterior over networks.</summary>
/// <param name="Name">Its name on the command line.</param>
/// <param name="Title">Its name in a figure.</param>
/// <param name="Inference">The method of the library; null for the variational trainer, which keeps what it learned where it is cancelled.</param>
internal sealed record Method(string Name, string Title, Func<Settings, InferenceMethod>? Inference)
{
    private const int Members = 5;

    /// <summary>Independent Gaussian weights, trained on the evidence lower bound.</summary>
    public static Method Variational { get; } = new("vi", "variational inference", null);

    /// <summary>MC dropout, whose network has a dropout layer in front of its output.</summary>
    public static Method Dropout { get; } = new("mc-dropout", "MC dropout", settings => new McDropout { Training = settings.Training });

    /// <summary>All, the simplest first.</summary>
    public static IReadOnlyList<Method> All { get; } =
    [
        new("map", "maximum a posteriori", settings => new MaximumAPosteriori { Training = settings.Training }),
        Variational,
        new("ensemble", "deep ensemble", settings => new DeepEnsemble(new MaximumAPosteriori { Training = settings.Training }) { Members = Members }),
        Dropout,
        new("laplace", "last-layer Laplace", settings => new LastLayerLaplace { Training = settings.Training }),
        new("swag", "SWAG", settings => new Swag { Training = settings.Training, Snapshots = Math.Max(2, settings.Epochs / 10) }),
        new("sghmc", "SGHMC", settings => new Sghmc
        {
            Epochs = 4 * settings.Epochs,
            BatchSize = settings.BatchSize,
        }),
    ];
}
