"""What mmamp needs of torch beyond its public names: torch 2.4 to 2.14."""

import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from inspect import signature
from keyword import iskeyword
from typing import Any

import torch
from torch import Tensor, nn
from torch._compile import _disable_dynamo
from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    DynamicOutputShapeException,
    FakeTensor,
    FakeTensorMode,
)
from torch.distributed import fsdp
from torch.nn.modules.batchnorm import _BatchNorm, _NormBase
from torch.nn.modules.module import register_module_buffer_registration_hook
from torch.nn.utils.parametrizations import _SpectralNorm
from torch.optim import Optimizer
from torch.utils._foreach_utils import _get_fused_kernels_supported_devices
from torch.utils._python_dispatch import (
    TorchDispatchMode,
    _disable_current_modes,
)
from torch.utils._pytree import tree_leaves, tree_map

__all__ = [
    'BatchNorm',
    'BatchStatistics',
    'FSDPModule',
    'FakeTensor',
    'FakeTensorMode',
    'ParametrizedSpectralNorm',
    'TorchDispatchMode',
    'as_it_is',
    'foreach_clamp_',
    'foreach_copy_',
    'foreach_mul_',
    'foreach_norm',
    'tree_leaves',
    'tree_map',
]

# Base classes; all releases.
BatchNorm = _BatchNorm
BatchStatistics = _NormBase
"""Of BatchNorm and InstanceNorm."""
ParametrizedSpectralNorm = _SpectralNorm

# From 2.6 on; before it, no module is one.
FSDPModule: Any = getattr(fsdp, 'FSDPModule', ())

as_it_is = _disable_dynamo
"""Of functions that are not compiled; all releases.

``torch.compiler.disable``, which imports the compiler only when they run.
"""

# Over many tensors at once; all releases, and torch.optim's own way.
foreach_norm = torch._foreach_norm
foreach_mul_ = torch._foreach_mul_
foreach_copy_ = torch._foreach_copy_


def foreach_clamp_(tensors: list[Tensor], largest: float) -> None:
    """Clamp every element of many tensors at once; all releases.

    Args:
        tensors (list[Tensor]): Changed in place.
        largest (float): The largest magnitude.
    """
    torch._foreach_clamp_min_(tensors, -largest)
    torch._foreach_clamp_max_(tensors, largest)


def current_accelerator() -> str | None:
    """Return the type of the accelerator that torch sees, if it can tell.

    ``torch.accelerator`` is there from 2.6 on.
    """
    accelerator: Any = getattr(torch, 'accelerator', None)
    if accelerator is None or not accelerator.is_available():
        return None
    return str(accelerator.current_accelerator().type)


def is_autocast_available(device_type: str) -> bool:
    """Tell whether a device has autocast.

    The compiler of torch 2.11 cannot trace the question; it is told that the
    answer does not change, as by ``torch.compiler.assume_constant_result``,
    which imports the compiler.

    Args:
        device_type (str): As in ``torch.device(...).type``.
    """
    return bool(torch.amp.is_autocast_available(device_type))


is_autocast_available._dynamo_marked_constant = True  # type: ignore[attr-defined]


def fused_kernel_devices() -> list[str]:
    """Return the devices that torch counts among those with fused kernels."""
    return list(_get_fused_kernels_supported_devices())


def mkldnn_has(dtype: torch.dtype) -> bool:
    """Tell whether oneDNN has kernels for a dtype on this CPU.

    Args:
        dtype (torch.dtype): ``torch.float16`` or ``torch.bfloat16``; there
            are none for others.
    """
    query = {
        torch.bfloat16: '_is_mkldnn_bf16_supported',
        torch.float16: '_is_mkldnn_fp16_supported',
    }.get(dtype)
    try:
        return query is not None and bool(getattr(torch.ops.mkldnn, query)())
    except (AttributeError, RuntimeError):  # a torch built without oneDNN
        return False


def replace_autocast(
    device: str, name: str, kernel: Callable[..., Any]
) -> None:
    """Put a kernel in the place of one that autocast has, for good.

    Args:
        device (str): As in the name of a dispatch key, such as ``'CPU'``.
        name (str): In ``torch.ops.aten``; nothing is done if autocast does
            not know it in this release.
        kernel (Callable): Called with the operator, its positional arguments
            and those by keywords.
    """
    key = f'Autocast{device}'
    if not torch._C._dispatch_has_kernel_for_dispatch_key(
        f'aten::{name}', key
    ):
        return
    base, _, overload = name.partition('.')
    op = getattr(getattr(torch.ops.aten, base), overload or 'default')
    with warnings.catch_warnings():
        # That it replaces one is what it is for.
        warnings.simplefilter('ignore')
        _AUTOCAST.impl(
            name, lambda *args, **kwargs: kernel(op, args, kwargs), key
        )


@contextmanager
def replaced_autocast(
    device: str, kernels: Mapping[str, Callable[..., Any]]
) -> Iterator[None]:
    """Put kernels in the places of those that autocast has, for a while.

    Args:
        device (str): As of :func:`replace_autocast`.
        kernels (Mapping): By the name in ``torch.ops.aten``, such as
            ``'sum.dim_IntList'``; called as those of
            :func:`replace_autocast`. Names that this release has not are left
            out.
    """
    library = torch.library.Library('aten', 'IMPL')
    try:
        with warnings.catch_warnings():
            # That it replaces some is what it is for.
            warnings.simplefilter('ignore')
            for name, kernel in kernels.items():
                base, _, overload = name.partition('.')
                packet = getattr(torch.ops.aten, base, None)
                op = getattr(packet, overload or 'default', None)
                if op is not None:
                    library.impl(
                        name, _called_with(op, kernel), f'Autocast{device}'
                    )
        yield
    finally:
        library._destroy()


def _called_with(op: Any, kernel: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *args, **kwargs: kernel(op, args, kwargs)


def no_autocast(device: str) -> AbstractContextManager[None]:
    """Return a context in which autocast's kernels are passed by.

    As these do themselves; cheaper than ``torch.autocast(enabled=False)``.

    Args:
        device (str): As of :func:`replace_autocast`.
    """
    key = getattr(torch._C.DispatchKey, f'Autocast{device}')
    guard: Any = torch._C._ExcludeDispatchKeyGuard(
        torch._C.DispatchKeySet(key)
    )
    return guard  # type: ignore[no-any-return]


_AUTOCAST = torch.library.Library('aten', 'IMPL')
"""Holds what is replaced: when it goes, so do they."""


def times_changed(tensor: Tensor) -> int:
    """Return how often a tensor's memory was written to in place.

    Args:
        tensor (Tensor): Those of inference mode do not count.
    """
    return 0 if tensor.is_inference() else tensor._version


# ---- modules: dicts that are read in every iteration; all releases ----------


def children_of(module: nn.Module) -> dict[str, nn.Module | None]:
    """Return a module's children, the empty ones too."""
    return module._modules


def parameters_of(module: nn.Module) -> dict[str, nn.Parameter | None]:
    """Return the parameters that a module itself has."""
    return module._parameters


def buffers_of(module: nn.Module) -> Mapping[str, Tensor | None]:
    """Return the buffers that a module itself has, as they are when asked."""
    if isinstance(module, torch.jit.ScriptModule):
        return _ScriptBuffers(module)
    return module._buffers


class _ScriptBuffers(Mapping[str, Tensor | None]):
    """Those of a ``ScriptModule``, whose own mapping has ``items`` alone."""

    def __init__(self, module: nn.Module) -> None:
        self._module = module

    def __getitem__(self, name: str) -> Tensor | None:
        return dict(self._module._buffers.items())[name]

    def __iter__(self) -> Iterator[str]:
        return iter(dict(self._module._buffers.items()))

    def __len__(self) -> int:
        return len(self._module._buffers)


def non_persistent_buffers(module: nn.Module) -> set[str]:
    """Return the names of its buffers that no state dict holds."""
    return module._non_persistent_buffers_set


def when_buffers_are_registered(
    hook: Callable[[nn.Module, str, Tensor | None], None],
) -> Any:
    """Have a hook called wherever a module gets a buffer; all releases.

    Args:
        hook (Callable): Called before, with the module, name and tensor.

    Returns:
        RemovableHandle: To be removed soon: it is called for all modules.
    """
    return register_module_buffer_registration_hook(hook)


def forward_pre_hooks(module: nn.Module) -> list[Any]:
    """Return the pre-hooks of a module, in their order."""
    return list(module._forward_pre_hooks.values())


@contextmanager
def uncompiled(module: nn.Module) -> Iterator[None]:
    """Run a module that ``module.compile()`` was called on as it was before.

    Args:
        module (nn.Module): Compiled or not.
    """
    compiled = module._compiled_call_impl
    module._compiled_call_impl = None
    try:
        yield
    finally:
        module._compiled_call_impl = compiled


# ---- states -----------------------------------------------------------------


def versions_of(state: Any) -> Any:
    """Return what a state dict knows of its modules' versions; None if not.

    Args:
        state (dict): Of a module.
    """
    return getattr(state, '_metadata', None)


def set_versions(state: Any, versions: Any) -> None:
    """Give a state dict what it knows of its modules' versions.

    Args:
        state (dict): Of a module.
        versions (OrderedDict): As :func:`versions_of` returns them.
    """
    state._metadata = versions


def on_state_dict(module: nn.Module, hook: Callable[..., Any]) -> None:
    """Have a hook change every state dict of a module.

    Public as ``register_state_dict_post_hook`` from 2.5 on, which takes the
    same hook but not its return value.

    Args:
        module (nn.Module): The module.
        hook (Callable): Called with the module, the state, prefix and local
            metadata.
    """
    module._register_state_dict_hook(hook)


# ---- sampling by a grid: its adjoint; all releases --------------------------


def grid_sample_adjoint(
    gradient: Tensor, grid: Tensor, shape: torch.Size
) -> Tensor:
    """Return what ``grid_sample``, bilinear, makes of a gradient.

    What torch's own backward pass does, of which 2.6 has no derivative, and
    2.13 has one. Zeros are sampled outside, and corners are the centres of
    pixels (``align_corners=True``).

    Args:
        gradient (Tensor): With respect to the samples (N, C, P, Q).
        grid (Tensor): Of shape (N, P, Q, 2).
        shape (torch.Size): Of the images (N, C, H, W).

    Returns:
        Tensor: The gradient with respect to the images.
    """
    # That of the grid, which is not asked for, alone needs the images.
    images = gradient.new_zeros(1).expand(shape)
    found: Tensor = torch.ops.aten.grid_sampler_2d_backward(
        gradient, images, grid, 0, 0, True, [True, False]
    )[0]
    return found


# ---- autograd: the order of its nodes; all releases -------------------------


def sequence_number() -> int:
    """Return the number that autograd gives to this thread's next node."""
    with torch.enable_grad():
        node: Any = _PROBE.view(()).grad_fn
    number: int = node._sequence_nr()
    return number


_PROBE = torch.zeros((), requires_grad=True)


def oldest_node(tensor: Tensor, enough: int) -> int:
    """Return the number of the first node that a graph has.

    Args:
        tensor (Tensor): The result of the graph.
        enough (int): From :func:`sequence_number`, in the same thread: a node
            from before it need not be looked for any further.
    """
    oldest = sys.maxsize
    seen: set[Any] = set()
    stack: list[Any] = [tensor.grad_fn]
    while stack and oldest >= enough:
        node = stack.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        oldest = min(oldest, node._sequence_nr())
        stack += [following for following, _ in node.next_functions]
    return oldest


def in_backward() -> bool:
    """Tell whether a backward pass is running in this thread; all releases.

    To the compiler it is not: what it traces is a forward pass.
    """
    return bool(torch._C._current_graph_task_id() != -1)


in_backward._dynamo_marked_constant = True  # type: ignore[attr-defined]


# ---- optimizers and FSDP2 ---------------------------------------------------


ON_OPTIMIZERS = frozenset(
    {
        *('state', 'param_groups', 'defaults', 'grad_scale', 'found_inf'),
        *('_opt_called', '_step_count', '_need_device_dtype_check_for_fused'),
        '_warned_capturable_if_run_uncaptured',
        *('_zero_grad_profile_name', '_step_supports_amp_scaling'),
        *(
            f'_optimizer_{when}_hooks'
            for method in ('step', 'state_dict', 'load_state_dict')
            for when in (f'{method}_pre', f'{method}_post')
        ),
    }
)
"""Attributes that an optimizer has of torch, its schedulers' and fused
kernels' included; all releases."""


def hooks_on(param: Tensor) -> int:
    """Count what is called when a parameter has its gradient; all releases.

    Args:
        param (Tensor): The parameter.
    """
    hooks = (param._backward_hooks, param._post_accumulate_grad_hooks)
    return sum(len(x) for x in hooks if x)


def skips_by_itself(optimizer: Optimizer) -> bool:
    """Tell whether an optimizer's kernels heed ``found_inf``; all releases.

    Args:
        optimizer (Optimizer): Any. One whose ``step`` takes a ``grad_scaler``
            asks that instead, as torch once had it.
    """
    if not getattr(optimizer, '_step_supports_amp_scaling', False):
        return False
    return 'grad_scaler' not in signature(optimizer.step).parameters


def say_it_skips(optimizer: Any) -> None:
    """Say of an optimizer, as its constructor does, that its kernels heed it.

    Args:
        optimizer (Optimizer): That has fused kernels.
    """
    optimizer._step_supports_amp_scaling = True


def set_up_sharding(module: Any) -> None:
    """Have FSDP2 prepare a module now, and not in its first forward pass.

    From 2.6 on.

    Args:
        module (FSDPModule): ``fully_shard`` was called on it.
    """
    module._get_fsdp_state()._lazy_init()


class ParamsOfUnit:
    """Parameters that FSDP2 gathers and reduces together; from 2.6 on.

    Args:
        group (FSDPParamGroup): Torch's.

    Attributes:
        sharded (list[Parameter]): This rank's parts, which optimizers have.
    """

    def __init__(self, group: Any) -> None:
        self.group = group
        self.sharded: list[Any] = [p.sharded_param for p in group.fsdp_params]

    @property
    def gathered(self) -> list[Any]:
        """list[Parameter]: The whole ones, while they are gathered."""
        return [p.unsharded_param for p in self.group.fsdp_params]

    @property
    def is_gathered_for_backward(self) -> bool:
        """bool: Whether a backward pass has come to the unit's output."""
        return bool(self.group._training_state.name == 'PRE_BACKWARD')

    def have_gradients(self) -> list[bool]:
        """Tell of each whether it has a gradient that is not yet reduced."""
        return [
            p.unsharded_accumulated_grad is not None
            or p.unsharded_param.grad is not None
            for p in self.group.fsdp_params
        ]


def units_of(module: Any) -> list[ParamsOfUnit]:
    """Return what FSDP2 made of a module's own parameters; from 2.6 on.

    Args:
        module (FSDPModule): ``fully_shard`` was called on it.
    """
    state = module._get_fsdp_state()
    if hasattr(state, '_fsdp_param_groups'):  # since 2.12
        groups = state._fsdp_param_groups
    else:
        group = state._fsdp_param_group
        groups = [] if group is None else [group]
    return [ParamsOfUnit(group) for group in groups]


def before_reduction(unit: ParamsOfUnit, call: Callable[[], None]) -> None:
    """Have something called when a unit's gradients are there; from 2.6 on.

    Args:
        unit (ParamsOfUnit): FSDP2 reduces them after that.
        call (Callable): Also called where no backward pass has come to it.
    """
    reduce = unit.group.post_backward

    def post_backward(*unused: Any) -> None:
        call()
        reduce(*unused)

    unit.group.post_backward = post_backward


CAN_SHARD = torch.__version__ >= '2.7'  # as versions
"""Whether torch has all that FSDP2 and checkpoints in parts need.

2.6 has ``fully_shard``, but neither ``distribute_tensor(src_data_rank=None)``
nor ``checkpoint.save(no_dist=True)``.
"""


def maps_files() -> AbstractContextManager[None]:
    """Have ``torch.load`` map tensors of files, not read them; from 2.7 on.

    Before that they are read.
    """
    try:
        from torch.utils.serialization import config
    except ImportError:
        return nullcontext()
    options: Any = config
    patched: AbstractContextManager[None] = options.patch({'load.mmap': True})
    return patched


# ---- export -----------------------------------------------------------------


HAS_ONNX = torch.__version__ >= '2.7'  # as versions
"""Whether ``torch.onnx.export`` takes what ``torch.export`` made.

2.6 cannot convert BatchNorm; what there was before, which traces, loses the
shapes that StyleGAN2, SAGAN and BigGAN need in a batch of any size.
"""


def sizes_of_one() -> AbstractContextManager[None]:
    """Have ``torch.export`` take a dynamic size of 1 for one like any other.

    Else a graph refuses images of which a layer leaves one pixel, if it was
    traced with larger ones: kernels ask whether memory is contiguous. From
    2.7 on; graphs of earlier releases refuse none.
    """
    # Here, since it imports much of the compiler.
    from torch.fx.experimental import _config

    options: Any = _config
    if not hasattr(options, 'backed_size_oblivious'):
        return nullcontext()
    patched: AbstractContextManager[None] = options.patch(
        backed_size_oblivious=True
    )
    return patched


def original_of(module: nn.Module) -> nn.Module:
    """Return what ``torch.compile`` was given, with nothing in it compiled.

    All releases.

    Args:
        module (nn.Module): What it returned, or any other module; changed in
            place.
    """
    original: nn.Module = getattr(module, '_orig_mod', module)
    for child in original.modules():
        child._compiled_call_impl = None
    return original


def name_as_identifiers(network: nn.Module) -> None:
    """Give children that are called as a keyword of Python another name.

    Such as ``in``, as mmcv calls instance norm: graphs are written as code.
    The module that holds one still has it under its old name.

    Args:
        network (nn.Module): Changed in place, its state dict too.
    """
    for module in list(network.modules()):
        for name in filter(iskeyword, list(module._modules)):
            child = module._modules.pop(name)
            module._modules[f'{name}_'] = child
            module.__dict__[name] = child


# ---- tensors without numbers, and modes around operators; all releases ------

NO_NUMBERS = (DataDependentOutputException, DynamicOutputShapeException)
"""What is raised where a shape or a branch needs numbers."""


def without_modes() -> AbstractContextManager[Any]:
    """Return a context in which no mode sees what operators do."""
    context: AbstractContextManager[Any] = _disable_current_modes()
    return context


def makes_no_memory(func: Any) -> bool:
    """Tell whether an operator's result is memory that it was given.

    Args:
        func (OpOverload): A view, or one that writes in place.
    """
    return bool(func.is_view or func._schema.is_mutable)


def kernel_of_convolution(
    image: Tensor,
    weight: Tensor,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    transposed: bool,
    output_padding: Sequence[int],
    groups: int,
) -> str:
    """Return what torch calls the kernel of a convolution; all releases.

    Args:
        image (Tensor): As all of these, of ``aten::convolution``; it may be
            fake.
        weight (Tensor): See there.
        stride (Sequence[int]): See there.
        padding (Sequence[int]): See there.
        dilation (Sequence[int]): See there.
        transposed (bool): See there.
        output_padding (Sequence[int]): See there.
        groups (int): See there.
    """
    kernel: Any = torch._C._select_conv_backend(
        *(image, weight, None, stride, padding, dilation, transposed),
        *(output_padding, groups, None),
    )
    # Of one of oneDNN's Python has no name.
    return str(kernel.name).replace('???', 'MkldnnTranspose')


def storage_key(tensor: Tensor) -> int:
    """Return a number that tensors have in common which share memory.

    Args:
        tensor (Tensor): A dense one.
    """
    return int(tensor.untyped_storage()._cdata)


def copies_around(tensors: Iterable[Tensor]) -> dict[int, Any]:
    """Return a memo for ``copy.deepcopy`` that keeps tensors.

    Other tensors of their memory stay tensors of their memory.

    Args:
        tensors (Iterable[Tensor]): Any; of sharded ones only they themselves
            are kept.
    """
    tensors = list(tensors)
    memo: dict[Any, Any] = {id(x): x for x in tensors}
    # As Tensor.__deepcopy__ has it.
    memo['torch'] = {
        storage_key(x): x.untyped_storage()
        for x in tensors
        if type(x) in (Tensor, torch.nn.Parameter)
    }
    return memo


@contextmanager
def watched_resizing(
    watch: Callable[[int, int], None],
) -> Iterator[None]:
    """Have a function told of storages that are given another size.

    No operator tells: FSDP2 frees what it has gathered so.

    Args:
        watch (Callable): Called with the storage's key and its new bytes.
    """
    resize = torch.UntypedStorage.resize_

    def resize_(storage: Any, size: int) -> None:
        resize(storage, size)
        watch(int(storage._cdata), size)

    torch.UntypedStorage.resize_ = resize_  # type: ignore[method-assign,assignment]
    try:
        yield
    finally:
        torch.UntypedStorage.resize_ = resize  # type: ignore[method-assign]


def begin_fake_group(ranks: int) -> None:
    """Begin a process group whose other ranks are not there.

    Args:
        ranks (int): How many there seem to be.
    """
    from torch.testing._internal.distributed.fake_pg import FakeStore

    torch.distributed.init_process_group(
        'fake', rank=0, world_size=ranks, store=FakeStore()
    )


def rebuild_buckets_for_real(module: Any) -> None:
    """Have DDP sort its buckets, after its first update, outside of modes.

    It reads numbers of a tensor there. All releases.

    Args:
        module (DistributedDataParallel): Changed in place; hooks on its
            communication are registered already.
    """
    module.reducer = _Reducer(module.reducer)


class _Reducer:
    """A reducer of torch's that leaves modes to do one thing."""

    def __init__(self, reducer: Any) -> None:
        self._reducer = reducer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reducer, name)

    def _rebuild_buckets(self) -> bool:
        with without_modes():
            return bool(self._reducer._rebuild_buckets())


def fake_on(mode: FakeTensorMode, tensor: Tensor, device: str) -> Tensor:
    """Return a tensor without numbers that says it is on some device.

    The device need not be there, nor this build of torch be made for it; no
    gradient may be asked for then. All releases.

    Args:
        mode (FakeTensorMode): That it is of.
        tensor (Tensor): Whose shape and dtype it has.
        device (str): Such as ``'cuda'``.
    """
    with without_modes():
        shape = torch.empty(tensor.shape, dtype=tensor.dtype, device='meta')
    return FakeTensor(mode, shape, torch.device(device, 0))


@contextmanager
def autocast_set_to(device: str, dtype: torch.dtype) -> Iterator[None]:
    """Have autocast of a device on, which need not be there.

    ``torch.autocast`` would switch itself off. All releases.

    Args:
        device (str): Such as ``'cuda'``.
        dtype (torch.dtype): Of low precision.
    """
    enabled = torch.is_autocast_enabled(device)
    before = torch.get_autocast_dtype(device)
    cached = torch.is_autocast_cache_enabled()
    torch.set_autocast_enabled(device, True)
    torch.set_autocast_dtype(device, dtype)
    torch.set_autocast_cache_enabled(False)
    try:
        yield
    finally:
        torch.set_autocast_enabled(device, enabled)
        torch.set_autocast_dtype(device, before)
        torch.set_autocast_cache_enabled(cached)


def autocast_knows(device: str) -> list[str]:
    """Return the operators that a device's autocast does something with.

    Args:
        device (str): As in the name of a dispatch key, such as ``'CUDA'``.
    """
    key = f'Autocast{device}'
    found = torch._C._dispatch_get_registrations_for_dispatch_key(key)
    return sorted(x.removeprefix('aten::') for x in found if x[:6] == 'aten::')
