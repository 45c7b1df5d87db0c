using BayesNet.Kernels;
using BayesNet.Maps;
using BayesNet.Posteriors;
using BayesNet.Runtime;
using static TorchSharp.torch;

namespace BayesNet.Estimators.Local;

/// <summary>
/// Local reparameterization of a mean-field Gaussian layer as one function with a closed-form backward pass. With m = f(x, mu, b),
/// v = f(x^2, sigma^2, sigma_b^2), y = m + sqrt(v) zeta, the gradient g of y and h = g zeta / (2 sqrt(v)):
/// <code>
/// d mu  = dm/dmu' g          d b     = sum g
/// d rho = 2 sigma^2 dv/dsigma^2' h    d rho_b = 2 sigma_b^2 sum h        (rho = ln sigma)
/// d x   = dm/dx' g + 2 x dv/dx^2' h
/// </code>
/// </summary>
/// <remarks>
/// sigma^2 is the one tensor of the weight's size that it makes. It holds that and zeta / (2 sqrt(v)), of the output's size, from the forward
/// pass until the graph is freed; x^2 is computed again.
/// </remarks>
internal sealed class LocalNode : GraphNode
{
    private const int Input0 = 0, Mean = 1, LogScale = 2, BiasMean = 3, BiasLogScale = 4;

    private readonly ILocalProducts _products;
    private readonly VariancePrecision _precision;
    private readonly Tensor[] _parameters;
    private readonly bool[] _needed;
    private readonly bool _plain;
    private readonly TensorPool _pool;
    private readonly GradientBuffers.Pass? _pass = GradientBuffers.Current;
    private readonly Tensor _variance;
    private readonly Tensor? _biasVariance;
    private readonly Tensor _factor;

    private LocalNode(
        ILocalProducts products, VariancePrecision precision, Tensor[] inputs, bool plain, TensorPool pool, Tensor variance, Tensor? biasVariance, Tensor factor)
    {
        (_products, _precision, _parameters, _plain, _pool) = (products, precision, inputs[Mean..], plain, pool);
        (_variance, _biasVariance, _factor) = (variance, biasVariance, factor);
        _needed = [.. inputs.Select(input => input.requires_grad)];
    }

    /// <summary>Whether the layer is one that this function computes.</summary>
    internal static bool Fits(AffineMap map, Posterior weight, Posterior? bias)
        => map is ILocalProducts && IsLogScale(weight) && (bias is null || IsLogScale(bias));

    /// <summary>y, as <see cref="Compose"/> computes it.</summary>
    /// <param name="map">f; it and the posteriors <see cref="Fits"/>.</param>
    /// <param name="weight">The posterior of the weight.</param>
    /// <param name="bias">The posterior of the bias, or null.</param>
    /// <param name="input">(batch, ...) as the map takes it.</param>
    /// <param name="noise">Where zeta comes from.</param>
    /// <param name="precision">Of the variance's products.</param>
    internal static Tensor Forward(
        AffineMap map, MeanFieldGaussian weight, MeanFieldGaussian? bias, Tensor input, NoiseSource noise, VariancePrecision precision)
    {
        VarianceProduct.EnsureSupported(precision, input.device_type);
        using var scope = NewDisposeScope();
        var products = (ILocalProducts)map;
        Tensor x = products.Prepare(input);
        Tensor[] inputs = bias is null
            ? [x, weight.Mean, weight.ScaleParameter]
            : [x, weight.Mean, weight.ScaleParameter, bias.Mean, bias.ScaleParameter];
        if (!GraphNode.IsAvailable || !products.HasGradients)
        {
            Tensor composed = Compose(products, inputs, stdDev => noise.Normal(stdDev.shape, stdDev.dtype, stdDev.device), precision);
            return products.Finish(composed, input).MoveToOuterDisposeScope();
        }

        bool recorded = is_grad_enabled() && inputs.Any(tensor => tensor.requires_grad);
        if (precision == VariancePrecision.Full && map is LinearMap && LinearLocalNode.Fits(inputs, recorded))
            return products.Finish(LinearLocalNode.Forward(products, inputs, noise, recorded), input).MoveToOuterDisposeScope();
        Tensor output;
        LocalNode? node;
        using (no_grad())
            output = Compute(products, inputs, weight.Workspaces, noise, precision, recorded, out node);
        if (node is not null)
            output = node.Attach(output, inputs);
        return products.Finish(output, input).MoveToOuterDisposeScope();
    }

    /// <summary>The same of plain operations, differentiable as often as one likes: the readable twin.</summary>
    /// <param name="products">f.</param>
    /// <param name="inputs">x as the products read it, mu, rho, and b and rho_b where there is a bias.</param>
    /// <param name="noise">zeta, or a function of sqrt(v) that returns it.</param>
    /// <param name="precision">Of the variance's products.</param>
    internal static Tensor Compose(ILocalProducts products, ReadOnlySpan<Tensor> inputs, Func<Tensor, Tensor> noise, VariancePrecision precision)
    {
        Tensor? biasMean = null, biasVariance = null;
        if (inputs.Length > BiasMean)
            (biasMean, biasVariance) = (inputs[BiasMean], inputs[BiasLogScale].exp().Squared());
        Tensor mean = products.Product(inputs[Input0], inputs[Mean], biasMean);
        Tensor variance = VarianceProduct.Of(products, inputs[Input0].Squared(), inputs[LogScale].exp().Squared(), biasVariance, precision);
        Tensor stdDev = ILocallyReparameterizable.Root(variance);
        return addcmul(mean, stdDev, noise(stdDev), Scalars.One);
    }

    private static bool IsLogScale(Posterior posterior)
        => posterior is MeanFieldGaussian { Mask: null } gaussian && ReferenceEquals(gaussian.ScaleParameterization, ScaleParameterization.Log);

    private static Tensor Compute(
        ILocalProducts products, Tensor[] inputs, TensorPool pool, NoiseSource noise, VariancePrecision precision, bool recorded, out LocalNode? node)
    {
        Tensor x = inputs[Input0];
        bool plain = LocalArithmetic.IsPlain(inputs);
        Tensor variance = Exponentiate(inputs[LogScale], pool, plain);
        Tensor? biasVariance = inputs.Length > BiasMean ? Exponentiate(inputs[BiasLogScale], pool, plain) : null;
        Tensor mean = products.Product(x, inputs[Mean], biasVariance is null ? null : inputs[BiasMean]);
        Tensor square = pool.Rent(x.shape, x.dtype, x.device);
        LocalArithmetic.Multiply(x, x, square, plain);
        Tensor outputVariance = VarianceProduct.Of(products, square, variance, biasVariance, precision);
        pool.Return(square);
        plain = plain && LocalArithmetic.IsPlain(mean, outputVariance);
        Sample(mean, outputVariance, pool, noise, plain);
        node = null;
        if (recorded)
        {
            node = new LocalNode(products, precision, inputs, plain, pool, variance, biasVariance, factor: outputVariance.DetachFromDisposeScope());
            return mean;
        }

        pool.Return(variance);
        if (biasVariance is not null)
            pool.Return(biasVariance);
        return mean;
    }

    /// <summary>mean becomes the output, variance the factor.</summary>
    private static void Sample(Tensor mean, Tensor variance, TensorPool pool, NoiseSource noise, bool plain)
    {
        if (!plain)
        {
            LocalArithmetic.Sample(mean, variance, noise.Normal(mean.shape, mean.dtype, mean.device), plain);
            return;
        }

        Tensor zeta = pool.Rent(mean.shape, mean.dtype, mean.device);
        if (zeta.dtype == ScalarType.Float32)
            noise.FillNormal(TensorMemory.Span<float>(zeta));
        else
            noise.FillNormal(TensorMemory.Span<double>(zeta));
        LocalArithmetic.Sample(mean, variance, zeta, plain);
        pool.Return(zeta);
    }

    private static Tensor Exponentiate(Tensor logScale, TensorPool pool, bool plain)
    {
        Tensor variance = pool.Rent(logScale.shape, logScale.dtype, logScale.device);
        LocalArithmetic.Variance(logScale, variance, plain);
        return variance;
    }

    /// <inheritdoc/>
    protected override void Backward(Tensor gradient, Span<Tensor?> gradients)
    {
        if (is_grad_enabled())
        {
            Differentiate(_products, Inputs(), gradient, _factor, _precision, gradients);
            return;
        }

        Tensor g = gradient.contiguous(), x = Input(Input0);
        Tensor h = _pool.Rent(_factor.shape, g.dtype, g.device);
        LocalArithmetic.Multiply(g, _factor, h, _plain);
        if (_needed[Mean])
            gradients[Mean] = Write(Mean, (target, add) => _products.WeightGradient(g, x, target, add));
        if (_needed[LogScale])
            gradients[LogScale] = Write(LogScale, (target, add) => LogScaleGradient(h, x, target, add));
        if (_biasVariance is not null && _needed[BiasMean])
            gradients[BiasMean] = Write(BiasMean, (target, add) => BiasGradient(g, null, target, add));
        if (_biasVariance is not null && _needed[BiasLogScale])
            gradients[BiasLogScale] = Write(BiasLogScale, (target, add) => BiasGradient(h, _biasVariance, target, add));
        if (_needed[Input0])
        {
            Tensor own = _products.InputGradient(g, x, Input(Mean));
            Tensor ofVariance = VarianceProduct.InputGradient(_products, h, x, _variance, _precision);
            LocalArithmetic.AddTwiceProduct(own, x, ofVariance, _plain && LocalArithmetic.IsPlain(own, ofVariance));
            gradients[Input0] = own;
        }

        _pool.Return(h);
    }

    /// <inheritdoc/>
    protected override void Released()
    {
        _pool.Return(_variance);
        if (_biasVariance is not null)
            _pool.Return(_biasVariance);
        _factor.Dispose();
    }

    private void LogScaleGradient(Tensor h, Tensor x, Tensor target, bool add)
    {
        Tensor square = _pool.Rent(x.shape, x.dtype, x.device);
        LocalArithmetic.Multiply(x, x, square, _plain);
        Tensor product = add ? _pool.Rent(target.shape, target.dtype, target.device) : target;
        VarianceProduct.WeightGradient(_products, h, square, product, _precision);
        if (add)
        {
            LocalArithmetic.AddTwiceProduct(target, product, _variance, _plain);
            _pool.Return(product);
        }
        else
        {
            target.mul_(_variance).mul_(Scalars.Two);
        }

        _pool.Return(square);
    }

    /// <summary>Gives a gradient to the pass that is open, or, where none is, to autograd.</summary>
    private Tensor? Write(int index, Action<Tensor, bool> write)
    {
        Tensor parameter = _parameters[index - Mean];
        if (_pass is not null && _pass.TryWrite(parameter, out Tensor memory, out bool add))
        {
            write(memory, add);
            return null;
        }

        Tensor own = empty(parameter.shape, dtype: parameter.dtype, device: parameter.device);
        write(own, false);
        return own;
    }

    private void BiasGradient(Tensor ofOutputs, Tensor? variance, Tensor target, bool add)
    {
        Tensor sum = _products.BiasGradient(ofOutputs);
        if (variance is not null)
            sum.mul_(variance).mul_(Scalars.Two);
        if (add)
            target.add_(sum, Scalars.One);
        else
            target.copy_(sum);
    }

    /// <summary>The gradients as functions with gradients of their own: those of the twin, with the noise that was drawn.</summary>
    /// <param name="products">f.</param>
    /// <param name="inputs">As <see cref="Compose"/> takes them.</param>
    /// <param name="gradient">The gradient of the output.</param>
    /// <param name="factor">zeta / (2 sqrt(v)).</param>
    /// <param name="precision">Of the variance's products.</param>
    /// <param name="gradients">Receives those of the inputs that require one.</param>
    internal static void Differentiate(
        ILocalProducts products, Tensor[] inputs, Tensor gradient, Tensor factor, VariancePrecision precision, Span<Tensor?> gradients)
    {
        Tensor output = Compose(products, inputs, stdDev => stdDev.detach().mul(factor).mul(Scalars.Two), precision);
        Tensor[] needed = [.. inputs.Where(input => input.requires_grad)];
        IList<Tensor> found = autograd.grad([output], needed, [gradient], retain_graph: true, create_graph: true);
        int next = 0;
        for (int i = 0; i < inputs.Length; i++)
        {
            if (inputs[i].requires_grad)
                gradients[i] = found[next++];
        }
    }
}
