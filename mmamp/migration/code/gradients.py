"""Who else has a hand in the gradients of a training step.

``update_params`` scales the loss, steps and sets gradients to zero. Whoever
reads gradients besides, makes some or steps on them would find other ones.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import libcst as cst

from .names import code, dotted, find, of_type
from .operations import BACKWARD, SCALER, STEP, ZERO, Recognizer
from .qualified import Names
from .rounds import Event, Round, Survey, Undecidable, freezes, spelled
from .train_steps import TrainStep, calls_of, key_of, network_of

HARMLESS = {
    *('set_requires_grad', 'requires_grad', 'requires_grad_', 'no_grad'),
    *('enable_grad', 'set_grad_enabled', 'zero_grad'),
}
AUTOGRAD = {'torch.autograd.grad', 'autograd.grad'}


def check_others(step: TrainStep, survey: Survey, module: cst.Module) -> None:
    """Look for optimizers, helpers and readers of gradients.

    Args:
        step (TrainStep): The training step.
        survey (Survey): Of its events.
        module (cst.Module): The file.

    Raises:
        Undecidable: If there are any.
    """
    names = survey.names
    for call in calls_of(step.function.body, STEP):
        _check_step(call, step, names)
    for node in of_type(step.function.body, cst.Attribute):
        if _reads_gradients(node, names):
            raise Undecidable(
                f'{code(node)} is scaled, or zero after the update, once the '
                "optimizer's wrapper updates",
                node,
            )
    helpers = _Helpers(step, module, names)
    for call in of_type(step.function.body, cst.Call):
        if what := helpers.what(call):
            raise Undecidable(
                f'{code(call.func)} {what}: its gradients are not scaled as '
                "those of the optimizer's wrapper",
                call,
            )


def _check_step(call: cst.Call, step: TrainStep, names: Names) -> None:
    """Raise if another optimizer steps."""
    owner = cst.ensure_type(call.func, cst.Attribute).value
    if key_of(owner, step.optimizer) is not None:
        return
    if dotted(owner) == SCALER:
        found = [key_of(x.value, step.optimizer) for x in call.args]
        if None not in found:
            return
        owner = call.args[0].value
    if 'sched' in code(owner).lower() or step.optimizer in spelled(
        owner, names
    ):
        return
    raise Undecidable(
        f'{code(owner)} steps on scaled gradients: make it a wrapper of '
        'optim_wrapper',
        call,
    )


def _reads_gradients(node: cst.Attribute, names: Names) -> bool:
    if node.attr.value not in ('grad', '_grad', 'main_grad'):
        return False
    return not names.is_one_of(node, AUTOGRAD)


class _Helpers:
    """The functions of a file that a training step may call."""

    def __init__(
        self, step: TrainStep, module: cst.Module, names: Names
    ) -> None:
        self.names = names
        self.functions = {
            **{x.name.value: x for x in _functions(module.body)},
            **{
                f'self.{x.name.value}': x
                for x in _functions(step.owner.body.body)
            },
        }
        self.seen: set[str] = set()

    def what(self, call: cst.Call) -> str:
        """Tell what a function does to gradients; empty if nothing."""
        name = dotted(call.func)
        function = self.functions.get(name)
        if function is None:
            is_own = name.startswith('self.')
            named = 'backward' in name or 'clip_grad' in name
            return 'may run a backward pass' if is_own and named else ''
        if name in self.seen or name == 'self.train_step':
            return ''
        self.seen.add(name)
        if calls_of(function.body, BACKWARD):
            return 'runs a backward pass'
        if calls_of(function.body, STEP):
            return 'steps'
        if any(
            _reads_gradients(x, self.names)
            for x in of_type(function.body, cst.Attribute)
        ) or any('clip_grad' in x for x in spelled(function.body, self.names)):
            return 'changes or reads gradients'
        inner = map(self.what, of_type(function.body, cst.Call))
        return next(filter(None, inner), '')


def _functions(lines: Sequence[Any]) -> Iterator[cst.FunctionDef]:
    return (x for x in lines if isinstance(x, cst.FunctionDef))


def check_zeros(
    rounds: Sequence[Round], survey: Survey, step: TrainStep
) -> None:
    """See that each update begins without gradients, as the new ones do.

    Args:
        rounds (Sequence[Round]): The updates.
        survey (Survey): They are from it.
        step (TrainStep): The training step.

    Raises:
        Undecidable: If gradients were kept from one update to the next.
    """
    for one in rounds:
        zeros = [x for x in one.others if x.operation.kind == ZERO]
        if not zeros:
            if _zeros_otherwise(step, survey.recognizer):
                continue
            raise Undecidable(
                'nothing sets the gradients to zero for this step, as the '
                "optimizer's wrapper does",
                one.step.statement,
            )
        if not any(_in_loops(x) >= _in_loops(one.step) for x in zeros):
            raise Undecidable(
                'the steps of a loop add up gradients, which the '
                "optimizer's wrapper sets to zero after each",
                one.step.statement,
            )
        _check_order(one, zeros, rounds, survey, step)


def _in_loops(event: Event) -> int:
    return sum(isinstance(x, (cst.For, cst.While)) for x in event.around)


def _zeros_otherwise(step: TrainStep, recognizer: Recognizer) -> bool:
    """Tell whether a network sets its gradients to zero."""
    return any(
        key_of(_owner(x), recognizer.optimizer) is None
        for x in calls_of(step.function.body, ZERO)
    )


def _owner(call: cst.Call) -> cst.BaseExpression:
    return cst.ensure_type(call.func, cst.Attribute).value


def _check_order(
    one: Round,
    zeros: Sequence[Event],
    rounds: Sequence[Round],
    survey: Survey,
    step: TrainStep,
) -> None:
    """Raise if another loss leaves gradients between zero and backward."""
    place = {id(x): i for i, x in enumerate(survey.order)}
    first = place[id(one.backwards[0].statement)]
    before = [y for x in zeros if (y := place[id(x.statement)]) < first]
    if not before or not one.key:
        return
    others = [
        x
        for other in rounds
        if other.key != one.key
        for x in other.backwards
        if max(before) < place[id(x.statement)] < first
    ]
    network = network_of(one.key)
    is_frozen = any(
        freezes(x, survey.names) and network in code(x)
        for kind in (cst.SimpleStatementLine, cst.For)
        for x in of_type(step.function.body, kind)
    )
    if others and not is_frozen:
        raise Undecidable(
            f'another loss leaves gradients in {network} between its '
            'zero_grad and its own: freeze it there, or set them to zero '
            'before its own backward pass',
            others[0].statement,
        )


def changes_weights(nodes: Sequence[cst.CSTNode], names: Names) -> Any:
    """Return the first of the nodes that may change weights or gradients."""
    for node in nodes:
        found = spelled(node, names)
        calls = {
            x.func.attr.value
            for x in of_type(node, cst.Call)
            if isinstance(x.func, cst.Attribute)
        }
        in_place = any(
            x[-1] == '_' and x[-2:] != '__' and x not in HARMLESS
            for x in calls
        )
        words = {'parameters', 'named_parameters', 'load_state_dict'}
        is_data = find(
            node,
            lambda x: (
                isinstance(x, (cst.Assign, cst.AugAssign))
                and '.data' in code(x).partition('=')[0]
            ),
        )
        if in_place or words & found or is_data:
            return node
        if any('clip' in x.lower() for x in found):
            return node
    return None
