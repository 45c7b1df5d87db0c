using System.Globalization;
using BayesNet.Benchmarks.Reporting;
using ScottPlot;
using ScottPlot.Plottables;

namespace BayesNet.Benchmarks.Uci;

/// <summary>The tables and plots of the <c>uci</c> report.</summary>
internal static class UciText
{
    private sealed record Target(string What, UciRow Row, double Limit)
    {
        // To the two decimals that are published.
        public bool IsMet => Math.Round(Row.LogLikelihood, 2) >= Limit;
    }

    public static void Write(ReportDocument document, IReadOnlyList<UciRow> rows, UciSettings settings, IReadOnlyList<UciSplit> splits)
    {
        document.Paragraph(
            "One hidden layer of ReLU units, mean-field Gaussian weights, trained by local reparameterization on the evidence lower bound; standardised inputs and "
            + "targets, figures in the target's own units. One head: a Gaussian with one learned noise level. Two heads: the network predicts the noise level as well. "
            + $"One setting for every set, chosen on validation rows from training parts: `{settings}`. "
            + (settings.EachTemperature().Count > 1
                ? "The temperature, the weight of the KL term in the loss, is chosen in every division, out of those that the setting names, by a tenth of its training part; at a "
                    + "temperature other than 1 what is fitted is not the evidence lower bound (`KlSchedule.Tempered`), and the figures at 1 stand beside it. "
                : "")
            + "Means over the divisions, with the standard error of the mean; test log likelihood in nats a row. "
            + $"The divisions were trained at commit {string.Join(", ", splits.Select(split => split.Identity.Commit).Distinct())}.");
        string[] sets = [.. rows.Select(row => row.Set).Distinct()];
        Target[] targets = [.. Targets(rows)];
        if (targets.Length > 0)
        {
            document.Finding(
                $"{targets.Count(target => target.IsMet)} of {targets.Length} published log likelihoods that were to be reached are reached"
                + (targets.All(target => target.IsMet)
                    ? "."
                    : $"; not reached: {string.Join(", ", targets.Where(target => !target.IsMet).Select(target => $"{target.What} on {target.Row.Set} ({Number(target.Row.LogLikelihood, "F3")} against {Number(target.Limit, "F2")})"))}."));
        }

        document.Section("Log likelihood and error");
        (string, Func<UciRow, string>)[] tempered = rows.All(row => row.Temperature == 1)
            ? []
            :
            [
                ("mean temperature", row => Number(row.Temperature, "F2")),
                ("log likelihood at 1", row => PlusMinus(row.UntemperedLogLikelihood, row.UntemperedLogLikelihoodSe)),
                ("RMSE at 1", row => Number(row.UntemperedRmse, "F3")),
            ];
        document.Table(
            "rows",
            rows,
            [
                ("set", row => row.Set),
                ("heads", row => Number(row.Heads, "N0")),
                ("divisions", row => Number(row.Splits, "N0")),
                ("log likelihood", row => PlusMinus(row.LogLikelihood, row.LogLikelihoodSe)),
                ("RMSE", row => PlusMinus(row.Rmse, row.RmseSe)),
                .. tempered,
                ("95 % coverage", row => Number(100 * row.Coverage95, "F1")),
                ("seconds a division", row => Number(row.Seconds / row.Splits, "F1")),
            ]);
        string[] published = [.. sets.Where(PublishedUci.All[0].LogLikelihood.ContainsKey)];
        if (published.Length > 0)
        {
            document.Section("Beside published figures");
            document.Paragraph("Test log likelihood, then RMSE where the source has it. The published runs have the same divisions and hidden units.");
            document.Table(
                null,
                [.. PublishedUci.All],
                [
                    ("method", one => one.Method),
                    .. published.Select<string, (string, Func<PublishedUci, string>)>(set => (
                        set, one => Number(one.LogLikelihood[set], "F2") + (one.Rmse is { } rmse ? $" / {Number(rmse[set], "G3")}" : ""))),
                    ("source", one => one.Source),
                ]);
            document.Table(
                "targets",
                targets,
                ("to reach", target => target.What),
                ("set", target => target.Row.Set),
                ("heads", target => Number(target.Row.Heads, "N0")),
                ("limit", target => Number(target.Limit, "F2")),
                ("measured", target => PlusMinus(target.Row.LogLikelihood, target.Row.LogLikelihoodSe)),
                ("reached", target => target.IsMet ? "yes" : "no"));
            document.Figure(
                "uci-log-likelihood",
                Likelihoods(rows, published),
                "Test log likelihood, greater is better; bars are two standard errors of this run's means. Axes are cut where a method lies far below the others.");
        }

        Coverage(document, rows, splits);
    }

    private static void Coverage(ReportDocument document, IReadOnlyList<UciRow> rows, IReadOnlyList<UciSplit> splits)
    {
        var levels = rows.SelectMany(row => UciSplit.Levels.Select((level, i) => (Row: row, Level: level, Before: row.Coverage[i], After: row.ConformalCoverage[i]))).ToList();
        double Above(UciRow row) => 1.0 / (splits.Where(split => split.Set == row.Set && split.Heads == row.Heads).Min(split => split.CalibrationRows) + 1);
        document.Section("Coverage of intervals");
        document.Paragraph(
            "The share of test targets in the central interval of each level, percent: as the predictive gives it, and after split conformal calibration, for which a "
            + "second network is trained without a fifth of the training rows, which then calibrate it (half of them where the other half chose its temperature; scores |y - mean| / standard deviation). In brackets, how far that "
            + $"is from the level, in standard errors over the divisions. With n calibration rows the guarantee is a coverage of at least the level, and at most 1/(n + 1) above it: {Number(100 * rows.Max(Above), "F1")} "
            + "percentage points in the smallest set here.");
        document.Table(
            "coverage",
            levels,
            ("set", one => one.Row.Set),
            ("heads", one => Number(one.Row.Heads, "N0")),
            ("level", one => Number(100 * one.Level, "N0")),
            ("predictive", one => Deviation(one.Before, one.Level)),
            ("conformal", one => Deviation(one.After, one.Level)));
        int within = levels.Count(one => one.After.Mean >= one.Level - 3 * one.After.StandardError && one.After.Mean <= one.Level + Above(one.Row) + 3 * one.After.StandardError);
        int before = levels.Count(one => Math.Abs(one.Before.Mean - one.Level) <= 3 * one.Before.StandardError);
        document.Finding(
            $"Of {levels.Count} coverages (sets, heads, levels), {before} are within three standard errors of the level as the predictive gives them, and {within} after conformal calibration within three of what it guarantees.");
        var figure = new Figure(2, 1, 460, 340);
        string[] names = [.. rows.Select(Name)];
        for (int panel = 0; panel < 2; panel++)
        {
            figure.Linear(panel);
            figure.Label(panel, panel == 0 ? "Predictive intervals" : "Conformal intervals", "level, %", "coverage less level, points");
            for (int i = 0; i < rows.Count; i++)
            {
                Estimate[] coverage = panel == 0 ? rows[i].Coverage : rows[i].ConformalCoverage;
                Figure.Line(
                    figure[panel],
                    [.. UciSplit.Levels.Select(level => 100 * level)],
                    [.. UciSplit.Levels.Zip(coverage, (level, own) => 100 * (own.Mean - level))],
                    Figure.Colors[i / 2 % Figure.Colors.Count],
                    pattern: rows[i].Heads == 1 ? LinePattern.Solid : LinePattern.Dashed,
                    legend: panel == 1 ? names[i] : "",
                    marker: 5);
            }

            HorizontalLine zero = figure[panel].Add.HorizontalLine(0, 1, Figure.Ink);
            zero.LinePattern = LinePattern.Dotted;
        }

        double most = rows.SelectMany(row => row.Coverage.Concat(row.ConformalCoverage).Zip(UciSplit.Levels.Concat(UciSplit.Levels), (own, level) => Math.Abs(own.Mean - level))).Max();
        for (int panel = 0; panel < 2; panel++)
            figure[panel].Axes.SetLimitsY(-105 * most, 105 * most);
        figure[1].ShowLegend(Edge.Right);
        document.Figure("uci-coverage", figure, "Coverage less level in percentage points, before and after conformal calibration; solid one head, dashed two.");
    }

    private static IEnumerable<Target> Targets(IReadOnlyList<UciRow> rows)
    {
        foreach (UciRow row in rows)
        {
            foreach (string method in row.Heads == 1 ? new[] { "hoDVI" } : ["MCVI", "MC dropout"])
            {
                if (PublishedUci.Named(method).LogLikelihood.TryGetValue(row.Set, out double limit))
                    yield return new Target(method, row, limit);
            }
        }
    }

    private static Figure Likelihoods(IReadOnlyList<UciRow> rows, string[] sets)
    {
        var figure = new Figure(Math.Min(2, sets.Length), (sets.Length + 1) / 2, 440, 300);
        for (int panel = 0; panel < sets.Length; panel++)
        {
            UciRow[] own = [.. rows.Where(row => row.Set == sets[panel])];
            string[] names = [.. own.Select(row => row.Heads == 1 ? "here, one head" : "here, two heads"), .. PublishedUci.All.Select(one => one.Method)];
            double[] values = [.. own.Select(row => row.LogLikelihood), .. PublishedUci.All.Select(one => one.LogLikelihood[sets[panel]])];
            figure.Linear(panel);
            figure.Label(panel, sets[panel], "nats a row", "");
            figure.Categories(panel, names);
            for (int i = 0; i < names.Length; i++)
            {
                Color color = i < own.Length ? Figure.Colors[0] : Figure.Ink;
                if (i < own.Length)
                    figure[panel].Add.Plottable(new ErrorBar([values[i]], [(double)i], [2 * own[i].LogLikelihoodSe], [2 * own[i].LogLikelihoodSe], null, null) { Color = color });
                figure[panel].Add.Marker(values[i], i, MarkerShape.FilledCircle, 7, color);
            }

            // One method that is far behind would squeeze the others into a corner.
            double best = values.Max(), median = values.Order().ElementAt(values.Length / 2);
            double least = Math.Max(values.Min(), best - 4 * (best - median)), margin = 0.06 * (best - least);
            figure[panel].Axes.SetLimitsX(least - margin, best + margin);
        }

        return figure;
    }

    private static string Name(UciRow row) => $"{row.Set}, {row.Heads}";

    private static string Number(double value, string format) => value.ToString(format, CultureInfo.InvariantCulture);

    private static string PlusMinus(double mean, double error) => $"{Number(mean, "F3")} ± {Number(error, "F3")}";

    private static string Deviation(Estimate coverage, double level)
        => $"{Number(100 * coverage.Mean, "F1")} ± {Number(100 * coverage.StandardError, "F1")}"
            + (coverage.StandardError > 0 ? $" ({Number((coverage.Mean - level) / coverage.StandardError, "+0.0;-0.0")})" : "");
}
