using BayesNet.Layers;
using BayesNet.Likelihoods;
using BayesNet.Plotting;
using BayesNet.Posteriors;
using BayesNet.Prediction;
using BayesNet.Samples.Shared;
using BayesNet.Training;
using ScottPlot;
using static TorchSharp.torch;

namespace BayesNet.Samples.Gallery;

/// <summary>
/// A contextual bandit: in every round a context, some actions, and the reward of the one taken. Thompson sampling acts as a function drawn from the
/// posterior would; it tries what might be best, and stops trying what is known not to be.
/// </summary>
internal sealed class DecisionUnderUncertainty : Sample
{
    private const int Contexts = 3, Actions = 4, Refit = 20;

    private enum Policy
    {
        Thompson,
        Greedy,
        EpsilonGreedy,
        Uniform,
    }

    public override string Name => "decision-under-uncertainty";

    public override string Description => "Thompson sampling on a contextual bandit against policies that do not know what they do not know.";

    public override int? Threads => 1;

    public override IReadOnlyDictionary<string, double> Run(SampleRun run)
    {
        int rounds = run.Short ? 60 : 600, problems = run.Short ? 1 : 5;
        run.Say($"{problems} problems of {rounds} rounds, {Actions} actions; the network is trained on after every {Refit} rounds");
        Plot plot = BayesPlot.NewPlot("round", "regret so far", "Reward missed against the best action of every round");
        var final = new Dictionary<string, double>();
        foreach ((int index, (Policy policy, string name)) in new[]
        {
            (Policy.Thompson, "Thompson sampling"), (Policy.Greedy, "greedy on the mean"), (Policy.EpsilonGreedy, "greedy, a tenth at random"), (Policy.Uniform, "at random"),
        }.Index())
        {
            double[][] regrets = [.. Enumerable.Range(0, problems).Select(problem => Play(policy, rounds, run.Seed + (ulong)problem))];
            double[] mean = [.. Enumerable.Range(0, rounds).Select(round => regrets.Average(one => one[round]))];
            plot.Line(Enumerable.Range(1, rounds).Select(round => (double)round), mean, BayesPlot.Palette[index], name);
            final[policy.ToString()] = mean[^1];
            run.Say($"{name,-26} regret {mean[^1]:F1}, of which in the last fifth {mean[^1] - mean[rounds * 4 / 5]:F1}");
        }

        plot.ShowLegend(Alignment.UpperLeft);
        Panels.Save(run.File("decision-under-uncertainty.png"), 1, plot);
        run.Say("look at the slopes at the right: what a policy still loses once it has learned what it will");
        return final;
    }

    private static double[] Play(Policy policy, int rounds, ulong seed)
    {
        using var scope = NewDisposeScope();
        random.manual_seed(unchecked((int)seed));
        var draw = new Random(unchecked((int)seed));
        var problem = new Problem(seed);
        float[] contexts = [.. Enumerable.Range(0, rounds * Contexts).Select(_ => (float)(2 * draw.NextDouble() - 1))];

        // An action that was not taken has no reward: a missing target, which the likelihood leaves out.
        float[] rewards = new float[rounds * Actions];
        Array.Fill(rewards, float.NaN);
        using nn.Module<Tensor, Tensor> model = Network();
        using var likelihood = new GaussianLikelihood(learnNoise: false, Problem.Noise, MissingTargets.Masked);
        var regrets = new double[rounds];
        double total = 0;
        for (int round = 0; round < rounds; round++)
        {
            if (round % Refit == 0 && round > 0 && policy != Policy.Uniform)
                Train(model, likelihood, contexts, rewards, round, seed);
            ReadOnlySpan<float> context = contexts.AsSpan(round * Contexts, Contexts);
            double[] expected = problem.Means(context);
            int action = policy == Policy.Uniform || (policy == Policy.EpsilonGreedy && draw.Next(10) == 0)
                ? draw.Next(Actions)
                : Best(Values(model, likelihood, policy, context, seed + (ulong)round));
            rewards[round * Actions + action] = (float)(expected[action] + Problem.Noise * draw.NextNormal());
            total += expected.Max() - expected[action];
            regrets[round] = total;
        }

        return regrets;
    }

    /// <summary>The value of every action: of one function drawn from the posterior, or the mean over the posterior.</summary>
    private static double[] Values(nn.Module<Tensor, Tensor> model, Likelihood likelihood, Policy policy, ReadOnlySpan<float> context, ulong seed)
    {
        using var scope = NewDisposeScope();
        Tensor input = tensor(context.ToArray()).reshape(1, Contexts);
        Tensor values = policy == Policy.Thompson
            ? Predictor.DrawFunctions(model, 1, seed).Evaluate(input)
            : Predictor.Predict(model, likelihood, input, 30).Mean;
        return [.. values.to(ScalarType.Float64).flatten().data<double>()];
    }

    private static void Train(nn.Module<Tensor, Tensor> model, Likelihood likelihood, float[] contexts, float[] rewards, int rounds, ulong seed)
    {
        using var scope = NewDisposeScope();
        var data = new TrainingData(
            tensor(contexts[..(rounds * Contexts)]).reshape(rounds, Contexts), tensor(rewards[..(rounds * Actions)]).reshape(rounds, Actions), MissingTargets.Masked);
        using var trainer = new VariationalTrainer(model, likelihood, rounds, new TrainerOptions
        {
            Epochs = Math.Max(1, 600 * 64 / Math.Max(64, rounds)),
            BatchSize = 64,
            LearningRate = 5e-3,
            Seed = seed,
        });
        trainer.Fit(data);
    }

    private static nn.Module<Tensor, Tensor> Network()
    {
        var options = new BayesOptions { Posterior = new MeanFieldGaussianSpecification { InitialStdDev = 0.1 } };
        return nn.Sequential(("hidden", bnn.Linear(Contexts, 40, options: options)), ("relu", nn.ReLU()), ("values", bnn.Linear(40, Actions, options: options)));
    }

    private static int Best(double[] values) => Array.IndexOf(values, values.Max());

    /// <summary>Actions whose rewards are bumps over the contexts, each with a place, and one safe action that is the same everywhere.</summary>
    private sealed class Problem
    {
        public const double Noise = 0.1;

        private readonly double[][] _centres;

        public Problem(ulong seed)
        {
            var draw = new Random(unchecked((int)seed * 7919));
            _centres = [.. Enumerable.Range(0, Actions - 1).Select(_ => Enumerable.Range(0, Contexts).Select(_ => 1.6 * draw.NextDouble() - 0.8).ToArray())];
        }

        public double[] Means(ReadOnlySpan<float> context)
        {
            var means = new double[Actions];
            means[0] = 0.3;
            for (int action = 1; action < Actions; action++)
            {
                double squared = 0;
                for (int i = 0; i < Contexts; i++)
                    squared += Math.Pow(context[i] - _centres[action - 1][i], 2);
                means[action] = Math.Exp(-squared / 0.8);
            }

            return means;
        }
    }
}
