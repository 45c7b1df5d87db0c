using BayesNet.Estimators;
using BayesNet.Posteriors;
using BayesNet.Runtime;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace BayesNet.Layers.Conversion;

/// <summary>Which weights a deterministic model gets of a Bayesian one.</summary>
public enum DeterministicWeights
{
    /// <summary>The means of the posteriors.</summary>
    Mean,

    /// <summary>One draw from each posterior.</summary>
    Sample,
}

/// <summary>Makes any TorchSharp model Bayesian, and a Bayesian model one of plain TorchSharp layers.</summary>
/// <remarks>
/// Both walk the model's registered modules: Sequential, ModuleList, ModuleDict and classes of one's own, whose fields, private and read-only ones
/// too, and arrays, lists and dictionaries in them are set to the new layers. A module that several parents share is converted once and stays
/// shared. Training mode, device, type, geometry and forward hooks are carried over. An optimizer of the parameters of before has to be built anew. The
/// layers that were replaced are not disposed.
/// </remarks>
public static class ModelConversion
{
    /// <summary>Replaces layers by their Bayesian twins, whose means start at the layers' weights; what has none stays as it is.</summary>
    /// <param name="model">The model, or a layer.</param>
    /// <param name="options">What is converted, and how; null for all layers with <see cref="BayesOptions.Default"/>.</param>
    /// <returns>The model itself or, where it is a layer that was converted or a copy was asked for, another module.</returns>
    /// <exception cref="ConversionException">
    /// A field can't hold a Bayesian layer, or a layer's type or geometry has no twin: all at once, each with its remedy. Nothing has been changed.
    /// </exception>
    public static nn.Module<Tensor, Tensor> ToBayesian(this nn.Module<Tensor, Tensor> model, ConversionOptions? options = null)
        => (nn.Module<Tensor, Tensor>)Convert(model, options, out _);

    /// <inheritdoc cref="ToBayesian(nn.Module{Tensor, Tensor}, ConversionOptions?)"/>
    /// <param name="model">The model, or a layer.</param>
    /// <param name="options">What is converted, and how; null for all layers with <see cref="BayesOptions.Default"/>.</param>
    /// <param name="report">What was converted, what was kept, and why.</param>
    public static nn.Module<Tensor, Tensor> ToBayesian(this nn.Module<Tensor, Tensor> model, ConversionOptions? options, out ConversionReport report)
        => (nn.Module<Tensor, Tensor>)Convert(model, options, out report);

    /// <inheritdoc cref="ToBayesian(nn.Module{Tensor, Tensor}, ConversionOptions?)"/>
    public static nn.Module ToBayesian(this nn.Module model, ConversionOptions? options = null) => Convert(model, options, out _);

    /// <inheritdoc cref="ToBayesian(nn.Module{Tensor, Tensor}, ConversionOptions?, out ConversionReport)"/>
    public static nn.Module ToBayesian(this nn.Module model, ConversionOptions? options, out ConversionReport report) => Convert(model, options, out report);

    /// <summary>Replaces Bayesian layers by TorchSharp's own, with the posteriors' means or one draw of them for weights; pruned weights are zeros.</summary>
    /// <param name="model">The model, or a layer.</param>
    /// <param name="weights">Means or a draw.</param>
    /// <param name="seed">The seed of the draw; null draws from libtorch's global generator.</param>
    /// <param name="copy">Whether the model stays as it is and a copy of it is converted.</param>
    /// <returns>The model itself or, where it is a layer or a copy was asked for, another module.</returns>
    /// <exception cref="ConversionException">A field can't hold the layer, or a Bayesian module has no deterministic twin. Nothing has been changed.</exception>
    /// <exception cref="InvalidOperationException">The model has no Bayesian layer.</exception>
    public static nn.Module<Tensor, Tensor> ToDeterministic(
        this nn.Module<Tensor, Tensor> model, DeterministicWeights weights = DeterministicWeights.Mean, ulong? seed = null, bool copy = false)
        => (nn.Module<Tensor, Tensor>)ConvertBack(model, weights, seed, copy);

    /// <inheritdoc cref="ToDeterministic(nn.Module{Tensor, Tensor}, DeterministicWeights, ulong?, bool)"/>
    public static nn.Module ToDeterministic(this nn.Module model, DeterministicWeights weights = DeterministicWeights.Mean, ulong? seed = null, bool copy = false)
        => ConvertBack(model, weights, seed, copy);

    private static nn.Module Convert(nn.Module model, ConversionOptions? options, out ConversionReport report)
    {
        ArgumentNullException.ThrowIfNull(model);
        NativeLibraries.Load();
        options ??= new ConversionOptions();
        LayerConversion? Entry(nn.Module module) => LayerConversions.OfDeterministic(module, options.Normalizations);
        var graph = new ModuleGraph(model, module => IsBayesian(module) || Entry(module) is not null);
        (string Name, nn.Module Module)[] convertible = [.. graph.Modules.Where(entry => Entry(entry.Module) is not null)];
        Dictionary<nn.Module, string?> notSelected = convertible.Select(entry => entry.Module)
            .Zip(options.Layers.WhyNot(convertible))
            .ToDictionary(pair => pair.First, pair => pair.Second, (IEqualityComparer<nn.Module>)ReferenceEqualityComparer.Instance);

        var entries = new List<ConversionEntry>();
        var problems = new List<string>();
        var copies = new List<(nn.Module Module, nn.Module Twin)>();
        foreach ((string name, nn.Module module) in graph.Modules)
        {
            LayerConversion? conversion = Entry(module);
            long parameters = module.parameters(recurse: IsBayesian(module) || conversion is not null).Sum(parameter => parameter.numel());
            BayesOptions? own = null;
            string? reason = conversion is null ? IsBayesian(module) ? "it is Bayesian already" : LayerConversions.WhyNoTwin(module)
                : notSelected[module] ?? (!options.Frozen && IsFrozen(module) ? "its parameters are frozen" : null)
                ?? ((own = options.OptionsFor is { } choose ? choose(name, module) : options.Options) is null ? "the options leave it out" : null);
            if (reason is null)
            {
                try
                {
                    Preparation<nn.Module> prepared = conversion!.Prepare(module, options.HintsFor?.Invoke(name, module) ?? options.Hints);
                    reason = prepared.WhyNot;
                    if (prepared.Make is { } make)
                        copies.Add((module, Twin(make, module, own!)));
                }
                catch (Exception error) when (error is ArgumentException or NotSupportedException)
                {
                    problems.Add($"{(name.Length == 0 ? "the model" : $"'{name}'")}: {error.Message}");
                }
            }

            if (conversion is not null || parameters > 0)
                entries.Add(new ConversionEntry(name, ModuleSlot.Format(module.GetType()), reason is null ? conversion!.Bayesian.Name : null, reason, parameters));
        }

        report = new ConversionReport(entries);
        return Finish(model, graph, copies, problems, options.Copy);
    }

    private static nn.Module ConvertBack(nn.Module model, DeterministicWeights weights, ulong? seed, bool copy)
    {
        ArgumentNullException.ThrowIfNull(model);
        if (!Enum.IsDefined(weights))
            throw new ArgumentOutOfRangeException(nameof(weights), weights, "weights must be Mean or Sample.");
        using var noise = new NoiseSource(seed);
        var graph = new ModuleGraph(model, IsBayesian);
        var problems = new List<string>();
        var layers = new List<(nn.Module Module, nn.Module Twin)>();
        foreach ((string name, nn.Module module) in graph.Modules)
        {
            if (!IsBayesian(module))
                continue;
            LayerConversion? conversion = LayerConversions.OfBayesian(module);
            if ((conversion is null ? $"{ModuleSlot.Format(module.GetType())} has no deterministic twin; add one by LayerConversions.Register." : conversion.WhyNotBack(module)) is { } problem)
                problems.Add($"{(name.Length == 0 ? "the model" : $"'{name}'")}: {problem}");
            else
                layers.Add((module, Deterministic(conversion!, module, weights, noise)));
        }

        if (layers.Count + problems.Count == 0)
            throw BayesianModuleExtensions.NoBayesianLayer(model);
        return Finish(model, graph, layers, problems, copy);
    }

    private static nn.Module Finish(nn.Module model, ModuleGraph graph, List<(nn.Module Module, nn.Module Twin)> replacements, List<string> problems, bool copy)
    {
        if (!copy)
        {
            foreach ((nn.Module module, nn.Module twin) in replacements)
                graph.Replace(module, twin);
            return graph.Commit(problems, isCopy: false);
        }

        // The copy holds the originals of what is replaced, until they are.
        var leaves = new HashSet<nn.Module>(replacements.Select(pair => pair.Module), ReferenceEqualityComparer.Instance);
        nn.Module copied = ModuleCopy.Of(model, leaves);
        var inCopy = new ModuleGraph(copied, leaves.Contains);
        foreach ((nn.Module module, nn.Module twin) in replacements)
            inCopy.Replace(module, twin);
        return inCopy.Commit(problems, isCopy: true);
    }

    private static bool IsBayesian(nn.Module module) => module is IBayesianModule || LayerConversions.OfBayesian(module) is not null;

    private static bool IsFrozen(nn.Module module) => module.parameters().Any() && module.parameters().All(parameter => !parameter.requires_grad);

    private static nn.Module Twin(Func<BayesOptions, nn.Module> make, nn.Module layer, BayesOptions options)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        nn.Module twin = make(options);
        HashSet<string> frozen = [.. layer.named_parameters().Where(entry => !entry.parameter.requires_grad).SelectMany(entry => AttentionWeights.TwinNames(entry.name))];
        foreach ((string name, Parameter parameter) in twin.named_parameters())
        {
            if (frozen.Contains(name.EndsWith(".mean", StringComparison.Ordinal) ? name[..^".mean".Length] : name))
                parameter.requires_grad = false;
        }

        return Carry(layer, twin);
    }

    private static nn.Module Deterministic(LayerConversion conversion, nn.Module twin, DeterministicWeights weights, NoiseSource noise)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        nn.Module layer = conversion.ToDeterministic(twin, Weight);
        HashSet<string> frozen = [.. twin.named_parameters().Where(entry => !entry.parameter.requires_grad).Select(entry => entry.name)];
        foreach ((string name, Parameter parameter) in layer.named_parameters())
        {
            if (AttentionWeights.TwinNames(name).All(own => frozen.Contains(own) || frozen.Contains(own + ".mean")))
                parameter.requires_grad = false;
        }

        return Carry(twin, layer);

        Tensor Weight(Posterior posterior)
        {
            if (weights == DeterministicWeights.Mean)
                return posterior.Mean;

            // In evaluation mode, where gates are open or shut.
            bool training = posterior.training;
            posterior.eval();
            Tensor drawn = posterior.Sample(noise);
            posterior.train(training);
            return drawn;
        }
    }

    /// <summary>Gives a module the mode of another; and its device, which TorchSharp's modules note when they are moved.</summary>
    private static nn.Module Carry(nn.Module from, nn.Module to)
    {
        to.train(from.training);
        if (to.parameters().FirstOrDefault() is { } first && first.device_type != DeviceType.CPU)
            to.to(first.device);
        foreach (Parameter parameter in to.parameters())
            parameter.DetachFromDisposeScope();
        foreach (Tensor buffer in to.buffers())
            buffer.DetachFromDisposeScope();
        return to;
    }
}
