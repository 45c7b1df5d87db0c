using System.Runtime.InteropServices;
using BayesNet.Training;
using TorchSharp.Modules;
using Xunit;
using static TorchSharp.torch;

namespace BayesNet.Tests.Training;

/// <summary>The fused pass against TorchSharp's operation-by-operation Adam, of which it is a faster and safer step.</summary>
public sealed class FusedAdamTests
{
    // A multiple of no vector length, so that the scalar tail runs too.
    private static readonly long[][] Shapes = [[3, 17], [1], [], [5, 7, 2]];

    [Theory]
    [InlineData(ScalarType.Float32, 0, false, false)]
    [InlineData(ScalarType.Float64, 0, false, false)]
    [InlineData(ScalarType.Float32, 0.1, true, false)]
    [InlineData(ScalarType.Float64, 0.1, true, false)]
    [InlineData(ScalarType.Float64, 0.1, false, true)]
    [InlineData(ScalarType.Float32, 0, true, true)]
    public void StepsAreThoseOfAdam(ScalarType dtype, double weightDecay, bool maximize, bool amsgrad)
    {
        using var scope = NewDisposeScope();
        Parameter[] ours = Parameters(dtype), theirs = Parameters(dtype);
        using var fused = new FusedAdam(ours, 0.05, 0.8, 0.95, 1e-6, weightDecay, amsgrad, maximize);
        using var plain = optim.Adam(theirs, 0.05, 0.8, 0.95, 1e-6, weightDecay, amsgrad, maximize);
        Run(ours, fused, 0, 20);
        Run(theirs, plain, 0, 20);
        AssertClose(theirs, ours, dtype == ScalarType.Float32 ? 2e-6 : 1e-13);
        Assert.True((ours[0] - Parameters(dtype)[0]).abs().min().to(ScalarType.Float64).item<double>() > 1e-3, "A parameter did not move.");
    }

    /// <summary>What the fused pass can't take goes through tensor operations with the same result.</summary>
    [Fact]
    public void AParameterThatIsNotContiguousTakesTheSameSteps()
    {
        using var scope = NewDisposeScope();
        Tensor value = arange(12, dtype: ScalarType.Float64).reshape(3, 4);
        var ours = new Parameter(value.clone().t());
        var theirs = new Parameter(value.clone().t().contiguous());
        Assert.False(ours.is_contiguous());
        using var first = new FusedAdam([ours]);
        using var second = new FusedAdam([theirs]);
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
    public void ParametersWithoutAGradientStay()
    {
        using var scope = NewDisposeScope();
        Parameter[] parameters = Parameters(ScalarType.Float32);
        using var optimizer = new FusedAdam(parameters);
        optimizer.zero_grad();
        parameters[0].sum().backward();
        optimizer.step();
        Parameter[] before = Parameters(ScalarType.Float32);
        AssertClose(before[1..], parameters[1..], 0);
        Assert.True((before[0] - parameters[0]).abs().min().item<float>() > 0);
    }

    /// <summary>The state of one class loaded into the other: training goes on as if nothing had happened.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void StateGoesBetweenItAndAdam(bool fusedFirst)
    {
        using var scope = NewDisposeScope();
        Parameter[] whole = Parameters(ScalarType.Float64), parts = Parameters(ScalarType.Float64);
        OptimizerHelper Make(Parameter[] parameters, bool fused) => fused ? new FusedAdam(parameters, 0.02) : optim.Adam(parameters, 0.02);
        using OptimizerHelper through = Make(whole, fusedFirst);
        Run(whole, through, 0, 12);
        using OptimizerHelper first = Make(parts, fusedFirst);
        Run(parts, first, 0, 6);
        using OptimizerHelper second = Make(parts, !fusedFirst);
        second.load_state_dict(first.state_dict());
        Run(parts, second, 6, 12);
        AssertClose(whole, parts, 1e-13);
    }

    [Fact]
    public void StateIsSavedAndLoaded()
    {
        using var scope = NewDisposeScope();
        Parameter[] whole = Parameters(ScalarType.Float32), parts = Parameters(ScalarType.Float32);
        using var through = new FusedAdam(whole, 0.02);
        using var first = new FusedAdam(parts, 0.02);
        using var second = new FusedAdam(parts, 0.5);
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

    [Fact]
    public void GroupsAndSchedulersSetTheRate()
    {
        using var scope = NewDisposeScope();
        Parameter[] parameters = Parameters(ScalarType.Float64);
        using var optimizer = new FusedAdam(
            [new Adam.ParamGroup(parameters[..1], lr: 0.1), new Adam.ParamGroup(parameters[1..], lr: 0.01)]);
        optim.lr_scheduler.LRScheduler scheduler = optim.lr_scheduler.StepLR(optimizer, 1, 0.5);
        foreach (double factor in new[] { 1, 0.5, 0.25 })
        {
            double[] before = [.. parameters.Select(Sum)];
            optimizer.zero_grad();

            // A constant gradient: every step of Adam is then the learning rate itself.
            (parameters[0].sum() + parameters[1].sum() + parameters[2].sum() + parameters[3].sum()).backward();
            optimizer.step();
            scheduler.step();
            Assert.Equal(0.1 * factor * parameters[0].numel(), before[0] - Sum(parameters[0]), 1e-6);
            Assert.Equal(0.01 * factor * parameters[3].numel(), before[3] - Sum(parameters[3]), 1e-6);
        }

        static double Sum(Parameter parameter) => parameter.detach().sum().item<double>();
    }

    /// <summary>A backward pass through values from before the step would use the new parameters in silence; autograd must refuse it.</summary>
    [Fact]
    public void AutogradSeesThatTheParameterHasChanged()
    {
        using var scope = NewDisposeScope();
        Parameter[] parameters = Parameters(ScalarType.Float32);
        using var optimizer = new FusedAdam(parameters);
        Tensor loss = Loss(parameters, 0);
        loss.backward(retain_graph: true);
        optimizer.step();
        var error = Assert.Throws<ExternalException>(() => loss.backward());
        Assert.Contains("modified by an inplace operation", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void AClosureIsEvaluatedWithGradients()
    {
        using var scope = NewDisposeScope();
        Parameter[] parameters = Parameters(ScalarType.Float32);
        using var optimizer = new FusedAdam(parameters);
        using (no_grad())
        {
            Tensor loss = optimizer.step(() =>
            {
                optimizer.zero_grad();
                Tensor value = Loss(parameters, 0);
                value.backward();
                return value;
            });
            Assert.Equal(Loss(Parameters(ScalarType.Float32), 0).item<float>(), loss.item<float>());
        }

        Assert.True((parameters[0] - Parameters(ScalarType.Float32)[0]).abs().min().item<float>() > 0);
    }

    private static void Run(Parameter[] parameters, optim.Optimizer optimizer, int from, int to)
    {
        for (int step = from; step < to; step++)
        {
            optimizer.zero_grad();
            Loss(parameters, step).backward();
            optimizer.step();
        }
    }

    private static Parameter[] Parameters(ScalarType dtype)
        => [.. Shapes.Select((shape, i) => new Parameter((arange(shape.Aggregate(1L, (a, b) => a * b), dtype: dtype) * 0.37 + i + 0.3).sin().reshape(shape)))];

    private static Tensor Loss(Parameter[] parameters, int step)
    {
        Tensor loss = zeros([], parameters[0].dtype);
        foreach (Parameter parameter in parameters)
            loss += (parameter * parameter * (1 + 0.1 * step) + (parameter * 3).cos()).sum();
        return loss;
    }

    private static void AssertClose(Parameter[] expected, Parameter[] actual, double tolerance)
    {
        foreach ((Parameter one, Parameter other) in expected.Zip(actual))
            Assert.InRange((one - other).abs().max().to(ScalarType.Float64).item<double>(), 0, tolerance);
    }
}
