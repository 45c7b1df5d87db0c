using BayesNet.Estimators;
using BayesNet.Estimators.Gradients;
using BayesNet.Plotting;
using BayesNet.Reparameterization;
using BayesNet.Reparameterization.Discrete;
using BayesNet.Samples.Gallery.Drawing;
using BayesNet.Samples.Shared;
using ScottPlot;
using static TorchSharp.torch;

namespace BayesNet.Samples.Gallery;

/// <summary>Where the reparameterization trick breaks: heavy tails, jumps in the loss, discrete variables, rounding; and what helps.</summary>
internal sealed class WhenItBreaks : Sample
{
    public override string Name => "when-it-breaks";

    public override string Description => "Where the reparameterization trick breaks, in four plots: heavy tails, jumps, discrete variables, rounding.";

    public override int? Threads => 1;

    public override IReadOnlyDictionary<string, double> Run(SampleRun run)
    {
        using var scope = NewDisposeScope();
        int draws = run.Short ? 2_000 : 200_000;
        (Plot tails, double settled, double unsettled) = HeavyTails(draws, run.Seed);
        (Plot jumps, double pathwiseBias, double scoreBias) = Jumps(draws, run.Seed);
        (Plot discrete, double straightThroughBias) = Discrete(draws, run.Seed);
        (Plot rounding, double lost) = Rounding(draws, run.Seed);
        Panels.Save(run.File("when-it-breaks.png"), 2, tails, jumps, discrete, rounding);

        run.Say($"heavy tails: the variance of a gradient doubles the draws it was estimated from and changes by {settled:P0} under Gaussian noise, by {unsettled:P0} under Student-t noise with 3 degrees of freedom, whose gradient has no variance");
        run.Say($"a jump: the pathwise gradient of P(z > 0) misses by {pathwiseBias:F3}, since the derivative of a step is 0 wherever there is one; the score function misses by {scoreBias:F3}");
        run.Say($"a discrete variable: straight-through misses by {straightThroughBias:F3}; a relaxation misses less the colder it is, and its variance grows; the score function is unbiased");
        run.Say($"rounding: of noise a hundred-millionth of the weight it is added to, float32 loses {lost:P0}");
        return new Dictionary<string, double>
        {
            ["settled"] = settled,
            ["unsettled"] = unsettled,
            ["pathwiseBias"] = pathwiseBias,
            ["scoreBias"] = scoreBias,
            ["straightThroughBias"] = straightThroughBias,
            ["lost"] = lost,
        };
    }

    /// <summary>The gradient of E[z^2] in the scale, 2 z eps: its variance needs four moments of the noise.</summary>
    private static (Plot Plot, double Settled, double Unsettled) HeavyTails(int draws, ulong seed)
    {
        Plot plot = BayesPlot.NewPlot("draws", "variance so far, relative", "Gradient of E[z²] in the scale");
        double Trace(Tensor eps, Color color, string name)
        {
            double[] gradients = [.. eps.pow(2).mul(2).data<double>()];
            double[] running = new double[draws];
            double mean = 0, squares = 0;
            for (int i = 0; i < draws; i++)
            {
                double difference = gradients[i] - mean;
                mean += difference / (i + 1);
                squares += difference * (gradients[i] - mean);
                running[i] = squares / (i + 1);
            }

            int[] shown = [.. Enumerable.Range(0, 200).Select(i => (int)(10 * Math.Pow(draws / 10.0, i / 199.0)) - 1).Distinct()];
            plot.Line(shown.Select(i => Math.Log10(i + 1)), shown.Select(i => running[i] / running[^1]), color, name);
            return Math.Abs(running[^1] / running[draws / 2 - 1] - 1);
        }

        using var noise = new NoiseSource(seed);
        Tensor zero = zeros(1, dtype: ScalarType.Float64), one = ones(1, dtype: ScalarType.Float64);
        double unsettled = Trace(new StudentTDistribution(zero, one, 3).SampleNoise(noise, draws).flatten(), BayesPlot.Reference, "Student-t, 3 degrees of freedom");
        double settled = Trace(new NormalDistribution(zero, one).SampleNoise(noise, draws).flatten(), BayesPlot.Model, "Gaussian");
        PowersOfTen.On(plot);
        plot.LegendAbove();
        return (plot, settled, unsettled);
    }

    /// <summary>d/dm P(z > 0) for z ~ N(m, 1): the density at m; the step that the pathwise gradient goes through has slope 0.</summary>
    private static (Plot Plot, double PathwiseBias, double ScoreBias) Jumps(int draws, ulong seed)
    {
        Plot plot = BayesPlot.NewPlot("mean m of z", "d/dm P(z > 0)", "A loss with a jump");
        double[] means = [.. Enumerable.Range(0, 25).Select(i => -3 + i / 4.0)];
        double[] exact = [.. means.Select(mean => Math.Exp(-mean * mean / 2) / Math.Sqrt(2 * Math.PI))];
        using var noise = new NoiseSource(seed);
        double[] Estimates(GradientEstimator estimator, Func<Tensor, Tensor> loss) =>
        [
            .. means.Select(mean =>
            {
                using var scope = NewDisposeScope();
                Tensor location = tensor(new[] { mean }).requires_grad_();
                estimator.Estimate(new NormalDistribution(location, ones(1, dtype: ScalarType.Float64)), loss, noise, draws / 20).mean().backward();
                return location.grad?.item<double>() ?? 0;
            }),
        ];

        // Multiplied by a zero that depends on z, so that autograd has a path to follow: its slope is what a step's is, zero.
        double[] pathwise = Estimates(new PathwiseEstimator(), z => z.gt(0).to(ScalarType.Float64).add(z.mul(0)).squeeze(-1));
        double[] score = Estimates(new ScoreFunctionEstimator(Baseline.LeaveOneOut), z => z.gt(0).to(ScalarType.Float64).squeeze(-1));
        plot.Line(means, exact, BayesPlot.Data, "exact", pattern: LinePattern.Dotted);
        plot.Line(means, pathwise, BayesPlot.Reference, "pathwise");
        plot.Line(means, score, BayesPlot.Model, "score function");
        plot.LegendAbove();
        return (plot, Furthest(pathwise), Furthest(score));

        double Furthest(double[] estimates) => estimates.Zip(exact, (estimate, truth) => Math.Abs(estimate - truth)).Max();
    }

    /// <summary>The gradient of E[(b - 0.45)^2] for b ~ Bernoulli in its logit, by relaxation and straight through: Tucker et al. 2017's toy problem.</summary>
    private static (Plot Plot, double StraightThroughBias) Discrete(int draws, ulong seed)
    {
        const double Target = 0.45, Logit = 0.5;
        double share = 1 / (1 + Math.Exp(-Logit)), exact = share * (1 - share) * (1 - 2 * Target);
        using var noise = new NoiseSource(seed);
        (double Mean, double StdDev) Moments(Func<Tensor, Tensor> sample)
        {
            using var scope = NewDisposeScope();
            Tensor logits = full([draws], Logit, dtype: ScalarType.Float64).requires_grad_();
            sample(logits).sub(Target).pow(2).sum().backward();
            Tensor gradients = logits.grad!;
            return (gradients.mean().item<double>(), gradients.std().item<double>());
        }

        double[] temperatures = [0.05, 0.1, 0.2, 0.5, 1, 2, 5];
        (double Mean, double StdDev)[] relaxed = [.. temperatures.Select(temperature => Moments(logits =>
        {
            var q = new RelaxedBernoulliDistribution(logits, temperature);
            return q.Sample(noise);
        }))];
        double straightThrough = Moments(logits => StraightThrough.Bernoulli(logits, noise)).Mean;
        double[] x = [.. temperatures.Select(Math.Log10)];
        Plot plot = BayesPlot.NewPlot("temperature", "gradient in the logit", "A Bernoulli variable, E[(b - 0.45)²]");
        plot.Band(x, [.. relaxed.Select(one => one.Mean - one.StdDev)], [.. relaxed.Select(one => one.Mean + one.StdDev)], BayesPlot.Model.WithAlpha(0.2), "one standard deviation of a draw");
        plot.Line(x, relaxed.Select(one => one.Mean), BayesPlot.Model, "Gumbel-softmax", marker: 5);
        plot.Line([x[0], x[^1]], [straightThrough, straightThrough], BayesPlot.Reference, "straight-through");
        plot.Line([x[0], x[^1]], [exact, exact], BayesPlot.Data, "exact", pattern: LinePattern.Dotted);
        PowersOfTen.On(plot);
        plot.LegendAbove();
        return (plot, Math.Abs(straightThrough - exact));
    }

    /// <summary>What is left of sigma eps after it was added to 1 in each type.</summary>
    private static (Plot Plot, double Lost) Rounding(int draws, ulong seed)
    {
        double[] exponents = [.. Enumerable.Range(0, 41).Select(i => -10 + i / 4.0)];
        using var noise = new NoiseSource(seed);
        Tensor eps = noise.Normal([draws], ScalarType.Float64, CPU);
        double spread = eps.std().item<double>();
        Plot plot = BayesPlot.NewPlot("standard deviation of the noise", "share of it that is left", "Noise added to a weight of 1");
        double lost = 0;
        foreach ((int index, (ScalarType type, string name)) in new[] { (ScalarType.Float64, "float64"), (ScalarType.Float32, "float32"), (ScalarType.BFloat16, "bfloat16") }.Index())
        {
            double[] left = [.. exponents.Select(exponent =>
            {
                using var scope = NewDisposeScope();
                Tensor weight = eps.mul(Math.Pow(10, exponent)).to(type).add(ones(1, dtype: type));
                return weight.to(ScalarType.Float64).sub(1).std().item<double>() / (Math.Pow(10, exponent) * spread);
            })];
            plot.Line(exponents, left, BayesPlot.Palette[index], name);
            if (type == ScalarType.Float32)
                lost = 1 - Math.Min(1, left[Array.IndexOf(exponents, -8)]);
        }

        plot.Axes.SetLimitsY(-0.05, 2);
        PowersOfTen.On(plot);
        plot.LegendAbove();
        return (plot, lost);
    }
}
