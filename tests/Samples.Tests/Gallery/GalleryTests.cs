using System.CommandLine;
using BayesNet.Samples.Gallery;
using TorchSharp;
using Xunit;

namespace BayesNet.Samples.Tests.Gallery;

/// <summary>Every sample of the gallery in its short form, in this process.</summary>
public sealed class GalleryTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("bayesnet-gallery-");
    private readonly StringWriter _output = new();

    public static TheoryData<string> Names => [.. Catalog.All.Select(sample => sample.Name)];

    [Theory]
    [MemberData(nameof(Names))]
    public void WritesAPictureAndFiniteFigures(string name)
    {
        IReadOnlyDictionary<string, double> figures = Run(name);
        Assert.NotEmpty(figures);
        Assert.All(figures, figure => Assert.True(double.IsFinite(figure.Value), figure.Key));
        FileInfo picture = Assert.Single(_folder.GetFiles("*.png"));
        Assert.True(picture.Length > 10_000, $"{picture.Name} has {picture.Length} bytes");
        Assert.Contains($"{picture.Name}", _output.ToString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("low-rank")]
    [InlineData("gumbel")]
    public void AutoencoderLearnsWithEveryFamily(string latent)
    {
        IReadOnlyDictionary<string, double> figures = Run("variational-autoencoder", "--latent", latent);

        // Pixels that are each as likely on as off.
        Assert.True(figures["bound"] > -784 * Math.Log(2), $"{figures["bound"]}");
        Assert.True(figures["divergence"] > 0.1, $"{figures["divergence"]}");
    }

    [Fact]
    public void WhatBreaksBreaksAsItShould()
    {
        IReadOnlyDictionary<string, double> figures = Run("when-it-breaks");
        Assert.Equal(1 / Math.Sqrt(2 * Math.PI), figures["pathwiseBias"], 1e-12);

        // 100 draws: a standard error of at most 0.05.
        Assert.InRange(figures["scoreBias"], 0, 0.25);

        // The rounding unit of float32 at 1 is 6e-8 and 1.2e-7: noise of 1e-8 passes half of it in six standard deviations, upwards, and three downwards.
        Assert.InRange(figures["lost"], 0.5, 1);
    }

    [Fact]
    public void BadDataIsAnErrorThatSaysWhatToDo()
    {
        var error = new StringWriter();
        var root = new RootCommand();
        root.Subcommands.Add(Catalog.Command(Sample("image-classification")));
        int status = root.Parse(["image-classification", "--data", _folder.FullName, "--out", _folder.FullName])
            .Invoke(new InvocationConfiguration { Output = _output, Error = error });
        Assert.Equal(1, status);
        Assert.Contains("train-images-idx3-ubyte", error.ToString(), StringComparison.Ordinal);
    }

    public void Dispose()
    {
        _output.Dispose();
        _folder.Delete(recursive: true);
    }

    private static Sample Sample(string name) => Catalog.All.Single(sample => sample.Name == name);

    private IReadOnlyDictionary<string, double> Run(string name, params string[] options)
    {
        Sample sample = Sample(name);
        torch.random.manual_seed(1);
        torch.set_num_threads(1);
        return sample.Run(new SampleRun(_folder, Short: true, Seed: 1, _output, Catalog.Command(sample).Parse(options)));
    }
}
