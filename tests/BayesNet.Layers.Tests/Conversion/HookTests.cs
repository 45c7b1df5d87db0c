using BayesNet.Estimators;
using BayesNet.Layers.Conversion;
using TorchSharp.Modules;
using Xunit;
using static TorchSharp.torch;

namespace BayesNet.Layers.Tests.Conversion;

/// <summary>Forward hooks move with a layer, and collections of modules can be the model itself.</summary>
public sealed class HookTests
{
    [Fact]
    public void ForwardHooksAreTheTwinsInTheirOrderAndTheirHandlesStillRemoveThem()
    {
        using var scope = NewDisposeScope();
        var calls = new List<string>();
        Linear layer = nn.Linear(2, 2);
        layer.register_forward_pre_hook((module, input) =>
        {
            calls.Add($"pre {module.GetType().Name}");
            return input;
        });
        layer.register_forward_hook((_, _, output) => output.mul(2));
        var second = layer.register_forward_hook((module, _, output) =>
        {
            calls.Add("post");
            return output.add(1, 1);
        });
        using var model = nn.Sequential(("fc", layer), ("relu", nn.ReLU()));
        Tensor x = randn(3, 2), before = model.call(x);
        calls.Clear();
        nn.Module<Tensor, Tensor> copy = model.ToBayesian(new ConversionOptions { Copy = true });
        model.ToBayesian();
        foreach (nn.Module<Tensor, Tensor> converted in new[] { model, copy })
        {
            using (converted.WithEstimator(Estimator.MeanOnly))
                Assert.True(converted.call(x).allclose(before));
        }

        Assert.Equal(["pre BayesLinear", "post", "pre BayesLinear", "post"], calls);
        second.remove();
        calls.Clear();
        model.call(x);
        Assert.Equal(["pre BayesLinear"], calls);
        copy.call(x);
        Assert.Equal(["pre BayesLinear", "pre BayesLinear", "post"], calls);
        model.ToDeterministic();
        model.call(x);
        Assert.Equal("pre Linear", calls[^1]);
    }

    [Fact]
    public void ProbingCallsNoHook()
    {
        using var scope = NewDisposeScope();
        MultiheadAttention attention = nn.MultiheadAttention(4, 2);
        int calls = 0;
        attention.register_forward_pre_hook(_ => calls++);
        var twin = (BayesMultiheadAttention)((nn.Module)attention).ToBayesian();
        Assert.Equal(0, calls);
        Tensor x = randn(3, 1, 4);
        twin.call(x, x, x);
        Assert.Equal(1, calls);
    }

    [Fact]
    public void AListOfModulesMayBeTheModel()
    {
        using var scope = NewDisposeScope();
        var list = nn.ModuleList<nn.Module<Tensor, Tensor>>(nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 2));
        nn.Module copy = ((nn.Module)list).ToBayesian(new ConversionOptions { Copy = true });
        Assert.IsType<Linear>(list[0]);
        Assert.Equal(2, Assert.IsType<ModuleList<nn.Module<Tensor, Tensor>>>(copy).Count(module => module is BayesLinear));
        Assert.Same(list, ((nn.Module)list).ToBayesian(null, out ConversionReport report));
        Assert.Equal(["0", "2"], report.Converted.Select(entry => entry.Name));
        Assert.IsType<BayesLinear>(list[0]);
        Assert.Equal(2, list.BayesianModules().Count());
        Assert.Contains("2.bias.log_scale", list.state_dict().Keys);
        Tensor x = randn(4, 3);
        Assert.Equal([4, 2], list[2].call(list[1].call(list[0].call(x))).shape);
        ((nn.Module)list).ToDeterministic();
        Assert.IsType<Linear>(list[2]);

        var dictionary = nn.ModuleDict<nn.Module<Tensor, Tensor>>(("a", nn.Linear(3, 3)), ("b", nn.Tanh()));
        ((nn.Module)dictionary).ToBayesian();
        Assert.IsType<BayesLinear>(dictionary["a"]);
        Assert.Contains("a.weight.mean", dictionary.state_dict().Keys);

        var narrow = nn.ModuleList(nn.Linear(3, 3));
        Assert.Contains("declare its elements as Module<Tensor, Tensor>", Assert.Throws<ConversionException>(() => ((nn.Module)narrow).ToBayesian()).Message, StringComparison.Ordinal);
    }
}
