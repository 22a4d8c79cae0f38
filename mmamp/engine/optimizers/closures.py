"""Steps that compute the loss again, as those of SAM and LBFGS do."""

import copy
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from mmamp.compat.torch import BatchNorm, copies_around, times_changed
from mmamp.errors import UsageError
from mmamp.randomness.state import rng_state, set_rng_state
from mmamp.utils.modules import unwrap, with_inner

from .optimizer_attributes import copies_of_attributes
from .step_errors import naming_step

Closure = Callable[[], Any]


@dataclass
class Evaluation:
    """How the loss of a micro-batch is computed again.

    Args:
        closure (Callable): Returns the loss; it may make its backward pass.
        index (int): Of the micro-batch in the run.
        random (dict): The states of random numbers that it began with.
    """

    closure: Closure
    index: int
    random: dict[str, Any]


class Evaluations:
    """How the losses of a window are computed again.

    By closures that were given, or else by the one call of the model in each
    ``optim_context``, whose result ``parse_losses`` sums.

    Args:
        records (bool): Whether the optimizer's step needs them; from the
            first closure that is given on, they are noted in any case.
        context (Callable): ``optim_context`` of the wrapper.

    Attributes:
        loss (Tensor, optional): Of the window so far.
    """

    def __init__(self, records: bool, context: Callable[..., Any]) -> None:
        self.records = records
        self._context = context
        self._of_window: list[Evaluation] = []
        self._closure: Closure | None = None
        self._calls: list[tuple[nn.Module, Any, Any, Any]] = []
        self._random: dict[str, Any] | None = None
        self._problem = ''
        # Whether calls may be of a forward pass that was given up.
        self._may_be_stale = False
        self.loss: Tensor | None = None

    @contextmanager
    def forward(self, model: nn.Module) -> Iterator[None]:
        """Note the calls of a model in a forward pass.

        Args:
            model (nn.Module): Of the ``optim_context``.
        """
        if not self.records:
            yield
            return
        if self._may_be_stale:
            self._forget_calls()
        if self._random is None:
            self._random = rng_state()
        depth = 0

        def enter(*_: Any) -> None:
            nonlocal depth
            depth += 1

        def leave(module: Any, args: Any, kwargs: Any, output: Any) -> None:
            nonlocal depth
            depth -= 1
            if not depth:
                self._calls.append((module, args, kwargs, output))

        handles = (
            model.register_forward_pre_hook(enter),
            model.register_forward_hook(leave, with_kwargs=True),
        )
        before = len(self._calls)
        try:
            yield
        except BaseException:
            # Its loss is nobody's; the next forward pass draws anew.
            del self._calls[before:]
            self._random = None
            raise
        finally:
            for handle in handles:
                handle.remove()

    def give(self, closure: Closure) -> None:
        """Take a closure for the micro-batch whose backward pass comes next.

        Args:
            closure (Callable): See :class:`Evaluation`.
        """
        self._closure, self.records = closure, True

    def add(
        self, loss: Tensor, weigh: Callable[[Tensor], Tensor], index: int
    ) -> None:
        """Take up a micro-batch.

        Args:
            loss (Tensor): Its backward pass has begun here.
            weigh (Callable): Makes it of the model's loss.
            index (int): Of the micro-batch in the run.
        """
        if not self.records:
            return
        closure, calls = self._closure, self._calls
        if closure is None:
            closure = self._of_call(calls, loss, weigh)
        if closure is not None:
            random = self._random or rng_state()
            self._of_window.append(Evaluation(closure, index, random))
        loss = loss.detach()
        self.loss = loss if self.loss is None else self.loss + loss
        self._forget_calls()

    def _of_call(
        self,
        calls: list[Any],
        loss: Tensor,
        weigh: Callable[[Tensor], Tensor],
    ) -> Closure | None:
        """Return how the call of a model is made again, if that is its loss.

        Which is looked at once a window.
        """
        if len(calls) != 1:
            self._problem = (
                f'the model was called {len(calls)} times in optim_context'
            )
            return None
        model, args, kwargs, output = calls[0]
        if not self._of_window:
            found = _loss_of(model, output)
            if found is None or not _same(weigh(found.detach()), loss):
                self._problem = (
                    'the loss is not what parse_losses makes of what the '
                    'model has returned'
                )
                return None

        def closure() -> Tensor:
            with self._context(model):
                output = model(*args, **kwargs)
            loss = _loss_of(model, output)
            assert loss is not None  # it was one
            return loss

        return closure

    def clear(self) -> None:
        """Forget those of a window that is over.

        A forward pass whose backward pass has not come keeps its place until
        the next one: gradients may be dropped in between.
        """
        self._of_window = []
        self._problem, self.loss = '', None
        self._may_be_stale = True

    def _forget_calls(self) -> None:
        self._closure, self._calls, self._random = None, [], None
        self._may_be_stale = False

    def take(self, micro_batches: int, who: str) -> list[Evaluation]:
        """Return those of a window.

        Args:
            micro_batches (int): How many it has.
            who (str): The wrapper and its optimizer, for messages.

        Raises:
            UsageError: If that of one is not known.
        """
        if len(self._of_window) == micro_batches:
            return self._of_window
        raise UsageError(
            f'{who} computes the loss again in its step, and how is not '
            f'known: {self._problem or "its forward pass was not seen"}. '
            'Give update_params(loss, step_kwargs=dict(closure=closure)), '
            'where closure() returns the loss of the micro-batch; or choose '
            'an optimizer whose step needs no closure, such as Adam'
        )


def _same(one: Tensor, other: Tensor) -> bool:
    """Tell whether two losses are equal; nan is nan."""
    return torch.equal(one.nan_to_num(), other.detach().nan_to_num())


def _loss_of(model: nn.Module, output: Any) -> Tensor | None:
    """Return the loss in what a model has returned, if there is one."""
    if isinstance(output, Tensor):
        return output if output.numel() == 1 else None
    parse = getattr(unwrap(model), 'parse_losses', None)
    if parse is None or not isinstance(output, dict):
        return None
    loss = parse(output)
    loss = loss[0] if isinstance(loss, tuple) else loss
    return loss if isinstance(loss, Tensor) else None


@contextmanager
def drawing_again(evaluation: Evaluation) -> Iterator[None]:
    """Draw the random numbers of a micro-batch again, and go on after it.

    Args:
        evaluation (Evaluation): Of the micro-batch.
    """
    now = rng_state()
    set_rng_state(evaluation.random)
    try:
        yield
    finally:
        set_rng_state(now)


class NotFinite(Exception):
    """Ends a step: gradients that its closure made are not finite."""


class EvaluatingStep:
    """A step that computes the loss and its gradients again.

    Whatever the optimizer has done by then is undone if these gradients are
    not finite.

    Args:
        optimizer (Optimizer): Its parameters have the window's gradients,
            unscaled and clipped.
        evaluate (Callable): Makes them anew, unscaled and clipped, and returns
            the loss; raises ``NotFinite`` if they are not.
        loss (Tensor, optional): Of the gradients that are there; None if it
            is not known.
        who (str): The wrapper, for errors of the optimizer's.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        evaluate: Callable[[], Tensor],
        loss: Tensor | None,
        who: str,
    ) -> None:
        self._optimizer: Any = optimizer
        self._evaluate = evaluate
        self._loss = loss
        self._who = who

    def __call__(self, **kwargs: Any) -> bool:
        """Make the step; tell whether it was made.

        Args:
            **kwargs: Of ``optimizer.step``, but for the closure.
        """
        undo = Undo(self._optimizer)
        grads = [(p, p.grad) for p in undo.params if p.grad is not None]
        versions = [times_changed(grad) for _, grad in grads]
        loss = self._loss
        of_loss: list[Exception] = []

        def closure() -> Tensor:
            nonlocal loss
            first, loss = loss, None
            if (
                first is not None
                and all(p.grad is grad for p, grad in grads)
                and versions == [times_changed(grad) for _, grad in grads]
                and not undo.moved()
            ):
                return first  # where the window's gradients are
            for param in undo.params:
                param.grad = None
            try:
                with torch.enable_grad():
                    return self._evaluate().detach()
            except Exception as error:
                of_loss.append(error)
                raise

        try:
            with (
                naming_step(self._optimizer, self._who, of_loss),
                momenta_kept(self._optimizer),
            ):
                self._optimizer.step(closure=closure, **kwargs)
        except NotFinite:
            undo()
            return False
        return True


@contextmanager
def momenta_kept(optimizer: Optimizer) -> Iterator[None]:
    """Have BatchNorm go on with its momentum after a step.

    One that holds the network may set it to 0, so that only one of its forward
    passes counts, and leave it there (WSAM of pytorch-optimizer 4.1.0).

    Args:
        optimizer (Optimizer): That is stepped.
    """
    momenta = [
        (module, module.momentum)
        for held in vars(optimizer).values()
        if isinstance(held, nn.Module)
        for module in held.modules()
        if isinstance(module, BatchNorm)
    ]
    try:
        yield
    finally:
        for module, momentum in momenta:
            module.momentum = momentum


class Undo:
    """What an optimizer is put back to if its step cannot be ended.

    Args:
        optimizer (Optimizer): With its parameters; optimizers inside of it
            are put back too.
    """

    def __init__(self, optimizer: Optimizer) -> None:
        self._optimizers = with_inner(optimizer)
        self.params: list[Tensor] = [
            p for group in optimizer.param_groups for p in group['params']
        ]
        self.values = [p.detach().clone() for p in self.params]
        # What values are about stays, and what two of them hold is one copy.
        memo = copies_around(self.params)
        for each in self._optimizers:
            for kept in (each, each.state, each.param_groups):
                memo[id(kept)] = kept
            memo.update((id(group), group) for group in each.param_groups)
        self._states = [
            {k: copy.deepcopy(value, memo) for k, value in each.state.items()}
            for each in self._optimizers
        ]
        self._groups = [
            [
                {
                    key: (value, copy.deepcopy(value, memo))
                    for key, value in group.items()
                    if key != 'params'
                }
                for group in each.param_groups
            ]
            for each in self._optimizers
        ]
        self._attributes = [
            copies_of_attributes(each, memo) for each in self._optimizers
        ]

    def moved(self) -> bool:
        """Tell whether the parameters are others now; waits for the device."""
        return not all(
            bool(torch.equal(param.detach(), value))
            for param, value in zip(self.params, self.values, strict=True)
        )

    def __call__(self) -> None:
        """Put all back."""
        with torch.no_grad():
            for param, value in zip(self.params, self.values, strict=True):
                param.copy_(value)
        self.states()

    def states(self) -> None:
        """Put back all but the parameters."""
        for each, state, groups in zip(
            self._optimizers, self._states, self._groups, strict=True
        ):
            if isinstance(each.state, MutableMapping):
                each.state.clear()
                each.state.update(state)
            # Else it is that of optimizers inside.
            for group, kept in zip(each.param_groups, groups, strict=True):
                params = group['params']
                group.clear()
                group.update(_put_back(kept), params=params)
        for put_back in self._attributes:
            put_back()


def _put_back(settings: dict[str, tuple[Any, Any]]) -> dict[str, Any]:
    """Return settings as they were; tensors stay the ones that they are."""
    with torch.no_grad():
        return {
            key: value.copy_(kept) if isinstance(value, Tensor) else kept
            for key, (value, kept) in settings.items()
        }
