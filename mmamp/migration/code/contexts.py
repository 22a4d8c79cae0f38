"""Which forward passes and losses run in whose ``optim_context``.

That is where autocast is on. What belongs to an update is what is between it
and the update, or the change of trained networks, before; a forward pass that
several updates share gets a context of its own.
"""

from collections.abc import Sequence
from typing import Any

import libcst as cst

from .names import dotted, of_type, swap
from .notes import Notes
from .qualified import Names
from .rounds import blocks_of, freezes, spelled
from .train_steps import calls_of, key_of, network_of, wrapper_of

UPDATES = ('update_params', 'backward', 'step', 'zero_grad')
GENERATORS = ('generator', 'generators')


class Contexts:
    """Puts the forward passes of a function into contexts.

    Args:
        function (cst.FunctionDef): The function; it updates already.
        optimizer (str): What it calls its wrapper, or the dict of them.
        notes (Notes): Where to say what was done.
        names (Names): What the names of the file are.
        network (str): What the wrapper trains, as source. Defaults to '':
            the network that has the name of the wrapper.

    Attributes:
        function (cst.FunctionDef): The function with the contexts.
    """

    def __init__(
        self,
        function: cst.FunctionDef,
        optimizer: str,
        notes: Notes,
        names: Names,
        network: str = '',
    ) -> None:
        self.notes = notes
        self.names = names
        self.optimizer = optimizer
        self.network = network
        self.function = function
        self.keys = self._keys()
        if self.keys:
            body = self._block(function.body)
            self.function = function.with_changes(body=body)

    def _keys(self) -> list[str]:
        """Find the optimizers that the function uses."""
        found = [
            key_of(x, self.optimizer)
            for x in of_type(self.function.body, cst.Subscript)
        ]
        if not any(found):
            calls = [
                x
                for method in UPDATES
                for x in calls_of(self.function.body, method)
            ]
            found = [key_of(_owner(x), self.optimizer) for x in calls]
        return list(dict.fromkeys(x for x in found if x is not None))

    def _network_of(self, key: str) -> str:
        return self.network or network_of(key)

    # ---- one block ---------------------------------------------------------

    def _block(self, block: Any) -> Any:
        lines = list(block.body)
        spans: list[tuple[int, int, str]] = []
        for at, line in enumerate(lines):
            key = self._updates(line)
            if key is not None:
                start = spans[-1][1] + 1 if spans else 0
                if span := self._span(lines, start, at):
                    spans.append((*span, key))
        news: list[Any] = []
        at = 0
        for first, last, key in [*spans, (len(lines), len(lines), '')]:
            news += self._loose(lines[at:first])
            if first < len(lines):
                news.append(self._context(lines[first:last], key))
            at = last
        return block.with_changes(body=news)

    def _updates(self, line: Any) -> str | None:
        """Return the optimizer that a statement updates by itself."""
        if not isinstance(line, cst.SimpleStatementLine):
            return None
        for method in ('update_params', 'backward'):
            for call in calls_of(line, method):
                return key_of(_owner(call), self.optimizer)
        return None

    def _span(
        self, lines: list[Any], start: int, at: int
    ) -> tuple[int, int] | None:
        """Find what belongs to an update: its first line and its end."""
        last = at
        while last > start and self._is_bookkeeping(lines[last - 1]):
            last -= 1
        first = last
        while first > start and not self._is_border(lines[first - 1]):
            first -= 1
        while first < last and not _computes(lines[first], self.names):
            first += 1
        return (first, last) if first < last else None

    def _is_border(self, line: Any) -> bool:
        """Tell whether what belongs to an update begins after a statement."""
        if any(
            key_of(_owner(x), self.optimizer) is not None
            for method in UPDATES
            for x in calls_of(line, method)
        ):
            return True
        return (
            freezes(line, self.names)
            or bool(of_type(line, cst.Return))
            or isinstance(line, (cst.FunctionDef, cst.ClassDef))
        )

    def _is_bookkeeping(self, line: Any) -> bool:
        """Recognize ``log_vars.update(...)`` and ``zero_grad()``."""
        if not isinstance(line, cst.SimpleStatementLine):
            return False
        node = line.body[0]
        if not isinstance(node, cst.Expr) or len(line.body) != 1:
            return False
        call = node.value
        if not isinstance(call, cst.Call):
            return False
        if not isinstance(call.func, cst.Attribute):
            return False
        if key_of(call.func.value, self.optimizer) is not None:
            return True
        return call.func.attr.value in ('update', 'pop') and not _computes(
            line, self.names
        )

    def _context(self, lines: list[Any], key: str) -> cst.With:
        wrapper = wrapper_of(self.optimizer, key)
        network = self._network_of(key)
        call = cst.parse_expression(f'{wrapper}.optim_context({network})')
        above, inside = _split_lines(lines[0].leading_lines)
        self.notes.changed(
            lines[0], f'forward and loss in optim_context({network})'
        )
        first = lines[0].with_changes(leading_lines=inside)
        return cst.With(
            items=[cst.WithItem(call)],
            body=cst.IndentedBlock([first, *lines[1:]]),
            leading_lines=above,
        )

    # ---- what is in no span ------------------------------------------------

    def _loose(self, lines: list[Any]) -> list[Any]:
        """Convert statements that no update of their block takes."""
        news: list[Any] = []
        for line in lines:
            if self._is_border(line) and list(blocks_of(line)):
                news.append(self._inside(line))
            elif key := self._shared(line):
                news.append(self._context([line], key))
            else:
                news.append(line)
        return news

    def _inside(self, line: Any) -> Any:
        """Convert the blocks of a compound statement."""
        return swap(line, {x: self._block(x) for x in blocks_of(line)})

    def _shared(self, line: Any) -> str | None:
        """Return the optimizer whose context a forward pass needs, if any."""
        names = {self._network_of(key): key for key in self.keys if key}
        calls = {dotted(x.func) for x in of_type(line, cst.Call)}
        if _is_without_gradients(line, self.names):
            return None
        for name, key in names.items():
            if name in calls:
                return key
        if not calls & {'self', 'self.forward'}:
            return None
        if len(self.keys) == 1:
            return self.keys[0]
        for name in GENERATORS:
            if f'self.{name}' in names:
                return names[f'self.{name}']
        self.notes.warned(
            line, 'a forward pass outside of optim_context: in float32'
        )
        return None


def _owner(call: cst.Call) -> cst.BaseExpression:
    """Return the object whose method is called."""
    return cst.ensure_type(call.func, cst.Attribute).value


def _is_without_gradients(line: Any, names: Names) -> bool:
    return bool(spelled(line, names) & {'no_grad', 'inference_mode'})


def _computes(line: Any, names: Names) -> bool:
    """Tell whether a statement may run a network or a loss."""
    for call in of_type(line, cst.Call):
        if isinstance(call.func, cst.Name):
            if not names.is_builtin(call.func):
                return True
        elif isinstance(root := _root(call.func), cst.Name):
            if root.value in ('self', 'super'):
                return True
            modules = {x.partition('.')[0] for x in names.of(root)}
            if modules == {'torch'}:
                return True
    return False


def _root(node: Any) -> Any:
    """Return what a chain of attributes, items and calls begins with."""
    while isinstance(node, (cst.Attribute, cst.Subscript, cst.Call)):
        node = node.func if isinstance(node, cst.Call) else node.value
    return node


def _split_lines(
    lines: Sequence[cst.EmptyLine],
) -> tuple[list[cst.EmptyLine], list[cst.EmptyLine]]:
    """Split off the blank lines, which stay above the context."""
    number = next(
        (i for i, line in enumerate(lines) if line.comment), len(lines)
    )
    return list(lines[:number]), list(lines[number:])
