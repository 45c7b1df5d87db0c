using TorchSharp.Modules;

namespace BayesNet.Likelihoods;

/// <summary>What <see cref="Likelihood.Differentiate"/> found besides the gradient in the output.</summary>
/// <param name="LogLikelihood">ln p summed over the batch, in nats.</param>
/// <param name="Parameter">The likelihood's own parameter of one entry whose gradient is not in its <c>grad</c>; null where there is none.</param>
/// <param name="ParameterGradient">That gradient, times the factor.</param>
internal readonly record struct LossGradient(double LogLikelihood, Parameter? Parameter = null, double ParameterGradient = 0);
