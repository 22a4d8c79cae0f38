"""Which scales a gradient penalty has: those of the one it is."""

import math
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch import Tensor

from mmamp.precision.penalty_names import penalty_name

from .higher_order import PenaltyScaler

FRAMES = 3
"""How many callers tell one call from another."""
NODES = 32
"""How many operations before an output are looked at."""


class PenaltyScalers:
    """The scales of an optimizer's penalties.

    Penalties of other networks, or at other points, can differ in size by
    more than one pair of scales has room for, so that each has its own. Which
    one a call of ``grad`` is for, mmamp's own say by name. Of others it is
    told by where in the code it is made, what it is a gradient of, and, of
    those that agree in that, by their order in a micro-batch. A lazy penalty
    (one that is not due in each update) changes none of it for the others.
    Gradients that are not differentiated again, which need no backward pass
    to follow, have one pair of their own.
    """

    MOST = 16
    """Pairs; another takes the place of that not used for longest, or, of
    more in one micro-batch, shares the last one."""

    def __init__(self) -> None:
        # In the order of their last use.
        self._pairs: dict[str, PenaltyScaler] = {}
        # Of a checkpoint that tells them by their order alone.
        self._unnamed: list[PenaltyScaler] = []
        self._of_first_order: PenaltyScaler | None = None
        self._calls: Counter[str] = Counter()
        self._present: set[str] = set()

    def of_call(
        self,
        outputs: Sequence[Tensor],
        create_graph: bool,
        params: Sequence[Tensor],
    ) -> PenaltyScaler:
        """Return the scales for a call.

        Args:
            outputs (Sequence[Tensor]): What is differentiated.
            create_graph (bool): Whether the result is differentiated again.
            params (Sequence[Tensor]): The optimizer's parameters.
        """
        device = outputs[0].device
        if not create_graph:
            if self._of_first_order is None:
                self._of_first_order = PenaltyScaler(device)
            return self._of_first_order
        what = penalty_name() or (
            f'{_callers()} {_differentiated(outputs[0], params)}'
        )
        self._calls[what] += 1
        name = f'{what} {self._calls[what]}'
        pair = self._pairs.pop(name, None)
        if pair is None:
            if len(self._pairs) == self.MOST:
                longest_unused = next(iter(self._pairs))
                if longest_unused in self._present:
                    return next(reversed(self._pairs.values()))
                del self._pairs[longest_unused]
            pair = (
                self._unnamed.pop(0)
                if self._unnamed
                else PenaltyScaler(device)
            )
        self._pairs[name] = pair
        self._present.add(name)
        return pair

    def end_micro_batch(self) -> None:
        """Begin to count anew."""
        self._calls.clear()
        self._present.clear()

    def state_dict(self) -> list[dict[str, Any]]:
        """Return the scales so far."""
        states: list[dict[str, Any]] = [
            {**pair.state_dict(), 'penalty': name}
            for name, pair in self._pairs.items()
        ]
        states += [pair.state_dict() for pair in self._unnamed]
        if self._of_first_order is not None:
            first_order = self._of_first_order.state_dict()
            states.append({**first_order, 'first_order': 1.0})
        return states

    def load_state_dict(
        self, states: list[dict[str, Any]], device: torch.device
    ) -> None:
        """Go on from saved scales.

        Args:
            states (list[dict]): From :meth:`state_dict`.
            device (torch.device): Of the gradients.
        """
        self._pairs, self._unnamed, self._of_first_order = {}, [], None
        for state in states:
            pair = PenaltyScaler(device)
            pair.load_state_dict(state)
            if 'first_order' in state:
                self._of_first_order = pair
            elif 'penalty' in state:
                self._pairs[state['penalty']] = pair
            else:
                self._unnamed.append(pair)


def _callers() -> str:
    """Say where a gradient is asked for.

    By lines within functions: a function that moves in its file is the same.
    What torch puts between a module and its ``forward`` tells nothing.
    """
    found: list[str] = []
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and len(found) < FRAMES:
        package = str(frame.f_globals.get('__package__'))
        if package != __package__ and package.partition('.')[0] != 'torch':
            code = frame.f_code
            line = frame.f_lineno - code.co_firstlineno
            found.append(
                f'{Path(code.co_filename).name}:{code.co_name}+{line}'
            )
        frame = frame.f_back
    return '<'.join(found)


def _differentiated(output: Tensor, params: Sequence[Tensor]) -> str:
    """Say what an output is made by, from the output backwards.

    The operations up to the first of the optimizer's parameters, with the
    size of the factors among them.
    """
    found: list[str] = []
    nodes: list[Any] = [output.grad_fn]
    for node in nodes:
        if node is None:
            continue
        variable = getattr(node, 'variable', None)
        if variable is not None:
            for place, param in enumerate(params):
                if param is variable:
                    return ' '.join([*found, f'parameter {place}'])
            continue
        found.append(node.name() + _factor(node))
        nodes += [following for following, _ in node.next_functions]
        if len(found) == NODES:
            break
    return ' '.join(found)


def _factor(node: Any) -> str:
    """Say how large a number is that a node multiplies by, or nothing.

    In steps of 256: a weight that changes slowly is the same.
    """
    try:
        other = getattr(node, '_saved_other', None)
    except RuntimeError:  # an earlier backward pass has freed it
        return ''
    if not isinstance(other, Tensor):
        return ''
    if other.dim() or other.device.type != 'cpu':
        return ''  # a tensor of the model's, or one to wait for
    size = abs(float(other))
    if not (0 < size < math.inf):
        return ''
    return f'*256^{round(math.log2(size) / 8)}'
