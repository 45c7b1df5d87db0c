using BayesNet.Runtime;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace BayesNet.Training;

/// <summary>The options of a group of parameters under <see cref="Ivon"/>; what is null is taken from the optimizer's arguments.</summary>
public sealed class IvonOptions : OptimizerOptions
{
    /// <summary>The decay of the momentum.</summary>
    public double? Beta1 { get; set; }

    /// <summary>The decay of the Hessian's estimate.</summary>
    public double? Beta2 { get; set; }

    /// <summary>delta: the prior is N(0, 1 / (lambda delta)), lambda the effective sample size.</summary>
    public double? WeightDecay { get; set; }

    /// <summary>h0, what the Hessian's estimate starts at.</summary>
    public double? InitialHessian { get; set; }

    /// <summary>The greatest change of an entry in a step, before the learning rate.</summary>
    public double? ClipRadius { get; set; }

    /// <inheritdoc/>
    public override void SaveStateDict(BinaryWriter writer)
    {
        ArgumentNullException.ThrowIfNull(writer);
        base.SaveStateDict(writer);
        foreach (double value in new[] { Beta1!.Value, Beta2!.Value, WeightDecay!.Value, InitialHessian!.Value, ClipRadius!.Value })
            writer.Write(value);
    }

    /// <inheritdoc/>
    public override void LoadStateDict(BinaryReader reader)
    {
        ArgumentNullException.ThrowIfNull(reader);
        base.LoadStateDict(reader);
        (Beta1, Beta2, WeightDecay) = (reader.ReadDouble(), reader.ReadDouble(), reader.ReadDouble());
        (InitialHessian, ClipRadius) = (reader.ReadDouble(), reader.ReadDouble());
    }

    /// <inheritdoc/>
    public override void LoadStateDict(OptimizerOptions source)
    {
        base.LoadStateDict(source);
        var other = (IvonOptions)source;
        (Beta1, Beta2, WeightDecay, InitialHessian, ClipRadius) = (other.Beta1, other.Beta2, other.WeightDecay, other.InitialHessian, other.ClipRadius);
    }

    internal void Complete(IvonOptions defaults)
    {
        LearningRate = Guard.Positive(LearningRate ?? defaults.LearningRate!.Value, nameof(LearningRate));
        InitialLearningRate = LearningRate.Value;
        Beta1 = Decay(Beta1 ?? defaults.Beta1!.Value, nameof(Beta1));
        Beta2 = Decay(Beta2 ?? defaults.Beta2!.Value, nameof(Beta2));
        WeightDecay = Guard.Positive(WeightDecay ?? defaults.WeightDecay!.Value, nameof(WeightDecay));
        InitialHessian = Guard.Positive(InitialHessian ?? defaults.InitialHessian!.Value, nameof(InitialHessian));
        ClipRadius = Radius(ClipRadius ?? defaults.ClipRadius!.Value, nameof(ClipRadius));
    }

    private static double Radius(double value, string name)
        => value > 0 ? value : throw new ArgumentOutOfRangeException(name, value, $"{name} must be above zero; infinity clips nothing.");

    private static double Decay(double value, string name)
        => value is >= 0 and < 1 ? value : throw new ArgumentOutOfRangeException(name, value, $"{name} must be at least 0 and below 1.");
}

/// <summary>A group of parameters under <see cref="Ivon"/> with options of its own.</summary>
public sealed class IvonParamGroup : ParamGroup<IvonOptions>, optim.IBetas
{
    /// <summary>Creates a group.</summary>
    /// <param name="parameters">What to optimise.</param>
    /// <param name="options">The group's options; null, or null in it, for the optimizer's.</param>
    public IvonParamGroup(IEnumerable<Parameter> parameters, IvonOptions? options = null)
        : base(parameters, options ?? new IvonOptions())
    {
    }

    /// <summary>The decays of momentum and Hessian, for schedulers that cycle the momentum.</summary>
    public (double, double) Betas
    {
        get => (Options.Beta1!.Value, Options.Beta2!.Value);
        set => (Options.Beta1, Options.Beta2) = value;
    }
}
