using BayesNet.Kernels;
using BayesNet.TestKit;
using TorchSharp.Modules;
using Xunit;
using static TorchSharp.torch;

namespace BayesNet.Layers.Tests.Training;

/// <summary>Gradients written in place are those that autograd adds up, whatever else reaches a parameter.</summary>
public sealed class GradientBuffersTests
{
    public static IEnumerable<TheoryDataRow<string>> Losses() => Cases.Keys.Select(name => new TheoryDataRow<string>(name));

    private static readonly Dictionary<string, Action<Model>> Cases = new()
    {
        ["one use"] = model => model.Fused().backward(),
        ["several backward passes"] = model =>
        {
            model.Fused().backward();
            model.Fused().backward();
            model.Plain().backward();
        },
        ["a layer used twice"] = model => (model.Fused() + model.Fused() * 2).backward(),
        ["fused and plain in one graph"] = model => (model.Fused() + model.Plain()).backward(),
        ["plain before fused"] = model =>
        {
            model.Plain().backward();
            model.Fused().backward();
        },
        ["plain alone"] = model => model.Plain().backward(),
        ["a forward pass without a backward"] = model =>
        {
            model.Fused();
            model.Fused().backward();
        },
        ["a frozen parameter"] = model =>
        {
            model.Layer.parameters().First().requires_grad_(false);
            model.Fused().backward();
        },
        ["a graph kept for a second pass"] = model =>
        {
            Tensor loss = model.Fused();
            loss.backward(create_graph: false, retain_graph: true);
            loss.backward();
        },
    };

    [Theory]
    [MemberData(nameof(Losses))]
    public void TheyAreWhatAutogradAddsUp(string name)
    {
        using var scope = NewDisposeScope();
        using Model alone = new(), written = new();
        Cases[name](alone);
        using var buffers = new GradientBuffers(written.Layer.parameters());
        for (int round = 0; round < 3; round++)
        {
            written.Restart();
            using (buffers.Open())
                Cases[name](written);
            foreach ((Parameter expected, Parameter actual) in alone.Layer.parameters().Zip(written.Layer.parameters()))
                AssertEqual(expected.grad, actual.grad);
        }
    }

    [Fact]
    public void AGraphThatOutlivesItsPassUsesAutograd()
    {
        using var scope = NewDisposeScope();
        using Model alone = new(), written = new();
        alone.Fused().backward();
        using var buffers = new GradientBuffers(written.Layer.parameters());
        Tensor loss;
        using (buffers.Open())
            loss = written.Fused();
        using (buffers.Open())
            loss.backward();
        foreach ((Parameter expected, Parameter actual) in alone.Layer.parameters().Zip(written.Layer.parameters()))
            AssertEqual(expected.grad, actual.grad);
    }

    [Fact]
    public void PassesNestAndEndOnAnException()
    {
        using var scope = NewDisposeScope();
        using Model outer = new(), inner = new();
        using GradientBuffers ofOuter = new(outer.Layer.parameters()), ofInner = new(inner.Layer.parameters());
        using (GradientBuffers.Pass first = ofOuter.Open())
        {
            using (ofInner.Open())
                inner.Fused().backward();
            Assert.Same(first, GradientBuffers.Current);
            outer.Fused().backward();
        }

        Assert.Null(GradientBuffers.Current);
        AssertEqual(inner.Layer.parameters().First().grad, outer.Layer.parameters().First().grad);
        Assert.Throws<InvalidOperationException>(Fail);
        Assert.Null(GradientBuffers.Current);
        Assert.All(outer.Layer.parameters(), parameter => Assert.Null(parameter.grad));

        void Fail()
        {
            using var pass = ofOuter.Open();
            throw new InvalidOperationException();
        }
    }

    [Fact]
    public void NothingIsLeftBehind()
    {
        using var model = new Model();
        long before = LiveTensors.Settled();
        for (int i = 0; i < 3; i++)
        {
            using var scope = NewDisposeScope();
            using var buffers = new GradientBuffers(model.Layer.parameters());
            for (int round = 0; round < 10; round++)
            {
                using (buffers.Open())
                    model.Fused().backward();
            }

            model.Layer.zero_grad();
        }

        Assert.Equal(before, Tensor.TotalCount);
    }

    private static void AssertEqual(Tensor? expected, Tensor? actual)
    {
        Assert.Equal(expected is null, actual is null);
        if (expected is null)
            return;

        // The same terms, added in another order.
        double scale = expected.abs().max().item<double>();
        Assert.True((expected - actual!).abs().max().item<double>() <= 1e-14 * scale);
    }

    private sealed class Model : IDisposable
    {
        private readonly Tensor _input;

        public Model()
        {
            manual_seed(2);
            Layer = bnn.Linear(3, 2, dtype: ScalarType.Float64);
            _input = randn(5, 3, dtype: ScalarType.Float64).DetachFromDisposeScope();
            Restart();
        }

        public BayesLinear Layer { get; }

        public Tensor Fused() => Layer.call(_input).square().mean();

        public Tensor Plain() => Layer.KlDivergence() / 10;

        public void Restart() => Layer.Seed = 4;

        public void Dispose()
        {
            Layer.Dispose();
            _input.Dispose();
        }
    }
}
