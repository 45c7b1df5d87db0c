using BayesNet.Divergences;
using BayesNet.Estimators;
using BayesNet.Maps;
using BayesNet.Posteriors;
using BayesNet.Priors;
using BayesNet.TestKit;
using Xunit;
using static TorchSharp.torch;

namespace BayesNet.Tests;

/// <summary>The tables of docs/posteriors.md are what the code does.</summary>
public sealed class DocumentationTests
{
    private static readonly string[] Lines = File.ReadAllLines(Path.Combine(AppContext.BaseDirectory, "docs", "posteriors.md"));

    private static readonly Dictionary<string, string[]> Cases = new()
    {
        ["`MeanFieldGaussian`"] = ["mean-field Gaussian, log scale", "mean-field Gaussian, softplus"],
        ["`MeanFieldLaplace`"] = ["Laplace"],
        ["`MeanFieldLogistic`"] = ["logistic"],
        ["`MeanFieldUniform`"] = ["uniform"],
        ["`MeanFieldStudentT`"] = ["Student-t"],
        ["`FullCovarianceGaussian`, per output"] = ["full covariance per output"],
        ["`FullCovarianceGaussian`, per layer"] = ["full covariance per layer"],
        ["`LowRankGaussian`, per output"] = ["low rank per output"],
        ["`LowRankGaussian`, per layer"] = ["low rank per layer"],
        ["`MatrixNormal`"] = ["matrix normal"],
        ["`VariationalDropout`"] = [.. PosteriorCase.All.Select(known => known.Name).Where(name => name.StartsWith("variational dropout", StringComparison.Ordinal))],
        ["`ConcreteDropout`"] = ["concrete dropout", "concrete dropout per input"],
        ["`SpikeAndSlab`"] = ["gates per weight", "gates per output", "gates per input"],
    };

    [Fact]
    public void EveryPosteriorIsInTheTables()
        => Assert.Equal(PosteriorCase.All.Select(known => known.Name).Order(), Cases.Values.SelectMany(names => names).Order());

    [Fact]
    public void TheEstimatorsThatAPosteriorTakesAreTheDocumentedOnes()
    {
        using var scope = NewDisposeScope();
        string[][] table = Table("| posterior |");
        var map = new LinearMap(3, 2);
        Assert.Equal(Cases.Keys, table[1..].Select(row => row[0]));
        foreach (string[] row in table[1..])
        {
            foreach (string name in Cases[row[0]])
            {
                using Posterior posterior = PosteriorCase.Named(name).Create(randn(2, 3, dtype: ScalarType.Float64));
                for (int column = 4; column < row.Length; column++)
                {
                    Estimator estimator = EstimatorCase.Named(table[0][column]).Estimator;
                    Assert.Equal(row[column] == "yes", estimator.WhyNot(map, posterior, null) is null);
                }

                if (posterior is MeanFieldLocationScale law)
                    Assert.Equal(row[3], double.IsInfinity(law.TailIndex) ? "infinite" : "nu");
            }
        }
    }

    [Fact]
    public void TheDivergencesAreTheDocumentedOnes()
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        string[][] table = Table("| | `GaussianPrior` |");
        Tensor like = randn(2, 3, dtype: ScalarType.Float64);
        var priors = PriorCase.All.Select(known => known.Create(like)).ToLookup(prior => $"`{prior.GetType().Name}`");
        Assert.Equal(priors.Select(group => group.Key).Order(), table[0][1..].Order());
        Assert.Equal(Cases.Keys, table[1..].Select(row => row[0]));
        foreach (string[] row in table[1..])
        {
            foreach (string name in Cases[row[0]])
            {
                Posterior posterior = PosteriorCase.Named(name).Create(like);
                for (int column = 1; column < row.Length; column++)
                {
                    foreach (Prior prior in priors[table[0][column]])
                        Assert.Equal((row[0], table[0][column], row[column]), (row[0], table[0][column], Kind(posterior, prior)));
                }
            }
        }
    }

    private static string Kind(Posterior posterior, Prior prior)
    {
        try
        {
            KlDivergences.Compute(posterior, prior).Dispose();
        }
        catch (NotSupportedException)
        {
            return "none";
        }

        return KlDivergences.HasClosedForm(posterior, prior) ? "closed" : "Monte Carlo";
    }

    /// <summary>The table that begins with a line, its rule left out, as cells.</summary>
    private static string[][] Table(string start)
        => [.. Lines.SkipWhile(line => !line.StartsWith(start, StringComparison.Ordinal))
            .TakeWhile(line => line.StartsWith('|'))
            .Where(line => !line.StartsWith("|---", StringComparison.Ordinal))
            .Select(line => line.Trim('|').Split('|').Select(cell => cell.Trim()).ToArray())];
}
