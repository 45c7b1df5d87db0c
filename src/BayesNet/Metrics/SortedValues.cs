namespace BayesNet.Metrics;

/// <summary>Counts and runs of ties in ascending values.</summary>
internal static class SortedValues
{
    /// <summary>How many values are at most <paramref name="bound"/>.</summary>
    internal static int CountUpTo(ReadOnlySpan<double> ascending, double bound)
    {
        int low = 0, high = ascending.Length;
        while (low < high)
        {
            int middle = (low + high) / 2;
            if (ascending[middle] <= bound)
                low = middle + 1;
            else
                high = middle;
        }

        return low;
    }

    /// <summary>The index behind the last of the values that equal the one at <paramref name="begin"/>.</summary>
    internal static int EndOfTies(ReadOnlySpan<double> ascending, int begin)
    {
        int end = begin + 1;
        while (end < ascending.Length && ascending[end] == ascending[begin])
            end++;
        return end;
    }
}
