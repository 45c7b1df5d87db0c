using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using BayesNet.Runtime;
using TorchSharp;
using static TorchSharp.torch;

namespace BayesNet.Kernels;

/// <summary>
/// A node of autograd's graph whose backward pass is written here: one output, any number of inputs. A node is made in a forward pass,
/// serves as many backward passes as its graph is given, and is told when the graph has let it go.
/// </summary>
/// <remarks>
/// TorchSharp's <c>SingleTensorFunction</c> does the same for 50 to 90 microseconds a call, keeps a copy of every output's memory, and does not
/// say when a graph is freed, which is when workspaces may be used again. This goes to the same native node, through functions that the binding
/// exports for its own use: <see cref="IsAvailable"/> is false on a version of TorchSharp that was not tested, and callers then compose operations.
/// </remarks>
internal abstract unsafe class GraphNode
{
    // A managed closure that native code can call costs a microsecond to make; they are made once and lent to one node after another.
    private static readonly Stack<Slot> FreeSlots = new();
    private static readonly Native? Functions = Native.Find();

    /// <summary>The most inputs that a node can have.</summary>
    private protected const int MostInputs = 8;

    [ThreadStatic]
    private static nint* _wrapped;

    private readonly List<nint> _saved = [];

    /// <summary>Whether this version of TorchSharp has the native functions that a node needs.</summary>
    internal static bool IsAvailable => Functions is not null;

    /// <summary>Makes <paramref name="output"/> the result of this node, in place.</summary>
    /// <param name="output">A tensor without a history, computed with gradients off.</param>
    /// <param name="inputs">What the gradients of <see cref="Backward"/> belong to; at least one requires a gradient.</param>
    /// <returns>The output with its history, of the open dispose scope; <paramref name="output"/> may be disposed.</returns>
    internal Tensor Attach(Tensor output, ReadOnlySpan<Tensor> inputs)
    {
        Slot slot = Slot.Lend(this, inputs.Length);
        nint* handles = stackalloc nint[inputs.Length + 1];
        for (int i = 0; i < inputs.Length; i++)
            handles[i] = inputs[i].Handle;
        handles[inputs.Length] = output.Handle;
        var variables = new HandleArray(handles, inputs.Length);

        NodePointers node = Functions!.Create(slot.ApplyPointer, slot.DeletePointer);
        CheckForErrors();
        Functions.SetNextEdges(node, variables, 1);
        foreach (Tensor input in inputs)
        {
            _saved.Add(Functions.Save(input.Handle, node, 0));
            GC.KeepAlive(input);
        }

        Functions.WrapOutputs(variables, default, default, new HandleArray(handles + inputs.Length, 1), node, &Allocate);
        Functions.ReleaseWeak(node);
        // From here on the output alone keeps the node alive.
        Functions.Release(node);
        CheckForErrors();
        GC.KeepAlive(output);
        return Tensor.UnsafeCreateTensor(*_wrapped);
    }

    /// <summary>The gradients of the inputs, with autograd's recording on where the caller asked for a graph of the backward pass.</summary>
    /// <param name="gradient">The gradient of the output; any strides.</param>
    /// <param name="gradients">To be filled, one an input; null for none. The open dispose scope ends after the call.</param>
    /// <remarks>What is thrown here ends the backward pass with an error of libtorch's, and goes to <see cref="Trace"/>.</remarks>
    protected abstract void Backward(Tensor gradient, Span<Tensor?> gradients);

    /// <summary>Called once, on any thread, when the graph has let the node go, whether or not a backward pass came.</summary>
    protected abstract void Released();

    /// <summary>An input as it was given to <see cref="Attach"/>, with its history.</summary>
    /// <exception cref="ExternalException">It has been changed in place since.</exception>
    protected Tensor Input(int index)
    {
        nint handle = Functions!.Unpack(_saved[index], default);
        CheckForErrors();
        return Tensor.UnsafeCreateTensor(handle);
    }

    /// <summary>All of them, as <see cref="Input"/>.</summary>
    protected Tensor[] Inputs()
    {
        var inputs = new Tensor[_saved.Count];
        for (int i = 0; i < inputs.Length; i++)
            inputs[i] = Input(i);
        return inputs;
    }

    private void Release()
    {
        foreach (nint variable in _saved)
            Functions!.DeleteSaved(variable);
        _saved.Clear();
        Released();
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static nint* Allocate(nuint count)
    {
        // One word a thread, for good.
        if (_wrapped == null)
            _wrapped = (nint*)NativeMemory.Alloc((nuint)sizeof(nint));
        return _wrapped;
    }

    /// <summary>The two closures that a native node holds, and the memory in which it finds its gradients.</summary>
    private sealed class Slot
    {
        private readonly ApplyFunction _apply;
        private readonly DeleteFunction _delete;
        private readonly Tensor?[] _gradients = new Tensor?[MostInputs];
        private readonly nint* _handles = (nint*)NativeMemory.Alloc(MostInputs, (nuint)sizeof(nint));
        private GraphNode? _node;
        private int _inputs;

        private Slot()
        {
            _apply = Apply;
            _delete = Delete;
            ApplyPointer = Marshal.GetFunctionPointerForDelegate(_apply);
            DeletePointer = Marshal.GetFunctionPointerForDelegate(_delete);
            // Rooted for good: native code may call at any time, and the number of slots is that of the nodes that were ever alive at once.
            GCHandle.Alloc(this);
        }

        internal nint ApplyPointer { get; }

        internal nint DeletePointer { get; }

        internal static Slot Lend(GraphNode node, int inputs)
        {
            ArgumentOutOfRangeException.ThrowIfGreaterThan(inputs, MostInputs);
            Slot? slot;
            lock (FreeSlots)
                FreeSlots.TryPop(out slot);
            slot ??= new Slot();
            slot._node = node;
            slot._inputs = inputs;
            return slot;
        }

        private HandleArray Apply(nint* tensors, int count)
        {
            try
            {
                FreeGradients();
                using var scope = NewDisposeScope();
                if (tensors[0] != 0)
                    _node!.Backward(Tensor.UnsafeCreateTensor(tensors[0]), _gradients.AsSpan(0, _inputs));
                for (int i = 0; i < _inputs; i++)
                    _handles[i] = _gradients[i]?.DetachFromDisposeScope().Handle ?? 0;
                return new HandleArray(_handles, _inputs);
            }
            catch (Exception error)
            {
                // An exception may not cross native code. Too few gradients are an error of the backward pass, which its caller can catch.
                Trace.TraceError($"The backward pass of {_node?.GetType().Name} failed: {error}");
                return new HandleArray(_handles, 0);
            }
        }

        private void Delete()
        {
            FreeGradients();
            GraphNode? node = _node;
            _node = null;
            node?.Release();
            lock (FreeSlots)
                FreeSlots.Push(this);
        }

        // Native code copies the handles after Apply has returned, so they live until it is called again or is not needed any more.
        private void FreeGradients()
        {
            foreach (ref Tensor? gradient in _gradients.AsSpan(0, _inputs))
            {
                gradient?.Dispose();
                gradient = null;
            }
        }
    }

    [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
    private delegate HandleArray ApplyFunction(nint* tensors, int count);

    [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
    private delegate void DeleteFunction();

    private readonly struct HandleArray(nint* handles, long count)
    {
        public readonly nint* Handles = handles;
        public readonly long Count = count;
    }

#pragma warning disable CS0649 // Filled by native code.
    private struct NodePointers
    {
        public nint Shared;
        public nint Weak;
    }
#pragma warning restore CS0649

    /// <summary>The binding's functions, all of them or none.</summary>
    private sealed class Native
    {
        private readonly nint[] _addresses;

        private Native(nint[] addresses) => _addresses = addresses;

        internal static Native? Find()
        {
            // Tested with these; another version may have changed what it does not promise.
            if (typeof(torch).Assembly.GetName().Version is not { Major: 0, Minor: 107 })
                return null;
            string[] names =
            [
                "CSharpNode_ctor", "CSharpNode_setNextEdges", "CSharpNode_disposeSharedPtr", "CSharpNode_disposeWeakPtr", "Function_wrapOutputs",
                "SavedVariable_ctor", "SavedVariable_unpack", "SavedVariable_dispose",
            ];
            nint[] addresses = [.. names.Select(name => NativeLibraries.BindingExport("THSAutograd_" + name))];
            return addresses.Contains(0) ? null : new Native(addresses);
        }

        internal NodePointers Create(nint apply, nint delete) => ((delegate* unmanaged[Cdecl]<nint, nint, NodePointers>)_addresses[0])(apply, delete);

        internal void SetNextEdges(NodePointers node, HandleArray inputs, byte isExecutable)
            => ((delegate* unmanaged[Cdecl]<NodePointers, HandleArray, byte, void>)_addresses[1])(node, inputs, isExecutable);

        internal void Release(NodePointers node) => ((delegate* unmanaged[Cdecl]<NodePointers, void>)_addresses[2])(node);

        internal void ReleaseWeak(NodePointers node) => ((delegate* unmanaged[Cdecl]<NodePointers, void>)_addresses[3])(node);

        internal void WrapOutputs(
            HandleArray inputs, HandleArray notDifferentiable, HandleArray dirty, HandleArray outputs, NodePointers node, delegate* unmanaged[Cdecl]<nuint, nint*> allocate)
            => ((delegate* unmanaged[Cdecl]<HandleArray, HandleArray, HandleArray, HandleArray, NodePointers, delegate* unmanaged[Cdecl]<nuint, nint*>, void>)_addresses[4])(
                inputs, notDifferentiable, dirty, outputs, node, allocate);

        internal nint Save(nint tensor, NodePointers node, byte isInPlaceOnView)
            => ((delegate* unmanaged[Cdecl]<nint, NodePointers, byte, nint>)_addresses[5])(tensor, node, isInPlaceOnView);

        internal nint Unpack(nint variable, NodePointers node) => ((delegate* unmanaged[Cdecl]<nint, NodePointers, nint>)_addresses[6])(variable, node);

        internal void DeleteSaved(nint variable) => ((delegate* unmanaged[Cdecl]<nint, void>)_addresses[7])(variable);
    }
}
