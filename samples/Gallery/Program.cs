using System.CommandLine;
using BayesNet.Runtime;
using BayesNet.Samples.Gallery;
using TorchSharp;

var root = new RootCommand("Samples of BayesNet, each one command that ends in a picture and a few lines that say what to look at.");
foreach (Sample sample in Catalog.All)
    root.Subcommands.Add(Catalog.Command(sample));
return root.Parse(args).Invoke();

/// <summary>The samples, and their way to the command line.</summary>
internal static class Catalog
{
    public static IReadOnlyList<Sample> All { get; } =
    [
        new ImageClassification(), new OwnModel(), new PretrainedConversion(), new VariationalAutoencoder(), new ActiveLearning(), new Pruning(), new TimeSeries(),
        new DecisionUnderUncertainty(), new WhenItBreaks(), new SeveralProcesses(),
    ];

    public static Command Command(Sample sample)
    {
        var folder = new Option<DirectoryInfo>("--out") { HelpName = "DIR", Description = "Where the picture goes.", DefaultValueFactory = _ => new DirectoryInfo(Path.Combine("out", sample.Name)) };
        var brief = new Option<bool>("--short") { Description = "Seconds in place of a minute or two: to see that it runs, not what it shows." };
        var seed = new Option<ulong>("--seed") { Description = "Seeds everything that is drawn.", DefaultValueFactory = _ => 1 };
        var command = new Command(sample.Name, sample.Description) { folder, brief, seed };
        foreach (Option option in sample.Options)
            command.Options.Add(option);
        command.SetAction(line =>
        {
            try
            {
                // Before the first use of torch, which would look for its libraries in the ordinary places alone.
                NativeLibraries.Load();
                var run = new SampleRun(line.GetValue(folder)!, line.GetValue(brief), line.GetValue(seed), line.InvocationConfiguration.Output, line);
                run.Folder.Create();
                if (sample.Threads is { } threads)
                    torch.set_num_threads(threads);
                torch.random.manual_seed(run.SmallSeed);
                sample.Run(run);
                return 0;
            }
            catch (Exception error) when (error is InvalidDataException or IOException or UnauthorizedAccessException or DllNotFoundException)
            {
                line.InvocationConfiguration.Error.WriteLine($"error: {error.Message}");
                return 1;
            }
        });
        return command;
    }
}
