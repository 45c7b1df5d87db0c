using BayesNet.Estimators;
using static TorchSharp.torch;

namespace BayesNet.Posteriors;

/// <summary>A posterior whose entries are independent, so that rows of its weight can be drawn without the others.</summary>
internal interface IRowwise
{
    /// <summary>Deviations from their means of fresh draws of the given rows; a row that comes twice is drawn twice.</summary>
    /// <param name="rows">(R), int64.</param>
    /// <param name="noise">Where the noise comes from.</param>
    /// <returns>(R, the weight's dimensions behind the first); differentiable in the parameters.</returns>
    Tensor SampleRowDeviations(Tensor rows, NoiseSource noise);
}
