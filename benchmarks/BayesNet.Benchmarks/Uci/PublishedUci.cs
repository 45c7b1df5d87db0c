namespace BayesNet.Benchmarks.Uci;

/// <summary>Published means over the same divisions.</summary>
/// <param name="Method">Its short name.</param>
/// <param name="Source">Where it is from.</param>
/// <param name="LogLikelihood">By set, nats.</param>
/// <param name="Rmse">By set; null where the source has none.</param>
internal sealed record PublishedUci(string Method, string Source, IReadOnlyDictionary<string, double> LogLikelihood, IReadOnlyDictionary<string, double>? Rmse = null)
{
    private static readonly string[] Sets = ["concrete", "energy", "wine-quality-red", "yacht"];

    public static IReadOnlyList<PublishedUci> All { get; } =
    [
        new("VI", "Graves 2011, as run by Hernández-Lobato and Adams 2015", By(-3.39, -2.39, -0.98, -3.43), By(7.19, 2.65, 0.65, 6.89)),
        new("PBP", "Hernández-Lobato and Adams 2015", By(-3.16, -2.04, -0.97, -1.63), By(5.67, 1.80, 0.64, 1.02)),
        new("MC dropout", "Gal and Ghahramani 2016, 400 epochs", By(-3.04, -1.99, -0.93, -1.55), By(5.23, 1.66, 0.62, 1.11)),
        new("MC dropout, 4000", "logs of yaringal/DropoutUncertaintyExps, 4,000 epochs", By(-2.94, -1.21, -0.93, -1.25), By(4.83, 0.539, 0.622, 0.666)),
        new("Deep ensemble", "Lakshminarayanan et al. 2017", By(-3.06, -1.38, -0.94, -1.18), By(6.03, 2.09, 0.64, 1.58)),
        new("hoDVI", "Wu et al. 2019, one noise level", By(-3.23, -2.09, -0.96, -1.41)),
        new("MCVI", "Wu et al. 2019, two heads", By(-3.07, -1.03, -0.92, -0.68)),
        new("DVI", "Wu et al. 2019, two heads", By(-3.06, -1.01, -0.90, -0.47)),
    ];

    public static PublishedUci Named(string method) => All.Single(one => one.Method == method);

    private static Dictionary<string, double> By(params double[] values) => Sets.Zip(values).ToDictionary(pair => pair.First, pair => pair.Second);
}
