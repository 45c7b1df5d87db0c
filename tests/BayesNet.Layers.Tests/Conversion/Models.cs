using TorchSharp.Modules;
using static TorchSharp.torch;

namespace BayesNet.Layers.Tests.Conversion;

/// <summary>A module with layers in private read-only fields, typed as the abstract module; one of them registered twice.</summary>
internal sealed class Block : nn.Module<Tensor, Tensor>
{
    private readonly nn.Module<Tensor, Tensor> _first;
    private readonly nn.Module<Tensor, Tensor> _again;
    private readonly nn.Module<Tensor, Tensor>[] _branches;
    private readonly Dictionary<string, nn.Module<Tensor, Tensor>> _named;
    private readonly ModuleList<nn.Module<Tensor, Tensor>> _list;
    private readonly ModuleDict<nn.Module<Tensor, Tensor>> _dict;

    public Block(long size, nn.Module<Tensor, Tensor>? first = null)
        : base(nameof(Block))
    {
        _first = first ?? nn.Linear(size, size);
        _again = _first;
        _branches = [nn.Linear(size, size), nn.Linear(size, size, hasBias: false)];
        _named = new() { ["a"] = nn.Linear(size, size) };
        _list = nn.ModuleList<nn.Module<Tensor, Tensor>>(nn.Linear(size, size), nn.ReLU());
        _dict = nn.ModuleDict<nn.Module<Tensor, Tensor>>(("x", nn.Linear(size, size)));
        RegisterComponents();
        register_module("branch0", _branches[0]);
        register_module("branch1", _branches[1]);
        register_module("named_a", _named["a"]);
    }

    public override Tensor forward(Tensor input)
    {
        using var scope = NewDisposeScope();
        Tensor x = _first.call(input).relu();
        x = _again.call(x).relu();
        foreach (nn.Module<Tensor, Tensor> branch in _branches)
            x = branch.call(x).tanh();
        x = _named["a"].call(x);
        foreach (nn.Module<Tensor, Tensor> layer in _list)
            x = layer.call(x);
        return _dict["x"].call(x).MoveToOuterDisposeScope();
    }
}

/// <summary>A small convolutional network with batch normalization.</summary>
internal sealed class SmallCnn : nn.Module<Tensor, Tensor>
{
    private readonly nn.Module<Tensor, Tensor> _features;
    private readonly nn.Module<Tensor, Tensor> _head;

    public SmallCnn()
        : base(nameof(SmallCnn))
    {
        _features = nn.Sequential(
            ("conv", nn.Conv2d(1, 4, 3, padding: 1)), ("norm", nn.BatchNorm2d(4)), ("relu", nn.ReLU()), ("pool", nn.MaxPool2d(2)), ("flat", nn.Flatten()));
        _head = nn.Linear(64, 3);
        RegisterComponents();
    }

    public override Tensor forward(Tensor input)
    {
        using Tensor features = _features.call(input);
        return _head.call(features);
    }
}

/// <summary>Fields that can't hold a Bayesian layer.</summary>
internal sealed class Rigid : nn.Module<Tensor, Tensor>
{
    private readonly Linear _fc = nn.Linear(3, 3);
    private readonly Conv1d _conv = nn.Conv1d(1, 1, 3, padding: 1L);
    private readonly ModuleList<Linear> _list = nn.ModuleList(nn.Linear(3, 3));
    private readonly nn.Module<Tensor, Tensor> _good = nn.Linear(3, 3);

    public Rigid()
        : base(nameof(Rigid))
    {
        RegisterComponents();
        register_module("hidden", nn.Linear(3, 3));
    }

    public override Tensor forward(Tensor input) => _good.call(_list[0].call(_conv.call(_fc.call(input))));
}
