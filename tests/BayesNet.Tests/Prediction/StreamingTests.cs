using BayesNet.Likelihoods;
using BayesNet.Prediction;
using BayesNet.TestKit;
using Xunit;
using static TorchSharp.torch;

namespace BayesNet.Tests.Prediction;

/// <summary>Moments and log densities gathered block by block are those of the samples kept.</summary>
public sealed class StreamingTests
{
    private const int Samples = 23;
    private const int Batch = 5;

    public static TheoryData<string, ScalarType, int, int> Blocks()
    {
        var blocks = new TheoryData<string, ScalarType, int, int>();
        foreach (string kind in new[] { "homoscedastic", "heteroscedastic", "classes" })
        {
            foreach (ScalarType dtype in new[] { ScalarType.Float32, ScalarType.Float64 })
            {
                foreach ((int samples, int rows) in new[] { (1, 1), (1, 5), (7, 3), (23, 2), (23, 5) })
                    blocks.Add(kind, dtype, samples, rows);
            }
        }

        return blocks;
    }

    private static Likelihood Create(string kind, ScalarType dtype) => kind switch
    {
        "homoscedastic" => new GaussianLikelihood(noise: 0.3, dtype: dtype),
        "heteroscedastic" => new HeteroscedasticGaussianLikelihood(),
        _ => new CategoricalLikelihood(),
    };

    /// <summary>Means far from zero against their spread: a sum of squares less a squared sum would keep two digits of it in float32.</summary>
    private static Tensor Outputs(string kind, ScalarType dtype)
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(5, CPU);
        Tensor outputs = randn([Samples, Batch, 4], ScalarType.Float64, generator: generator);
        return (kind == "homoscedastic" ? outputs + 100 : outputs).to(dtype).MoveToOuterDisposeScope();
    }

    private static IEnumerable<SampleBlock> Cut(Tensor outputs, int samples, int rows)
    {
        // Rows outside, samples inside for one half of the rows and the other way about would be one order of many; this is sample by sample.
        for (int sample = 0; sample < Samples; sample += samples)
        {
            for (int row = 0; row < Batch; row += rows)
            {
                Tensor part = outputs.narrow(0, sample, Math.Min(samples, Samples - sample)).narrow(1, row, Math.Min(rows, Batch - row));
                yield return new SampleBlock(sample, rows == Batch ? null : row, part);
            }
        }
    }

    [Theory]
    [MemberData(nameof(Blocks))]
    public void MomentsAreThoseOfTheSamples(string kind, ScalarType dtype, int samples, int rows)
    {
        using var scope = NewDisposeScope();
        using Likelihood likelihood = Create(kind, dtype);
        Tensor outputs = Outputs(kind, dtype);
        using Predictive kept = likelihood.Predict(outputs);
        using var moments = new RunningMoments(likelihood);
        foreach (SampleBlock block in Cut(outputs, samples, rows))
            moments.Add(block);
        using Predictive streamed = moments.Result();

        Assert.Equal(Samples, streamed.Samples);
        Assert.True(kept.HasSamples && !streamed.HasSamples);
        Check(kept.Mean, streamed.Mean);
        Check(kept.Epistemic, streamed.Epistemic);
        Check(kept.Aleatoric, streamed.Aleatoric);
        Check(kept.StdDev, streamed.StdDev);
        if (kept is CategoricalPredictive classes)
        {
            var other = (CategoricalPredictive)streamed;
            Check(classes.PredictedClass, other.PredictedClass);
            Check(classes.PredictiveEntropy, other.PredictiveEntropy);
            Check(classes.ExpectedEntropy, other.ExpectedEntropy);
            Check(classes.MutualInformation, other.MutualInformation);
        }
        else
        {
            using GaussianPredictive expected = ((GaussianPredictive)kept).Rescale(3, -20), other = ((GaussianPredictive)streamed).Rescale(3, -20);
            Assert.Equal(ScalarType.Float64, other.Mean.dtype);
            Check(expected.Mean, other.Mean);
            Check(expected.StdDev, other.StdDev);
        }

        // Relative to the values summed, 100 and less: a few roundings of the means, and of the deviations from them.
        void Check(Tensor expected, Tensor computed)
        {
            double tolerance = (dtype == ScalarType.Float32 ? 4e-7 : 1e-15) * (kind == "homoscedastic" ? 300 : 4);
            Assert.Equal(expected.dtype, computed.dtype);
            Assert.Equal(expected.shape, computed.shape);
            Assert.InRange((expected - computed).abs().max().to(ScalarType.Float64).item<double>(), 0, tolerance);
        }
    }

    [Theory]
    [MemberData(nameof(Blocks))]
    public void LogDensitiesAreThoseOfTheSamples(string kind, ScalarType dtype, int samples, int rows)
    {
        using var scope = NewDisposeScope();
        using Likelihood likelihood = Create(kind, dtype);
        Tensor outputs = Outputs(kind, dtype);
        Tensor target = kind switch
        {
            "classes" => tensor(new[] { 0L, 3, 1, 2, 0 }),
            "heteroscedastic" => outputs[3].narrow(-1, 0, 2) + 1,
            _ => outputs[3] + 0.5,
        };
        using Predictive kept = likelihood.Predict(outputs);
        using var running = new RunningLogDensity(likelihood, target);
        foreach (SampleBlock block in Cut(outputs, samples, rows))
            running.Add(block);
        Tensor expected = kept.LogDensity(target), computed = running.Result();
        Assert.Equal(expected.dtype, computed.dtype);
        Assert.Equal(expected.shape, computed.shape);
        Assert.InRange(((expected - computed) / expected.abs().clamp_min(1)).abs().max().to(ScalarType.Float64).item<double>(), 0, dtype == ScalarType.Float32 ? 1e-6 : 4e-15);
    }

    [Fact]
    public void LogDensitiesDoNotUnderflow()
    {
        using var scope = NewDisposeScope();
        using var likelihood = new CategoricalLikelihood();
        using var running = new RunningLogDensity(likelihood, tensor(new[] { 1L }));
        running.Add(new SampleBlock(0, null, tensor(new[] { 0f, -3000f }).reshape(1, 1, 2)));
        running.Add(new SampleBlock(1, null, tensor(new[] { 0f, -2000f }).reshape(1, 1, 2)));
        Assert.Equal(-2000 - Math.Log(2), running.Result().item<float>(), 1e-3);
    }

    [Theory]
    [InlineData("homoscedastic")]
    [InlineData("classes")]
    public void WhatNeedsSamplesSaysSo(string kind)
    {
        using var scope = NewDisposeScope();
        using Likelihood likelihood = Create(kind, ScalarType.Float32);
        using var moments = new RunningMoments(likelihood);
        moments.Add(new SampleBlock(0, null, Outputs(kind, ScalarType.Float32)));
        Predictive streamed = moments.Result();
        Tensor target = kind == "classes" ? zeros(Batch, ScalarType.Int64) : zeros(Batch, 4);
        Check(() => streamed.Quantile(0.5));
        Check(() => streamed.Interval());
        Check(() => streamed.LogDensity(target));
        Check(() => _ = streamed is CategoricalPredictive classes ? classes.LogProbabilities : ((GaussianPredictive)streamed).Components);
        if (streamed is GaussianPredictive gaussian)
            Check(() => _ = gaussian.Noise);
        streamed.Dispose();
        Assert.Throws<ObjectDisposedException>(() => streamed.Mean);

        static void Check(Action use)
        {
            string message = Assert.Throws<InvalidOperationException>(use).Message;
            Assert.Contains("KeepSamples", message, StringComparison.Ordinal);
            Assert.Contains("Predictor.LogDensity", message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void NothingIsLeftBehind()
    {
        using Likelihood likelihood = Create("classes", ScalarType.Float32);
        using Tensor outputs = Outputs("classes", ScalarType.Float32), target = zeros(Batch, ScalarType.Int64), tooMany = outputs.flatten(2).unsqueeze(0);
        Use();
        long before = LiveTensors.Settled();
        for (int i = 0; i < 3; i++)
            Use();
        Assert.Equal(before, Tensor.TotalCount);

        void Use()
        {
            using (var moments = new RunningMoments(likelihood))
            using (var density = new RunningLogDensity(likelihood, target))
            {
                using var scope = NewDisposeScope();
                foreach (SampleBlock block in Cut(outputs, 7, 2))
                {
                    moments.Add(block);
                    density.Add(block);
                }

                using Predictive predictive = moments.Result();
                _ = predictive.StdDev;
                Assert.Equal(Batch, density.Result().numel());
                Assert.Throws<ArgumentException>(() => moments.Add(new SampleBlock(0, 0, tooMany)));
            }
        }
    }
}
