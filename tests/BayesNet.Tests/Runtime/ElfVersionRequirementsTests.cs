using System.Buffers.Binary;
using BayesNet.Runtime;
using Xunit;

namespace BayesNet.Tests.Runtime;

public sealed class ElfVersionRequirementsTests
{
    private const string Version = "GLIBCXX_3.4.32";

    [Fact]
    public void MarksEveryRequirementOfTheNameAndNothingElse()
    {
        SyntheticElf file = File();
        byte[] before = [.. file.Image];

        Assert.Equal(2, ElfVersionRequirements.MarkWeak(file.Image, Version));

        byte[] expected = [.. before];
        foreach (int requirement in file.Requirements(Version))
            expected[requirement + 4] = 2;
        Assert.Equal(2, Differences(before, expected).Length);
        Assert.Equal(expected, file.Image);

        Assert.Equal(2, ElfVersionRequirements.MarkWeak(file.Image, Version));
        Assert.Equal(expected, file.Image);
    }

    [Fact]
    public void OtherFlagsStay()
    {
        SyntheticElf file = File();
        int flags = file.Requirements(Version)[0] + 4;
        file.Write16(flags, 0x8001);
        ElfVersionRequirements.MarkWeak(file.Image, Version);
        Assert.Equal(0x8003, BinaryPrimitives.ReadUInt16LittleEndian(file.Image.AsSpan(flags)));
    }

    /// <summary>GLIBCXX_3.4.3 is a prefix of GLIBCXX_3.4.32, and GLIBCXX_3.4.3211 is longer than the file has bytes for.</summary>
    [Theory]
    [InlineData("GLIBCXX_3.4.3")]
    [InlineData("GLIBCXX_3.4.3211")]
    [InlineData("LIBCXX_3.4.32")]
    [InlineData("GLIBC_2.34")]
    public void OnlyTheWholeNameCounts(string version)
    {
        var file = new SyntheticElf(["GLIBC_2.17", Version]);
        byte[] before = [.. file.Image];
        Assert.Equal(0, ElfVersionRequirements.MarkWeak(file.Image, version));
        Assert.Equal(before, file.Image);
    }

    [Fact]
    public void AFileWithoutRequirementsHasNone()
    {
        Assert.Equal(0, ElfVersionRequirements.MarkWeak(new SyntheticElf().Image, Version));
        SyntheticElf file = File();
        file.Tag(1, 1, 0);
        Assert.Equal(0, ElfVersionRequirements.MarkWeak(file.Image, Version));
    }

    /// <summary>The dynamic section ends at its null entry; what follows is padding.</summary>
    [Fact]
    public void TagsAfterTheEndAreNotRead()
    {
        SyntheticElf file = File();
        file.Tag(1, 0, 0);
        Assert.Equal(0, ElfVersionRequirements.MarkWeak(file.Image, Version));
    }

    [Fact]
    public void RefusesWhatItCannotEdit()
    {
        AssertRefused("not an ELF file", file => file.Image[1] = (byte)'X');
        AssertRefused("not a 64-bit little-endian", file => file.Image[4] = 1);
        AssertRefused("not a 64-bit little-endian", file => file.Image[5] = 2);
        AssertRefused("no dynamic section", file => file.Write32(SyntheticElf.DynamicHeader, 4));
        AssertRefused("program headers have an unknown size", file => file.Write16(54, 32));
        AssertRefused("outside", file => file.Write64(32, long.MaxValue - 8));
        AssertRefused("outside", file => file.Tag(0, 5, 0x100000));
        AssertRefused("outside", file => file.Tag(1, 0x6ffffffe, -1));
        AssertRefused("outside", file => file.Write64(SyntheticElf.LoadHeader + 8, -0x1000));
        AssertRefused("outside", file => file.Write32(file.Entry(0) + 8, -1));
        AssertRefused("outside", file => file.Write32(file.Requirements(Version)[^1] + 8, 0x7fffffff));
        Assert.Contains("not an ELF file", Assert.Throws<InvalidDataException>(() => ElfVersionRequirements.MarkWeak([], Version)).Message, StringComparison.Ordinal);
    }

    /// <summary>Lists that run in circles or over one another end all the same: at an entry without a next one, or refused.</summary>
    [Fact]
    public void EndlessTablesEnd()
    {
        SyntheticElf file = File();
        file.Tag(2, 0x6fffffff, long.MaxValue);
        file.Write16(file.Entry(0) + 2, ushort.MaxValue);
        file.Write16(file.Entry(1) + 2, ushort.MaxValue);
        Assert.Equal(2, ElfVersionRequirements.MarkWeak(file.Image, Version));

        // A megabyte of entries that are libraries and requirements alike, so that each library has the 4095 entries after it.
        file = new SyntheticElf(["A"]);
        var image = new byte[1 << 20];
        file.Image.AsSpan(0, SyntheticElf.Needs).CopyTo(image);
        BinaryPrimitives.WriteInt64LittleEndian(image.AsSpan(SyntheticElf.LoadHeader + 32), image.Length);
        BinaryPrimitives.WriteInt64LittleEndian(image.AsSpan(SyntheticElf.Dynamic + 2 * 16 + 8), long.MaxValue);
        for (int at = SyntheticElf.Needs; at + 16 <= image.Length; at += 16)
        {
            BinaryPrimitives.WriteUInt16LittleEndian(image.AsSpan(at + 2), 4095);
            BinaryPrimitives.WriteInt32LittleEndian(image.AsSpan(at + 8), 16);
            BinaryPrimitives.WriteInt32LittleEndian(image.AsSpan(at + 12), 16);
        }

        byte[] before = [.. image];
        Assert.Contains("overlap", Assert.Throws<InvalidDataException>(() => ElfVersionRequirements.MarkWeak(image, Version)).Message, StringComparison.Ordinal);
        Assert.Equal(before, image);
    }

    [Fact]
    public void EveryTruncationIsRefused()
    {
        byte[] whole = File().Image;
        for (int length = 0; length < whole.Length; length++)
            Assert.Throws<InvalidDataException>(() => ElfVersionRequirements.MarkWeak(whole.AsSpan(0, length).ToArray(), Version));
    }

    /// <summary>Whatever a file holds, it is edited in flags alone, or refused as it was.</summary>
    [Fact]
    public void CorruptFilesAreRefusedOrEditedInFlagsAlone()
    {
        var random = new Random(20260101);
        byte[] whole = File().Image;
        var outcomes = new int[3];
        for (int round = 0; round < 50_000; round++)
        {
            byte[] corrupt = [.. whole];
            for (int changes = random.Next(1, 6); changes > 0; changes--)
                corrupt[random.Next(corrupt.Length)] = Extreme(random);
            outcomes[(int)Edit(corrupt)]++;
        }

        Assert.All(outcomes, count => Assert.True(count > 1000, $"{string.Join(", ", outcomes)}: the corruption is too mild or too harsh to say anything"));
    }

    [Fact]
    public void MarksOneByteOfTorchSharpsLibrary()
    {
        byte[] before = TorchSharpLibrary();
        byte[] image = [.. before];

        Assert.Equal(1, ElfVersionRequirements.MarkWeak(image, Version));

        int requirement = Requirement(before);
        Assert.Equal([requirement + 4], Differences(before, image));
        Assert.Equal(0, before[requirement + 4]);
        Assert.Equal(2, image[requirement + 4]);

        byte[] once = [.. image];
        Assert.Equal(1, ElfVersionRequirements.MarkWeak(image, Version));
        Assert.True(once.AsSpan().SequenceEqual(image));
        Assert.Equal(0, ElfVersionRequirements.MarkWeak(image, "GLIBCXX_3.4.99"));
        Assert.True(once.AsSpan().SequenceEqual(image));
    }

    [Fact]
    public void ATruncatedTorchSharpLibraryIsRefused()
    {
        byte[] whole = TorchSharpLibrary();
        for (long i = 0; i < 500; i++)
        {
            // Every length up to 250, then lengths up to the 80 % of the file that its segments fill.
            int length = (int)(i < 250 ? i : whole.Length * 8 / 10 * (i - 249) / 251);
            byte[] cut = whole[..length];
            Assert.Throws<InvalidDataException>(() => ElfVersionRequirements.MarkWeak(cut, Version));
        }
    }

    /// <summary>Bytes of the headers, of all requirements, and of the one that is looked for.</summary>
    [Fact]
    public void ACorruptTorchSharpLibraryIsRefusedOrEditedInFlagsAlone()
    {
        byte[] whole = TorchSharpLibrary();
        int requirement = Requirement(whole);
        var random = new Random(20260102);
        var outcomes = new int[3];
        for (int round = 0; round < 400; round++)
        {
            byte[] corrupt = [.. whole];
            int place = (round % 3) switch
            {
                0 => random.Next(64 + 10 * 56),
                1 => requirement + random.Next(-0x150, 0x100),
                _ => requirement + random.Next(16),
            };
            corrupt[place] = Extreme(random);
            outcomes[(int)Edit(corrupt)]++;
        }

        Assert.All(outcomes, count => Assert.True(count > 10, $"{string.Join(", ", outcomes)}: the corruption is too mild or too harsh to say anything"));
    }

    private static SyntheticElf File() => new(["GLIBC_2.17", "GLIBC_2.34"], ["GLIBCXX_3.4.30", Version, "GLIBCXX_3.4.3"], [Version]);

    private static void AssertRefused(string reason, Action<SyntheticElf> corrupt)
    {
        SyntheticElf file = File();
        corrupt(file);
        byte[] before = [.. file.Image];
        var error = Assert.Throws<InvalidDataException>(() => ElfVersionRequirements.MarkWeak(file.Image, Version));
        Assert.Contains(reason, error.Message, StringComparison.Ordinal);
        Assert.Equal(before, file.Image);
    }

    private enum Outcome
    {
        Refused,
        Unchanged,
        Edited,
    }

    /// <summary>Edits an image, and asserts that it was refused as it was or changed in flags alone, no more of them than reported.</summary>
    private static Outcome Edit(byte[] image)
    {
        byte[] before = [.. image];
        int marked;
        try
        {
            marked = ElfVersionRequirements.MarkWeak(image, Version);
        }
        catch (InvalidDataException)
        {
            Assert.Empty(Differences(before, image));
            return Outcome.Refused;
        }

        int[] places = Differences(before, image);
        Assert.True(places.Length <= marked, $"{places.Length} bytes changed for {marked} requirements");
        Assert.All(places, place => Assert.Equal(before[place] | 2, image[place]));
        return places.Length == 0 ? Outcome.Unchanged : Outcome.Edited;
    }

    private static int[] Differences(byte[] before, byte[] after)
    {
        Assert.Equal(before.Length, after.Length);
        var places = new List<int>();
        for (int at = 0; (at += before.AsSpan(at).CommonPrefixLength(after.AsSpan(at))) < before.Length; at++)
            places.Add(at);
        return [.. places];
    }

    /// <summary>Any byte, more often one that makes an offset or a count small, huge or negative.</summary>
    private static byte Extreme(Random random) => random.Next(4) switch { 0 => 0, 1 => 255, 2 => (byte)random.Next(17), _ => (byte)random.Next(256) };

    private static byte[] TorchSharpLibrary()
    {
        string path = Path.Combine(AppContext.BaseDirectory, "runtimes", "linux-x64", "native", "libLibTorchSharp.so");
        Assert.SkipUnless(System.IO.File.Exists(path), "TorchSharp's Linux library is not among the outputs.");
        return System.IO.File.ReadAllBytes(path);
    }

    /// <summary>
    /// Where the one requirement lies, found as the loader finds it, by its name's hash: hash (4 bytes), flags (2), index (2), name (4), next (4).
    /// </summary>
    private static int Requirement(byte[] image)
    {
        var hash = new byte[4];
        BinaryPrimitives.WriteUInt32LittleEndian(hash, ElfHash.Of(Version));
        int at = image.AsSpan().IndexOf(hash);
        Assert.True(at > 0);
        Assert.Equal(-1, image.AsSpan(at + 1).IndexOf(hash));
        return at;
    }
}
