using System.CommandLine;
using BayesNet.Estimators;
using BayesNet.Reparameterization;
using BayesNet.Reparameterization.Discrete;
using BayesNet.Samples.Shared;
using BayesNet.Training;
using static TorchSharp.torch;

namespace BayesNet.Samples.Gallery;

/// <summary>
/// The trick in a generative model (Kingma and Welling 2014): latent variables of every image, sampled as z = T(theta, eps) so that the encoder learns
/// by gradients; Gaussian, Gaussian with low-rank covariance, or categorical by Gumbel-softmax (Jang et al. 2017; Maddison et al. 2017).
/// </summary>
internal sealed class VariationalAutoencoder : Sample
{
    private const int Pixels = 784, Hidden = 256, Latents = 16, Rank = 3, Variables = 12, Categories = 8, Shown = 10;

    private readonly Option<string> _latent = new("--latent") { Description = "gaussian, low-rank or gumbel.", DefaultValueFactory = _ => "gaussian" };

    public VariationalAutoencoder() => _latent.AcceptOnlyFromAmong("gaussian", "low-rank", "gumbel");

    public override string Name => "variational-autoencoder";

    public override string Description => "A variational autoencoder of drawn digits: Gaussian, low-rank or Gumbel-softmax latent variables.";

    public override IReadOnlyList<Option> Options => [_latent];

    public override IReadOnlyDictionary<string, double> Run(SampleRun run)
    {
        using var scope = NewDisposeScope();
        (Tensor images, _) = PenStrokes.Digits(run.Short ? 600 : 6_000, run.Seed);
        images = images.flatten(1);
        long held = images.size(0) / 10;
        (Tensor test, Tensor training) = (images.narrow(0, 0, held), images.narrow(0, held, images.size(0) - held));
        using var noise = new NoiseSource(run.Seed);
        ILatent latent = run.CommandLine.GetValue(_latent) switch
        {
            "gumbel" => new Categorical(),
            "low-rank" => new LowRank(),
            _ => new Gaussian(),
        };
        using nn.Module<Tensor, Tensor> encoder = nn.Sequential(("hidden", nn.Linear(Pixels, Hidden)), ("relu", nn.ReLU()), ("parameters", nn.Linear(Hidden, latent.Parameters)));
        using nn.Module<Tensor, Tensor> decoder = nn.Sequential(("hidden", nn.Linear(latent.Size, Hidden)), ("relu", nn.ReLU()), ("pixels", nn.Linear(Hidden, Pixels)));
        using var optimizer = new FusedAdam(encoder.parameters().Concat(decoder.parameters()), 1e-3);

        int epochs = run.Short ? 3 : 40;
        TemperatureSchedule temperatures = TemperatureSchedule.Exponential(initial: 1, minimum: 0.4, rate: 1.5 / epochs);
        for (int epoch = 0; epoch < epochs; epoch++)
        {
            latent.Temperature = temperatures.Temperature(epoch);
            foreach (Tensor rows in randperm(training.size(0)).split(128))
            {
                using var step = NewDisposeScope();
                optimizer.zero_grad();
                Tensor batch = training.index_select(0, rows);
                (Tensor reconstruction, Tensor divergence) = Terms(batch);
                reconstruction.sub(divergence).mean().neg().backward();
                optimizer.step();
            }
        }

        using (no_grad())
        {
            (Tensor reconstruction, Tensor divergence) = Terms(test);
            double bound = reconstruction.sub(divergence).mean().item<double>(), nats = divergence.mean().item<double>();
            Tensor shown = test.narrow(0, 0, Shown), rebuilt = decoder.call(latent.Sample(encoder.call(shown), noise).Z).sigmoid();
            Tensor drawn = decoder.call(latent.Prior(3 * Shown, noise)).sigmoid();
            Panels.Save(
                run.File($"variational-autoencoder-{latent.Name}.png"),
                1,
                Panels.Images(cat([shown, rebuilt, zeros(Shown, Pixels), drawn]).reshape(-1, 28, 28), Shown, "Digits, their reconstructions, and below three rows that were never drawn"));
            run.Say($"{latent.Name} latent variables: evidence lower bound {bound:F1} nats an image, of which the divergence takes {nats:F1}");
            run.Say("look at the rows: the second is the first through the latent variables; the last three come from the prior alone");
            return new Dictionary<string, double> { ["bound"] = bound, ["divergence"] = nats };
        }

        // ln p(x | z) and KL(q(z | x) || p(z)), one of each an image.
        (Tensor Reconstruction, Tensor Divergence) Terms(Tensor batch)
        {
            (Tensor z, Tensor divergence) = latent.Sample(encoder.call(batch), noise);
            Tensor cross = nn.functional.binary_cross_entropy_with_logits(decoder.call(z), batch, reduction: nn.Reduction.None);
            return (cross.sum(dim: 1).neg().to(ScalarType.Float64), divergence.to(ScalarType.Float64));
        }
    }

    /// <summary>A family of latent variables.</summary>
    private interface ILatent
    {
        string Name { get; }

        /// <summary>Outputs of the encoder.</summary>
        int Parameters { get; }

        /// <summary>Inputs of the decoder.</summary>
        int Size { get; }

        double Temperature { get; set; }

        /// <summary>z of every row, and its divergence from the prior.</summary>
        (Tensor Z, Tensor Divergence) Sample(Tensor parameters, NoiseSource noise);

        /// <summary>z as the prior draws it.</summary>
        Tensor Prior(int count, NoiseSource noise);
    }

    private sealed class Gaussian : ILatent
    {
        public string Name => "gaussian";

        public int Parameters => 2 * Latents;

        public int Size => Latents;

        public double Temperature { get; set; }

        public (Tensor Z, Tensor Divergence) Sample(Tensor parameters, NoiseSource noise)
        {
            (Tensor mean, Tensor logScale) = (parameters.narrow(1, 0, Latents), parameters.narrow(1, Latents, Latents));
            var q = new NormalDistribution(mean, logScale.exp());
            Tensor divergence = mean.pow(2).add(logScale.mul(2).exp()).sub(1).div(2).sub(logScale).sum(dim: 1);
            return (q.Sample(noise).squeeze(0), divergence);
        }

        public Tensor Prior(int count, NoiseSource noise) => noise.Normal([count, Latents], ScalarType.Float32, CPU);
    }

    private sealed class LowRank : ILatent
    {
        public string Name => "low-rank";

        public int Parameters => (2 + Rank) * Latents;

        public int Size => Latents;

        public double Temperature { get; set; }

        public (Tensor Z, Tensor Divergence) Sample(Tensor parameters, NoiseSource noise)
        {
            (Tensor mean, Tensor diagonal) = (parameters.narrow(1, 0, Latents), parameters.narrow(1, Latents, Latents).exp());
            Tensor factor = parameters.narrow(1, 2 * Latents, Rank * Latents).reshape(-1, Latents, Rank).mul(0.3);
            var q = new LowRankGaussianDistribution(mean, diagonal, factor);

            // KL(q || N(0, I)) = E_q[|z|^2] / 2 + d/2 ln 2 pi - H[q].
            Tensor squares = mean.pow(2).add(q.Variance()).sum(dim: 1);
            return (q.Sample(noise), squares.div(2).add(Latents / 2.0 * Math.Log(2 * Math.PI)).sub(q.Entropy()));
        }

        public Tensor Prior(int count, NoiseSource noise) => noise.Normal([count, Latents], ScalarType.Float32, CPU);
    }

    private sealed class Categorical : ILatent
    {
        public string Name => "gumbel";

        public int Parameters => Variables * Categories;

        public int Size => Variables * Categories;

        public double Temperature { get; set; } = 1;

        public (Tensor Z, Tensor Divergence) Sample(Tensor parameters, NoiseSource noise)
        {
            Tensor logits = parameters.reshape(-1, Variables, Categories);
            Tensor z = new RelaxedCategoricalDistribution(logits, Temperature).Sample(noise);

            // Of the categorical variables themselves from uniform ones.
            Tensor log = logits.log_softmax(-1);
            return (z.flatten(1), log.exp().mul(log).sum(dim: -1).add(Math.Log(Categories)).sum(dim: 1));
        }

        public Tensor Prior(int count, NoiseSource noise)
            => nn.functional.one_hot(randint(0, Categories, [count, Variables]), Categories).to(ScalarType.Float32).flatten(1);
    }
}
