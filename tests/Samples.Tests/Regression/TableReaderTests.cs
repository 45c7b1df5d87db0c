using BayesNet.Samples.Regression;
using BayesNet.Samples.Regression.Data;
using Xunit;

namespace BayesNet.Samples.Tests.Regression;

public sealed class TableReaderTests
{
    public static TheoryData<string> Formats() => new()
    {
        "a,b,y\n1,2.5,-3\n4,5.0e+00,6\n",
        "a;b;y\r\n1;2.5;-3\r\n4;5;6\r\n",
        "a\tb\ty\n1\t2.5\t-3\n4\t5\t6",
        "a b  y\n 1   2.5\t-3 \n\n4 5 6\n\n",
        "\"a\",\"b\",\"y\"\n\"1\",2.5,-3\n4,5,6\n",
        "\uFEFFa, b, y\n1 , 2.5, -3\n+4, 5., 6e0\n",
        "\n\na,b,y\n1,2.5,-3\n\n4,5,6\n",
    };

    [Theory]
    [MemberData(nameof(Formats))]
    public void EveryFormatGivesTheSameTable(string text)
    {
        Table table = TableReader.Parse(text, "f");
        Assert.Equal(["a", "b"], table.InputNames);
        Assert.Equal("y", table.TargetName);
        Assert.Equal([[1, 2.5], [4, 5]], table.Inputs);
        Assert.Equal([-3, 6], table.Targets);
    }

    [Theory]
    [InlineData("1,2,3\n4,5,6\n")]
    [InlineData("1 \t2 \t3 \n4 \t5 \t6 \n")]
    [InlineData("1.0e+00 2.0E0 3\n4 5 6")]
    public void WithoutNamesColumnsAreNumbered(string text)
    {
        Table table = TableReader.Parse(text, "f");
        Assert.Equal(["column 1", "column 2"], table.InputNames);
        Assert.Equal("column 3", table.TargetName);
        Assert.Equal([3, 6], table.Targets);
    }

    [Theory]
    [InlineData("b")]
    [InlineData("B")]
    [InlineData("2")]
    public void TheTargetIsANameOrANumber(string target)
    {
        Table table = TableReader.Parse("a,b,c\n1,2,3\n4,5,6\n", "f", target);
        Assert.Equal("b", table.TargetName);
        Assert.Equal(["a", "c"], table.InputNames);
        Assert.Equal([2, 5], table.Targets);
        Assert.Equal([[1, 3], [4, 6]], table.Inputs);
    }

    [Fact]
    public void AnExactNameComesBeforeOneThatDiffersInCase()
        => Assert.Equal([2], TableReader.Parse("y,Y,x\n1,2,3\n", "f", "Y").Targets);

    [Theory]
    [InlineData("", null, "f: the file is empty")]
    [InlineData(" \n\n", null, "f: the file is empty")]
    [InlineData("a,b\n", null, "f: there is a line of names and no row of numbers")]
    [InlineData("1\n2\n", null, "f, line 1: there is one column")]
    [InlineData("a,b\n1,2\n3\n", null, "f, line 3: 1 fields where the first line has 2; complete the row or remove it")]
    [InlineData("1 2\n3 4\n5 6 7\n", null, "f, line 3: 3 fields where the first line has 2")]
    [InlineData("a,b\n1,2\n\n3,x\n", null, "f, line 4, column 2 (b): 'x' is no number")]
    [InlineData("1,2\n3,1.5.2\n", null, "f, line 2, column 2: '1.5.2' is no number")]
    [InlineData("a;b\n1,5;2\n", null, "f, line 2, column 1 (a): '1,5' is no number (numbers are written as 1.5")]
    [InlineData("a,b\n1,\n", null, "f, line 2, column 2 (b): the field is empty; impute the value or remove the row")]
    [InlineData("a,b\nNaN,2\n", null, "f, line 2, column 1 (a): 'NaN' is not finite")]
    [InlineData("1,2\n1,Infinity\n", null, "f, line 2, column 2: 'Infinity' is not finite")]
    [InlineData("1,2\n1e999,2\n", null, "f, line 2, column 1: '1e999' is not finite")]
    [InlineData("1,x,3\n4,5,6\n", null, "f, line 1, column 2: 'x' is no number, and 2 of the line's 3 fields are. Correct the field")]
    [InlineData("1,x,z\n4,5,6\n", null, "f, line 1, column 2: 'x' is no number, and 1 of the line's 3 fields are. The first line must be all names or all numbers")]
    [InlineData("a,b\n1,2\n\"3,4\n", null, "f, line 3: the quotation marks do not match")]
    [InlineData("a,b\n1,2\n", "c", "f: there is no column 'c'; --target takes a number from 1 to 2 or one of the names a, b")]
    [InlineData("a,b\n1,2\n", "3", "f: there is no column '3'")]
    [InlineData("1,2\n", "0", "f: there is no column '0'; --target takes a number from 1 to 2; the file has no line of names")]
    [InlineData("1,2\n", "-1", "f: there is no column '-1'")]
    [InlineData("a,a,b\n1,2,3\n", "a", "f: 2 columns are named 'a'; give the target by its number, --target 1 say")]
    public void WhatIsWrongIsSaidWithPlaceAndRemedy(string text, string? target, string message)
    {
        var error = Assert.Throws<InputException>(() => TableReader.Parse(text, "f", target));
        Assert.StartsWith(message, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void MissingAndUnreadableFilesAreNamed()
    {
        string missing = Path.Combine(Path.GetTempPath(), Path.GetRandomFileName(), "table.csv");
        Assert.Contains($"{missing}: there is no such file", Assert.Throws<InputException>(() => TableReader.Read(missing)).Message, StringComparison.Ordinal);
        string directory = Path.GetTempPath();
        Assert.StartsWith($"{directory}: the file can't be read", Assert.Throws<InputException>(() => TableReader.Read(directory)).Message, StringComparison.Ordinal);
    }
}
