using Xunit;

namespace BayesNet.Distributed.Tests;

/// <summary>Jobs that go on where they ended, and searches.</summary>
public sealed class MapTests : IDisposable
{
    private static readonly int[] Items = [.. Enumerable.Range(0, 10)];
    private readonly string _folder = Directory.CreateTempSubdirectory("bayesnet-tests-").FullName;
    private int _done;

    private string Results => Path.Combine(_folder, "results");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    /// <summary>An item fails in mid-way on three ranks; then two ranks, and then one, do what is missing and nothing else.</summary>
    [Fact]
    public void AJobThatFailedGoesOnOnAnyNumberOfRanks()
    {
        string[] messages = ThreadCollectives.Run(3, ranks => Assert.Throws<CollectiveException>(() => ranks.Map(Items, item => Square(item, failing: 7), Results)).Message);
        Assert.All(messages, message => Assert.Equal("Item 7 failed on rank 1: no", message));
        Assert.Equal(9, _done);
        foreach (IReadOnlyList<double> all in ThreadCollectives.Run(2, ranks => ranks.Map(Items, item => Square(item), Results)))
            Assert.Equal(Items.Select(item => item * item / 3.0), all);
        Assert.Equal(10, _done);
        using var alone = new SingleProcess();
        Assert.Equal(Items.Select(item => item * item / 3.0), alone.Map(Items, item => Square(item), Results));
        Assert.Equal(10, _done);
        Assert.Equal(3, Directory.GetFiles(_folder).Length);

        // More items are more to do.
        Assert.Equal(12, alone.Map([.. Items, 20, 21], item => Square(item), Results).Count);
        Assert.Equal(12, _done);
    }

    /// <summary>Ranks without a common disk tell each other what theirs have.</summary>
    [Fact]
    public void FilesOnDisksOfTheirOwnAreJoined()
    {
        for (int run = 0; run < 2; run++)
        {
            ThreadCollectives.Run(2, ranks =>
            {
                string own = Directory.CreateDirectory(Path.Combine(_folder, $"{ranks.Rank}")).FullName;
                return ranks.Map(Items, item => Square(item), Path.Combine(own, "results"));
            });
            Assert.Equal(10, _done);
        }
    }

    [Fact]
    public void ALineThatAKillCutOffIsDoneAgain()
    {
        using var alone = new SingleProcess();
        alone.Map(Items, item => Square(item), Results);
        string text = File.ReadAllText(Results + ".0");
        File.WriteAllText(Results + ".0", text[..^5]);
        Assert.Equal(27, alone.Map(Items, item => Square(item), Results)[9]);
        Assert.Equal(11, _done);
        Assert.Equal(text, File.ReadAllText(Results + ".0"));

        // In the first line, too.
        File.WriteAllText(Results + ".0", text[..9]);
        alone.Map(Items, item => Square(item), Results);
        Assert.Equal(21, _done);
        Assert.Equal(text, File.ReadAllText(Results + ".0"));
    }

    [Fact]
    public void ResultsOfAnotherKindAreRefusedByName()
    {
        using var alone = new SingleProcess();
        alone.Map(Items, item => Square(item), Results);
        foreach (string message in ThreadCollectives.Run(2, ranks => Assert.Throws<InvalidDataException>(() => ranks.Map(Items, item => $"{item}", Results)).Message))
        {
            Assert.Contains(Results + ".0", message, StringComparison.Ordinal);
            Assert.Contains("System.Double", message, StringComparison.Ordinal);
        }

        string text = File.ReadAllText(Results + ".0");
        File.WriteAllText(Results + ".0", text.Replace("\n", "\n?", StringComparison.Ordinal)[..^1]);
        Assert.Contains("Line 2", Assert.Throws<InvalidDataException>(() => alone.Map(Items, item => Square(item), Results)).Message, StringComparison.Ordinal);
        Assert.Throws<DirectoryNotFoundException>(() => alone.Map(Items, item => Square(item), Path.Combine(_folder, "no", "results")));
    }

    /// <summary>Tuples have their fields, numbers their bits, and equal items a result each.</summary>
    [Fact]
    public void ItemsAndResultsKeepWhatTheyAre()
    {
        (string Name, double Rate)[] items = [("a", 0.1), ("b", double.NaN), ("a", 0.1), ("\u00e4 \"\n", -0.0)];
        for (int run = 0; run < 2; run++)
        {
            foreach (IReadOnlyList<(int Turn, double Rate)> all in ThreadCollectives.Run(2, ranks => ranks.Map(items, item => (Interlocked.Increment(ref _done), item.Rate), Results)))
            {
                Assert.Equal([1, 2, 3, 4], all.Select(one => one.Turn).Order());
                Assert.Equal(items.Select(item => BitConverter.DoubleToInt64Bits(item.Rate)), all.Select(one => BitConverter.DoubleToInt64Bits(one.Rate)));
            }
        }
    }

    /// <summary>The best first, equal scores in order, what has no number last; one that throws is a trial.</summary>
    [Theory]
    [InlineData(false, "2 5 1 0 4 3 6")]
    [InlineData(true, "4 0 1 2 5 3 6")]
    public void ASearchRanksItsSettings(bool minimize, string order)
    {
        double[] scores = [1, 2, 3, double.NaN, double.NegativeInfinity, 3, 0];
        foreach (IReadOnlyList<Trial<int>> trials in ThreadCollectives.Run(3, ranks => ranks.Search(
            [.. Enumerable.Range(0, 7)], setting => setting == 6 ? throw new ArithmeticException("too much") : scores[setting], minimize, Results)))
        {
            Assert.Equal(order, string.Join(' ', trials.Select(trial => trial.Setting)));
            Assert.Equal("too much", trials[^1].Failure);
            Assert.All(trials.SkipLast(1), trial => Assert.Null(trial.Failure));
        }
    }

    [Fact]
    public void ACancelledFunctionCancelsAllRanks()
        => ThreadCollectives.Run(2, ranks => Assert.Throws<OperationCanceledException>(() => ranks.Map(Items, item => item == 3 ? throw new OperationCanceledException() : item)));

    private double Square(int item, int failing = -1)
    {
        if (item == failing)
            throw new ArithmeticException("no");
        Interlocked.Increment(ref _done);
        return item * item / 3.0;
    }
}
