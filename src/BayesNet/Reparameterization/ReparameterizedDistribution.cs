using System.Runtime.CompilerServices;
using BayesNet.Estimators;
using BayesNet.Runtime;
using static TorchSharp.torch;

namespace BayesNet.Reparameterization;

/// <summary>
/// A distribution whose draws are z = T(theta, eps): the parameters theta apart from the noise eps, whose law does not depend on them, so
/// that dz/dtheta exists draw by draw (Kingma and Welling 2014, section 2.4). Noise can be kept and transformed again: with other
/// parameters (common random numbers), with its sign changed (antithetic pairs), or to repeat a draw.
/// </summary>
/// <remarks>
/// Shapes are written with L for leading dimensions (samples), B for the batch shape, to which the parameters broadcast, and E for the
/// shape of one event. A distribution owns no memory: its parameters are the caller's tensors and must outlive it.
/// </remarks>
public abstract class ReparameterizedDistribution
{
    private readonly DistributionParameter[] _parameters;
    private readonly long[] _batchShape;
    private readonly long[] _eventShape;
    private readonly long[] _noiseShape;

    /// <summary>Creates a distribution.</summary>
    /// <param name="noise">The law of the noise's entries.</param>
    /// <param name="eventShape">E.</param>
    /// <param name="noiseShape">The shape of the noise of one event.</param>
    /// <param name="parameters">The parameters, in the order that <see cref="WithParameters"/> takes them.</param>
    /// <exception cref="ArgumentException">The parameters differ in type or device, or do not broadcast.</exception>
    protected ReparameterizedDistribution(
        BaseNoise noise, ReadOnlySpan<long> eventShape, ReadOnlySpan<long> noiseShape, params ReadOnlySpan<DistributionParameter> parameters)
    {
        ArgumentNullException.ThrowIfNull(noise);
        BaseNoise = noise;
        _eventShape = eventShape.ToArray();
        _noiseShape = noiseShape.ToArray();
        _parameters = parameters.ToArray();
        Dtype = _parameters[0].Value.dtype;
        Device = _parameters[0].Value.device;
        _batchShape = [];
        foreach (DistributionParameter parameter in _parameters)
        {
            // The CPU is one device, whether a tensor says cpu or cpu:0.
            Tensor first = _parameters[0].Value, other = parameter.Value;
            bool elsewhere = other.device_type != first.device_type
                || (other.device_type != TorchSharp.DeviceType.CPU && other.device_index != first.device_index);
            if (other.dtype != Dtype || elsewhere)
            {
                throw new ArgumentException(
                    $"{parameter.Name} is {other.dtype} on {other.device} and {_parameters[0].Name} {Dtype} on {Device}; "
                    + "convert one with .to(...).", parameter.Name);
            }

            _batchShape = Broadcast(_batchShape, parameter);
        }
    }

    /// <summary>The parameters, in the order that <see cref="WithParameters"/> takes them.</summary>
    public IReadOnlyList<DistributionParameter> Parameters => _parameters;

    /// <summary>The law of the noise.</summary>
    public BaseNoise BaseNoise { get; }

    /// <summary>B: the shape to which the parameters broadcast, event dimensions left out.</summary>
    public ReadOnlySpan<long> BatchShape => _batchShape;

    /// <summary>E: the shape of one event; empty for a distribution on the line.</summary>
    public ReadOnlySpan<long> EventShape => _eventShape;

    /// <summary>The shape of one event's noise; E unless the family says otherwise.</summary>
    public ReadOnlySpan<long> NoiseShape => _noiseShape;

    /// <summary>float32 or float64.</summary>
    public ScalarType Dtype { get; }

    /// <summary>Where the parameters live.</summary>
    public Device Device { get; }

    /// <summary>alpha with P(|z| > t) ~ t^-alpha; infinite where every moment of z is finite.</summary>
    public virtual double TailIndex => BaseNoise.TailIndex;

    /// <summary>Whether the support moves with the parameters, so that the score function estimator would be biased.</summary>
    public virtual bool SupportDependsOnParameters => false;

    /// <summary>Whether <see cref="Entropy"/> has a closed form.</summary>
    public abstract bool HasClosedFormEntropy { get; }

    /// <summary>Draws noise eps.</summary>
    /// <param name="noise">Where it comes from.</param>
    /// <param name="leading">L: how many draws, in what shape; empty for one of each batch element.</param>
    /// <returns>Shape (L, B, noise shape); no gradient.</returns>
    public Tensor SampleNoise(NoiseSource noise, params ReadOnlySpan<long> leading)
        => BaseNoise.Draw(noise, [.. leading, .. _batchShape, .. _noiseShape], Dtype, Device);

    /// <summary>z = T(theta, eps), shape (L, B, E); differentiable in the parameters.</summary>
    /// <param name="eps">(L, B, noise shape), from <see cref="SampleNoise"/> or <see cref="Reflect"/>, of this distribution or one like it.</param>
    /// <exception cref="ArgumentException">The shape or type of <paramref name="eps"/> does not fit.</exception>
    public Tensor Transform(Tensor eps)
    {
        RequireNoise(eps);
        return Apply(eps);
    }

    /// <summary>The antithetic twin of a noise draw, -eps.</summary>
    /// <exception cref="NotSupportedException">The noise is not symmetric, so that -eps has another law.</exception>
    public Tensor Reflect(Tensor eps)
    {
        ArgumentNullException.ThrowIfNull(eps);
        return BaseNoise.IsSymmetric
            ? eps.neg()
            : throw new NotSupportedException(
                $"{GetType().Name} has {BaseNoise} noise, which is not symmetric: -eps has another law than eps, and antithetic pairs would be "
                + "biased. Use independent draws.");
    }

    /// <summary>Draws z, shape (L, B, E); differentiable in the parameters. The law and the gradient are those of Transform(SampleNoise).</summary>
    /// <param name="noise">Where the noise comes from.</param>
    /// <param name="leading">L.</param>
    public virtual Tensor Sample(NoiseSource noise, params ReadOnlySpan<long> leading)
    {
        using Tensor eps = SampleNoise(noise, leading);
        return Apply(eps);
    }

    /// <summary>ln q(z) in nats, summed over the event.</summary>
    /// <param name="z">(L, B, E).</param>
    /// <returns>Shape (L, B); minus infinity outside the support; differentiable in the parameters and in <paramref name="z"/>.</returns>
    /// <exception cref="ArgumentException">The last dimensions of <paramref name="z"/> are not those of an event.</exception>
    public Tensor LogDensity(Tensor z)
    {
        RequireEvent(z);
        return LogDensityOf(z);
    }

    /// <summary>-E[ln q(z)] in nats, shape B; differentiable in the parameters.</summary>
    /// <exception cref="NotSupportedException">There is no closed form; see <see cref="HasClosedFormEntropy"/>.</exception>
    public abstract Tensor Entropy();

    /// <summary>E[z], shape (B, E); NaN where the integral does not exist; differentiable in the parameters.</summary>
    /// <exception cref="NotSupportedException">There is no closed form.</exception>
    public abstract Tensor Mean();

    /// <summary>The marginal variance of each entry of z, shape (B, E); infinite where it diverges, NaN where the mean does not exist.</summary>
    /// <exception cref="NotSupportedException">There is no closed form.</exception>
    public abstract Tensor Variance();

    /// <summary>The same family with other parameters; whatever else defines it (degrees of freedom, a temperature) stays.</summary>
    /// <param name="parameters">In the order of <see cref="Parameters"/>.</param>
    public abstract ReparameterizedDistribution WithParameters(IReadOnlyList<Tensor> parameters);

    /// <summary>T(theta, eps) for noise whose shape and type have been checked.</summary>
    protected abstract Tensor Apply(Tensor eps);

    /// <summary>ln q(z) for a z whose event dimensions have been checked.</summary>
    protected abstract Tensor LogDensityOf(Tensor z);

    /// <summary>Expands a result that may lack batch dimensions to (B, event).</summary>
    protected Tensor ToBatch(Tensor value, params ReadOnlySpan<long> eventShape)
    {
        ArgumentNullException.ThrowIfNull(value);
        return value.expand([.. _batchShape, .. eventShape]);
    }

    /// <summary>Checks that noise is of shape (L, B, noise shape) and of the parameters' type.</summary>
    private protected void RequireNoise(Tensor eps)
    {
        ArgumentNullException.ThrowIfNull(eps);
        long[] last = [.. _batchShape, .. _noiseShape];
        long[] shape = eps.shape;
        if (shape.Length < last.Length || !shape.AsSpan(shape.Length - last.Length).SequenceEqual(last) || eps.dtype != Dtype)
        {
            throw new ArgumentException(
                $"eps has shape {Guard.Format(shape)} and type {eps.dtype}; {GetType().Name} takes noise of type {Dtype} whose last dimensions are "
                + $"{Guard.Format(last)}, as SampleNoise makes it.", nameof(eps));
        }
    }

    /// <summary>Checks that the last dimensions of a point are those of an event.</summary>
    private protected void RequireEvent(Tensor z, [CallerArgumentExpression(nameof(z))] string name = "")
    {
        ArgumentNullException.ThrowIfNull(z, name);
        long[] shape = z.shape;
        if (shape.Length < _eventShape.Length || !shape.AsSpan(shape.Length - _eventShape.Length).SequenceEqual(_eventShape))
        {
            throw new ArgumentException(
                $"{name} has shape {Guard.Format(shape)}; its last dimensions must be those of one event, {Guard.Format(_eventShape)}.", name);
        }
    }

    /// <summary>A log density where a point is in the support, minus infinity elsewhere.</summary>
    private protected static Tensor Inside(Tensor support, Tensor logDensity)
    {
        using Tensor outside = tensor(double.NegativeInfinity, dtype: logDensity.dtype, device: logDensity.device);
        return where(support, logDensity, outside);
    }

    private protected static NotSupportedException NoClosedForm(string what, string remedy)
        => new($"The {what} has no closed form; {remedy}.");

    private static long[] Broadcast(ReadOnlySpan<long> shape, DistributionParameter parameter)
    {
        ReadOnlySpan<long> other = parameter.Value.shape.AsSpan(..^parameter.EventDimensions);
        var result = new long[Math.Max(shape.Length, other.Length)];
        for (int i = 1; i <= result.Length; i++)
        {
            long left = i <= shape.Length ? shape[^i] : 1;
            long right = i <= other.Length ? other[^i] : 1;
            if (left != right && left != 1 && right != 1)
            {
                throw new ArgumentException(
                    $"{parameter.Name} has batch shape {Guard.Format(other)}, which does not broadcast with {Guard.Format(shape)} of the parameters "
                    + "before it.", parameter.Name);
            }

            result[^i] = left == 1 ? right : left;
        }

        return result;
    }
}
