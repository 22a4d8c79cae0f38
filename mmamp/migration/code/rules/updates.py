"""Backward passes and steps become ``update_params`` of the wrapper.

``optim_wrapper[...].update_params(loss)`` scales the loss, runs backward,
unscales, clips, steps and sets the gradients to zero, once in a window of
``accumulative_counts`` micro-batches.
"""

from collections.abc import Sequence
from typing import Any

import libcst as cst

from mmamp.migration.code.blocks import replace, statement
from mmamp.migration.code.gradients import (
    changes_weights,
    check_others,
    check_zeros,
)
from mmamp.migration.code.names import code, dotted, of_type, swap, variables
from mmamp.migration.code.notes import Notes
from mmamp.migration.code.operations import (
    APEX,
    DIVIDE,
    SCALER,
    ZERO,
    mentions,
)
from mmamp.migration.code.qualified import Names
from mmamp.migration.code.rounds import (
    Event,
    Round,
    Survey,
    Undecidable,
    freezes,
    returns,
    spelled,
    touches_gradients,
)
from mmamp.migration.code.train_steps import (
    TrainStep,
    change,
    network_of,
    rebinds,
    wrapper_of,
)
from mmamp.migration.rule import Rule

OWN_SCALER = (
    'one loss scale served all optimizers; each wrapper has one of its own '
    "now, unless loss_scaler='shared' is in every mmamp.AmpOptimWrapper"
)
KEPT = (
    'zero_grad stays, since this network is not frozen while another is '
    'trained; freeze it instead if there is to be accumulation'
)
OWN_APEX = (
    'Apex had a loss scale for each loss_id; each wrapper has one of its own'
)


def apply(module: cst.Module, notes: Notes) -> cst.Module:
    """Convert a file."""
    names = notes.names(module)
    return change(
        module, lambda step: _Updates(step, notes, names, module).function
    )


class _Updates:
    """Converts one training step, or marks it."""

    def __init__(
        self,
        step: TrainStep,
        notes: Notes,
        names: Names,
        module: cst.Module,
    ) -> None:
        self.step, self.notes, self.names = step, notes, names
        self.module = module
        self.taken = variables(step.function)
        self.actions: dict[cst.CSTNode, Sequence[Any]] = {}
        self.said: list[tuple[cst.CSTNode, str, bool]] = []
        self.keys: set[str] = set()
        self.counts: dict[cst.CSTNode, cst.CSTNode] = {}
        try:
            self.function = self._convert()
        except Undecidable as error:
            reason, where = error.args
            self.function = notes.todo(
                step.function, f'train_step is left as it was: {reason}', where
            )

    def _convert(self) -> cst.FunctionDef:
        function, optimizer = self.step.function, self.step.optimizer
        if rebinds(self.step):
            raise Undecidable(
                'it makes its own optimizers, which 1.x takes from '
                'optim_wrapper',
                function,
            )
        survey = Survey(function, optimizer, self.names)
        rounds = survey.rounds()
        if rounds:
            check_others(self.step, survey, self.module)
        self.keys = {one.key for one in rounds}
        for one in rounds:
            self._round(one, survey)
        check_zeros(rounds, survey, self.step)
        for node in survey.serving:
            self.actions[node] = []
        for node in survey.unknown:
            self._unknown(node)
        self._tell()
        return swap(replace(function, self.actions), self.counts)

    # ---- one update --------------------------------------------------------

    def _round(self, one: Round, survey: Survey) -> None:
        self._check(one, survey)
        for event in [*one.others, one.step]:
            if event.operation.kind == DIVIDE and not one.accumulates:
                continue
            is_zero = event.operation.kind == ZERO
            if is_zero and self._is_needed(event, one):
                self._say(event, KEPT, warns=True)
                continue
            self.actions[event.statement] = []
        wrapper = wrapper_of(self.step.optimizer, one.key)
        if not one.is_plain:
            self._sum(one, wrapper)
        elif one.backwards[0].operation.keywords:
            self._by_hand(one, wrapper)
        else:
            event = one.backwards[0]
            loss = event.operation.loss
            self._put(event, f'{wrapper}.update_params({loss})')
            self._say(event, f'backward, step and zero_grad: {wrapper}')
        if one.accumulates:
            self._accumulate(one, wrapper)

    def _is_needed(self, event: Event, one: Round) -> bool:
        """Tell whether other networks' losses may leave gradients in this one.

        ``update_params`` sets gradients to zero after its own step alone.
        """
        key = event.operation.key
        if not key or len(self.keys) < 2:
            return False
        if one.accumulates or event.statement in self.actions:
            return False
        if 'gen' in key:
            found = spelled(self.step.owner, self.names)
            return not found & {'detach', 'no_grad'}
        network = network_of(key)
        return not any(
            freezes(x, self.names) and network in code(x)
            for kind in (cst.SimpleStatementLine, cst.For)
            for x in of_type(self.step.function.body, kind)
        )

    def _check(self, one: Round, survey: Survey) -> None:
        first, step = one.backwards[0], one.step
        between = survey.between(first.statement, step.statement)
        if returns(between):
            raise Undecidable(
                'it may return between a backward pass and its step',
                first.statement,
            )
        if node := touches_gradients(between, self.names):
            raise Undecidable(
                'gradients are clipped or changed between backward and step: '
                "give the optimizer's wrapper clip_grad=dict(...)",
                node,
            )
        rest = [x for x in between if x not in survey.serving]
        if node := changes_weights(rest, self.names):
            raise Undecidable(
                'this may change weights or gradients between backward and '
                'step, which are one now',
                node,
            )
        node = next(filter(_calls_own, between), None)
        if node is not None and len(one.backwards) == 1:
            self.notes.warned(
                node,
                'this stood between backward and step, and comes after both',
            )
        if one.is_plain:
            return
        if one.accumulates:
            raise Undecidable(
                'several backward passes to a step, and accumulation',
                first.statement,
            )
        here = step.blocks
        for event in one.backwards:
            inner = event.around[len(step.around) :]
            if event.blocks[: len(here)] != here or not all(
                isinstance(x, (cst.If, cst.For)) for x in inner
            ):
                raise Undecidable(
                    'a backward pass and its step are in different branches',
                    event.statement,
                )
        if first.blocks != here:
            raise Undecidable(
                'the first backward pass is in another branch than the step',
                first.statement,
            )
        losses = {event.operation.loss for event in one.backwards}
        for node in between:
            for changed in of_type(node, cst.AugAssign):
                if code(changed.target) in losses:
                    raise Undecidable(
                        'a loss is changed after its backward pass', node
                    )

    def _sum(self, one: Round, wrapper: str) -> None:
        """Make several backward passes one over the sum of their losses."""
        total = self._new_name(one.key)
        first, *others = one.backwards
        self._put(first, f'{total} = {first.operation.loss}')
        for event in others:
            self._put(event, f'{total} = {total} + {event.operation.loss}')
        self._put(one.step, f'{wrapper}.update_params({total})')
        self._say(
            first,
            f'{len(one.backwards)} backward passes to one step are one over '
            f'the sum of the losses, {total}: the same gradients, more memory',
            warns=True,
        )

    def _new_name(self, key: str) -> str:
        name = f'{key.strip(chr(39) + chr(34))}_loss' if key else 'total_loss'
        while name in self.taken:
            name += '_sum'
        self.taken.add(name)
        return name

    def _by_hand(self, one: Round, wrapper: str) -> None:
        """Keep apart a backward pass with arguments, and its step."""
        event = one.backwards[0]
        if one.accumulates:
            raise Undecidable(
                'backward() with arguments, and accumulation', event.statement
            )
        loss, keywords = event.operation.loss, event.operation.keywords
        for other in one.others:
            if other.operation.kind == ZERO:
                self._put(other, f'{wrapper}.zero_grad()')
        self._put(event, f'{wrapper}.backward({loss}, {keywords})')
        self._put(one.step, f'{wrapper}.step()')
        self._say(
            event,
            f'backward({keywords}) stays apart from step(); '
            'accumulative_counts has no effect on it',
            warns=True,
        )

    def _accumulate(self, one: Round, wrapper: str) -> None:
        if one.loop:
            number = one.loop.iter.args[0].value  # type: ignore[attr-defined]
            count = cst.parse_expression(f'{wrapper}._accumulative_counts')
            self.counts[number] = count
        divides = any(x.operation.kind == DIVIDE for x in one.others)
        was = one.accumulates
        self._say(
            one.backwards[0],
            f'{was} is accumulative_counts of the wrapper, by which '
            + (
                'it divides the loss itself'
                if divides
                else 'it divides the loss: before, gradients were summed'
            ),
            warns=not divides,
        )

    # ---- the rest ----------------------------------------------------------

    def _put(self, event: Event, text: str) -> None:
        lines = event.statement.leading_lines
        self.actions[event.statement] = [statement(text, lines)]

    def _say(self, event: Event, reason: str, warns: bool = False) -> None:
        self.said.append((event.statement, reason, warns))

    def _unknown(self, node: Any) -> None:
        if not isinstance(node, cst.SimpleStatementLine):
            raise Undecidable('what it does with its optimizers', node)
        reason = 'this gets an optimizer wrapper now in place of an optimizer'
        self.actions[node] = [self.notes.todo(node, reason)]

    def _tell(self) -> None:
        """Say what was done, now that all of it is."""
        for node, reason, warns in self.said:
            (self.notes.warned if warns else self.notes.changed)(node, reason)
        if len(self.keys) < 2:
            return
        if mentions(self.step.function.body, SCALER):
            self.notes.warned(self.step.function, OWN_SCALER)
        if mentions(self.step.function.body, APEX):
            self.notes.warned(self.step.function, OWN_APEX)


def _calls_own(node: cst.CSTNode) -> bool:
    """Tell whether a statement calls a method of the model."""
    return any(
        dotted(x.func).startswith('self.') for x in of_type(node, cst.Call)
    )


RULE = Rule(
    'updates',
    'backward passes and steps in train_step',
    apply,
    ('train_step',),
)
