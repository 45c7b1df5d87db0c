using BayesNet.Runtime;
using static TorchSharp.torch;

namespace BayesNet.Layers;

/// <summary>Where the means of an attention layer start.</summary>
internal sealed record AttentionWeights(
    (Tensor Weight, Tensor? Bias) Query, (Tensor Weight, Tensor? Bias) Key, (Tensor Weight, Tensor? Bias) Value, (Tensor Weight, Tensor? Bias) Output,
    Tensor? BiasKey, Tensor? BiasValue)
{
    /// <summary>What a Bayesian layer calls what a trained one has under a name; that name itself where the two agree.</summary>
    internal static string[] TwinNames(string name)
    {
        if (name.EndsWith("in_proj_weight", StringComparison.Ordinal) || name.EndsWith("in_proj_bias", StringComparison.Ordinal))
        {
            int end = name.LastIndexOf("in_proj_", StringComparison.Ordinal);
            return [.. "qkv".Select(part => $"{name[..end]}{part}_proj.{name[(end + "in_proj_".Length)..]}")];
        }

        return name.EndsWith("_proj_weight", StringComparison.Ordinal) ? [$"{name[..^"_weight".Length]}.weight"] : [name];
    }

    /// <summary>As TorchSharp's twin starts: Xavier uniform, as of one matrix where the projections have one size, and biases of zero.</summary>
    internal static Func<AttentionWeights> Drawn(long features, long keys, long values, bool bias, bool biasKeyValue, Device? device, ScalarType? dtype)
    {
        ScalarType type = Guard.FloatingPoint(dtype ?? get_default_dtype(), nameof(dtype));
        Device where = device ?? get_default_device();
        double stacked = keys == features && values == features ? 3 : 1;
        return () =>
        {
            Tensor? extra = biasKeyValue ? Extra() : null, other = biasKeyValue ? Extra() : null;
            return new AttentionWeights(
                Projection(features), Projection(keys), Projection(values), (Uniform(features, 1 / Math.Sqrt(features)), Zero()), extra, other);
        };

        (Tensor, Tensor?) Projection(long inputs) => (Uniform(inputs, Math.Sqrt(6 / (inputs + stacked * features))), Zero());

        Tensor Uniform(long inputs, double bound) => empty([features, inputs], dtype: type, device: where).uniform_(-bound, bound);

        Tensor? Zero() => bias ? zeros([features], dtype: type, device: where) : null;

        // Xavier normal of (1, 1, features): fan-in and fan-out are both the features.
        Tensor Extra() => empty([1, 1, features], dtype: type, device: where).normal_(0, Math.Sqrt(1.0 / features));
    }

    /// <summary>The weights of a trained <c>nn.MultiheadAttention</c>, by the names that it has for them.</summary>
    /// <param name="trained">The layer, or one that has it as a part.</param>
    /// <param name="prefix">What its names begin with.</param>
    internal static Func<AttentionWeights> Of(nn.Module trained, string prefix)
    {
        ArgumentNullException.ThrowIfNull(trained);
        return () =>
        {
            Dictionary<string, Tensor> parameters = trained.named_parameters().ToDictionary(entry => entry.name, entry => (Tensor)entry.parameter);
            Tensor? Find(string name) => parameters.GetValueOrDefault(prefix + name);
            Tensor Required(string name) => Find(name) ?? throw new ArgumentException(
                $"{trained.GetName()} has no parameter {prefix + name}; give the TorchSharp twin of this layer.", nameof(trained));
            Tensor[] weights = Find("in_proj_weight") is { } joint ? joint.chunk(3, 0) : [Required("q_proj_weight"), Required("k_proj_weight"), Required("v_proj_weight")];
            Tensor[]? biases = Find("in_proj_bias")?.chunk(3, 0);
            return new AttentionWeights(
                (weights[0], biases?[0]), (weights[1], biases?[1]), (weights[2], biases?[2]), (Required("out_proj.weight"), Find("out_proj.bias")),
                Find("bias_k"), Find("bias_v"));
        };
    }
}
