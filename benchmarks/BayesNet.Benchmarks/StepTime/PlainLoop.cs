using static TorchSharp.torch;

namespace BayesNet.Benchmarks.StepTime;

/// <summary>A training loop as TorchSharp's examples have it, of plain layers or of the textbook's.</summary>
internal sealed class PlainLoop : Contestant
{
    private readonly StepTimeShape _shape;
    private readonly nn.Module<Tensor, Tensor> _model;
    private readonly TextbookLayer[] _bayesian;
    private readonly optim.Optimizer _optimizer;
    private readonly bool _steps;
    private readonly Tensor _inputs, _targets;

    public PlainLoop(StepTimeShape shape, Place place, string estimator, string optimizer)
    {
        _shape = shape;
        LayerFactory layers = estimator == Names.Deterministic ? new DeterministicLayers() : new TextbookLayers(estimator);
        _model = Own(shape.Build(layers, place.Device, place.Dtype));
        _bayesian = [.. _model.modules().OfType<TextbookLayer>()];
        (Tensor inputs, Tensor targets) = shape.Data(place.Device, place.Dtype);
        (_inputs, _targets) = (Own(inputs), Own(targets));
        _steps = optimizer != Names.None;
        _optimizer = Own(Optimizers.Create(optimizer, _model.parameters()));
    }

    public override void Run()
    {
        using var scope = NewDisposeScope();

        // The optimizer's zero_grad keeps the gradients' memory, which the module's gives away.
        _optimizer.zero_grad();
        Tensor loss = _shape.Loss(_model.call(_inputs), _targets);
        if (_bayesian.Length > 0)
        {
            Tensor divergence = _bayesian[0].KlDivergence();
            foreach (TextbookLayer layer in _bayesian[1..])
                divergence += layer.KlDivergence();
            loss += divergence / _shape.TrainingSetSize;
        }

        loss.backward();
        if (_steps)
            _optimizer.step();
    }
}
