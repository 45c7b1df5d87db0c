using BayesNet.Estimators;
using static TorchSharp.torch;

namespace BayesNet.TestKit;

/// <summary>An estimator and which entries of the outputs' covariance it keeps.</summary>
/// <param name="Name">The name in test output.</param>
/// <param name="Estimator">The estimator.</param>
/// <param name="Keeps">Whether the covariance of outputs i and j is kept, given whether they are of one example and one entry.</param>
public sealed record EstimatorCase(string Name, Estimator Estimator, Func<bool, bool, bool> Keeps)
{
    /// <summary>Every estimator.</summary>
    public static IReadOnlyList<EstimatorCase> All { get; } =
    [
        new("shared weights", Estimator.SharedWeights, (sameExample, sameEntry) => true),
        new("weights per example", Estimator.WeightsPerExample, (sameExample, sameEntry) => sameExample),
        new("local reparameterization", Estimator.LocalReparameterization, (sameExample, sameEntry) => sameEntry),
        new("flipout", Estimator.Flipout, (sameExample, sameEntry) => sameExample),
        new("mean only", Estimator.MeanOnly, (sameExample, sameEntry) => false),
    ];

    /// <summary>The case of the given name.</summary>
    public static EstimatorCase Named(string name) => All.Single(known => known.Name == name);

    /// <summary>The full covariance of a batch's outputs with the entries that the estimator drops set to zero.</summary>
    /// <param name="full">(batch * outputs, batch * outputs), the outputs of an example in the order of their shape.</param>
    /// <param name="outputShape">The output's shape, batch included.</param>
    /// <param name="channelDimension">Which of its dimensions counts channels.</param>
    /// <param name="keepsChannels">Whether channels of one example and position count as one entry.</param>
    public Tensor Kept(Tensor full, ReadOnlySpan<long> outputShape, int channelDimension, bool keepsChannels)
    {
        using var scope = NewDisposeScope();
        long[] shape = outputShape.ToArray();
        Tensor Index(params long[] sizes) => arange(sizes.Aggregate(1L, (a, b) => a * b)).reshape(sizes);
        Tensor example = Index([shape[0], .. Enumerable.Repeat(1L, shape.Length - 1)]).expand(shape).flatten();
        long[] entryShape = [.. shape];
        if (keepsChannels)
            entryShape[channelDimension] = 1;
        Tensor entry = Index(entryShape).expand(shape).flatten();
        Tensor sameExample = example.unsqueeze(0).eq(example.unsqueeze(1));
        Tensor sameEntry = entry.unsqueeze(0).eq(entry.unsqueeze(1));
        Tensor mask = where(sameEntry, Flag(Keeps(true, true)), where(sameExample, Flag(Keeps(true, false)), Flag(Keeps(false, false))));
        return full.mul(mask).MoveToOuterDisposeScope();

        static Tensor Flag(bool keep) => tensor(keep ? 1.0 : 0.0);
    }

    /// <inheritdoc/>
    public override string ToString() => Name;
}
