using BayesNet.Estimators;
using BayesNet.Layers;
using BayesNet.Likelihoods;
using BayesNet.Training;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace BayesNet.Benchmarks.StepTime;

/// <summary>BayesNet's trainer, compiled or through autograd.</summary>
internal sealed class TrainerLoop : Contestant
{
    private readonly VariationalTrainer _trainer;
    private readonly bool _steps;
    private readonly Tensor _inputs, _targets;

    private TrainerLoop(StepTimeShape shape, Place place, Estimator estimator, TrainerOptions options, bool steps)
    {
        _steps = steps;
        nn.Module<Tensor, Tensor> model = Own(shape.Build(new BayesianLayers(new BayesOptions { Estimator = estimator }), place.Device, place.Dtype));
        Likelihood likelihood = Own(shape.Likelihood());
        (Tensor inputs, Tensor targets) = shape.Data(place.Device, place.Dtype);
        (_inputs, _targets) = (Own(inputs), Own(targets));
        _trainer = Own(new VariationalTrainer(model, likelihood, shape.TrainingSetSize, options));
    }

    public static new (Contestant? Contestant, string? WhyNot) Create(StepTimeShape shape, Place place, string name, string optimizer)
    {
        bool compiled = name is Names.LocalCompiled or Names.SharedCompiled;
        var options = new TrainerOptions { Compile = compiled, Optimizer = Factory(optimizer, compiled) };
        Estimator estimator = name switch
        {
            Names.Local or Names.LocalCompiled => Estimator.LocalReparameterization,
            Names.Shared or Names.SharedCompiled => Estimator.SharedWeights,
            Names.PerExample => Estimator.WeightsPerExample,
            Names.Flipout => Estimator.Flipout,
            _ => throw new ArgumentException($"No estimator is called '{name}'.", nameof(name)),
        };
        var loop = new TrainerLoop(shape, place, estimator, options, optimizer != Names.None);
        if (loop._trainer.IsCompiled == compiled)
            return (loop, null);
        string reason = loop._trainer.WhyNotCompiled!.TrimEnd('.');
        loop.Dispose();
        return (null, reason);
    }

    public override void Run()
    {
        if (_steps)
            _trainer.Step(_inputs, _targets);
        else
            _trainer.AccumulateGradients(_inputs, _targets, klWeight: 1);
    }

    // The compiled step goes with the trainer's own optimizer, whether it is called or not.
    private static Func<IEnumerable<Parameter>, optim.Optimizer>? Factory(string optimizer, bool compiled)
        => optimizer == Names.FusedAdam || (compiled && optimizer == Names.None) ? null : parameters => Optimizers.Create(optimizer, parameters);
}
