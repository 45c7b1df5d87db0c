using BayesNet.Kernels;
using BayesNet.Runtime;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace BayesNet.Training;

/// <summary>
/// Adam (Kingma and Ba 2015, algorithm 1) with one pass over memory for each parameter on the CPU; the trainer's default optimizer.
/// </summary>
/// <remarks>
/// It is TorchSharp's <see cref="Adam"/> with another <see cref="step"/>: the same options, state and numbers to rounding, so
/// parameter groups, learning-rate schedulers and <c>state_dict()</c> serve both (a saved file names the class that wrote it). Float32 and
/// float64 parameters that are contiguous on the CPU take the fused pass; all others, and AMSGrad, plain tensor operations. Unlike the base
/// class, it may run beside garbage collections: no native object that it uses can be finalised under it.
/// </remarks>
public sealed class FusedAdam : Adam, IFusedAdam
{
    // Initialised before the base constructor, which adds the groups, runs.
    private readonly AdamParameters _fused = new();

    /// <summary>Creates an optimizer with one group of parameters.</summary>
    /// <param name="parameters">What to optimise.</param>
    /// <param name="learningRate">The learning rate.</param>
    /// <param name="beta1">The decay of the first moment.</param>
    /// <param name="beta2">The decay of the second moment.</param>
    /// <param name="epsilon">What is added to the root of the second moment.</param>
    /// <param name="weightDecay">The factor of the parameter that is added to the gradient (an L2 penalty, not AdamW's decay).</param>
    /// <param name="amsgrad">Whether to divide by the largest second moment so far (Reddi et al. 2018).</param>
    /// <param name="maximize">Whether to climb instead of descend.</param>
    /// <param name="maxGradientNorm">See <see cref="MaxGradientNorm"/>.</param>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="maxGradientNorm"/> is not a finite number above zero.</exception>
    public FusedAdam(
        IEnumerable<Parameter> parameters, double learningRate = 1e-3, double beta1 = 0.9, double beta2 = 0.999, double epsilon = 1e-8,
        double weightDecay = 0, bool amsgrad = false, bool maximize = false, double? maxGradientNorm = null)
        : this([new ParamGroup(parameters, null!)], learningRate, beta1, beta2, epsilon, weightDecay, amsgrad, maximize, maxGradientNorm)
    {
    }

    /// <summary>Creates an optimizer with groups of parameters; what a group's options leave null is taken from the arguments.</summary>
    /// <inheritdoc cref="FusedAdam(IEnumerable{Parameter}, double, double, double, double, double, bool, bool, double?)"/>
    public FusedAdam(
        IEnumerable<ParamGroup> parameters, double learningRate = 1e-3, double beta1 = 0.9, double beta2 = 0.999, double epsilon = 1e-8,
        double weightDecay = 0, bool amsgrad = false, bool maximize = false, double? maxGradientNorm = null)
        : base(parameters, learningRate, beta1, beta2, epsilon, weightDecay, amsgrad, maximize)
        => MaxGradientNorm = maxGradientNorm is { } norm ? Guard.Positive(norm, nameof(maxGradientNorm)) : null;

    /// <summary>
    /// The greatest norm of the gradients of all parameters together: longer ones are scaled down to it in the step, as if by
    /// <c>torch.nn.utils.clip_grad_norm_</c> before it, but for <c>.grad</c>, which stays (Pascanu, Mikolov and Bengio 2013). Null for no clipping.
    /// </summary>
    public double? MaxGradientNorm { get; }

    AdamParameters IFusedAdam.Fused => _fused;

    /// <summary>Updates every parameter that has a gradient.</summary>
    /// <param name="closure">Evaluates the model again and returns the loss; null, as a rule.</param>
    /// <returns>What the closure returned, or null without one.</returns>
    /// <exception cref="NonFiniteGradientException">Gradients are to be clipped, and their norm is NaN or infinite.</exception>
    public override Tensor step(Func<Tensor>? closure = null) => _fused.Step(MaxGradientNorm, closure)!;

    /// <summary>Sets the gradients to zero where there are any.</summary>
    public override void zero_grad() => _fused.ZeroGradients();

    /// <inheritdoc/>
    public override void add_param_group(TorchSharp.Modules.ParamGroup param_group)
    {
        ArgumentNullException.ThrowIfNull(param_group);
        param_group.Parameters = [.. param_group.Parameters];
        base.add_param_group(param_group);
        foreach (Parameter parameter in param_group.Parameters)
            _fused.Add(new WithState(parameter, param_group, (State)_state[parameter.Handle]));
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
            _fused.Dispose();
        base.Dispose(disposing);
    }

    private sealed class WithState(Parameter parameter, TorchSharp.Modules.ParamGroup group, State state) : AdamParameter(parameter)
    {
        internal override Tensor FirstMoment => state.exp_avg;

        internal override Tensor SecondMoment => state.exp_avg_sq;

        internal override Tensor? GreatestMoment => state.max_exp_avg_sq;

        internal override (double First, double Second)? Corrections
            => state.step == 0 ? null : (1 - Math.Pow(((Options)group.Options).beta1!.Value, state.step), 1 - Math.Pow(((Options)group.Options).beta2!.Value, state.step));

        internal override AdamKernel.Constants Advance()
        {
            var options = (Options)group.Options;
            state.step++;
            return new AdamKernel.Constants(
                options.beta1!.Value,
                options.beta2!.Value,
                options.LearningRate!.Value / (1 - Math.Pow(options.beta1.Value, state.step)),
                Math.Sqrt(1 - Math.Pow(options.beta2.Value, state.step)),
                options.eps!.Value,
                options.weight_decay!.Value,
                Shrinkage: 1,
                options.maximize!.Value ? -1 : 1);
        }
    }
}
