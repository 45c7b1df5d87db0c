namespace BayesNet.Tests.Runtime;

/// <summary>The hash of names of the System V gABI, by which a loader finds symbols and versions.</summary>
internal static class ElfHash
{
    public static uint Of(string name)
    {
        uint hash = 0;
        foreach (char letter in name)
        {
            hash = (hash << 4) + letter;
            uint high = hash & 0xf0000000;
            hash = (hash ^ (high >> 24)) & ~high;
        }

        return hash;
    }
}
