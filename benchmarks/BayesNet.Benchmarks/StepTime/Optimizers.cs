using BayesNet.Training;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace BayesNet.Benchmarks.StepTime;

/// <summary>The optimizers of the report's rows.</summary>
internal static class Optimizers
{
    /// <summary>An optimizer by its name in the rows; where there is none, one that sets gradients to zero and has no state.</summary>
    public static optim.Optimizer Create(string name, IEnumerable<Parameter> parameters) => name switch
    {
        Names.FusedAdam => new FusedAdam(parameters),
        Names.TorchSharpAdam => optim.Adam(parameters),
        _ => optim.SGD(parameters, 1e-3),
    };
}
