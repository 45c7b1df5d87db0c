using BayesNet.Training;
using TorchSharp.Modules;
using Xunit;
using static TorchSharp.torch;

namespace BayesNet.Tests.Training;

/// <summary>The fused passes against TorchSharp's AdamW, and what both fused optimizers add: clipping, and large parameters in parallel.</summary>
public sealed class FusedAdamWTests
{
    private static readonly long[][] Shapes = [[3, 17], [1], [], [5, 7, 2]];

    [Theory]
    [InlineData(ScalarType.Float32, 0.1, false, false)]
    [InlineData(ScalarType.Float64, 0.1, false, false)]
    [InlineData(ScalarType.Float64, 0.3, true, false)]
    [InlineData(ScalarType.Float64, 0.1, false, true)]
    public void StepsAreThoseOfAdamW(ScalarType dtype, double weightDecay, bool maximize, bool amsgrad)
    {
        using var scope = NewDisposeScope();
        Parameter[] ours = Parameters(dtype), theirs = Parameters(dtype);
        using var fused = new FusedAdamW(ours, 0.05, 0.8, 0.95, 1e-6, weightDecay, amsgrad, maximize);
        using var plain = optim.AdamW(theirs, 0.05, 0.8, 0.95, 1e-6, weightDecay, amsgrad, maximize);
        Run(ours, fused, 0, 20);
        Run(theirs, plain, 0, 20);
        AssertClose(theirs, ours, dtype == ScalarType.Float32 ? 2e-6 : 1e-13);
    }

    [Fact]
    public void AParameterThatIsNotContiguousTakesTheSameSteps()
    {
        using var scope = NewDisposeScope();
        Tensor value = arange(12, dtype: ScalarType.Float64).reshape(3, 4);
        var ours = new Parameter(value.clone().t());
        var theirs = new Parameter(value.clone().t().contiguous());
        using var first = new FusedAdamW([ours], maxGradientNorm: 0.5);
        using var second = new FusedAdamW([theirs], maxGradientNorm: 0.5);
        for (int step = 0; step < 5; step++)
        {
            first.zero_grad();
            second.zero_grad();
            (ours.cos().sum() + theirs.cos().sum()).backward();
            first.step();
            second.step();
        }

        AssertClose([theirs], [ours], 1e-14);
    }

    [Fact]
    public void StateIsSavedAndLoadedBitForBit()
    {
        using var scope = NewDisposeScope();
        Parameter[] whole = Parameters(ScalarType.Float32), parts = Parameters(ScalarType.Float32);
        using var through = new FusedAdamW(whole, 0.02);
        using var first = new FusedAdamW(parts, 0.02);
        using var second = new FusedAdamW(parts, 0.5);
        Run(whole, through, 0, 12);
        Run(parts, first, 0, 6);
        using var stream = new MemoryStream();
        using var writer = new BinaryWriter(stream);
        first.save_state_dict(writer);
        stream.Position = 0;
        using var reader = new BinaryReader(stream);
        second.load_state_dict(reader);
        Run(parts, second, 6, 12);
        AssertClose(whole, parts, 0);
    }

    /// <summary>A scheduler that sets the rate and one that cycles the betas too: each drives ours as it drives TorchSharp's.</summary>
    [Theory]
    [InlineData("step", false)]
    [InlineData("cosine", true)]
    [InlineData("one cycle", false)]
    [InlineData("one cycle", true)]
    public void SchedulersDriveIt(string name, bool decoupled)
    {
        using var scope = NewDisposeScope();
        Parameter[] ours = Parameters(ScalarType.Float64), theirs = Parameters(ScalarType.Float64);
        using OptimizerHelper fused = decoupled ? new FusedAdamW(ours, 0.05) : new FusedAdam(ours, 0.05);
        using OptimizerHelper plain = decoupled ? optim.AdamW(theirs, 0.05, 0.9, 0.999, weight_decay: 1e-2) : optim.Adam(theirs, 0.05, 0.9, 0.999);
        optim.lr_scheduler.LRScheduler one = Scheduler(fused), other = Scheduler(plain);
        for (int step = 0; step < 12; step++)
        {
            Run(ours, fused, step, step + 1);
            Run(theirs, plain, step, step + 1);
            one.step();
            other.step();
        }

        Assert.NotEqual(0.05, fused.ParamGroups.First().LearningRate);
        AssertClose(theirs, ours, 1e-13);

        optim.lr_scheduler.LRScheduler Scheduler(OptimizerHelper optimizer) => name switch
        {
            "step" => optim.lr_scheduler.StepLR(optimizer, 3, 0.5),
            "cosine" => optim.lr_scheduler.CosineAnnealingLR(optimizer, 20),
            _ => optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps: 20),
        };
    }

    [Theory]
    [InlineData(ScalarType.Float32, false, 0.5)]
    [InlineData(ScalarType.Float64, false, 0.5)]
    [InlineData(ScalarType.Float64, true, 0.5)]
    [InlineData(ScalarType.Float64, true, 1e6)]
    public void ClippingIsClipGradNormAndAStep(ScalarType dtype, bool decoupled, double norm)
    {
        using var scope = NewDisposeScope();
        Parameter[] ours = Parameters(dtype), theirs = Parameters(dtype);
        using OptimizerHelper fused = decoupled ? new FusedAdamW(ours, 0.05, maxGradientNorm: norm) : new FusedAdam(ours, 0.05, weightDecay: 0.1, maxGradientNorm: norm);
        using OptimizerHelper plain = decoupled ? new FusedAdamW(theirs, 0.05) : new FusedAdam(theirs, 0.05, weightDecay: 0.1);
        for (int step = 0; step < 20; step++)
        {
            Backward(ours, fused, step);
            fused.step();
            Backward(theirs, plain, step);
            nn.utils.clip_grad_norm_(theirs, norm);
            plain.step();
        }

        // clip_grad_norm_ takes its norm in float32.
        AssertClose(theirs, ours, dtype == ScalarType.Float32 ? 2e-6 : 1e-13);
    }

    [Theory]
    [InlineData(float.NaN)]
    [InlineData(float.PositiveInfinity)]
    public void ANormThatIsNotFiniteIsRefusedBeforeAnythingChanges(float bad)
    {
        using var scope = NewDisposeScope();
        Parameter[] parameters = Parameters(ScalarType.Float32);
        using var optimizer = new FusedAdam(parameters, maxGradientNorm: 1);
        Backward(parameters, optimizer, 0);
        using (no_grad())
            parameters[3].grad!.flatten()[4] = bad;
        var error = Assert.Throws<NonFiniteGradientException>(() => optimizer.step());
        Assert.Contains("No step was taken", error.Message, StringComparison.Ordinal);
        AssertClose(Parameters(ScalarType.Float32), parameters, 0);
        Backward(parameters, optimizer, 0);
        optimizer.step();
        Parameter[] clean = Parameters(ScalarType.Float32);
        using var other = new FusedAdam(clean, maxGradientNorm: 1);
        Backward(clean, other, 0);
        other.step();
        AssertClose(clean, parameters, 0);
        Assert.Throws<ArgumentOutOfRangeException>("maxGradientNorm", () => new FusedAdam(parameters, maxGradientNorm: 0));
        Assert.Throws<ArgumentOutOfRangeException>("maxGradientNorm", () => new FusedAdamW(parameters, maxGradientNorm: double.NaN));
    }

    /// <summary>Parameters that several threads share: the same bits as on one.</summary>
    [Fact]
    public void LargeParametersTakeTheSameStepsOnAnyNumberOfThreads()
    {
        int before = get_num_threads();
        try
        {
            using var scope = NewDisposeScope();
            Parameter[] results = [.. new[] { 1, 4 }.Select(threads =>
            {
                set_num_threads(threads);
                var parameter = new Parameter((arange(100_003) * 0.37).sin());
                using var optimizer = new FusedAdam([parameter], 0.01, maxGradientNorm: 1);
                for (int step = 0; step < 3; step++)
                {
                    optimizer.zero_grad();
                    parameter.pow(3).sum().backward();
                    optimizer.step();
                }

                return parameter;
            })];
            Assert.True(results[0].eq(results[1]).all().item<bool>());
            Assert.True((results[0] - (arange(100_003) * 0.37).sin()).abs().sum().item<float>() > 100);
        }
        finally
        {
            set_num_threads(before);
        }
    }

    private static void Run(Parameter[] parameters, optim.Optimizer optimizer, int from, int to)
    {
        for (int step = from; step < to; step++)
        {
            Backward(parameters, optimizer, step);
            optimizer.step();
        }
    }

    private static void Backward(Parameter[] parameters, optim.Optimizer optimizer, int step)
    {
        optimizer.zero_grad();
        Tensor loss = zeros([], parameters[0].dtype);
        foreach (Parameter parameter in parameters)
            loss += (parameter * parameter * (1 + 0.1 * step) + (parameter * 3).cos()).sum();
        loss.backward();
    }

    private static Parameter[] Parameters(ScalarType dtype)
        => [.. Shapes.Select((shape, i) => new Parameter((arange(shape.Aggregate(1L, (a, b) => a * b), dtype: dtype) * 0.37 + i + 0.3).sin().reshape(shape)))];

    private static void AssertClose(Parameter[] expected, Parameter[] actual, double tolerance)
    {
        foreach ((Parameter one, Parameter other) in expected.Zip(actual))
            Assert.InRange((one - other).abs().max().to(ScalarType.Float64).item<double>(), 0, tolerance);
    }
}
