using BayesNet.Samples.Regression;
using Spectre.Console;

return await CommandLine.RunAsync(args, AnsiConsole.Console, Console.Error).ConfigureAwait(false);
