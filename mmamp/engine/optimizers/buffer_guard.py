"""Running statistics and the like, kept safe from a skipped window."""

import weakref
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from typing import Any

import torch
from torch import Tensor, nn

from mmamp.compat.torch import oldest_node, sequence_number

from .buffer_changes import Change, Changed
from .buffers import Layout, Slot, Snapshot, moved_to, watch_made

_events = count(1)
"""What any guard sees has a number, so that each knows if others came."""


class BufferGuard:
    """Takes back what an accumulation window's forward passes changed.

    A forward pass changes persistent buffers (BatchNorm's running statistics,
    spectral norm's vectors) before anybody can know that its gradients will
    not be finite. Of a window that is skipped the guard undoes just that:
    what its own forward passes changed, element by element. What another
    optimizer's window has changed in between stays: whole numbers such as
    BatchNorm's count exactly, running averages but for their momentum.

    Left alone are modules that say, by ``keeps_itself_finite = True``, that
    nothing of a skipped window can harm them, and averaged models, through
    which no forward pass of a training step runs.

    What a forward pass changed that no backward pass uses, and that is run
    again before one, stays: a loop may run a generator for its pictures alone.

    All stays on the device and takes a handful of kernels for each dtype,
    however many buffers there are. Where the device decides, buffers that a
    forward pass has made or reshaped, and those that are no plain dense
    tensors, have to wait for it.
    """

    MOST_WAITING = 32
    """Forward passes that may wait for a backward pass; the first of more
    were run for nothing."""
    MOST_ELEMENTS = 2**24
    """Elements of buffers that may be kept for those after the first two."""

    def __init__(self) -> None:
        # Weak: a loop may make one anew in each iteration.
        self._roots: list[weakref.ref[nn.Module]] = []
        self._change: Change | None = None
        # Of forward passes that no backward pass has used yet, and when they
        # began.
        self._waiting: list[tuple[int, Change]] = []
        self._has_graph = False
        self._is_hidden = False
        self._kept_state: dict[str, Any] | None = None
        # Of the window before.
        self._accepted: Change | None = None
        # Of the forward pass that is being made.
        self._made: dict[Slot, Tensor] | None = None
        self._entry: Snapshot | None = None
        self._layout: Layout | None = None
        self._moved = False
        self._number = 0
        self._last_event = 0

    def watch(self, module: nn.Module) -> bool:
        """Include a module's persistent buffers, those below it too.

        Args:
            module (nn.Module): Cheap if it is watched already.

        Returns:
            bool: Whether it is a new one.
        """
        models = self._models()
        if any(module is model for model in models):
            return False
        self._roots = [weakref.ref(model) for model in [*models, module]]
        return True

    def _models(self) -> list[nn.Module]:
        found = [root() for root in self._roots]
        return [model for model in found if model is not None]

    def holds(self, params: Iterable[nn.Parameter]) -> bool:
        """Tell whether some of these are parameters of the modules now.

        Args:
            params (Iterable[nn.Parameter]): An optimizer's. Those that FSDP2
                shards are not the module's while it is gathered.
        """
        asked = {id(param) for param in params}
        return any(
            id(param) in asked
            for model in self._models()
            for param in model.parameters()
        )

    @contextmanager
    def forward(self) -> Iterator[None]:
        """Note what a forward pass of the window changes."""
        if self._made is not None:
            # Inside of another, maybe of a model that nobody knew then.
            self._end()
            self._begin()
            yield
            return
        with watch_made(self._layout_now().lazy) as made:
            self._made = made
            self._begin()
            try:
                yield
                self._end()
            except Exception:
                # Nobody will step on it. A device that has failed stays so.
                with suppress(RuntimeError), torch.no_grad():
                    self._end()
                    self._waiting.pop()[1].heal(moved=False)
                raise
            finally:
                self._made = self._entry = None

    def _begin(self) -> None:
        """Remember the buffers, if a forward pass begins or goes on."""
        if self._made is None:
            return
        self._moved = self._others_came()
        self._number = sequence_number()
        with torch.no_grad():
            self._entry = self._layout_now().snapshot()

    def _end(self) -> None:
        """Note what was changed since, if a forward pass is being made."""
        if self._made is None or self._entry is None:
            return
        with torch.no_grad():
            after = self._layout_now().snapshot()
            change = Change.between(
                self._entry, after, self._made, self._moved
            )
            self._waiting.append((self._number, change))
            # One node is that of the question.
            if sequence_number() > self._number + 1:
                self._has_graph = True
            while self._waits_too_long():
                (_, first), (number, second), *rest = self._waiting
                self._waiting = [(number, first.instead(second)), *rest]
        self._entry = None
        self._last_event = next(_events)

    def _waits_too_long(self) -> bool:
        number = len(self._waiting)
        if number <= 2:
            return False
        size = self._waiting[-1][1].size()
        return number > self.MOST_WAITING or number * size > self.MOST_ELEMENTS

    @contextmanager
    def backward(self, loss: Tensor) -> Iterator[None]:
        """Note which forward passes a backward pass uses, and what it changes.

        Activation checkpointing runs modules again in it.

        Args:
            loss (Tensor): Where it begins.
        """
        self._end()
        if len(self._waiting) > 1:
            numbers = [number for number, _ in self._waiting]
            oldest = oldest_node(loss, enough=numbers[1])
            unused = sum(number <= oldest for number in numbers[1:])
        else:
            unused = 0
        self._take(unused)
        self._begin()
        yield
        self._end()
        self._take()
        self._begin()

    def _take(self, unused: int = 0) -> None:
        """Make the waiting forward passes a part of the window.

        Args:
            unused (int): How many of them were run for nothing. Defaults to 0.
        """
        waiting, self._waiting = [x for _, x in self._waiting], []
        self._has_graph = False
        if not waiting:
            return
        with torch.no_grad():
            joined = waiting[0]
            for i, change in enumerate(waiting[1:]):
                if i < unused:
                    joined = joined.instead(change)
                else:
                    joined = joined.then(change)
            if self._change is not None:
                # A pass for nothing is another's, to the window.
                joined.moved |= bool(unused)
                joined = self._change.then(joined)
        self._change = joined

    def restore(self, skipped: Tensor | None = None) -> None:
        """End the window; undo what it changed if it is skipped.

        Args:
            skipped (Tensor, optional): A scalar boolean on the device that
                decides; None (default) means yes.
        """
        self._end()
        self._take()
        moved = self._others_came()
        with torch.no_grad():
            if self._change is not None:
                now = self._layout_now().snapshot().dense
                self._change.put_back(skipped, moved, now)
            elif self._accepted is not None:
                # Its forward passes were those of the window before.
                self._accepted.heal(moved)
        self._close()

    def accept(self) -> None:
        """End the window: what it changed stays."""
        self._end()
        self._take()
        self._close()

    def _close(self) -> None:
        self._accepted = self._change or self._accepted
        self._change = None
        self._begin()

    def drop(self) -> None:
        """End a window whose gradients nobody wants.

        What its forward passes changed stays but where it is not finite. If
        one awaits its backward pass, whose graph may hold the buffers, all of
        it is of the next window.
        """
        self._end()
        if self._has_graph:
            self._begin()
            return
        self._take()
        if self._change is None:
            self._begin()
            return
        with torch.no_grad():
            self._change.heal(self._others_came())
        self._close()

    # ---- what others may see ------------------------------------------------

    @contextmanager
    def judged(self) -> Iterator[None]:
        """Have the buffers be what the last step left.

        For whoever uses the model inside of a window: validation, a
        checkpoint. What the window has changed is there again afterwards.
        Other guards of the same buffers have to :meth:`keep_state` first.
        """
        change = self._whole()
        if self._is_hidden or change is None:
            yield
            return
        self._is_hidden = True
        try:
            with change.hidden():
                yield
        finally:
            self._is_hidden = False

    def keep_state(self) -> None:
        """Have :meth:`state` say what it says now, whatever buffers are."""
        if not self._is_hidden:
            self._kept_state = self.state()

    def forget_state(self) -> None:
        """Have :meth:`state` say what is true again."""
        if not self._is_hidden:
            self._kept_state = None

    def state(self) -> dict[str, Any]:
        """Return what undoes the window, in an order that a resumed run has.

        Returns:
            dict: ``before``: what dense buffers would be without its forward
            passes, a tensor for each device and dtype; ``after``: what they
            are; ``rebuilt``: what others were, by their number.
        """
        if self._kept_state is not None:
            return self._kept_state
        change = self._whole()
        if change is None:
            return dict(before=[], after=[], rebuilt={})
        layout = self._layout_now()
        slots, now = layout.slots, layout.snapshot().dense
        return dict(
            rebuilt={
                i: change.rebuilt[slot]
                for i, slot in enumerate(slots)
                if slot in change.rebuilt
            },
            before=change.undone(now, moved=True),
            after=[copy.values for copy in now],
        )

    def load_state(
        self, state: dict[str, list[Tensor]] | list[Tensor]
    ) -> None:
        """Go on inside of a window; its models are watched.

        Args:
            state (dict or list[Tensor]): From :meth:`state`. The buffers get
                what they were, for a checkpoint of the model has what the
                last step left. A list is ``before`` alone, of a checkpoint
                that has the rest in the model.
        """
        self.accept()
        layout = self._layout_now()
        slots, now = layout.slots, layout.snapshot().dense
        known: dict[str, Any] = (
            dict(before=state, after=[x.values for x in now])
            if isinstance(state, list)
            else state
        )
        befores, afters = known['before'], known['after']
        fits = [x.numel() for x in befores] == [x.values.numel() for x in now]
        if not fits:
            return
        rebuilt: dict[int, Tensor | None] = known.get('rebuilt', {})
        self._change = Change(
            [], {slots[i]: moved_to(slots[i], x) for i, x in rebuilt.items()}
        )
        with torch.no_grad():
            for copy, before, after in zip(now, befores, afters, strict=True):
                device = copy.values.device
                after = after.to(device)
                copy.write(after, copy.tensors, copy.slots)
                self._change.dense.append(
                    Changed(
                        copy.memory,
                        before.to(device),
                        copy.versions,
                        after,
                        set(copy.slots),
                    )
                )
        self._last_event = next(_events)

    def _whole(self) -> Change | None:
        """Return what the window has changed, waiting forward passes too."""
        self._end()
        self._begin()
        whole = self._change
        with torch.no_grad():
            for _, change in self._waiting:
                whole = change if whole is None else whole.then(change)
        return whole

    def _layout_now(self) -> Layout:
        """Return where the buffers are."""
        models = self._models()
        if self._layout is None or not self._layout.holds(models):
            self._layout = Layout(models)
        return self._layout

    def _others_came(self) -> bool:
        """Tell whether another guard may have seen the buffers change."""
        event = next(_events)
        others = event != self._last_event + 1
        self._last_event = event
        return others
