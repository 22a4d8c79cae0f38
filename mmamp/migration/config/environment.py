"""What the names of a config are, found without letting it do anything."""

import ast
import builtins
from typing import Any

from .values import UNKNOWN


class Environment(dict[str, Any]):
    """What a config's names are, as far as can be told without imports."""

    def __init__(self) -> None:
        super().__init__()
        allowed = (
            'dict list tuple set str int float bool range len min max abs '
            'round sum zip enumerate sorted reversed map filter any all'
        )
        self.globals: dict[str, Any] = {
            '__builtins__': {
                name: getattr(builtins, name) for name in allowed.split()
            }
        }

    def run(self, statements: list[ast.stmt]) -> set[str]:
        """Run statements of a line; what they set is unknown if they fail.

        Returns:
            set[str]: The names that it sets, deletes or alters.
        """
        tree = ast.Module(statements, type_ignores=[])
        touched = _touched(tree)
        if not _is_harmless(tree):
            failed = True
        else:
            failed = False
            try:
                exec(compile(tree, '<config>', 'exec'), self.globals)
            except Exception:
                failed = True
        for name in touched:
            if failed:
                self.globals.pop(name, None)
                self[name] = UNKNOWN
            else:
                self[name] = self.globals.get(name, UNKNOWN)
        return touched

    def evaluate(self, node: ast.expr) -> Any:
        """Return what an expression is, or ``UNKNOWN``."""
        if isinstance(node, ast.Constant):
            return node.value
        try:
            if not _is_harmless(node):
                return UNKNOWN
            code = compile(ast.Expression(node), '<config>', 'eval')
            return eval(code, self.globals)
        except Exception:
            return UNKNOWN


_NEVER_RUN = (
    ast.Import,
    ast.ImportFrom,
    ast.While,
    ast.With,
    ast.Try,
    ast.FunctionDef,
    ast.ClassDef,
    ast.Lambda,
    ast.Await,
)
"""What a config may hold that is not evaluated: it may do anything."""
METHODS = {
    *('append', 'clear', 'copy', 'count', 'endswith', 'extend', 'format'),
    *('get', 'index', 'insert', 'items', 'join', 'keys', 'lower', 'lstrip'),
    *('pop', 'remove', 'replace', 'reverse', 'rstrip', 'setdefault', 'sort'),
    *('split', 'startswith', 'strip', 'update', 'upper', 'values'),
}
"""Attributes that lead nowhere but to plain values."""


def _is_harmless(tree: ast.AST) -> bool:
    """Tell whether running it can do nothing but make values."""
    return not any(
        isinstance(x, _NEVER_RUN)
        or (isinstance(x, ast.Attribute) and x.attr not in METHODS)
        or (isinstance(x, ast.Name) and x.id.startswith('__'))
        for x in ast.walk(tree)
    )


def _touched(tree: ast.AST) -> set[str]:
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            names.add(node.id)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            names |= {(x.asname or x.name).split('.')[0] for x in node.names}
        elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            names.add(node.name)
        elif isinstance(node, (ast.Subscript, ast.Attribute)):
            # optimizer['lr'] = 1, and optimizer.update(lr=1)
            is_call = isinstance(node.ctx, ast.Load)
            root = node.value
            while isinstance(root, (ast.Subscript, ast.Attribute)):
                root = root.value
            if isinstance(root, ast.Name) and not (
                is_call and not _is_alteration(node)
            ):
                names.add(root.id)
    return names


def _is_alteration(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and node.attr in (
        *('update', 'pop', 'setdefault', 'clear', 'append', 'extend'),
        *('insert', 'remove', 'merge_from_dict'),
    )
