"""``train_step`` returns what is to be logged, and nothing around it.

0.x returned ``dict(log_vars=..., num_samples=..., results=...)``. In 1.x the
wrappers do the rest: MMEngine logs all that ``train_step`` returns.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import libcst as cst

from mmamp.migration.code.blocks import replace, statement
from mmamp.migration.code.names import code, dotted, find, of_type
from mmamp.migration.code.notes import Notes
from mmamp.migration.code.rounds import blocks_of
from mmamp.migration.code.train_steps import TrainStep, change, wrapper_of
from mmamp.migration.rule import Rule

KEYS = {'log_vars', 'num_samples', 'results', 'loss'}
PURE = {'cpu', 'detach', 'item', 'float', 'clone', 'size', 'numpy', 'dim'}
UNCLEAR = 'train_step returns the dict of what is logged, without log_vars='
PARENT = (
    'super().train_step returns what is logged now, without log_vars= around '
    'it'
)


def apply(module: cst.Module, notes: Notes) -> cst.Module:
    """Convert a file."""
    return change(module, lambda step: _Returns(step, notes).function)


class _Returns:
    """Converts what one training step returns."""

    def __init__(self, step: TrainStep, notes: Notes) -> None:
        self.step, self.notes = step, notes
        self.actions: dict[cst.CSTNode, Sequence[Any]] = {}
        self.handed: set[str] = set()
        function = step.function
        for block in _blocks(function.body):
            for at, line in enumerate(block.body):
                if _returned(line) is not None:
                    self._return(block.body, at)
        function = replace(function, self.actions)
        self.function = _without_results(function, self.handed)

    def _return(self, lines: Sequence[Any], at: int) -> None:
        line = lines[at]
        value = _returned(line)
        if _is_parents(value):
            return
        if isinstance(value, cst.Name):
            self._named(lines, at, value.value)
        elif (items := _items(value)) is not None:
            self._plain(line, items)
        else:
            self.actions[line] = [self.notes.todo(line, UNCLEAR)]

    def _plain(self, line: Any, items: dict[str, cst.CSTNode]) -> bool:
        """Return the log variables; whether that can be."""
        if 'log_vars' not in items or not _are_pure(items):
            self.actions[line] = [self.notes.todo(line, UNCLEAR)]
            return False
        log_vars = code(items['log_vars'])
        news = [statement(f'return {log_vars}', line.leading_lines)]
        if self._is_for_hook(items):
            wrapper = wrapper_of(self.step.optimizer, '')
            loss = code(items['loss'])
            update = f'{wrapper}.update_params({loss})'
            news = [
                statement(update, line.leading_lines),
                statement(f'return {log_vars}'),
            ]
            self.notes.changed(line, 'OptimizerHook is update_params here')
        self.actions[line] = news
        self.handed |= {
            dotted(x) for key, x in items.items() if key == 'results'
        }
        self.notes.changed(line, 'returns what is logged, without num_samples')
        return True

    def _is_for_hook(self, items: dict[str, cst.CSTNode]) -> bool:
        """Tell whether a hook of the runner ran backward and step."""
        body = self.step.function.body
        names = {x.value for x in of_type(body, cst.Name)}
        return 'loss' in items and self.step.optimizer not in names

    def _named(self, lines: Sequence[Any], at: int, name: str) -> None:
        """Convert ``outputs = dict(log_vars=...)`` and ``return outputs``."""
        line = lines[at]
        for i in range(at - 1, -1, -1):
            if not _mentions(lines[i], name):
                continue
            items = _given(lines[i], name)
            if items is not None and self._plain(line, items):
                self.actions[lines[i]] = []
                self._drop_dead(lines[:i], lines[i + 1 : at], items)
                return
            break
        if self._same_everywhere(line, name):
            return
        if any(
            _is_parents(getattr(x.body[0], 'value', None))
            and _target(x) == name
            for x in lines[:at]
            if isinstance(x, cst.SimpleStatementLine)
        ):
            if len(_uses(self.step.function, name)) > 2:
                self.actions[line] = [self.notes.todo(line, PARENT)]
            return
        self.actions[line] = [self.notes.todo(line, UNCLEAR)]

    def _drop_dead(
        self,
        before: Sequence[Any],
        after: Sequence[Any],
        items: dict[str, cst.CSTNode],
    ) -> None:
        """Take out pictures made for this return alone."""
        name = dotted(items.get('results'))
        if not name or any(_mentions(x, name) for x in after):
            return
        for line in reversed(before):
            if _mentions(line, name):
                if _only_fills(line, name) and _target(line) == name:
                    self.actions[line] = []
                return

    def _same_everywhere(self, line: Any, name: str) -> bool:
        """Convert what is given in branches, of one variable in each."""
        function = self.step.function
        found = of_type(function.body, cst.SimpleStatementLine)
        given = {x: items for x in found if (items := _given(x, name))}
        returned = [x for x in found if dotted(_returned(x)) == name]
        logged = {code(x['log_vars']) for x in given.values() if len(x)}
        top = [_target(x) for x in function.body.body]
        if (
            len(_uses(function, name)) != len(given) + len(returned)
            or len(logged) != 1
            or not all(_are_pure(x) for x in given.values())
            or not logged <= set(top)
        ):
            return False
        self.actions.update({x: [] for x in given})
        for items in given.values():
            self.handed |= {
                dotted(x) for key, x in items.items() if key == 'results'
            }
        new = statement(f'return {logged.pop()}', line.leading_lines)
        self.actions[line] = [new]
        self.notes.changed(line, 'returns what is logged, without num_samples')
        return True


def _blocks(block: Any) -> Iterator[Any]:
    yield block
    for line in block.body:
        for inner in blocks_of(line):
            yield from _blocks(inner)


def _returned(line: Any) -> cst.BaseExpression | None:
    if isinstance(line, cst.SimpleStatementLine) and len(line.body) == 1:
        node = line.body[0]
        return node.value if isinstance(node, cst.Return) else None
    return None


def _is_parents(node: Any) -> bool:
    """Recognize ``super().train_step(...)``."""
    return (
        isinstance(node, cst.Call)
        and isinstance(node.func, cst.Attribute)
        and node.func.attr.value == 'train_step'
    )


def _target(line: Any) -> str:
    if isinstance(line, cst.SimpleStatementLine) and len(line.body) == 1:
        node = line.body[0]
        if isinstance(node, cst.Assign) and len(node.targets) == 1:
            return dotted(node.targets[0].target)
    return ''


def _given(line: Any, name: str) -> dict[str, cst.CSTNode] | None:
    """Return what a statement puts into the dict of that name."""
    if _target(line) == name:
        return _items(line.body[0].value)
    if not isinstance(line, cst.SimpleStatementLine) or len(line.body) != 1:
        return None
    node = line.body[0]
    if not isinstance(node, cst.Expr) or not isinstance(node.value, cst.Call):
        return None
    call = node.value
    if dotted(call.func) != f'{name}.update':
        return None
    if len(call.args) == 1 and not call.args[0].keyword:
        return _items(call.args[0].value)
    return _items(call.with_changes(func=cst.Name('dict')))


def _items(node: Any) -> dict[str, cst.CSTNode] | None:
    """Return the items of a dict that has the keys of 0.x alone."""
    items: dict[str, cst.CSTNode] = {}
    if isinstance(node, cst.Call) and dotted(node.func) == 'dict':
        for arg in node.args:
            if not arg.keyword:
                return None
            items[arg.keyword.value] = arg.value
    elif isinstance(node, cst.Dict):
        for element in node.elements:
            if not isinstance(element, cst.DictElement):
                return None
            if not isinstance(element.key, cst.SimpleString):
                return None
            items[str(element.key.raw_value)] = element.value
    else:
        return None
    return items if 'log_vars' in items and set(items) <= KEYS else None


def _are_pure(items: dict[str, cst.CSTNode]) -> bool:
    """Tell whether nothing is lost when all but the log variables go."""
    return all(_is_pure(x) for key, x in items.items() if key != 'log_vars')


def _is_pure(node: cst.CSTNode) -> bool:
    for call in of_type(node, cst.Call):
        name = code(call.func).rpartition('.')[2]
        if name not in PURE | {'dict', 'len', 'list', 'str'}:
            return False
    return not find(node, lambda x: isinstance(x, (cst.Await, cst.NamedExpr)))


def _uses(node: cst.CSTNode, name: str) -> list[Any]:
    return find(node, lambda x: isinstance(x, cst.Name) and x.value == name)


def _mentions(node: cst.CSTNode, name: str) -> bool:
    return bool(_uses(node, name))


def _without_results(
    function: cst.FunctionDef, names: set[str]
) -> cst.FunctionDef:
    """Take out pictures that nobody looks at any more."""
    for name in filter(str.isidentifier, names):
        lines = [
            x
            for x in of_type(function.body, cst.SimpleStatementLine)
            if _mentions(x, name)
        ]
        used = sum(len(_uses(x, name)) for x in lines)
        if used == len(_uses(function, name)) and all(
            _only_fills(x, name) for x in lines
        ):
            function = replace(function, {x: [] for x in lines})
    return function


def _only_fills(line: Any, name: str) -> bool:
    """Recognize ``results = dict(...)``, ``results['x'] = y.cpu()``."""
    if not isinstance(line, cst.SimpleStatementLine):
        return False
    node = line.body[0]
    if len(line.body) != 1 or not isinstance(node, cst.Assign):
        return False
    target: cst.CSTNode = node.targets[0].target
    if isinstance(target, cst.Subscript):
        target = target.value
    return (
        len(node.targets) == 1
        and dotted(target) == name
        and len(_uses(line, name)) == 1
        and _is_pure(node.value)
    )


RULE = Rule('step_return', 'what train_step returns', apply, ('train_step',))
