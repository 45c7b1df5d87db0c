using System.Globalization;
using BayesNet.Estimators;
using BayesNet.Posteriors;
using BayesNet.Priors;
using BayesNet.Runtime;
using BayesNet.Training;
using BayesNet.Training.Fitting;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace BayesNet.Persistence;

/// <summary>All that a trainer goes on from, at one moment.</summary>
internal sealed class TrainerSnapshot : IDisposable
{
    private bool _owned;

    /// <summary>Parameters and buffers of model and likelihood.</summary>
    internal required Dictionary<string, Tensor> Model { get; init; }

    /// <summary>Those of the best epoch; null where they are not kept.</summary>
    internal required Dictionary<string, Tensor>? Best { get; init; }

    /// <summary>What the optimizer's <c>save_state_dict</c> wrote.</summary>
    internal required byte[] Optimizer { get; init; }

    /// <summary>The state of libtorch's global generator.</summary>
    internal required byte[] Random { get; init; }

    /// <summary>The states of the generators behind gamma draws, by the names of their modules.</summary>
    internal required Dictionary<string, byte[]> Gamma { get; init; }

    /// <summary>The rest.</summary>
    internal required TrainerState State { get; init; }

    /// <summary>What a trainer is now.</summary>
    /// <param name="trainer">The trainer.</param>
    /// <param name="copy">Whether tensors are copied; else they are the trainer's own, for use at once.</param>
    /// <exception cref="NotSupportedException">The optimizer can't save its state.</exception>
    internal static TrainerSnapshot Of(VariationalTrainer trainer, bool copy)
    {
        (string Name, IBayesianModule Module)[] modules = [.. trainer.Model.BayesianModules()];
        using Tensor random = Generator.Default.get_state();
        return new TrainerSnapshot
        {
            _owned = copy,
            Model = copy ? ModelState.Copy(trainer.State()) : trainer.State(),
            Best = copy && trainer.Best is { } best ? ModelState.Copy(best) : trainer.Best,
            Optimizer = Save(trainer),
            Random = random.bytes.ToArray(),
            Gamma = modules.Select(entry => (entry.Name, State: entry.Module.Noise.GammaState)).Where(entry => entry.State is not null)
                .ToDictionary(entry => entry.Name, entry => entry.State!),
            State = new TrainerState
            {
                Options = Describe(trainer),
                Steps = trainer.Steps,
                Orders = trainer.Orders,
                Schedule = [.. trainer.Schedule.Metrics],
                Noise = modules.ToDictionary(entry => entry.Name, entry => entry.Module.Noise.State is { } state ? new NoiseState(state.Key, state.Counter) : null),
                Priors = Priors(trainer),
                Run = trainer.CurrentRun,
            },
        };
    }

    /// <summary>Refuses a trainer that this can't be the state of.</summary>
    /// <exception cref="InvalidDataException">What differs, and what to do.</exception>
    internal void RequireFit(VariationalTrainer trainer, string path)
    {
        Dictionary<string, string> mine = Describe(trainer);
        foreach ((string name, string value) in mine)
        {
            string theirs = State.Options.GetValueOrDefault(name, "nothing known");
            if (theirs != value)
            {
                throw new InvalidDataException(
                    $"The checkpoint '{path}' does not fit the trainer: {name} was {theirs} when it was written, and is {value} now. Build model and trainer as they were built then.");
            }
        }

        Dictionary<string, Tensor> state = trainer.State();
        (string Name, IndependentGaussian Posterior)[] masks = [.. Masks(trainer)];
        foreach (Dictionary<string, Tensor> saved in Best is null ? [Model] : new[] { Model, Best })
        {
            // Weights may have been pruned since, and are then pruned here.
            string[] missing = [.. state.Keys.Except(saved.Keys)], foreign = [.. saved.Keys.Except(state.Keys).Except(masks.Select(mask => mask.Name))];
            if (missing.Length + foreign.Length > 0)
            {
                throw new InvalidDataException(
                    $"The checkpoint '{path}' is that of another model: it lacks {List(missing)} and has {List(foreign)} besides. Build the model as it was built for it.");
            }

            foreach ((string name, Tensor tensor) in saved)
            {
                if (!state.ContainsKey(name))
                    continue;
                if (tensor.dtype != state[name].dtype || !tensor.shape.AsSpan().SequenceEqual(state[name].shape))
                {
                    throw new InvalidDataException(
                        $"The checkpoint '{path}' is that of another model: '{name}' is {tensor.dtype} of shape {Guard.Format(tensor.shape)} in it and "
                        + $"{state[name].dtype} of shape {Guard.Format(state[name].shape)} in the trainer's. Build the model as it was built for it.");
                }
            }
        }

        if (!State.Noise.Keys.ToHashSet().SetEquals(trainer.Model.BayesianModules().Select(entry => entry.Name)))
            throw new InvalidDataException($"The checkpoint '{path}' is that of a model with other Bayesian layers. Build the model as it was built for it.");
        string priors = Priors(trainer);
        if (State.Priors is { } saidToBe && saidToBe != priors)
            throw new InvalidDataException($"The checkpoint '{path}' does not fit the trainer: the priors were {saidToBe} when it was written, and are {priors} now. Build the model as it was built for it.");
    }

    /// <summary>Makes a trainer what this is.</summary>
    internal void Apply(VariationalTrainer trainer)
    {
        foreach ((string name, IndependentGaussian posterior) in Masks(trainer))
        {
            if (Model.TryGetValue(name, out Tensor? mask))
                posterior.SetMask(mask);
        }

        ModelState.Write(Model, trainer.State());
        trainer.Schedule.Replay(State.Schedule);
        using (var reader = new BinaryReader(new MemoryStream(Optimizer)))
            ((OptimizerHelper)trainer.Optimizer).load_state_dict(reader);
        foreach ((string name, IBayesianModule module) in trainer.Model.BayesianModules())
        {
            NoiseSource noise = module.Noise;
            noise.State = State.Noise[name] is { } state ? (state.Key, state.Counter) : null;
            noise.GammaState = Gamma.GetValueOrDefault(name);
        }

        using (Tensor random = tensor(Random))
            Generator.Default.set_state(random);
        (trainer.Steps, trainer.Orders) = (State.Steps, State.Orders);
        trainer.SetRun(State.Run, Best is null ? null : OnDevices(ModelState.Copy(Best), trainer.State()));
    }

    public void Dispose()
    {
        if (!_owned)
            return;
        ModelState.Free(Model);
        ModelState.Free(Best);
    }

    /// <summary>A snapshot with tensors of its own, which it frees.</summary>
    internal TrainerSnapshot Owned()
    {
        _owned = true;
        return this;
    }

    /// <summary>The posteriors that may have a mask, with the name that it has in the state.</summary>
    private static IEnumerable<(string Name, IndependentGaussian Posterior)> Masks(VariationalTrainer trainer)
        => from entry in trainer.Model.named_modules()
           where entry.module is IndependentGaussian
           select ($"{ModelState.ModelPrefix}{entry.name}.{IndependentGaussian.MaskName}", (IndependentGaussian)entry.module);

    private static Dictionary<string, Tensor> OnDevices(Dictionary<string, Tensor> values, Dictionary<string, Tensor> like)
    {
        foreach ((string name, Tensor value) in values.ToList())
        {
            if (value.device == like[name].device)
                continue;
            values[name] = value.to(like[name].device).DetachFromDisposeScope();
            value.Dispose();
        }

        return values;
    }

    private static byte[] Save(VariationalTrainer trainer)
    {
        if (trainer.Optimizer is not OptimizerHelper optimizer)
            throw new NotSupportedException($"{trainer.Optimizer.GetType().Name} can't save its state, so that training could not go on from a checkpoint; take FusedAdam or another that can.");
        using var buffer = new MemoryStream();
        using (var writer = new BinaryWriter(buffer))
            optimizer.save_state_dict(writer);
        return buffer.ToArray();
    }

    private static string Priors(VariationalTrainer trainer)
        => string.Join(", ", trainer.Model.named_modules().Where(entry => entry.module is Prior).Select(entry => $"{entry.name} {entry.module}"));

    /// <summary>What has to be equal for training to go on as it would have.</summary>
    private static Dictionary<string, string> Describe(VariationalTrainer trainer)
    {
        TrainerOptions options = trainer.Options;
        return new Dictionary<string, string>
        {
            ["the number of training rows"] = Text(trainer.TrainingSetSize),
            ["the optimizer"] = trainer.Optimizer.GetType().Name,
            [nameof(options.KlSchedule)] = Text(options.KlSchedule),
            [nameof(options.BatchSize)] = Text(options.BatchSize),
            [nameof(options.Shuffle)] = Text(options.Shuffle),
            [nameof(options.Samples)] = Text(options.Samples),
            [nameof(options.Antithetic)] = Text(options.Antithetic),
            [nameof(options.AccumulationSteps)] = Text(options.AccumulationSteps),
            [nameof(options.Seed)] = Text(options.Seed),
            [nameof(options.Compile)] = Text(options.Compile),
            [nameof(options.PointPrior)] = Text(options.PointPrior),
            [nameof(options.MaxGradientNorm)] = Text(options.MaxGradientNorm),
            [nameof(options.SchedulerInterval)] = Text(options.SchedulerInterval),
            [nameof(options.Scheduler)] = options.Scheduler is null ? "none" : "set",
        };

        static string Text(object? value) => Convert.ToString(value, CultureInfo.InvariantCulture) is { Length: > 0 } text ? text : "none";
    }

    private static string List(string[] names)
        => names.Length == 0 ? "nothing" : string.Join(", ", names.Take(3).Select(name => $"'{name}'")) + (names.Length > 3 ? $" and {names.Length - 3} more" : "");
}
