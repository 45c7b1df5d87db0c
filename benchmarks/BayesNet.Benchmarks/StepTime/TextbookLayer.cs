using TorchSharp.Modules;
using static TorchSharp.torch;

namespace BayesNet.Benchmarks.StepTime;

/// <summary>Layers as a tutorial on Bayesian networks writes them.</summary>
internal sealed class TextbookLayers(string estimator) : LayerFactory
{
    public override nn.Module<Tensor, Tensor> Linear(long inputs, long outputs)
        => new TextbookLayer([outputs, inputs], estimator, (x, weight, bias) => nn.functional.linear(x, weight, bias));

    public override nn.Module<Tensor, Tensor> Conv2d(long inputs, long outputs, long kernel, long padding)
        => new TextbookLayer([outputs, inputs, kernel, kernel], estimator, (x, weight, bias) => nn.functional.conv2d(x, weight, bias, padding: [padding, padding]));
}

/// <summary>
/// sigma = softplus(rho), a draw of the weights (Blundell et al. 2015), for the batch or for each example, or of the outputs (Kingma, Salimans and Welling 2015), the KL
/// divergence from N(0, 1) term by term with its logarithm: plain operations, everything by autograd.
/// </summary>
internal sealed class TextbookLayer : nn.Module<Tensor, Tensor>
{
    private readonly Parameter _weightMean, _weightRho, _biasMean, _biasRho;
    private readonly Func<Tensor, Tensor, Tensor, Tensor> _map;
    private readonly string _estimator;

    public TextbookLayer(long[] weightShape, string estimator, Func<Tensor, Tensor, Tensor, Tensor> map)
        : base(nameof(TextbookLayer))
    {
        (_estimator, _map) = (estimator, map);
        double bound = 1 / Math.Sqrt(weightShape[1..].Aggregate(1.0, (product, size) => product * size));
        _weightMean = new Parameter(rand(weightShape) * (2 * bound) - bound);
        _weightRho = new Parameter(full(weightShape, -4.6));
        _biasMean = new Parameter(rand(weightShape[0]) * (2 * bound) - bound);
        _biasRho = new Parameter(full(weightShape[0], -4.6));
        foreach (Parameter parameter in new[] { _weightMean, _weightRho, _biasMean, _biasRho })
            parameter.DetachFromDisposeScope();
        RegisterComponents();
    }

    public override Tensor forward(Tensor input)
    {
        using var scope = NewDisposeScope();
        Tensor weightSigma = nn.functional.softplus(_weightRho), biasSigma = nn.functional.softplus(_biasRho);
        if (_estimator == Names.TextbookPerExample)
            return OfEachExample(input, weightSigma, biasSigma).MoveToOuterDisposeScope();
        if (_estimator == Names.TextbookShared)
        {
            Tensor weight = _weightMean + weightSigma * randn_like(_weightMean), bias = _biasMean + biasSigma * randn_like(_biasMean);
            return _map(input, weight, bias).MoveToOuterDisposeScope();
        }

        Tensor mean = _map(input, _weightMean, _biasMean);
        Tensor variance = _map(input.pow(2), weightSigma.pow(2), biasSigma.pow(2));
        return (mean + (variance + 1e-8).sqrt() * randn_like(mean)).MoveToOuterDisposeScope();
    }

    // A weight matrix for every example, as the words say: (B, outputs, inputs) normals, and as many products of one row.
    private Tensor OfEachExample(Tensor input, Tensor weightSigma, Tensor biasSigma)
    {
        long batch = input.size(0);
        Tensor weight = _weightMean + weightSigma * randn([batch, .. _weightMean.shape], dtype: _weightMean.dtype, device: _weightMean.device);
        Tensor bias = _biasMean + biasSigma * randn([batch, .. _biasMean.shape], dtype: _biasMean.dtype, device: _biasMean.device);
        return weight.matmul(input.unsqueeze(-1)).squeeze(-1) + bias;
    }

    public Tensor KlDivergence()
    {
        using var scope = NewDisposeScope();
        return (Divergence(_weightMean, _weightRho) + Divergence(_biasMean, _biasRho)).MoveToOuterDisposeScope();

        static Tensor Divergence(Tensor mean, Tensor rho)
        {
            Tensor sigma = nn.functional.softplus(rho);
            return ((sigma.pow(2) + mean.pow(2)) / 2 - sigma.log() - 0.5).sum();
        }
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            foreach (Parameter parameter in parameters(recurse: false).ToList())
                parameter.Dispose();
        }

        base.Dispose(disposing);
    }
}
