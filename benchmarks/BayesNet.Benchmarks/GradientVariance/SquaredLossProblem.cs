using BayesNet.Estimators;
using BayesNet.Maps;
using BayesNet.Posteriors;
using BayesNet.Runtime;
using static TorchSharp.torch;

namespace BayesNet.Benchmarks.GradientVariance;

/// <summary>
/// A Bayesian layer under squared loss, L = (1/M) sum_m sum_p 1/2 (y_mp - t_mp)^2 over M examples and their positions p, for one output channel
/// w = mu + sigma * eps with y_m = J_m w: the mean and the variance of its gradients, measured and in closed form.
/// </summary>
/// <remarks>
/// The layer that is measured has several output channels with the same mu, sigma and t, each of which is a repetition: under flipout they
/// share the inputs' signs, so the draws of one pass are taken as one cluster wherever a standard error is asked for.
/// </remarks>
internal sealed class SquaredLossProblem
{
    private readonly AffineMap _map;
    private readonly Tensor _input, _target, _mu, _sigma, _jacobian;

    /// <param name="map">The layer, with as many output channels as repetitions in a pass.</param>
    /// <param name="input">(M, ...), float64.</param>
    /// <param name="target">(M, positions).</param>
    /// <param name="mu">(D), the weight of one output channel, flat.</param>
    /// <param name="sigma">(D).</param>
    /// <param name="jacobian">J, (M, positions, D).</param>
    private SquaredLossProblem(AffineMap map, Tensor input, Tensor target, Tensor mu, Tensor sigma, Tensor jacobian)
        => (_map, _input, _target, _mu, _sigma, _jacobian) = (map, input, target, mu, sigma, jacobian);

    /// <summary>A linear layer.</summary>
    public static SquaredLossProblem Linear(Tensor input, Tensor target, Tensor mu, Tensor sigma, int repetitions)
        => new(new LinearMap(input.size(1), repetitions), input, target.reshape(-1, 1), mu, sigma, input.unsqueeze(1));

    /// <summary>A convolution over one dimension.</summary>
    /// <param name="input">(M, channels, L).</param>
    /// <param name="target">(M, L - kernel + 1).</param>
    /// <param name="mu">(channels * kernel).</param>
    /// <param name="sigma">(channels * kernel).</param>
    /// <param name="kernel">The kernel's extent.</param>
    /// <param name="repetitions">Output channels.</param>
    public static SquaredLossProblem Convolution(Tensor input, Tensor target, Tensor mu, Tensor sigma, long kernel, int repetitions)
    {
        // (M, channels, positions, kernel) -> (M, positions, channels * kernel)
        Tensor jacobian = input.unfold(2, kernel, 1).permute(0, 2, 1, 3).flatten(2);
        return new(new ConvolutionMap(input.size(1), repetitions, [kernel]), input, target, mu, sigma, jacobian);
    }

    /// <summary>The exact means of the gradients: sum_m J_m' r_m / M and A_ii sigma_i.</summary>
    public (Tensor Mu, Tensor Sigma) Means()
    {
        Tensor a = Products().mean([0]);
        return (Residuals().mean([0]), a.diag().mul(_sigma));
    }

    /// <summary>The exact variances of the gradients in mu and sigma (oracles of a squared loss), for every estimator and its antithetic pairs.</summary>
    /// <remarks>
    /// With H_m = J_m' J_m, c_m = J_m' r_m and s = sigma. A gradient's parts that are odd in the noise leave an antithetic pair: all of mu's, and
    /// the residuals' part of sigma's.
    /// </remarks>
    public (Tensor Mu, Tensor Sigma) Variances(Contender contender)
    {
        double m = _input.size(0);
        Tensor h = Products(), c = Residuals(), s2 = _sigma.Squared();
        Tensor mu, odd, even;
        if (contender == Contender.MeanOnly)
        {
            mu = odd = even = zeros_like(_mu);
        }
        else if (contender.Estimator == Estimator.SharedWeights)
        {
            Tensor a = h.mean([0]);
            mu = a.Squared().mv(s2);
            odd = c.mean([0]).Squared();
            even = a.diag().Squared().mul(s2).Plus(mu);
        }
        else if (contender.Estimator == Estimator.LocalReparameterization)
        {
            // Rows are independent: every position of every example is one.
            Tensor x2 = _jacobian.reshape(-1, _mu.numel()).Squared(), v = x2.mv(s2).unsqueeze(1);
            Tensor r2 = Residual().reshape(-1, 1).Squared();
            mu = Sum(x2.mul(v));
            odd = Sum(x2.Squared().mul(s2).mul(r2).div(v));
            even = Sum(x2.Squared().mul(s2)).Times(2);
        }
        else
        {
            Tensor diagonal = h.diagonal(0, 1, 2);
            Tensor own = h.Squared().matmul(s2);
            mu = Sum(own);
            odd = Sum(c.Squared());
            even = Sum(diagonal.Squared().mul(s2).Plus(own));
            if (contender.Estimator == Estimator.Flipout)
                even = even.Plus(SharedDeviation(h, diagonal, s2));
        }

        return contender.Antithetic ? (zeros_like(mu), even) : (mu, odd.Plus(even));

        Tensor Sum(Tensor perRow) => perRow.sum(dim: 0).Times(1 / (m * m));
    }

    /// <summary>Draws gradients.</summary>
    /// <param name="contender">The estimator.</param>
    /// <param name="passes">Passes of the layer.</param>
    /// <param name="noise">Where its noise comes from; seeded.</param>
    /// <returns>
    /// For mu and for sigma, the mean over a pass's channels of the gradient, and of its squared distance from its exact mean: (passes, D) each.
    /// </returns>
    public ((Tensor Mean, Tensor Square) Mu, (Tensor Mean, Tensor Square) Sigma) Draw(Contender contender, int passes, NoiseSource noise)
    {
        using var scope = NewDisposeScope();
        long channels = _map.OutputChannels, entries = _mu.numel();
        long[] shape = _map.WeightShape.ToArray();
        using var posterior = new MeanFieldGaussian(_mu.unsqueeze(0).expand(channels, entries).reshape(shape), 1);
        using (no_grad())
            posterior.ScaleParameter.copy_(_sigma.log().unsqueeze(0).expand(channels, entries).reshape(shape));
        Tensor target = shape.Length == 2 ? _target : _target.unsqueeze(1);
        (Tensor meanOfMu, Tensor meanOfSigma) = Means();
        if (contender == Contender.MeanOnly)
            meanOfSigma = zeros_like(meanOfSigma);
        var results = new List<Tensor>[] { [], [], [], [] };
        for (int pass = 0; pass < passes; pass++)
        {
            using var inner = NewDisposeScope();
            posterior.zero_grad();
            (ulong, ulong)? state = noise.State;
            Backward(contender.Estimator);
            if (contender.Antithetic)
            {
                noise.State = state;
                Backward(new ReflectedNoise(contender.Estimator));
            }

            double share = contender.Antithetic ? 0.5 : 1;
            Tensor mu = posterior.Mean.grad!.reshape(channels, entries).Times(share);
            Tensor sigma = posterior.ScaleParameter.grad is { } rho ? rho.reshape(channels, entries).Times(share).div(_sigma) : zeros_like(mu);
            Tensor[] found = [mu.mean([0]), mu.sub(meanOfMu).Squared().mean([0]), sigma.mean([0]), sigma.sub(meanOfSigma).Squared().mean([0])];
            for (int i = 0; i < found.Length; i++)
                results[i].Add(found[i].MoveToOuterDisposeScope());
        }

        Tensor[] all = [.. results.Select(result => stack(result).MoveToOuterDisposeScope())];
        return ((all[0], all[1]), (all[2], all[3]));

        void Backward(Estimator estimator)
        {
            double examples = _input.size(0);
            Tensor error = estimator.Forward(_map, posterior, null, _input, noise).sub(target);
            error.Squared().sum().Times(0.5 / examples).backward();
        }
    }

    private Tensor Products() => _jacobian.transpose(1, 2).bmm(_jacobian);

    // r, (M, positions).
    private Tensor Residual() => _jacobian.matmul(_mu).sub(_target);

    private Tensor Residuals() => _jacobian.transpose(1, 2).bmm(Residual().unsqueeze(2)).squeeze(2);

    /// <summary>
    /// What flipout's shared deviation adds between examples m and n: 2 s_i^2 H_m,ii H_n,ii, and H_m,ik H_n,ik s_k^2 over the other entries k of the
    /// same input channel, whose signs agree.
    /// </summary>
    private Tensor SharedDeviation(Tensor h, Tensor diagonal, Tensor s2)
    {
        double m = _input.size(0);
        long entries = _mu.numel(), kernel = entries / _map.InputChannels;
        Tensor channel = arange(entries, dtype: ScalarType.Int64).div(tensor(kernel), RoundingMode.floor);
        Tensor others = channel.unsqueeze(0).eq(channel.unsqueeze(1)).to(ScalarType.Float64).sub(eye(entries, dtype: ScalarType.Float64));
        Tensor same = Between(diagonal).mul(s2).Times(2);
        return same.Plus(Between(h).mul(others).mv(s2)).Times(1 / (m * m));

        static Tensor Between(Tensor perExample) => perExample.sum(dim: 0).Squared().sub(perExample.Squared().sum(dim: 0));
    }
}
