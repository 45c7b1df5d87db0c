using BayesNet;
using BayesNet.Layers.Conversion;
using BayesNet.Likelihoods;
using BayesNet.Metrics;
using BayesNet.Prediction;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;
using static TorchSharp.torch.utils.data;

namespace Digits.Bayesian;

/// <summary>A convolutional network for digits as TorchSharp's users write one: a class of its own, layers in private fields.</summary>
internal sealed class Model : Module<Tensor, Tensor>
{
    private readonly Module<Tensor, Tensor> _conv1 = Conv2d(1, 16, 3), _conv2 = Conv2d(16, 32, 3), _pool = MaxPool2d(2);
    private readonly Module<Tensor, Tensor> _hidden = Linear(800, 128), _output = Linear(128, 10);

    public Model()
        : base(nameof(Model)) => RegisterComponents();

    public override Tensor forward(Tensor input)
    {
        using var scope = NewDisposeScope();
        Tensor first = _pool.call(_conv1.call(input).relu());
        Tensor second = _pool.call(_conv2.call(first).relu());
        return _output.call(_hidden.call(second.flatten(1)).relu()).MoveToOuterDisposeScope();
    }
}

/// <summary>Trains it and tests it.</summary>
internal static class Program
{
    public static Tensor Run(IEnumerable<Dictionary<string, Tensor>> train, Dataset trainingSet, (Tensor Images, Tensor Labels) validation, Tensor test, int epochs)
    {
        using Module<Tensor, Tensor> model = new Model().ToBayesian();
        using var optimizer = optim.Adam(model.parameters(), 1e-3);
        model.train();
        for (int epoch = 0; epoch < epochs; epoch++)
        {
            foreach (Dictionary<string, Tensor> batch in train)
            {
                using var scope = NewDisposeScope();
                optimizer.zero_grad();
                Tensor loss = functional.cross_entropy(model.call(batch["data"]), batch["label"]) + model.KlDivergence() / trainingSet.Count;
                loss.backward();
                optimizer.step();
            }
        }

        model.eval();
        var calibration = TemperatureScaling.Fit((CategoricalPredictive)Predictor.Predict(model, new CategoricalLikelihood(), validation.Images, 50), validation.Labels);
        return calibration.Apply((CategoricalPredictive)Predictor.Predict(model, new CategoricalLikelihood(), test, 50));
    }
}
