using BayesNet.Estimators;
using BayesNet.Layers.Conversion;
using BayesNet.TestKit;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;
using static TorchSharp.torch.utils.data;

namespace BayesNet.Layers.Tests.Conversion;

/// <summary>Bayesian models in TorchSharp's own training loops, with its loaders, optimizers, schedulers, clipping and writers.</summary>
public sealed class InteroperationTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("bayesnet-tests-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData(true, ScalarType.Float32)]
    [InlineData(true, ScalarType.Float64)]
    [InlineData(false, ScalarType.Float32)]
    [InlineData(false, ScalarType.Float64)]
    public void OnTheCpu(bool converted, ScalarType type) => Train(converted, type, CPU);

    [Theory]
    [InlineData(true, ScalarType.Float32)]
    [InlineData(false, ScalarType.Float64)]
    public void OnCuda(bool converted, ScalarType type) => Train(converted, type, CudaDevice.Required());

    private void Train(bool converted, ScalarType type, Device device)
    {
        using var scope = NewDisposeScope();
        random.manual_seed(3);
        nn.Module<Tensor, Tensor> model = converted
            ? nn.Sequential(("hidden", nn.Linear(4, 16)), ("tanh", nn.Tanh()), ("out", nn.Linear(16, 1))).ToBayesian()
            : nn.Sequential(("hidden", bnn.Linear(4, 16)), ("tanh", nn.Tanh()), ("out", bnn.Linear(16, 1)));
        model.to(type).to(device);
        Tensor x = randn(96, 4, dtype: type), y = x.sum(dim: 1, keepdim: true).tanh();
        using var data = TensorDataset(x, y);
        using var loader = DataLoader(data, 32, shuffle: true, device: device);
        using var optimizer = optim.Adam(model.parameters(), 0.02);
        optim.lr_scheduler.LRScheduler scheduler = optim.lr_scheduler.StepLR(optimizer, 10, 0.5);
        var writer = utils.tensorboard.SummaryWriter(_folder, createRunName: false);
        var losses = new List<double>();
        for (int epoch = 0; epoch < 20; epoch++)
        {
            double sum = 0;
            foreach (IList<Tensor> batch in loader)
            {
                using var step = NewDisposeScope();
                optimizer.zero_grad();
                Tensor error = nn.functional.mse_loss(model.call(batch[0]), batch[1]);
                Tensor loss = error + (model.KlDivergence() * (1e-3 / 96));
                loss.backward();
                double norm = nn.utils.clip_grad_norm_(model.parameters(), 1);
                Assert.True(double.IsFinite(norm));
                optimizer.step();
                sum += error.to(ScalarType.Float64).item<double>();
            }

            scheduler.step();
            writer.add_scalar("loss", (float)sum, epoch);
            writer.add_histogram("hidden.mean", model.parameters().First().detach().cpu(), epoch);
            losses.Add(sum);
        }

        Assert.Equal(0.005, optimizer.ParamGroups.First().LearningRate, 12);
        Assert.True(losses[^1] < losses[0] / 5, $"{losses[0]} -> {losses[^1]}");
        Assert.NotEmpty(Directory.GetFiles(_folder, "*", SearchOption.AllDirectories));
        Assert.All(model.parameters(), parameter => Assert.Equal((type, device.type), (parameter.dtype, parameter.device_type)));

        // TorchSharp's own save and load.
        string file = Path.Combine(_folder, "model.bin");
        model.save(file);
        using nn.Module<Tensor, Tensor> other = nn.Sequential(("hidden", bnn.Linear(4, 16)), ("tanh", nn.Tanh()), ("out", bnn.Linear(16, 1))).to(type).to(device);
        other.load(file);
        using var _ = no_grad();
        using (model.WithEstimator(Estimator.MeanOnly))
        using (other.WithEstimator(Estimator.MeanOnly))
            Assert.True(model.call(x.to(device)).allclose(other.call(x.to(device))));
        model.Dispose();
    }
}
