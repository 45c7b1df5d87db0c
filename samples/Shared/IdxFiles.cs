using System.Buffers.Binary;
using System.CommandLine;
using System.IO.Compression;
using static TorchSharp.torch;

namespace BayesNet.Samples.Shared;

/// <summary>Images and labels in MNIST's IDX format (LeCun, Cortes and Burges), gzip or not.</summary>
internal static class IdxFiles
{
    private const int ImagesMagic = 2051, LabelsMagic = 2049, ImagesHeader = 16, LabelsHeader = 8;

    private static readonly string[] Kinds = ["train", "t10k"];

    /// <summary>The option of a sample that takes digits from a folder.</summary>
    public static Option<DirectoryInfo> Option() => new("--data")
    {
        HelpName = "DIR",
        Description = "Images and labels in MNIST's IDX files. Without it the program draws digits itself.",
    };

    /// <summary>The first images and labels of a folder, or digits that the program draws.</summary>
    /// <param name="folder">Where the files are; null to draw.</param>
    /// <param name="most">How many at most, and how many are drawn.</param>
    /// <param name="seed">Seeds what is drawn.</param>
    /// <param name="wobble">How ill they are drawn.</param>
    /// <returns>Images (count, 1, 28, 28), float32 in [0, 1], and labels (count), int64.</returns>
    /// <exception cref="InvalidDataException">The folder has no such files, or they hold images of another size.</exception>
    public static (Tensor Images, Tensor Labels) ReadOrDraw(DirectoryInfo? folder, int most, ulong seed, double wobble = 0.1)
    {
        if (folder is null)
            return PenStrokes.Digits(most, seed, wobble);
        (Tensor images, Tensor labels) = Read(folder.FullName);
        if (images.size(2) != 28 || images.size(3) != 28)
            throw new InvalidDataException($"The images in {folder} are {images.size(2)} x {images.size(3)}; the networks of these samples take 28 x 28.");
        long count = Math.Min(most, images.size(0));
        return (images.narrow(0, 0, count), labels.narrow(0, 0, count));
    }

    /// <summary>Every image and label of a folder's pair of files: the training pair of MNIST where it is there, else the test pair.</summary>
    /// <param name="folder">Holds train-images-idx3-ubyte and train-labels-idx1-ubyte, or t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte, with or without .gz.</param>
    /// <returns>Images (count, 1, height, width), float32 in [0, 1], and labels (count), int64.</returns>
    /// <exception cref="InvalidDataException">There is no such pair, or a file is not what its name says.</exception>
    public static (Tensor Images, Tensor Labels) Read(string folder)
    {
        string? kind = Kinds.FirstOrDefault(kind => Find(folder, $"{kind}-images-idx3-ubyte") is not null);
        if (kind is null)
        {
            throw new InvalidDataException(
                $"{folder} has neither train-images-idx3-ubyte nor t10k-images-idx3-ubyte (with or without .gz), the files of MNIST and of the sets made in its form.");
        }

        byte[] images = Bytes($"{kind}-images-idx3-ubyte", ImagesMagic, ImagesHeader), labels = Bytes($"{kind}-labels-idx1-ubyte", LabelsMagic, LabelsHeader);
        (int count, int height, int width) = (Number(images, 4), Number(images, 8), Number(images, 12));
        if (Number(labels, 4) != count || images.Length < ImagesHeader + (long)count * height * width || labels.Length < LabelsHeader + count)
            throw new InvalidDataException($"{folder}: the {kind} files hold {Number(labels, 4)} labels and {count} images in {images.Length} bytes; one of them is cut short.");
        return (
            tensor([.. images.AsSpan(ImagesHeader, count * height * width)]).reshape(count, 1, height, width).to(ScalarType.Float32).div(255f),
            tensor([.. labels.AsSpan(LabelsHeader, count)]).to(ScalarType.Int64));

        byte[] Bytes(string name, int magic, int header)
        {
            string path = Find(folder, name) ?? throw new InvalidDataException($"{folder} has no {name} (with or without .gz).");
            using Stream file = File.OpenRead(path);
            using Stream stream = path.EndsWith(".gz", StringComparison.Ordinal) ? new GZipStream(file, CompressionMode.Decompress) : file;
            using var memory = new MemoryStream();
            stream.CopyTo(memory);
            return memory.Length >= header && Number(memory.GetBuffer(), 0) == magic
                ? memory.ToArray()
                : throw new InvalidDataException($"{path} is no IDX file of {(magic == ImagesMagic ? "images" : "labels")}; fetch it again.");
        }
    }

    private static string? Find(string folder, string name)
        => new[] { name, name + ".gz" }.Select(file => Path.Combine(folder, file)).FirstOrDefault(File.Exists);

    private static int Number(byte[] bytes, int at) => BinaryPrimitives.ReadInt32BigEndian(bytes.AsSpan(at));
}
