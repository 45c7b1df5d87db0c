using System.Diagnostics;
using static TorchSharp.torch;

namespace BayesNet.Training.Fitting;

/// <summary>A run over the epochs: steps, validation, early stopping, schedules, reports and checkpoints.</summary>
internal sealed class FitLoop
{
    private static readonly TimeSpan ReportInterval = TimeSpan.FromMilliseconds(100);

    private readonly VariationalTrainer _trainer;
    private readonly TrainerOptions _options;
    private readonly RunState _run;
    private readonly MinibatchSource _source;
    private readonly TrainingData? _validation;
    private readonly IProgress<TrainingProgress>? _progress;
    private readonly CancellationToken _cancellation;
    private readonly TrainingContext _context;
    private readonly Stopwatch _clock = Stopwatch.StartNew();
    private readonly TimeSpan _before;
    private TimeSpan _reported, _saved;

    internal FitLoop(
        VariationalTrainer trainer, RunState run, MinibatchSource source, TrainingData? validation, IProgress<TrainingProgress>? progress,
        CancellationToken cancellation)
    {
        (_trainer, _options, _run, _source) = (trainer, trainer.Options, run, source);
        (_validation, _progress, _cancellation) = (validation, _options.Peers is { Rank: > 0 } ? null : progress, cancellation);
        _context = new TrainingContext(trainer);
        _before = run.Elapsed;
        run.StepsPerEpoch ??= (source.Count + _options.AccumulationSteps - 1) / _options.AccumulationSteps;
    }

    /// <summary>What the processes of a run come together for.</summary>
    private enum Meeting
    {
        /// <summary>A step.</summary>
        Step,

        /// <summary>The score of validation rows.</summary>
        Score,

        /// <summary>The end.</summary>
        End,
    }

    private bool IsStopping => _cancellation.IsCancellationRequested || _context.IsStopping;

    private TimeSpan Elapsed => _before + _clock.Elapsed;

    internal FitResult Run()
    {
        bool training = _trainer.Model.training;
        _trainer.Model.train();
        try
        {
            Situate();
            foreach (ITrainingCallback callback in _options.Callbacks)
                callback.FitStarted(_context);
            bool cancelled = false;
            while (!cancelled && _run.History.Count < _options.Epochs && !_run.StoppedEarly)
            {
                _run.Completed = false;
                cancelled = !Epoch();
            }

            if (!cancelled && !_run.Completed)
                Complete();
            else if (cancelled)
                Save();
            _run.Elapsed = Elapsed;
            var result = new FitResult([.. _run.History], _trainer.Steps - _run.StepsBefore, cancelled, Elapsed)
            {
                BestEpoch = _run.BestEpoch,
                StoppedEarly = _run.StoppedEarly,
                RestoredEpoch = cancelled ? null : _run.RestoredEpoch,
            };
            foreach (ITrainingCallback callback in _options.Callbacks)
                callback.FitCompleted(_context, result);
            Meet(Meeting.End, 0);
            return result;
        }
        catch (Exception failure)
        {
            _options.Peers?.Fail(failure);
            throw;
        }
        finally
        {
            _trainer.Model.train(training);
        }
    }

    private void Complete()
    {
        if (_options.EarlyStopping is { RestoreBest: true } && _trainer.Best is { } best && _run.BestEpoch != _run.History[^1].Epoch)
        {
            ModelState.Write(best, _trainer.State());
            _run.RestoredEpoch = _run.BestEpoch;
        }

        _run.Completed = true;
        Save();
    }

    /// <summary>The epoch that is next, or the rest of one under way; false where the run is to stop before its end.</summary>
    private bool Epoch()
    {
        if (!_run.InEpoch)
            Begin();
        TimeSpan start = Elapsed - _run.EpochElapsed;
        int epoch = _run.History.Count + 1;
        foreach ((Tensor Inputs, Tensor Targets)[] minibatches in MinibatchSource.InGroups(
            _source.Epoch(_run.OrderKey, _run.Step * _options.AccumulationSteps), _options.AccumulationSteps))
        {
            (long rows, bool stopping) = Agree(minibatches);
            if (stopping)
            {
                _run.EpochElapsed = Elapsed - start;
                return false;
            }

            Step(minibatches, rows, epoch);
            if (IsDue())
            {
                _run.EpochElapsed = Elapsed - start;
                Save();
            }
        }

        if (_run.Step == 0)
            throw new ArgumentException("The loader gave no minibatch; check its data set, or that it can be enumerated more than once.", "loader");
        End(epoch, start);
        return true;
    }

    private void Begin()
    {
        (_run.InEpoch, _run.Step, _run.Rows, _run.Sum, _run.EpochElapsed) = (true, 0, 0, 0, TimeSpan.Zero);
        if (_source.NeedsKey)
            _run.OrderKey = _trainer.NextOrderKey();
        Situate();
        foreach (ITrainingCallback callback in _options.Callbacks)
            callback.EpochStarted(_context);
    }

    /// <summary>The rows of minibatches, and whether to stop: of all processes together where there are several.</summary>
    private (long Rows, bool IsStopping) Agree((Tensor Inputs, Tensor Targets)[] minibatches)
    {
        long rows = 0;
        foreach ((Tensor inputs, _) in minibatches)
            rows += inputs is not null && inputs.dim() > 0 ? inputs.size(0) : 0;
        (double all, double stopping) = Meet(Meeting.Step, rows, IsStopping ? 1 : 0);
        if (stopping == 0)
            _trainer.BeginStep();
        return ((long)all, stopping > 0);
    }

    /// <summary>Two values, summed over all processes where there are several.</summary>
    private (double First, double Second) Meet(Meeting meeting, double first, double second = 0)
    {
        Span<double> sums = [first, second];
        _options.Peers?.Sum(sums, 4L * _run.History.Count + (long)meeting);
        return (sums[0], sums[1]);
    }

    private void Step((Tensor Inputs, Tensor Targets)[] minibatches, long rows, int epoch)
    {
        foreach (ITrainingCallback callback in _options.Callbacks)
            callback.StepStarting(_context);
        double fraction = _run.StepsPerEpoch is { } total ? Math.Min(1, (double)_run.Step / total) : 0;
        var position = new KlStep
        {
            Epoch = epoch - 1 + fraction,
            Step = _run.Step,
            StepsPerEpoch = _run.StepsPerEpoch,
            ShareOfRows = (double)rows / _trainer.TrainingSetSize,
        };
        StepResult last = _run.Last = _trainer.Run(minibatches, _options.KlSchedule.Weight(position), rows);
        _run.Step++;
        _run.Rows += rows;
        _run.Sum += last.NegativeLogLikelihood * rows;
        if (_options.SchedulerInterval == SchedulerInterval.Step)
            _trainer.Schedule.Step();
        if (_options.Callbacks.Count > 0)
        {
            Situate();
            foreach (ITrainingCallback callback in _options.Callbacks)
                callback.StepCompleted(_context, last);
        }

        if (_progress is not null && _clock.Elapsed - _reported > ReportInterval)
            Report(epoch);
    }

    private void End(int epoch, TimeSpan start)
    {
        _run.StepsPerEpoch = _run.Step;
        double mean = _run.Sum / _run.Rows;
        bool scored = _validation is not null && (epoch % _options.ValidationInterval == 0 || epoch == _options.Epochs);
        if (scored)
            Validate(epoch);
        StepResult last = _run.Last;
        var result = new EpochResult(
            epoch, mean, last.KlDivergence, last.KlWeight, -(_trainer.TrainingSetSize * mean + last.KlDivergence), scored ? _run.Score : null, Elapsed - start);
        if (_options.SchedulerInterval == SchedulerInterval.Epoch)
            _trainer.Schedule.Step(scored ? -_run.Score : null);
        Report(epoch);
        _run.History.Add(result);
        _run.InEpoch = false;
        foreach (ITrainingCallback callback in _options.Callbacks)
            callback.EpochCompleted(_context, result);
        _run.StoppedEarly = scored && _options.EarlyStopping is { } stopping && _run.SinceBest >= stopping.Patience;
    }

    private void Validate(int epoch)
    {
        double score = Meet(Meeting.Score, _trainer.SumLogDensities(_validation!, _options.ValidationSamples, _options.Peers)).First / _validation!.Count;
        bool best = !double.IsNaN(score) && (_run.BestScore is not { } before || score > before + (_options.EarlyStopping?.MinDelta ?? 0));
        (_run.Score, _run.SinceBest) = (score, best ? 0 : _run.SinceBest + 1);
        if (best)
        {
            (_run.BestScore, _run.BestEpoch) = (score, epoch);
            if (_options.EarlyStopping is { RestoreBest: true })
                _trainer.KeepAsBest();
        }

        foreach (ITrainingCallback callback in _options.Callbacks)
            callback.Validated(_context, score, best);
    }

    private bool IsDue()
        => _options.Checkpoint is { } checkpoint
            && ((checkpoint.EverySteps is { } steps && _trainer.Steps % steps == 0) || (checkpoint.Every is { } time && _clock.Elapsed - _saved >= time));

    private void Save()
    {
        if (_options.Checkpoint is not { } checkpoint || _options.Peers is { Rank: > 0 })
            return;
        _run.Elapsed = Elapsed;
        _trainer.SaveCheckpoint(checkpoint.Path);
        _saved = _clock.Elapsed;
        foreach (ITrainingCallback callback in _options.Callbacks)
            callback.CheckpointSaved(_context, checkpoint.Path);
    }

    private void Situate()
        => (_context.Epoch, _context.Step, _context.StepsPerEpoch) = (_run.History.Count + 1, _run.InEpoch ? _run.Step : 0, _run.StepsPerEpoch);

    private void Report(int epoch)
    {
        _reported = _clock.Elapsed;
        if (_progress is null)
            return;
        double mean = _run.Sum / _run.Rows;
        StepResult last = _run.Last;
        _progress.Report(new TrainingProgress
        {
            Epoch = epoch,
            Epochs = _options.Epochs,
            Step = _run.Step,
            StepsPerEpoch = _run.StepsPerEpoch,
            NegativeLogLikelihood = mean,
            KlDivergence = last.KlDivergence,
            KlWeight = last.KlWeight,
            Elbo = -(_trainer.TrainingSetSize * mean + last.KlDivergence),
            ValidationLogLikelihood = _run.Score,
            Elapsed = Elapsed,
            Fraction = (epoch - 1 + (_run.StepsPerEpoch is { } total ? Math.Min(1, (double)_run.Step / total) : 0)) / _options.Epochs,
        });
    }
}
