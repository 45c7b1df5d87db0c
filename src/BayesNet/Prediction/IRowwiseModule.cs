namespace BayesNet.Prediction;

/// <summary>A module made of others that says whether it computes each row of a batch from that row alone, in evaluation mode.</summary>
internal interface IRowwiseModule
{
    bool ComputesRowByRow { get; }
}
