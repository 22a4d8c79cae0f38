"""Weights that an optimizer has for evaluation, apart from training's."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.optim import Optimizer

from mmamp.utils.modules import params_of, with_inner

from .closures import Undo

METHODS = (
    ('eval', 'train'),
    ('backup_and_load_cache', 'clear_and_load_backup'),
    ('sync_lookahead', ''),
)
"""What an optimizer may have: a method that puts the weights for evaluation
into the model (schedule-free ones; the slow weights of Lookahead in
pytorch-optimizer 4.1.0 and in timm 1.0.31), and one that takes them out."""


class EvaluationWeights:
    """The weights of an optimizer that trains on others than it evaluates.

    Training goes on from the very weights that it had: those that the
    optimizer's own method would compute back differ by rounding. Calls of its
    methods by others come here too.

    Args:
        optimizer (Optimizer): Nothing is done for one without such methods.
    """

    def __init__(self, optimizer: Optimizer) -> None:
        self._optimizer = optimizer
        found = [
            (enter, leave)
            for enter, leave in METHODS
            if callable(getattr(optimizer, enter, None))
            and (not leave or callable(getattr(optimizer, leave, None)))
        ]
        self._enter, self._leave = found[0] if found else ('', '')
        self._own = {
            name: vars(optimizer)[name]
            for name in (self._enter, self._leave)
            if name in vars(optimizer)
        }
        # Training's, while others are in the model.
        self._kept: list[Tensor] | None = None
        self._is_training = not self._enter
        self._take_calls()

    def _take_calls(self) -> None:
        """Have calls of the optimizer's methods by others come here."""
        if self._leave:
            setattr(self._optimizer, self._enter, self.show)
            setattr(self._optimizer, self._leave, self.train)

    def _call(self, name: str) -> None:
        """Call a method of the optimizer, which may call the other one."""
        for each in (self._enter, self._leave):
            vars(self._optimizer).pop(each, None)
        vars(self._optimizer).update(self._own)
        try:
            getattr(self._optimizer, name)()
        finally:
            self._take_calls()

    @property
    def differ(self) -> bool:
        """bool: Whether there are any apart from those of training."""
        return bool(self._enter)

    def train(self, mode: bool = True) -> None:
        """Have the model train; free where it does already.

        Args:
            mode (bool): False is :meth:`show`, as some optimizers have it.
                Defaults to True.
        """
        if not mode:
            self.show()
        if not mode or self._is_training:
            return
        self._is_training = True
        kept, self._kept = self._kept, None
        # Some have to be told so before their first step.
        if self._leave == 'train' or (self._leave and kept is not None):
            try:
                self._call(self._leave)
            except AttributeError:
                # One that hands it on to an optimizer without such methods.
                self._enter = self._leave = ''
        if kept is not None:
            with torch.no_grad():
                for param, value in zip(
                    params_of(self._optimizer), kept, strict=True
                ):
                    param.copy_(value)

    def show(self) -> None:
        """Have the model show the weights for evaluation.

        Nothing is done where they are there, or where nothing was trained
        yet and the optimizer cannot tell them.
        """
        if not (self._enter and self._is_training):
            return
        params = params_of(self._optimizer)
        self._kept = [p.detach().clone() for p in params]
        self._is_training = False
        begun = self._has_begun()
        undo = None if self._leave and begun else Undo(self._optimizer)
        try:
            self._call(self._enter)
        except Exception:
            if begun or undo is None:
                raise
            # It asks for a state that its first step makes.
            undo.states()
            self.train()
            return
        if undo is not None and not self._leave:
            # The weights alone are another's.
            undo.states()

    def _has_begun(self) -> bool:
        """Tell whether there is a state, which some methods ask for."""
        return any(
            type(kept) is not dict or kept
            for each in with_inner(self._optimizer)
            for kept in each.state.values()
        )

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Have the model show the weights for evaluation.

        Afterwards it has those of training again, bit for bit.
        """
        if not (self._enter and self._is_training):
            yield
            return
        self.show()
        try:
            yield
        finally:
            self.train()

    def state(self) -> list[Tensor] | None:
        """Return training's weights while others are in the model."""
        return self._kept

    def load_state(self, kept: list[Tensor] | None) -> None:
        """Go on from a state that was loaded.

        Args:
            kept (list[Tensor], optional): From :meth:`state`: the model of the
                checkpoint has the weights for evaluation. None: it has those
                of training.
        """
        self._kept = kept
        self._is_training = not self._enter
        if kept is None:
            self.train()
