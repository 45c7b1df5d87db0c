using System.CommandLine;
using BayesNet.Estimators;
using BayesNet.Runtime;
using BayesNet.Samples.Regression.Modelling;
using Spectre.Console;
using TorchSharp;

namespace BayesNet.Samples.Regression;

/// <summary>The options of the program, and their way into <see cref="Settings"/>.</summary>
internal sealed class CommandLine
{
    // Between Ctrl-C and a forced end: time to predict with what was learned and to write it.
    private static readonly TimeSpan TimeToFinish = TimeSpan.FromMinutes(1);

    private const string Methods = "methods", EveryEstimator = "estimators";

    private static readonly Dictionary<string, Estimator> Estimators = new(StringComparer.OrdinalIgnoreCase)
    {
        ["local"] = Estimator.LocalReparameterization,
        ["shared"] = Estimator.SharedWeights,
        ["per-example"] = Estimator.WeightsPerExample,
        ["flipout"] = Estimator.Flipout,
    };

    private readonly Option<string?> _data = new("--data")
    {
        HelpName = "FILE",
        Description = "A table of numbers: fields separated by commas, semicolons, tabs or blanks, with or without a line of names. "
            + "Without it the program draws data from a known curve.",
    };

    private readonly Option<string?> _target = new("--target") { HelpName = "COLUMN", Description = "The target: a name, or a number from 1. By default the last column." };

    private readonly Option<string> _out = new("--out") { HelpName = "DIR", Description = "Where plot.png, predictions.csv and summary.json go.", DefaultValueFactory = _ => Path.Combine("out", "regression") };

    private readonly Option<int?> _epochs = new("--epochs") { Description = $"Passes over the training part. [default: {Settings.ForTables.Epochs}, for the curve {Settings.ForCurve.Epochs}]" };

    private readonly Option<int?> _hidden = new("--hidden") { Description = $"Units of the hidden layer. [default: {Settings.ForTables.Hidden}, for the curve {Settings.ForCurve.Hidden}]" };

    private readonly Option<string> _method = new("--method")
    {
        Description = "The way to a posterior: " + string.Join(", ", Method.All.Select(method => $"{method.Name} ({method.Title})")) + ".",
        DefaultValueFactory = _ => Method.Variational.Name,
    };

    private readonly Option<string?> _compare = new("--compare")
    {
        Description = "Fits the same rows by every method, or by variational inference with every estimator, and writes comparison.png and comparison.csv.",
    };

    private readonly Option<string> _estimator = new("--estimator")
    {
        Description = "Where the noise of the weights enters in variational training.",
        DefaultValueFactory = _ => "local",
    };

    private readonly Option<int> _samples = new("--samples") { Description = "Posterior samples of a prediction.", DefaultValueFactory = _ => Settings.ForTables.Samples };

    private readonly Option<double> _testFraction = new("--test-fraction") { Description = "The share of rows held out.", DefaultValueFactory = _ => Settings.ForTables.TestFraction };

    private readonly Option<ulong> _seed = new("--seed") { Description = "Seeds the curve's data, the division of the rows, the initial weights and the noise.", DefaultValueFactory = _ => Settings.ForTables.Seed };

    private CommandLine()
    {
        _estimator.AcceptOnlyFromAmong([.. Estimators.Keys]);
        _method.AcceptOnlyFromAmong([.. Method.All.Select(method => method.Name)]);
        _compare.AcceptOnlyFromAmong(Methods, EveryEstimator);
        AtLeastOne(_epochs);
        AtLeastOne(_hidden);
        AtLeastOne(_samples);
        _testFraction.Validators.Add(result =>
        {
            if (result.Errors.Any() || result.GetValueOrDefault<double>() is > 0 and < 1)
                return;
            result.AddError("--test-fraction must lie strictly between 0 and 1.");
        });

        static void AtLeastOne<T>(Option<T> option) => option.Validators.Add(result =>
        {
            if (result.Tokens is [{ Value: string text }] && int.TryParse(text, out int value) && value < 1)
                result.AddError($"{option.Name} must be at least 1.");
        });
    }

    /// <summary>Runs the program.</summary>
    /// <returns>0; 1 where the options or the data can't be used.</returns>
    public static async Task<int> RunAsync(string[] args, IAnsiConsole console, TextWriter errors)
    {
        var options = new CommandLine();
        var command = new RootCommand("Fits a two-layer Bayesian network to a table or a synthetic curve, and predicts the held-out rows with their uncertainty.")
        {
            options._data, options._target, options._out, options._epochs, options._hidden, options._method, options._estimator, options._compare, options._samples, options._testFraction, options._seed,
        };

        // On a thread of its own, so that the handler of Ctrl-C is in place while it runs.
        command.SetAction((parsed, cancelled) => Task.Run(() => Guarded(() => options.Execute(parsed, console, cancelled), errors), CancellationToken.None));
        return await command.Parse(args).InvokeAsync(new InvocationConfiguration
        {
            Output = console.Profile.Out.Writer,
            Error = errors,
            ProcessTerminationTimeout = TimeToFinish,
        }).ConfigureAwait(false);
    }

    private static int Guarded(Action run, TextWriter errors)
    {
        try
        {
            // Before the first use of torch, which would look for its libraries in the ordinary places alone.
            NativeLibraries.Load();

            // The operations are so small that a second thread costs more than it does.
            torch.set_num_threads(1);
            run();
            return 0;
        }
        catch (Exception error) when (error is InputException or DllNotFoundException)
        {
            errors.WriteLine($"error: {error.Message}");
            return 1;
        }
    }

    private void Execute(ParseResult parsed, IAnsiConsole console, CancellationToken cancelled)
    {
        string? file = parsed.GetValue(_data);
        Settings defaults = file is null ? Settings.ForCurve : Settings.ForTables;
        var settings = defaults with
        {
            Epochs = parsed.GetValue(_epochs) ?? defaults.Epochs,
            Hidden = parsed.GetValue(_hidden) ?? defaults.Hidden,
            Method = Method.All.Single(method => method.Name == parsed.GetValue(_method)),
            Estimator = Estimators[parsed.GetValue(_estimator)!],
            Samples = parsed.GetValue(_samples),
            TestFraction = parsed.GetValue(_testFraction),
            Seed = parsed.GetValue(_seed),
        };
        if (file is null && parsed.GetValue(_target) is not null)
            throw new InputException("--target names a column of a file; give the file with --data.");
        switch (parsed.GetValue(_compare))
        {
            case Methods:
                Compare([.. Method.All.Select(method => (method.Title, settings with { Method = method }))]);
                break;
            case EveryEstimator:
                Compare([.. Estimators.Select(entry => (entry.Key, settings with { Method = Method.Variational, Estimator = entry.Value }))]);
                break;
            default:
                Experiment.Run(console, file, parsed.GetValue(_target), parsed.GetValue(_out)!, settings, cancelled);
                break;
        }

        void Compare(IReadOnlyList<(string, Settings)> variants)
            => Experiment.Compare(console, file, parsed.GetValue(_target), parsed.GetValue(_out)!, variants, cancelled);
    }
}
