"""What operators do while a model trains: memory, waits, multiply-adds."""

import sys
import sysconfig
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import flop_registry

from mmamp.compat.torch import (
    TorchDispatchMode,
    in_backward,
    makes_no_memory,
    watched_resizing,
)
from mmamp.distributed.sharding import is_sharded
from mmamp.precision.names import name_of
from mmamp.utils.modules import named_modules

from .convolutions import CONVOLVES, taken_within
from .ledger import (
    ACTIVATIONS,
    AVERAGES,
    BACKWARD,
    BUCKETS,
    GATHERED,
    GUARD,
    LOW_WEIGHTS,
    PENALTIES,
    REST,
    WEIGHTS,
    Ledger,
)
from .values import ASKS, Values, tensors_in

FORWARD, BACK, STEP = 'forward', 'backward', 'step'
"""Phases of a micro-batch."""
_HERE = str(Path(__file__).parents[1])
_GUARD = f'{_HERE}/engine/optimizers/buffer'
_PLAN = f'{_HERE}/plan/'
_TOOLS = (_PLAN, f'{_HERE}/compat/')
_FSDP = 'torch/distributed/fsdp'
_PYTHON = f'{sysconfig.get_paths()["stdlib"]}/'
_MODELS = tuple(
    f'{_HERE}/models/{x}/'
    for x in ('archs', 'augment', 'gans', 'layers', 'losses')
)
_SITE = ('/torch/', '/mmengine/', '/mmcv/')


class NeedsValues(Exception):
    """A model asks for a number that only a run on real tensors has.

    Args:
        place (str): File and line that ask.
    """

    def __init__(self, place: str) -> None:
        super().__init__(place)
        self.place = place


class Watch(TorchDispatchMode):
    """Sees every operator.

    Args:
        ledger (Ledger): Is told of memory.
        values (Values, optional): Answers where tensors have no numbers;
            None where they do.
        device (str): That it is watched for. Defaults to ``'cpu'``.

    Attributes:
        waits (Counter[str]): Where a number is asked for, by file and line.
        work (Counter[tuple[str, str]]): Multiply-adds, by role and dtype.
        moved (Counter[tuple[str, str]]): Bytes that operators read and write,
            likewise.
        role (str): Whose turn it is: the name of an optimizer.
        phase (str): Of it; empty outside of any.
        is_sharded (bool): Whether FSDP2 gathers weights.
        makes_buckets (bool): Whether DDP makes its buckets now.
    """

    def __init__(
        self, ledger: Ledger, values: Values | None, device: str = 'cpu'
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.ledger, self.values = ledger, values
        self.waits: Counter[str] = Counter()
        self.work: Counter[tuple[str, str]] = Counter()
        self.moved: Counter[tuple[str, str]] = Counter()
        self.device = device
        self.role = self.phase = ''
        self.is_sharded = False
        self.makes_buckets = False
        self._names: dict[int, str] = {}
        self._inside: list[str] = []

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watch meanwhile."""
        with ExitStack() as stack:
            for handle in (
                nn.modules.module.register_module_forward_pre_hook(
                    self._enter
                ),
                nn.modules.module.register_module_forward_hook(
                    self._leave, always_call=True
                ),
            ):
                stack.callback(handle.remove)
            stack.enter_context(watched_resizing(self.ledger.resize))
            stack.enter_context(self)
            yield

    @contextmanager
    def during(self, role: str, phase: str) -> Iterator[None]:
        """Name what is done meanwhile.

        Args:
            role (str): Whose turn it is.
            phase (str): Of it.
        """
        before = self.role, self.phase
        self.role, self.phase = role, phase
        mark = f'{role}: {phase}' if role else phase
        with self.ledger.phase(mark):
            try:
                yield
            finally:
                self.role, self.phase = before

    def name_modules(self, model: nn.Module) -> None:
        """Learn what modules are called.

        Args:
            model (nn.Module): The model.
        """
        self._names = {id(m): names[0] for names, m in named_modules(model)}

    def _enter(self, module: nn.Module, args: Any) -> None:
        name = self._names.get(id(module), '')
        inside = self._inside[-1] if self._inside else ''
        self._inside.append(name or inside)

    def _leave(self, module: nn.Module, args: Any, output: Any) -> None:
        if self._inside:
            self._inside.pop()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """Call an operator, and note what it takes."""
        if any(map(is_sharded, types)):
            # What it does with this rank's part comes here too.
            return NotImplemented
        kwargs = kwargs or {}
        if func.namespace == 'prim':
            return func(*args, **kwargs)  # it asks where a tensor is
        if func in ASKS:
            return self._asked(func, args, kwargs)
        result = func(*args, **kwargs)
        given, made = tensors_in((args, kwargs)), tensors_in(result)
        part = None
        for tensor in made:
            if self.ledger.block_of(tensor) is None:
                part = part or self._part(func, args)
                module = self._inside[-1] if self._inside else ''
                self.ledger.add(tensor, part, module)
        if func in CONVOLVES and (
            size := taken_within(func, args, result, self.device)
        ):
            self.ledger.pass_by(size, part or self._part(func, args))
        if not func.is_view:
            self._count(func, args, kwargs, result, given + made)
        if self.values is not None:
            self.values.follow(func, args, kwargs, result, given, made)
        return result

    def _asked(self, func: Any, args: Any, kwargs: Any) -> Any:
        where = place()
        if where is not None:
            self.waits[where] += 1
        if self.values is None or any(
            isinstance(x, Tensor) and not hasattr(x, 'fake_mode') for x in args
        ):
            return func(*args, **kwargs)
        answer, is_known = self.values.ask(func, args)
        if where is not None and not is_known:
            raise NeedsValues(where)
        return answer

    def _part(self, func: Any, args: Any) -> str:
        """Say what new memory is for."""
        if self.is_sharded and _passes(_FSDP):
            return GATHERED
        # One is made by no operator later on, and shows when it is used.
        if self.makes_buckets or (in_backward() and makes_no_memory(func)):
            return BUCKETS
        if func is torch.ops.aten._to_copy.default:
            block = self.ledger.block_of(args[0])
            if block is not None and block.part in (WEIGHTS, AVERAGES):
                return LOW_WEIGHTS
        if in_backward():
            return PENALTIES if self.phase == FORWARD else BACKWARD
        if not self._inside and _passes(_GUARD):
            return GUARD
        return ACTIVATIONS if self.phase == FORWARD else REST

    def _count(
        self,
        func: Any,
        args: Any,
        kwargs: Any,
        result: Any,
        used: list[Tensor],
    ) -> None:
        """Count multiply-adds, and bytes that go through memory."""
        floating = next((x for x in used if x.is_floating_point()), None)
        if floating is None:
            return
        key = self.role, name_of(floating.dtype)
        self.moved[key] += sum(x.numel() * x.element_size() for x in used)
        count: Callable[..., int] | None = flop_registry.get(
            func.overloadpacket
        )
        if count is not None:
            flops = int(count(*args, **kwargs, out_val=result))
            self.work[key] += flops // 2


def _passes(folder: str, depth: int = 14) -> bool:
    """Tell whether code of a folder is being run."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None and depth:
        if folder in frame.f_code.co_filename:
            return True
        frame, depth = frame.f_back, depth - 1
    return False


def place() -> str | None:
    """Return the file and line of a model's own code that is being run.

    Returns:
        str or None: None where it is mmamp or MMEngine that asks, not the
        model.
    """
    frame: FrameType | None = sys._getframe(2)
    while frame is not None:
        file = frame.f_code.co_filename
        is_own = file.startswith(_HERE) and not file.startswith(_TOOLS)
        if is_own and not file.startswith(_MODELS):
            return None
        if is_of_user(file):
            return f'{file}:{frame.f_lineno}'
        frame = frame.f_back
    return None


def is_of_user(file: str) -> bool:
    """Tell whether a file is of a model, and not of what trains it.

    Args:
        file (str): Its path.
    """
    if file.startswith(_HERE):
        return file.startswith(_MODELS)
    is_python = file.startswith(('<', _PYTHON)) and '-packages' not in file
    return not is_python and not any(x in file for x in _SITE)
