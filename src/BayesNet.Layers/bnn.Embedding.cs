using TorchSharp;
using static TorchSharp.torch;

namespace BayesNet.Layers;

#pragma warning disable IDE1006, CS8981, CA1707 // Names as torch.nn has them.

public static partial class bnn
{
    /// <summary>The Bayesian twin of <c>nn.Embedding</c>: input indices of any shape, output (..., embedding_dims).</summary>
    /// <param name="num_embeddings">Rows of the table.</param>
    /// <param name="embedding_dims">Columns of the table.</param>
    /// <param name="padding_idx">A row that is zero and has no posterior; negative from the end; null for none.</param>
    /// <param name="max_norm">Null: rows are not scaled down, see the exceptions.</param>
    /// <param name="norm_type">Of no effect without <paramref name="max_norm"/>.</param>
    /// <param name="scale_grad_by_freq">False, see the exceptions.</param>
    /// <param name="sparse">False, see the exceptions.</param>
    /// <param name="device">Where the parameters live; null for the default device.</param>
    /// <param name="dtype">float32 or float64; null for the default type.</param>
    /// <param name="options">Posterior, prior and estimator; null for <see cref="BayesOptions.Default"/>.</param>
    /// <exception cref="ArgumentException">A size is below 1, or the padding is no row.</exception>
    /// <exception cref="NotSupportedException">
    /// <paramref name="max_norm"/> is given: scaling means in place changes a posterior that the divergence and the optimizer do not know of, and the
    /// prior keeps rows small. Or <paramref name="scale_grad_by_freq"/>: the bound's gradient would be another's. Or <paramref name="sparse"/>: the
    /// divergence has a gradient in every row.
    /// </exception>
    public static BayesEmbedding Embedding(
        long num_embeddings, long embedding_dims, long? padding_idx = null, double? max_norm = null, double norm_type = 2, bool scale_grad_by_freq = false,
        bool sparse = false, Device? device = null, ScalarType? dtype = null, BayesOptions? options = null)
    {
        RefuseLookupOptions(max_norm, scale_grad_by_freq, sparse);
        return new(num_embeddings, embedding_dims, padding_idx, device, dtype, options);
    }

    /// <summary>
    /// The Bayesian twin of <c>nn.Embedding_from_pretrained</c>: the means start at copies of the given rows, (rows, columns), zero in the padding row. With
    /// <c>freeze</c> the means stay as given, and only the other parameters of the posterior are trained.
    /// </summary>
    /// <inheritdoc cref="Embedding"/>
    public static BayesEmbedding Embedding_from_pretrained(
        Tensor embeddings, bool freeze = true, long? padding_idx = null, double? max_norm = null, double norm_type = 2, bool scale_grad_by_freq = false,
        bool sparse = false, Device? device = null, ScalarType? dtype = null, BayesOptions? options = null)
    {
        RefuseLookupOptions(max_norm, scale_grad_by_freq, sparse);
        using Tensor table = Converted(embeddings, device, dtype);
        var layer = new BayesEmbedding(table, padding_idx, options);
        Freeze(layer.WeightPosterior, freeze);
        return layer;
    }

    /// <summary>
    /// The Bayesian twin of <c>nn.EmbeddingBag</c>: sums or means of rows over bags of indices. <c>padding_index</c> is a row whose entries do not count and
    /// that has no posterior, -1 for none; with <c>include_last_offset</c> the last offset is the end of the last bag.
    /// </summary>
    /// <exception cref="NotSupportedException">
    /// The mode is max: the largest entry of random rows is no affine map of them. Or an option that <see cref="Embedding"/> refuses.
    /// </exception>
    /// <inheritdoc cref="Embedding"/>
    public static BayesEmbeddingBag EmbeddingBag(
        long num_embeddings, long embedding_dims, double? max_norm = null, double norm_type = 2, bool scale_grad_by_freq = false,
        EmbeddingBagMode mode = EmbeddingBagMode.Mean, bool sparse = false, bool include_last_offset = false, long padding_index = -1,
        Device? device = null, ScalarType? dtype = null, BayesOptions? options = null)
    {
        RefuseLookupOptions(max_norm, scale_grad_by_freq, sparse);
        return new(num_embeddings, embedding_dims, mode, include_last_offset, padding_index < 0 ? null : padding_index, device, dtype, options);
    }

    /// <summary>
    /// The Bayesian twin of <c>nn.EmbeddingBag_from_pretrained</c>: the means start at copies of the given rows. With <c>freeze</c> they stay as given, and
    /// only the other parameters of the posterior are trained.
    /// </summary>
    /// <inheritdoc cref="EmbeddingBag"/>
    public static BayesEmbeddingBag EmbeddingBag_from_pretrained(
        Tensor embeddings, bool freeze = true, double? max_norm = null, double norm_type = 2, bool scale_grad_by_freq = false,
        EmbeddingBagMode mode = EmbeddingBagMode.Mean, bool sparse = false, bool include_last_offset = false, long padding_index = -1,
        Device? device = null, ScalarType? dtype = null, BayesOptions? options = null)
    {
        RefuseLookupOptions(max_norm, scale_grad_by_freq, sparse);
        using Tensor table = Converted(embeddings, device, dtype);
        var layer = new BayesEmbeddingBag(table, mode, include_last_offset, padding_index < 0 ? null : padding_index, options);
        Freeze(layer.WeightPosterior, freeze);
        return layer;
    }

    private static void RefuseLookupOptions(double? max_norm, bool scale_grad_by_freq, bool sparse)
    {
        string? reason = max_norm is not null ? "max_norm scales rows in place, past the posterior; leave it out and let the prior keep rows small"
            : scale_grad_by_freq ? "scale_grad_by_freq changes the gradient of the likelihood but not of the divergence; leave it out"
            : sparse ? "sparse gradients leave out rows that the divergence has a gradient in; leave sparse out"
            : null;
        if (reason is not null)
            throw new NotSupportedException($"A Bayesian embedding refuses an option: {reason}.");
    }

    private static Tensor Converted(Tensor embeddings, Device? device, ScalarType? dtype)
    {
        ArgumentNullException.ThrowIfNull(embeddings);
        using var _ = no_grad();
        using Tensor typed = embeddings.to(dtype ?? embeddings.dtype);
        return typed.to(device ?? embeddings.device).alias();
    }

    private static void Freeze(Posteriors.Posterior posterior, bool freeze)
    {
        if (freeze && posterior.Mean is TorchSharp.Modules.Parameter mean)
            mean.requires_grad_(false);
    }
}
