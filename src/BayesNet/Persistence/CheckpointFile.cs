using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using BayesNet.Training.Fitting;
using static TorchSharp.torch;

namespace BayesNet.Persistence;

/// <summary>A <see cref="TrainerSnapshot"/> as a safetensors file with a checksum; docs/training.md has the format.</summary>
internal static class CheckpointFile
{
    private const string Format = "bayesnet.checkpoint";
    private const int Version = 1;
    private const string Checksum = "sha256", BestPrefix = "best.", GammaPrefix = "random.gamma.", OptimizerName = "optimizer", RandomName = "random.global";

    private static readonly JsonSerializerOptions Json = new() { NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals };

    internal static void Write(string path, TrainerSnapshot snapshot)
    {
        using var scope = NewDisposeScope();
        var tensors = new Dictionary<string, Tensor>(snapshot.Model);
        foreach ((string name, Tensor value) in snapshot.Best ?? [])
            tensors.Add(BestPrefix + name, value);
        foreach ((string name, byte[] state) in snapshot.Gamma)
            tensors.Add(GammaPrefix + name, tensor(state));
        tensors.Add(OptimizerName, tensor(snapshot.Optimizer));
        tensors.Add(RandomName, tensor(snapshot.Random));
        SafeTensors.Write(
            path,
            tensors,
            new Dictionary<string, string>
            {
                ["format"] = Format,
                ["version"] = Version.ToString(CultureInfo.InvariantCulture),
                ["library"] = ModelFile.Library,
                ["state"] = JsonSerializer.Serialize(snapshot.State, Json),
            },
            Checksum);
    }

    /// <exception cref="InvalidDataException">The file is no checkpoint, of a later version, or damaged.</exception>
    internal static TrainerSnapshot Read(string path)
    {
        using SafeTensorsFile file = SafeTensors.Read(path, Checksum);
        if (file.Metadata.GetValueOrDefault("format") != Format)
            throw new InvalidDataException($"The file '{path}' is no checkpoint of a trainer; its metadata do not say that it has the format {Format}.");
        string version = file.Metadata.GetValueOrDefault("version", "unknown");
        if (version != Version.ToString(CultureInfo.InvariantCulture))
        {
            throw new InvalidDataException(
                $"The checkpoint '{path}' has version {version} of the format (written by BayesNet {file.Metadata.GetValueOrDefault("library", "unknown")}), and this "
                + $"library reads version {Version}.");
        }

        try
        {
            return Assemble(file);
        }
        catch (Exception error) when (error is JsonException or KeyNotFoundException)
        {
            throw new InvalidDataException($"The checkpoint '{path}' lacks a part of what it should hold: {error.Message}", error);
        }
    }

    private static TrainerSnapshot Assemble(SafeTensorsFile file)
    {
        Dictionary<string, Tensor> WithPrefix(string prefix, int cut)
            => file.Tensors.Where(entry => entry.Key.StartsWith(prefix, StringComparison.Ordinal)).ToDictionary(entry => entry.Key[cut..], entry => entry.Value);

        Dictionary<string, Tensor> best = WithPrefix(BestPrefix, BestPrefix.Length);
        var snapshot = new TrainerSnapshot
        {
            Model = ModelState.Copy(WithPrefix(ModelState.ModelPrefix, 0).Concat(WithPrefix(ModelState.LikelihoodPrefix, 0)).ToDictionary()),
            Best = best.Count > 0 ? ModelState.Copy(best) : null,
            Optimizer = file.Tensors[OptimizerName].bytes.ToArray(),
            Random = file.Tensors[RandomName].bytes.ToArray(),
            Gamma = WithPrefix(GammaPrefix, GammaPrefix.Length).ToDictionary(entry => entry.Key, entry => entry.Value.bytes.ToArray()),
            State = JsonSerializer.Deserialize<TrainerState>(file.Metadata["state"], Json) ?? throw new JsonException("its state is null"),
        };
        return snapshot.Owned();
    }
}
