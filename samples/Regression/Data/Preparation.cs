using BayesNet.Training;
using static TorchSharp.torch;

namespace BayesNet.Samples.Regression.Data;

/// <summary>A table divided into two parts, with units taken from the training part alone.</summary>
internal sealed class Preparation
{
    private Preparation(Table training, Table heldOut, IReadOnlyList<string> dropped)
    {
        (Training, HeldOut, DroppedColumns) = (training, heldOut, dropped);
        Inputs = [.. Enumerable.Range(0, training.Columns).Select(column => Standardizer.Of([.. training.Inputs.Select(row => row[column])]))];
        Target = Standardizer.Of(training.Targets);
    }

    /// <summary>The rows to train on, in their own units.</summary>
    public Table Training { get; }

    /// <summary>The rows held out, in their own units.</summary>
    public Table HeldOut { get; }

    /// <summary>The units of each input column.</summary>
    public IReadOnlyList<Standardizer> Inputs { get; }

    /// <summary>The units of the target.</summary>
    public Standardizer Target { get; }

    /// <summary>Input columns with one value in the whole training part: they tell nothing there, and are left out.</summary>
    public IReadOnlyList<string> DroppedColumns { get; }

    /// <summary>Divides a table and checks that both parts can be used.</summary>
    /// <exception cref="InputException">There are too few rows, or the target or every input is constant in the training part.</exception>
    public static Preparation Of(Table table, double heldOutFraction, ulong seed)
    {
        Split split = Split.Random(table, heldOutFraction, seed);
        Table training = table.Select(split.Training);
        if (Standardizer.IsConstant(training.Targets))
        {
            throw new InputException(
                $"{table.Name}: the target, {table.TargetName}, has the value {training.Targets[0]} in all {training.Rows} training rows; there is nothing to "
                + "learn. Choose another column by --target.");
        }

        HashSet<int> constant = [.. Enumerable.Range(0, table.Columns).Where(column => Standardizer.IsConstant(training.Inputs.Select(row => row[column])))];
        if (constant.Count == table.Columns)
            throw new InputException($"{table.Name}: every input column is constant in the training rows; add an input that varies.");
        string[] dropped = [.. constant.Order().Select(column => table.InputNames[column])];
        return new Preparation(training.Without(constant), table.Select(split.HeldOut).Without(constant), dropped);
    }

    /// <summary>The training part, standardised.</summary>
    public TrainingData TrainingTensors() => new(InputTensor(Training.Inputs), TargetTensor(Training.Targets));

    /// <summary>Standardised inputs, (rows, columns), float32.</summary>
    public Tensor InputTensor(IReadOnlyList<double[]> rows)
    {
        var values = new float[rows.Count * Inputs.Count];
        for (int i = 0; i < values.Length; i++)
            values[i] = (float)Inputs[i % Inputs.Count].Apply(rows[i / Inputs.Count][i % Inputs.Count]);
        return tensor(values, rows.Count, Inputs.Count);
    }

    /// <summary>Standardised targets, (rows, 1), float32.</summary>
    public Tensor TargetTensor(IReadOnlyList<double> targets)
        => tensor([.. targets.Select(target => (float)Target.Apply(target))], targets.Count, 1);
}
