using BayesNet.Benchmarks.Reporting;
using BayesNet.Estimators;
using BayesNet.Runtime;
using BayesNet.Samples.Shared;
using static TorchSharp.torch;

namespace BayesNet.Benchmarks.GradientVariance;

/// <summary>Images of digits, or made data in their place.</summary>
/// <param name="Inputs">(rows, inputs), float32; images in [0, 1].</param>
/// <param name="Targets">(rows), int64; of a regression (rows, 1), float32.</param>
internal sealed record Digits(Tensor Inputs, Tensor Targets)
{
    private const string Mnist = "mnist10k", Images = "t10k-images-idx3-ubyte.gz", Labels = "t10k-labels-idx1-ubyte.gz";

    /// <summary>Why there are no images in a data folder; null where there are.</summary>
    public static string? WhyNot(string? folder)
    {
        string remedy = $"lay the MNIST test files {Images} and {Labels} (LeCun, Cortes and Burges) in DIR/{Mnist} and give --data DIR or the environment variable BAYESNET_DATA";
        if (folder is null)
            return $"no data folder was given: {remedy}";
        string? missing = new[] { Images, Labels }.FirstOrDefault(file => !File.Exists(Path.Combine(folder, Mnist, file)));
        return missing is null ? null : $"the data folder has no {Mnist}/{missing}: {remedy}";
    }

    /// <summary>The data folder, where the images are in it.</summary>
    /// <param name="given">What the command line says; null for what BAYESNET_DATA names.</param>
    /// <exception cref="InvalidDataException">The images are not there.</exception>
    public static string Folder(DirectoryInfo? given)
    {
        string? folder = OptionValues.DataFolder(given);
        return WhyNot(folder) is { } reason ? throw new InvalidDataException($"There are no digits: {reason}.") : folder!;
    }

    /// <summary>The first <paramref name="rows"/> images of a data folder.</summary>
    /// <exception cref="InvalidDataException">A file is not what its name says.</exception>
    public static Digits Load(string folder, int rows)
    {
        using var scope = NewDisposeScope();
        (Tensor images, Tensor labels) = IdxFiles.Read(Path.Combine(folder, Mnist));
        return images.size(0) >= rows
            ? new Digits(images.narrow(0, 0, rows).flatten(1).clone().MoveToOuterDisposeScope(), labels.narrow(0, 0, rows).clone().MoveToOuterDisposeScope())
            : throw new InvalidDataException($"{Mnist} has {images.size(0)} images, and {rows} are asked for; fetch it again.");
    }

    /// <summary>
    /// Made data: ten classes of normals of variance 1 whose means lie three apart, so that they overlap, whatever <paramref name="size"/> of input.
    /// </summary>
    public static Digits Made(int rows, long size, ulong seed)
    {
        using var scope = NewDisposeScope();
        using var noise = new NoiseSource(seed);
        Tensor means = noise.Normal([10, size], ScalarType.Float32, CPU).Times(3 / Math.Sqrt(2.0 * size));
        Tensor targets = arange(rows, dtype: ScalarType.Int64).remainder(tensor(10L));
        Tensor inputs = means.index_select(0, targets).Plus(noise.Normal([rows, size], ScalarType.Float32, CPU));
        return new Digits(inputs.MoveToOuterDisposeScope(), targets.MoveToOuterDisposeScope());
    }

    /// <summary>The given rows, or the first ones, as a minibatch.</summary>
    public (Tensor Inputs, Tensor Targets) Rows(Tensor rows) => (Inputs.index_select(0, rows), Targets.index_select(0, rows));

    /// <inheritdoc cref="Rows"/>
    public (Tensor Inputs, Tensor Targets) First(long rows) => (Inputs.narrow(0, 0, rows), Targets.narrow(0, 0, rows));
}
