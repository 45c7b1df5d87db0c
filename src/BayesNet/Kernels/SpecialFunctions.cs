namespace BayesNet.Kernels;

/// <summary>Special functions in float64 that neither .NET nor libtorch has; for tables, not for tensors.</summary>
internal static class SpecialFunctions
{
    internal const double EulerGamma = 0.57721566490153286061;

    /// <summary>
    /// Dawson's integral e^(-x^2) times the integral of e^(t^2) from 0 to x, by Rybicki's sum over odd n of e^(-(x - nh)^2) / n, whose error
    /// falls as e^(-(pi / 2h)^2).
    /// </summary>
    internal static double Dawson(double x)
    {
        const double h = 0.2;
        double sum = 0;
        int terms = (int)((Math.Abs(x) + 7) / h);
        for (int n = 1; n <= terms; n += 2)
            sum += (Math.Exp(-(x - n * h) * (x - n * h)) - Math.Exp(-(x + n * h) * (x + n * h))) / n;
        return sum / Math.Sqrt(Math.PI);
    }

    /// <summary>e^u E1(u), the scaled exponential integral, for u > 0: its series below 1, its continued fraction above.</summary>
    internal static double ScaledExponentialIntegral(double u)
    {
        if (u <= 1)
        {
            double sum = -EulerGamma - Math.Log(u), power = 1;
            for (int k = 1; k <= 30; k++)
            {
                power *= -u / k;
                sum -= power / k;
            }

            return Math.Exp(u) * sum;
        }

        // 1 / (u + 1 - 1 / (u + 3 - 4 / (u + 5 - 9 / (u + 7 - ...)))), from the inside.
        double tail = 0;
        for (int k = 200; k >= 1; k--)
            tail = (double)k * k / (u + 2 * k + 1 - tail);
        return 1 / (u + 1 - tail);
    }
}
