using System.Runtime.InteropServices;
using BayesNet.ML.Fitting;
using static TorchSharp.torch;

namespace BayesNet.ML.Persistence;

/// <summary>The parts of a transformer in a model file, little-endian as all of ML.NET's.</summary>
internal static class BinaryParts
{
    internal static void Write(this BinaryWriter writer, Standardization units)
    {
        writer.Write(units.Mean.Length);
        writer.Write(MemoryMarshal.AsBytes(units.Mean.AsSpan()));
        writer.Write(MemoryMarshal.AsBytes(units.StdDev.AsSpan()));
    }

    internal static Standardization ReadStandardization(this BinaryReader reader)
    {
        int columns = reader.ReadInt32();
        return new Standardization(Values<double>(reader, columns), Values<double>(reader, columns));
    }

    internal static void Write(this BinaryWriter writer, PosteriorSample sample)
    {
        writer.Write((byte)sample.Activation);
        writer.Write(sample.Layers.Count);
        writer.Write(sample.Count);
        writer.Write(sample.Inputs);
        foreach ((Tensor weight, Tensor bias) in sample.Layers)
        {
            writer.Write((int)weight.size(2));
            writer.Write(MemoryMarshal.AsBytes(weight.data<float>().ToArray().AsSpan()));
            writer.Write(MemoryMarshal.AsBytes(bias.data<float>().ToArray().AsSpan()));
        }
    }

    internal static PosteriorSample ReadPosteriorSample(this BinaryReader reader)
    {
        using var scope = NewDisposeScope();
        var activation = (HiddenActivation)reader.ReadByte();
        int layers = reader.ReadInt32(), samples = reader.ReadInt32(), inputs = reader.ReadInt32();
        var read = new List<(Tensor Weight, Tensor Bias)>();
        for (int layer = 0; layer < layers; layer++)
        {
            int outputs = reader.ReadInt32();
            Tensor weight = tensor(Values<float>(reader, checked(samples * inputs * outputs)), samples, inputs, outputs);
            Tensor bias = tensor(Values<float>(reader, checked(samples * outputs)), samples, 1, outputs);
            read.Add((weight, bias));
            inputs = outputs;
        }

        return new PosteriorSample([.. read.Select(layer => (layer.Weight.DetachFromDisposeScope(), layer.Bias.DetachFromDisposeScope()))], activation);
    }

    private static T[] Values<T>(BinaryReader reader, int count)
        where T : unmanaged
    {
        var values = new T[count];
        reader.BaseStream.ReadExactly(MemoryMarshal.AsBytes(values.AsSpan()));
        return values;
    }
}
