namespace BayesNet.Kernels;

/// <summary>
/// What the noise kernels need of a vector register, so that they are written once for every width: <typeparamref name="TVector"/> is a
/// register of 32-bit lanes, whose bits an operation takes as unsigned integers, signed integers or float32. Implementations are structs
/// without state, and calls inline.
/// </summary>
/// <remarks>Every operation is exact or rounds once, as IEEE 754 has it: a kernel gives the same bits at every width.</remarks>
/// <typeparam name="TVector">The register.</typeparam>
internal unsafe interface ILanes<TVector>
    where TVector : unmanaged
{
    /// <summary>The number of lanes.</summary>
    static abstract int Count { get; }

    /// <summary>Every lane the same integer.</summary>
    static abstract TVector Integer(uint value);

    /// <summary>Every lane the same number.</summary>
    static abstract TVector Number(float value);

    /// <summary>value, value + 2, value + 4, ...: one 64-bit integer in each pair of lanes.</summary>
    static abstract TVector EvenNumbersFrom(ulong value);

    static abstract TVector Xor(TVector a, TVector b);

    static abstract TVector And(TVector a, TVector b);

    /// <summary>a + b, integers.</summary>
    static abstract TVector AddIntegers(TVector a, TVector b);

    static abstract TVector ShiftLeft(TVector a, int bits);

    static abstract TVector ShiftRight(TVector a, int bits);

    /// <summary>Shifts signed integers, their sign kept.</summary>
    static abstract TVector ShiftRightSigned(TVector a, int bits);

    /// <summary>The 64-bit products of the even lanes.</summary>
    static abstract TVector MultiplyEven(TVector a, TVector b);

    /// <summary>The odd lanes moved to the even ones.</summary>
    static abstract TVector OddToEven(TVector a);

    /// <summary>The even lanes of <paramref name="even"/>, and in the odd lanes the even ones of <paramref name="odd"/>.</summary>
    static abstract TVector Interleave(TVector even, TVector odd);

    /// <summary>Signed integers as numbers, rounded to nearest.</summary>
    static abstract TVector ToNumbers(TVector integers);

    /// <summary>a + b, numbers.</summary>
    static abstract TVector Add(TVector a, TVector b);

    /// <summary>a * b, numbers.</summary>
    static abstract TVector Multiply(TVector a, TVector b);

    /// <summary>a * b + c, rounded once.</summary>
    static abstract TVector MultiplyAdd(TVector a, TVector b, TVector c);

    static abstract TVector SquareRoot(TVector a);

    static abstract TVector Load(void* source);

    static abstract void Store(TVector a, void* destination);
}
