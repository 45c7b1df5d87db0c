using System.Globalization;
using BayesNet.Posteriors;
using BayesNet.Priors;
using BayesNet.Pruning;
using BayesNet.Runtime;
using static TorchSharp.torch;

namespace BayesNet.Diagnostics;

/// <summary>One module of a model.</summary>
/// <param name="Name">Its name in the model; empty for the model itself.</param>
/// <param name="Layer">Its class.</param>
/// <param name="Map">What it computes; empty where it is no affine map.</param>
/// <param name="Posterior">The posteriors of its weights, each kind once; empty of a deterministic layer.</param>
/// <param name="Prior">Their priors.</param>
/// <param name="Estimator">How its noise enters.</param>
/// <param name="Parameters">Entries of its parameters.</param>
/// <param name="Weights">Entries of its weights: of a Bayesian layer those that have a posterior, else its parameters.</param>
/// <param name="Kl">KL(q || p) in nats; null of a deterministic layer.</param>
/// <param name="SignalToNoise">The mean over its weights of |mean| / standard deviation; null where there is none.</param>
public sealed record SummaryRow(
    string Name, string Layer, string Map, string Posterior, string Prior, string Estimator, long Parameters, long Weights, double? Kl, double? SignalToNoise);

/// <summary>A model layer by layer, with totals; <see cref="ToString"/> is a table.</summary>
public sealed class ModelSummary
{
    internal ModelSummary(IReadOnlyList<SummaryRow> rows) => Rows = rows;

    /// <summary>The Bayesian modules, and the others with parameters of their own, in the model's order.</summary>
    public IReadOnlyList<SummaryRow> Rows { get; }

    /// <summary>Entries of all parameters.</summary>
    public long Parameters => Rows.Sum(row => row.Parameters);

    /// <summary>Entries of all weights, deterministic ones too.</summary>
    public long Weights => Rows.Sum(row => row.Weights);

    /// <summary>KL(q || p) of the model in nats.</summary>
    public double Kl => Rows.Sum(row => row.Kl ?? 0);

    /// <summary>A table of the rows and totals.</summary>
    public override string ToString()
    {
        var total = new SummaryRow("total", "", "", "", "", "", Parameters, Weights, Kl, null);
        return TextTable.Format(
            [.. Rows, total],
            ("name", row => row.Name.Length == 0 ? "(the model)" : row.Name),
            ("layer", row => row.Layer),
            ("map", row => row.Map),
            ("posterior", row => row.Posterior),
            ("prior", row => row.Prior),
            ("estimator", row => row.Estimator),
            ("weights", row => Count(row.Weights)),
            ("parameters", row => Count(row.Parameters)),
            ("KL, nats", row => Number(row.Kl, "N1")),
            ("mean SNR", row => Number(row.SignalToNoise, "G4")));

        static string Count(long count) => count.ToString("N0", CultureInfo.InvariantCulture);
        static string Number(double? value, string format) => value?.ToString(format, CultureInfo.InvariantCulture) ?? "";
    }
}

/// <summary>Lists what a model is made of.</summary>
public static class ModelSummaries
{
    /// <summary>Layer by layer: map, posterior, prior, estimator, parameters, KL and mean signal-to-noise ratio; deterministic layers too.</summary>
    /// <param name="model">Any model.</param>
    public static ModelSummary Summary(this nn.Module model)
    {
        ArgumentNullException.ThrowIfNull(model);
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        var seen = new HashSet<nn.Module>(ReferenceEqualityComparer.Instance);
        var rows = new List<SummaryRow>();
        Visit("", model);
        return new ModelSummary(rows);

        void Visit(string name, nn.Module module)
        {
            if (!seen.Add(module))
                return;
            if (module is IBayesianModule bayesian)
                rows.Add(Row(name, module, bayesian));
            else if (Own(module, recurse: false) is > 0 and var own)
                rows.Add(new SummaryRow(name, module.GetType().Name, "", "", "", "", own, own, null, null));
            foreach ((string child, nn.Module part) in module.named_children())
            {
                if (module is not IBayesianModule || part is not (Posterior or Prior))
                    Visit(name.Length == 0 ? child : $"{name}.{child}", part);
            }
        }
    }

    private static SummaryRow Row(string name, nn.Module module, IBayesianModule bayesian)
    {
        // Its own weights, and not those of Bayesian modules within it, which have rows of their own.
        nn.Module[] parts = [.. module.children().Where(part => part is Posterior or Prior)];
        Posterior[] posteriors = [.. parts.OfType<Posterior>()];
        Tensor[] ratios = [.. posteriors.Where(HasRatio).Select(posterior => posterior.SignalToNoise().to(ScalarType.Float64).flatten())];
        return new SummaryRow(
            name,
            module.GetType().Name,
            bayesian is IBayesianAffine affine ? $"{affine.Map}" : "",
            Kinds(posteriors.Select(posterior => posterior.GetType().Name)),
            Kinds(parts.OfType<Prior>().Select(prior => $"{prior}")),
            $"{bayesian.Estimator}",
            Own(module, recurse: false) + parts.Sum(part => Own(part, recurse: true)),
            posteriors.Sum(Entries) + Own(module, recurse: false),
            bayesian.KlDivergence().to(ScalarType.Float64).item<double>(),
            ratios.Length == 0 ? null : cat(ratios).mean().item<double>());
    }

    private static bool HasRatio(Posterior posterior) => posterior is not MeanFieldLocationScale heavy || double.IsFinite(heavy.StandardVariance);

    private static string Kinds(IEnumerable<string> names) => string.Join(", ", names.Distinct());

    private static long Own(nn.Module module, bool recurse) => module.parameters(recurse).Sum(parameter => parameter.numel());

    private static long Entries(Posterior posterior)
    {
        long entries = 1;
        foreach (long size in posterior.Shape)
            entries *= size;
        return entries;
    }
}
