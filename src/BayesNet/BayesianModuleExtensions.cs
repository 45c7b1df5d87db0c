using BayesNet.Estimators;
using BayesNet.Posteriors;
using BayesNet.Runtime;
using static TorchSharp.torch;

namespace BayesNet;

/// <summary>What any model with Bayesian layers can do, whatever class it has.</summary>
public static class BayesianModuleExtensions
{
    /// <summary>The model's Bayesian modules with their names, in order; a module reached by several paths comes once, the model itself as "".</summary>
    public static IEnumerable<(string Name, IBayesianModule Module)> BayesianModules(this nn.Module model)
    {
        ArgumentNullException.ThrowIfNull(model);
        return Iterate(model);

        static IEnumerable<(string, IBayesianModule)> Iterate(nn.Module model)
        {
            var seen = new HashSet<object>(ReferenceEqualityComparer.Instance);
            if (model is IBayesianModule itself && seen.Add(itself))
                yield return ("", itself);
            foreach ((string name, nn.Module module) in model.named_modules())
            {
                if (module is IBayesianModule bayesian && seen.Add(bayesian))
                    yield return (name, bayesian);
            }
        }
    }

    /// <summary>The posteriors that are parts of the model's Bayesian modules, with the name of each module, the module and the part's name.</summary>
    internal static IEnumerable<(string Name, IBayesianModule Module, string Part, Posterior Posterior)> Posteriors(this nn.Module model)
        => from entry in model.BayesianModules()
           where entry.Module is nn.Module
           from part in ((nn.Module)entry.Module).named_children()
           where part.module is Posterior
           select (entry.Name, entry.Module, part.name, (Posterior)part.module);

    /// <summary>
    /// KL(q || p) in nats, summed over every Bayesian layer once: a scalar tensor, differentiable. Divide it by the number of training
    /// examples to add it to a mean negative log likelihood.
    /// </summary>
    /// <exception cref="InvalidOperationException">The model has no Bayesian layer.</exception>
    public static Tensor KlDivergence(this nn.Module model)
    {
        using var scope = NewDisposeScope();
        Tensor? total = null;
        foreach ((_, IBayesianModule module) in model.BayesianModules())
        {
            Tensor own = module.KlDivergence();
            total = total is null ? own : total.Plus(own.to(total.dtype, total.device));
        }

        return total?.MoveToOuterDisposeScope() ?? throw NoBayesianLayer(model);
    }

    /// <summary>
    /// Switches every Bayesian layer to <paramref name="estimator"/> until the returned object is disposed, which restores what each layer
    /// had: <c>using (model.WithEstimator(Estimator.MeanOnly)) { ... }</c>.
    /// </summary>
    /// <exception cref="NotSupportedException">A layer does not admit the estimator; no layer has been changed.</exception>
    /// <exception cref="InvalidOperationException">The model has no Bayesian layer.</exception>
    public static IDisposable WithEstimator(this nn.Module model, Estimator estimator)
    {
        ArgumentNullException.ThrowIfNull(estimator);
        var modules = model.BayesianModules().ToList();
        if (modules.Count == 0)
            throw NoBayesianLayer(model);
        foreach ((string name, IBayesianModule module) in modules)
        {
            if (module.WhyNot(estimator) is { } reason)
                throw new NotSupportedException(name.Length == 0 ? reason : $"Layer '{name}': {reason}");
        }

        var scope = new EstimatorScope([.. modules.Select(entry => (entry.Module, entry.Module.Estimator))]);
        foreach ((_, IBayesianModule module) in modules)
            module.Estimator = estimator;
        return scope;
    }

    /// <summary>
    /// Gives every Bayesian layer a noise seed of its own, derived from <paramref name="seed"/> and the layer's place in the model, and
    /// starts its sequence of draws. Null goes back to the global generator.
    /// </summary>
    public static void SeedNoise(this nn.Module model, ulong? seed)
    {
        ulong state = seed ?? 0;
        foreach ((_, IBayesianModule module) in model.BayesianModules())
            module.Noise.Seed = seed is null ? null : Seeds.Next(ref state);
    }

    /// <summary><see cref="SeedNoise"/> until the returned object is disposed; each layer's noise then goes on from where it was.</summary>
    internal static IDisposable WithNoiseSeed(this nn.Module model, ulong seed)
    {
        ulong state = seed;
        return new NoiseScope([.. model.BayesianModules().Select(entry => entry.Module.Noise.Seeded(Seeds.Next(ref state)))]);
    }

    internal static InvalidOperationException NoBayesianLayer(nn.Module model)
        => new($"The model {model.GetName()} has no Bayesian layer; build it with the bnn factory in place of nn.");

    private sealed class EstimatorScope(List<(IBayesianModule Module, Estimator Before)> modules) : IDisposable
    {
        private List<(IBayesianModule Module, Estimator Before)>? _modules = modules;

        public void Dispose()
        {
            foreach ((IBayesianModule module, Estimator before) in _modules ?? [])
                module.Estimator = before;
            _modules = null;
        }
    }

    private sealed class NoiseScope(List<IDisposable> sources) : IDisposable
    {
        public void Dispose() => sources.ForEach(source => source.Dispose());
    }
}
