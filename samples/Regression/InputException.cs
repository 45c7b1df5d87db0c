namespace BayesNet.Samples.Regression;

/// <summary>What the user gave can't be used. The message names it and the remedy, and is all that the program prints.</summary>
internal sealed class InputException(string message) : Exception(message);
