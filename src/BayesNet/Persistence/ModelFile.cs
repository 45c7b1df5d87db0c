using System.Globalization;
using System.Reflection;
using BayesNet.Posteriors;
using BayesNet.Runtime;
using static TorchSharp.torch;

namespace BayesNet.Persistence;

/// <summary>A model's tensors in a safetensors file, which Python reads and writes too.</summary>
/// <remarks>
/// The names are those of the state dict: <c>fc.weight.mean</c> and <c>fc.weight.log_scale</c> of a posterior, <c>fc.weight.mask</c> where weights are
/// pruned, <c>norm.weight</c> of a deterministic layer. Beside them, for readers of other tools, stands <c>fc.weight.std</c>, the standard deviation
/// of each entry. Metadata: <c>format</c> (bayesnet.model), <c>version</c>, <c>library</c>.
/// </remarks>
public static class ModelFile
{
    internal const string Format = "bayesnet.model";
    private const int Version = 1;
    private const string StdDev = "std";

    /// <summary>Writes the model's parameters and buffers, and the standard deviations of its posteriors; the file appears whole, in the place of one that is there.</summary>
    /// <param name="model">The model.</param>
    /// <param name="path">The file; its folder must exist.</param>
    /// <param name="metadata">Text by name, beside what is always there; null for none.</param>
    /// <exception cref="ArgumentException">A tensor has a type that the format does not have.</exception>
    /// <exception cref="IOException">The file can't be written; one that was there is as it was.</exception>
    public static void SaveSafeTensors(this nn.Module model, string path, IReadOnlyDictionary<string, string>? metadata = null)
    {
        ArgumentNullException.ThrowIfNull(model);
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        Dictionary<string, Tensor> tensors = model.state_dict();
        foreach ((string name, Posterior posterior) in Posteriors(model))
            tensors.TryAdd($"{name}.{StdDev}", posterior.Variance.sqrt());
        SafeTensors.Write(path, tensors, new Dictionary<string, string>(metadata ?? new Dictionary<string, string>())
        {
            ["format"] = Format,
            ["version"] = Version.ToString(CultureInfo.InvariantCulture),
            ["library"] = Library,
        });
    }

    /// <summary>
    /// Reads a file that <see cref="SaveSafeTensors"/> wrote, or one of a deterministic twin, such as a network that PyTorch trained: its
    /// <c>fc.weight</c> becomes the mean of the posterior <c>fc.weight</c>. Weights that the file has pruned are pruned.
    /// </summary>
    /// <param name="model">The model.</param>
    /// <param name="path">The file.</param>
    /// <param name="loading">Strictness, names and what deterministic weights become; null for the defaults.</param>
    /// <returns>What was left out; nothing where loading is strict.</returns>
    /// <exception cref="IOException">The file can't be read.</exception>
    /// <exception cref="InvalidDataException">It is not a whole file of the format, or does not fit the model: every name, shape and type that does not. The model is as it was.</exception>
    public static ModelLoadResult LoadSafeTensors(this nn.Module model, string path, ModelLoading? loading = null)
    {
        ArgumentNullException.ThrowIfNull(model);
        loading ??= new ModelLoading();
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        using SafeTensorsFile file = SafeTensors.Read(path);
        if (file.Metadata.GetValueOrDefault("format") is { } format && format.StartsWith("bayesnet.", StringComparison.Ordinal))
        {
            if (format != Format)
                throw new InvalidDataException($"The file '{path}' is a {format}, not a model; a checkpoint is resumed by its trainer.");
            if (file.Metadata.GetValueOrDefault("version") is var version && version != Version.ToString(CultureInfo.InvariantCulture))
                throw new InvalidDataException($"The file '{path}' has version {version} of the format (written by BayesNet {file.Metadata.GetValueOrDefault("library")}); this library reads version {Version}.");
        }

        return new ModelFileReader(model, path, loading).Read(file.Tensors);
    }

    /// <summary>The library and its version.</summary>
    internal static string Library => typeof(ModelFile).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? "";

    /// <summary>The posteriors of a model by their names.</summary>
    internal static Dictionary<string, Posterior> Posteriors(nn.Module model)
        => model.named_modules().Where(entry => entry.module is Posterior).ToDictionary(entry => entry.name, entry => (Posterior)entry.module);

    /// <summary>Where each tensor of a file goes; nothing is written before all of them have a place.</summary>
    private sealed class ModelFileReader
    {
        private readonly string _path;
        private readonly ModelLoading _loading;
        private readonly nn.Module _model;
        private readonly Dictionary<string, Tensor> _state;
        private readonly Dictionary<string, Posterior> _posteriors;
        private readonly HashSet<string> _missing;
        private readonly List<string> _unexpected = [], _problems = [];
        private readonly List<Action> _writes = [];

        internal ModelFileReader(nn.Module model, string path, ModelLoading loading)
        {
            (_model, _path, _loading) = (model, path, loading);
            _state = model.state_dict();
            _posteriors = Posteriors(model);
            _missing = [.. _state.Keys];
        }

        internal ModelLoadResult Read(IReadOnlyDictionary<string, Tensor> tensors)
        {
            foreach ((string inFile, Tensor value) in tensors.OrderBy(entry => entry.Key, StringComparer.Ordinal))
            {
                string? name = _loading.Rename is { } rename ? rename(inFile) : inFile;
                if (name is null)
                    continue;
                string label = name == inFile ? $"'{name}'" : $"'{inFile}' (here '{name}')";
                (string owner, string part) = name.LastIndexOf('.') is >= 0 and var dot ? (name[..dot], name[(dot + 1)..]) : ("", name);
                if (_state.TryGetValue(name, out Tensor? target))
                    Place(name, label, value, target);
                else if (_posteriors.TryGetValue(name, out Posterior? posterior) && _state.TryGetValue($"{name}.mean", out Tensor? mean))
                    PlaceDeterministic(name, label, value, posterior, mean);
                else if (_posteriors.TryGetValue(owner, out Posterior? whole) && part == IndependentGaussian.MaskName && whole is IndependentGaussian masked)
                    PlaceMask(label, value, masked);
                else if (!(_posteriors.ContainsKey(owner) && part == StdDev))
                    _unexpected.Add(inFile);
            }

            string[] missing = [.. _state.Keys.Where(_missing.Contains)];
            if (_loading.Strict)
            {
                _problems.AddRange(missing.Select(name => $"it has no '{name}' of shape {Guard.Format(_state[name].shape)}"));
                _problems.AddRange(_unexpected.Select(name => $"its '{name}' of shape {Guard.Format(tensors[name].shape)} has no place in the model"));
            }

            if (_problems.Count > 0)
            {
                throw new InvalidDataException(
                    $"The file '{_path}' does not fit the model {_model.GetName()}, which is as it was:\n" + string.Join('\n', _problems.Select(problem => $"- {problem}"))
                    + "\nBuild the model as it was built for the file, give names by Rename, or load what fits with Strict = false.");
            }

            _writes.ForEach(write => write());
            return new ModelLoadResult(missing, _unexpected);
        }

        private bool Fits(string label, Tensor value, Tensor target)
        {
            if (value.shape.AsSpan().SequenceEqual(target.shape) && (value.dtype == target.dtype || (value.is_floating_point() && target.is_floating_point())))
                return true;
            _problems.Add($"its {label} is {value.dtype} of shape {Guard.Format(value.shape)}, and the model's is {target.dtype} of shape {Guard.Format(target.shape)}");
            return false;
        }

        private void Place(string name, string label, Tensor value, Tensor target)
        {
            _missing.Remove(name);
            if (Fits(label, value, target))
                _writes.Add(() => target.copy_(value));
        }

        private void PlaceMask(string label, Tensor value, IndependentGaussian posterior)
        {
            if (Fits(label, value, posterior.MeanParameter))
                _writes.Add(() => posterior.SetMask(value));
        }

        /// <summary>A weight of a deterministic layer: it is all that such a file has of the posterior, and of its prior.</summary>
        private void PlaceDeterministic(string name, string label, Tensor value, Posterior posterior, Tensor mean)
        {
            _missing.RemoveWhere(other => other.StartsWith($"{name}.", StringComparison.Ordinal) || other.StartsWith($"{name}_prior.", StringComparison.Ordinal));
            if (!Fits(label, value, mean))
                return;
            _writes.Add(() => mean.copy_(value));
            if (_loading.MopedDelta is not { } delta)
                return;
            if (posterior is not MeanFieldGaussian gaussian)
            {
                _problems.Add($"its {label} can't make a {posterior.GetName()} posterior of {nameof(ModelLoading.MopedDelta)}, which mean-field Gaussian ones have; leave it out");
                return;
            }

            _writes.Add(() =>
            {
                var moped = new MopedSpecification { Delta = delta, Floor = _loading.MopedFloor };
                gaussian.ScaleParameter.copy_(gaussian.ScaleParameterization.Inverse(moped.StdDevOf(value.to(mean.dtype))));
                if (_state.TryGetValue($"{name}_prior.mean", out Tensor? priorMean))
                    priorMean.copy_(value);
            });
        }
    }
}
