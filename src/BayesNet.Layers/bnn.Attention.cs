using TorchSharp.Modules;
using static TorchSharp.torch;

namespace BayesNet.Layers;

#pragma warning disable IDE1006, CS8981, CA1707 // The name and the arguments are those of torch.nn, so that replacing "nn." by "bnn." is all it takes.

public static partial class bnn
{
    /// <summary>The Bayesian twin of <c>nn.MultiheadAttention</c>: (positions, batch, features).</summary>
    /// <param name="embedded_dim">Features of queries and of outputs.</param>
    /// <param name="num_heads">Heads; divides <paramref name="embedded_dim"/>.</param>
    /// <param name="dropout">The share of attention weights dropped in training mode.</param>
    /// <param name="bias">Whether the projections have biases.</param>
    /// <param name="add_bias_kv">Whether a learned key and value are added to those of each example.</param>
    /// <param name="add_zero_attn">Whether a key and value of zeros are added to those of each example.</param>
    /// <param name="kdim">Features of keys; null for <paramref name="embedded_dim"/>.</param>
    /// <param name="vdim">Features of values; null for <paramref name="embedded_dim"/>.</param>
    /// <param name="options">Posterior, prior and estimator; null for <see cref="BayesOptions.Default"/>.</param>
    /// <exception cref="ArgumentException"><paramref name="num_heads"/> does not divide <paramref name="embedded_dim"/>.</exception>
    /// <exception cref="ArgumentOutOfRangeException">A size is below 1, or <paramref name="dropout"/> is not in [0, 1].</exception>
    public static BayesMultiheadAttention MultiheadAttention(
        long embedded_dim, long num_heads, double dropout = 0, bool bias = true, bool add_bias_kv = false, bool add_zero_attn = false,
        long? kdim = null, long? vdim = null, BayesOptions? options = null)
        => new(embedded_dim, num_heads, dropout, bias, add_bias_kv, add_zero_attn, kdim, vdim, options: options);

    /// <summary>The same with a layout by name: (batch, positions, features) with <paramref name="batchFirst"/>.</summary>
    /// <param name="embedded_dim">Features of queries and of outputs.</param>
    /// <param name="num_heads">Heads; divides <paramref name="embedded_dim"/>.</param>
    /// <param name="batchFirst">Whether the batch comes before the positions.</param>
    /// <param name="dropout">The share of attention weights dropped in training mode.</param>
    /// <param name="bias">Whether the projections have biases.</param>
    /// <param name="add_bias_kv">Whether a learned key and value are added to those of each example.</param>
    /// <param name="add_zero_attn">Whether a key and value of zeros are added to those of each example.</param>
    /// <param name="kdim">Features of keys; null for <paramref name="embedded_dim"/>.</param>
    /// <param name="vdim">Features of values; null for <paramref name="embedded_dim"/>.</param>
    /// <param name="device">Where the parameters live; null for the default device.</param>
    /// <param name="dtype">float32 or float64; null for the default type.</param>
    /// <param name="options">Posterior, prior and estimator; null for <see cref="BayesOptions.Default"/>.</param>
    /// <exception cref="ArgumentException"><paramref name="num_heads"/> does not divide <paramref name="embedded_dim"/>.</exception>
    /// <exception cref="ArgumentOutOfRangeException">A size is below 1, or <paramref name="dropout"/> is not in [0, 1].</exception>
    public static BayesMultiheadAttention MultiheadAttention(
        long embedded_dim, long num_heads, bool batchFirst, double dropout = 0, bool bias = true, bool add_bias_kv = false, bool add_zero_attn = false,
        long? kdim = null, long? vdim = null, Device? device = null, ScalarType? dtype = null, BayesOptions? options = null)
        => new(embedded_dim, num_heads, dropout, bias, add_bias_kv, add_zero_attn, kdim, vdim, batchFirst, device, dtype, options);

    /// <summary>The Bayesian twin of a trained <c>nn.MultiheadAttention</c>: the means start at copies of its weights.</summary>
    /// <inheritdoc cref="BayesMultiheadAttention(MultiheadAttention, long, double, bool, bool, BayesOptions)"/>
    public static BayesMultiheadAttention MultiheadAttention(
        MultiheadAttention trained, long numHeads, double dropout = 0, bool addZeroAttn = false, bool batchFirst = false, BayesOptions? options = null)
        => new(trained, numHeads, dropout, addZeroAttn, batchFirst, options);

    /// <summary>The Bayesian twin of <c>nn.TransformerEncoderLayer</c>: (positions, batch, features).</summary>
    /// <param name="d_model">Features of inputs and outputs.</param>
    /// <param name="nhead">Heads of the attention; divides <paramref name="d_model"/>.</param>
    /// <param name="dim_feedforward">Hidden units of the feed-forward network.</param>
    /// <param name="dropout">The share of entries dropped in training mode: of attention weights, hidden units and both residual branches.</param>
    /// <param name="activation">The rectifier or GELU.</param>
    /// <param name="options">Posterior, prior and estimator; null for <see cref="BayesOptions.Default"/>.</param>
    /// <exception cref="ArgumentException"><paramref name="nhead"/> does not divide <paramref name="d_model"/>.</exception>
    /// <exception cref="ArgumentOutOfRangeException">A size is below 1, or <paramref name="dropout"/> is not in [0, 1].</exception>
    public static BayesTransformerEncoderLayer TransformerEncoderLayer(
        long d_model = 512, long nhead = 8, long dim_feedforward = 2048, double dropout = 0.1, nn.Activations activation = nn.Activations.ReLU,
        BayesOptions? options = null)
        => new(d_model, nhead, dim_feedforward, dropout, activation, options: options);

    /// <summary>The same with a layout by name: (batch, positions, features) with <paramref name="batchFirst"/>.</summary>
    /// <param name="d_model">Features of inputs and outputs.</param>
    /// <param name="nhead">Heads of the attention; divides <paramref name="d_model"/>.</param>
    /// <param name="batchFirst">Whether the batch comes before the positions.</param>
    /// <param name="dim_feedforward">Hidden units of the feed-forward network.</param>
    /// <param name="dropout">The share of entries dropped in training mode: of attention weights, hidden units and both residual branches.</param>
    /// <param name="activation">The rectifier or GELU.</param>
    /// <param name="device">Where the parameters live; null for the default device.</param>
    /// <param name="dtype">float32 or float64; null for the default type.</param>
    /// <param name="options">Posterior, prior and estimator; null for <see cref="BayesOptions.Default"/>.</param>
    /// <exception cref="ArgumentException"><paramref name="nhead"/> does not divide <paramref name="d_model"/>.</exception>
    /// <exception cref="ArgumentOutOfRangeException">A size is below 1, or <paramref name="dropout"/> is not in [0, 1].</exception>
    public static BayesTransformerEncoderLayer TransformerEncoderLayer(
        long d_model, long nhead, bool batchFirst, long dim_feedforward = 2048, double dropout = 0.1, nn.Activations activation = nn.Activations.ReLU,
        Device? device = null, ScalarType? dtype = null, BayesOptions? options = null)
        => new(d_model, nhead, dim_feedforward, dropout, activation, batchFirst, device, dtype, options);

    /// <summary>The Bayesian twin of a trained <c>nn.TransformerEncoderLayer</c>: the means start at copies of its weights.</summary>
    /// <inheritdoc cref="BayesTransformerEncoderLayer(TransformerEncoderLayer, long, double, nn.Activations, bool, BayesOptions)"/>
    public static BayesTransformerEncoderLayer TransformerEncoderLayer(
        TransformerEncoderLayer trained, long nhead, double dropout = 0.1, nn.Activations activation = nn.Activations.ReLU, bool batchFirst = false,
        BayesOptions? options = null)
        => new(trained, nhead, dropout, activation, batchFirst, options);

    /// <summary>The Bayesian twin of <c>nn.TransformerDecoderLayer</c>: (positions, batch, features).</summary>
    /// <inheritdoc cref="TransformerEncoderLayer(long, long, long, double, nn.Activations, BayesOptions)"/>
    public static BayesTransformerDecoderLayer TransformerDecoderLayer(
        long d_model = 512, long nhead = 8, long dim_feedforward = 2048, double dropout = 0.1, nn.Activations activation = nn.Activations.ReLU,
        BayesOptions? options = null)
        => new(d_model, nhead, dim_feedforward, dropout, activation, options: options);

    /// <summary>The same with a layout by name: (batch, positions, features) with <paramref name="batchFirst"/>.</summary>
    /// <inheritdoc cref="TransformerEncoderLayer(long, long, bool, long, double, nn.Activations, Device, ScalarType?, BayesOptions)"/>
    public static BayesTransformerDecoderLayer TransformerDecoderLayer(
        long d_model, long nhead, bool batchFirst, long dim_feedforward = 2048, double dropout = 0.1, nn.Activations activation = nn.Activations.ReLU,
        Device? device = null, ScalarType? dtype = null, BayesOptions? options = null)
        => new(d_model, nhead, dim_feedforward, dropout, activation, batchFirst, device, dtype, options);

    /// <summary>The Bayesian twin of a trained <c>nn.TransformerDecoderLayer</c>: the means start at copies of its weights.</summary>
    /// <inheritdoc cref="BayesTransformerDecoderLayer(TransformerDecoderLayer, long, double, nn.Activations, bool, BayesOptions)"/>
    public static BayesTransformerDecoderLayer TransformerDecoderLayer(
        TransformerDecoderLayer trained, long nhead, double dropout = 0.1, nn.Activations activation = nn.Activations.ReLU, bool batchFirst = false,
        BayesOptions? options = null)
        => new(trained, nhead, dropout, activation, batchFirst, options);
}
