using BayesNet.Kernels;
using BayesNet.Posteriors;
using BayesNet.Priors;
using BayesNet.Runtime;
using static TorchSharp.torch;

namespace BayesNet.Divergences;

/// <summary>
/// The divergences of <see cref="DirectGaussianDivergence"/>, summed, as one function of autograd: a pass over the parameters forward for the value, and
/// one back for the gradient, nothing kept between them. With the gradient g of the sum,
/// <code>
/// d mu = g (mu - m) / s^2        d ln sigma = g (sigma^2 / s^2 - 1)
/// </code>
/// </summary>
/// <remarks>Under <c>create_graph</c> the same gradient comes from operations that have gradients of their own.</remarks>
internal sealed class GaussianDivergenceNode : GraphNode
{
    private readonly Term[] _terms;

    private GaussianDivergenceNode(Term[] terms) => _terms = terms;

    /// <summary>The sum of KL(q || p) in nats over pairs that this function is for; null where one of them is not.</summary>
    /// <returns>A scalar tensor of the parameters' type.</returns>
    internal static Tensor? Sum(params ReadOnlySpan<(Posterior Posterior, Prior Prior)> pairs)
    {
        if (!IsAvailable || !Fit(pairs))
            return null;
        using var scope = NewDisposeScope();
        var terms = new Term[pairs.Length];
        var inputs = new List<Tensor>(MostInputs);
        double value = 0;
        bool recorded = false;
        for (int i = 0; i < terms.Length; i++)
        {
            var q = (MeanFieldGaussian)pairs[i].Posterior;
            terms[i] = new Term(
                q.ScaleParameterization, (GaussianPrior)pairs[i].Prior, inputs.Count, q.MeanParameter.requires_grad, q.ScaleParameter.requires_grad, q.Mask is not null);
            inputs.Add(q.MeanParameter);
            inputs.Add(q.ScaleParameter);
            if (q.Mask is { } mask)
                inputs.Add(mask);
            value += terms[i].Pass(inputs, null, null, 0);
            recorded |= terms[i].MeanNeeded || terms[i].ScaleNeeded;
        }

        Tensor output = tensor(value, dtype: inputs[0].dtype);
        return (recorded && is_grad_enabled() ? new GaussianDivergenceNode(terms).Attach(output, [.. inputs]) : output).MoveToOuterDisposeScope();
    }

    private static bool Fit(ReadOnlySpan<(Posterior Posterior, Prior Prior)> pairs)
    {
        int inputs = 0;
        foreach ((Posterior posterior, Prior prior) in pairs)
        {
            if (!DirectGaussianDivergence.Fits(posterior, prior))
                return false;
            var q = (MeanFieldGaussian)posterior;
            inputs += q.Mask is null ? 2 : 3;
            if (q.MeanParameter.dtype != ((MeanFieldGaussian)pairs[0].Posterior).MeanParameter.dtype || !DirectGaussianDivergence.HasPlainParameters(q))
                return false;
        }

        return inputs is > 0 and <= MostInputs;
    }

    /// <inheritdoc/>
    protected override void Backward(Tensor gradient, Span<Tensor?> gradients)
    {
        Tensor[] inputs = Inputs();
        if (is_grad_enabled())
        {
            foreach (Term term in _terms)
                term.WithGraph(inputs, gradient, gradients);
            return;
        }

        double weight = gradient.dtype == ScalarType.Float32 ? TensorMemory.Span<float>(gradient)[0] : TensorMemory.Span<double>(gradient)[0];
        foreach (Term term in _terms)
        {
            Tensor? ofMean = null, ofScale = null;
            if (term.MeanNeeded)
                ofMean = gradients[term.First] = term.Buffer(inputs[term.First]);
            if (term.ScaleNeeded)
                ofScale = gradients[term.First + 1] = term.Buffer(inputs[term.First + 1]);
            term.Pass(inputs, ofMean, ofScale, weight);
        }
    }

    /// <inheritdoc/>
    protected override void Released()
    {
    }

    /// <summary>One pair, whose mean, scale's parameter and mask, where it has one, are among the inputs from <paramref name="First"/> on.</summary>
    private sealed record Term(ScaleParameterization Form, GaussianPrior Prior, int First, bool MeanNeeded, bool ScaleNeeded, bool IsMasked)
    {
        internal double Pass(IReadOnlyList<Tensor> inputs, Tensor? ofMean, Tensor? ofScale, double weight)
            => DirectGaussianDivergence.Accumulate(
                Form, inputs[First], inputs[First + 1], IsMasked ? inputs[First + 2] : null, ofMean, ofScale, add: false, Prior, weight);

        /// <summary>Memory for a gradient, zero where a mask leaves entries out.</summary>
        internal Tensor Buffer(Tensor parameter) => IsMasked ? zeros_like(parameter) : empty_like(parameter);

        internal void WithGraph(Tensor[] inputs, Tensor gradient, Span<Tensor?> gradients)
        {
            double precision = 1 / (Prior.ScalarStdDev * Prior.ScalarStdDev);
            (Tensor mean, Tensor rho) = (inputs[First], inputs[First + 1]);
            if (MeanNeeded)
                gradients[First] = Kept(mean.Plus(-Prior.ScalarMean).Times(precision).mul(gradient));
            if (!ScaleNeeded)
                return;
            Tensor logScale = Form.LogScaleOf(rho);
            Tensor inLogScale = logScale.mul(Scalars.Two).exp().Times(precision).Plus(-1).mul(gradient);

            // d sigma / d rho is sigma, or the logistic function of rho.
            gradients[First + 1] = Kept(
                ReferenceEquals(Form, ScaleParameterization.Log) ? inLogScale : inLogScale.mul(nn.functional.logsigmoid(rho).sub(logScale).exp()));

            Tensor Kept(Tensor value) => IsMasked ? value.masked_fill(inputs[First + 2].eq(Scalars.Zero), Scalars.Zero) : value;
        }
    }
}
