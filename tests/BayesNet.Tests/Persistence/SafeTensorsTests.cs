using System.Buffers.Binary;
using System.Text;
using BayesNet.Persistence;
using BayesNet.Tests.Runtime;
using Xunit;
using static TorchSharp.torch;

namespace BayesNet.Tests.Persistence;

public sealed class SafeTensorsTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    private string File => Path.Combine(_folder.Path, "x.safetensors");

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(ScalarType.Float64)]
    [InlineData(ScalarType.Float32)]
    [InlineData(ScalarType.Float16)]
    [InlineData(ScalarType.BFloat16)]
    [InlineData(ScalarType.Int64)]
    [InlineData(ScalarType.Int32)]
    [InlineData(ScalarType.Int16)]
    [InlineData(ScalarType.Int8)]
    [InlineData(ScalarType.Byte)]
    [InlineData(ScalarType.Bool)]
    public void EveryTypeAndShapeComesBack(ScalarType type)
    {
        using var scope = NewDisposeScope();
        var tensors = new Dictionary<string, Tensor>
        {
            ["matrix"] = arange(6).reshape(2, 3).to(type),
            ["transposed"] = arange(6).reshape(2, 3).t().to(type),
            ["scalar"] = ones([], dtype: type),
            ["empty"] = zeros([0, 3], dtype: type),
            ["name \"with\" quotes, ü"] = ones(1, dtype: type),
        };
        SafeTensors.Write(File, tensors, new Dictionary<string, string> { ["note"] = "a \"text\"\n" });
        using SafeTensorsFile read = SafeTensors.Read(File);
        Assert.Equal(tensors.Keys.Order(), read.Tensors.Keys.Order());
        Assert.Equal("a \"text\"\n", read.Metadata["note"]);
        foreach ((string name, Tensor tensor) in tensors)
        {
            Assert.Equal(tensor.dtype, read.Tensors[name].dtype);
            Assert.Equal(tensor.shape, read.Tensors[name].shape);
            Assert.True(tensor.eq(read.Tensors[name]).all().item<bool>());
        }

        Assert.Equal([File], Directory.GetFiles(_folder.Path));
    }

    /// <summary>A file written by hand from the format's description, with gaps in nothing and the order of the values its own.</summary>
    [Fact]
    public void AFileOfOthersIsRead()
    {
        Write("""{"b":{"dtype":"F32","shape":[2],"data_offsets":[8,16]},"a":{"dtype":"I64","shape":[],"data_offsets":[0,8]}}   """, [
            .. BitConverter.GetBytes(7L), .. BitConverter.GetBytes(1.5f), .. BitConverter.GetBytes(-2f)]);
        using SafeTensorsFile read = SafeTensors.Read(File);
        Assert.Equal(7, read.Tensors["a"].item<long>());
        Assert.Equal([1.5f, -2f], read.Tensors["b"].data<float>().ToArray());
        Assert.Empty(read.Metadata);
    }

    [Theory]
    [InlineData("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}""", "does not fit its offsets")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}""", "too long")]
    [InlineData("""{"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}""", "truncated")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}""", "begin at byte 0")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}""", "begin at byte 4")]
    [InlineData("""{"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}}""", "negative")]
    [InlineData("""{"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,8]}}""", "overflow")]
    [InlineData("""{"a":{"dtype":"F8_E4M3","shape":[8],"data_offsets":[0,8]}}""", "F8_E4M3")]
    [InlineData("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8],"more":1}}""", "more")]
    [InlineData("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}""", "uplicate")]
    [InlineData("""{"a":{"dtype":"F32","shape":[2.5],"data_offsets":[0,8]}}""", "safetensors")]
    [InlineData("""{"__metadata__":{"a":1}}""", "safetensors")]
    [InlineData("""[1]""", "'{'")]
    [InlineData("""{"a":""", "safetensors")]
    public void WhatIsWrongIsSaid(string header, string reason)
    {
        Write(header, new byte[8]);
        var error = Assert.Throws<InvalidDataException>(() => SafeTensors.Read(File));
        Assert.Contains(reason, error.Message, StringComparison.Ordinal);
        Assert.Contains(File, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void OtherFilesAreRefused()
    {
        System.IO.File.WriteAllBytes(File, [1, 2, 3]);
        Assert.Contains("3 bytes", Assert.Throws<InvalidDataException>(() => SafeTensors.Read(File)).Message, StringComparison.Ordinal);
        System.IO.File.WriteAllText(File, "This is a text, and no file of the format at all.");
        Assert.Contains("not of the safetensors format", Assert.Throws<InvalidDataException>(() => SafeTensors.Read(File)).Message, StringComparison.Ordinal);
        Write("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}""", new byte[8], headerLength: 1000);
        Assert.Contains("truncated", Assert.Throws<InvalidDataException>(() => SafeTensors.Read(File)).Message, StringComparison.Ordinal);
        Assert.Throws<FileNotFoundException>(() => SafeTensors.Read(File + "x"));
    }

    /// <summary>A write that fails leaves the file that was there, and nothing beside it.</summary>
    [Fact]
    public void AFailedWriteLeavesWhatWasThere()
    {
        using var scope = NewDisposeScope();
        SafeTensors.Write(File, new Dictionary<string, Tensor> { ["a"] = ones(3) });
        byte[] before = System.IO.File.ReadAllBytes(File);
        Assert.Throws<ArgumentException>("tensor", () => SafeTensors.Write(File, new Dictionary<string, Tensor> { ["a"] = ones(3), ["b"] = ones(2, dtype: ScalarType.ComplexFloat32) }));
        Assert.Throws<ArgumentException>("tensor", () => SafeTensors.Write(File, new Dictionary<string, Tensor> { ["__metadata__"] = ones(3) }));
        Assert.Equal(before, System.IO.File.ReadAllBytes(File));
        Assert.Throws<DirectoryNotFoundException>(() => SafeTensors.Write(Path.Combine(_folder.Path, "none", "x"), new Dictionary<string, Tensor> { ["a"] = ones(3) }));
        Assert.Equal([File], Directory.GetFiles(_folder.Path));
    }

    private void Write(string header, byte[] values, long? headerLength = null)
    {
        byte[] text = Encoding.UTF8.GetBytes(header), length = new byte[8];
        BinaryPrimitives.WriteInt64LittleEndian(length, headerLength ?? text.Length);
        System.IO.File.WriteAllBytes(File, [.. length, .. text, .. values]);
    }
}
