"""The registries of a 0.x project, and what built from them, are mmamp's.

``BACKBONES``, ``COMPONENTS``, ``LOSSES`` and the like are one registry in
1.x, ``MODELS``; ``build_backbone(cfg)`` and the like are its ``build``.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import libcst as cst

from mmamp.migration.code.blocks import replace
from mmamp.migration.code.imports import (
    add_import,
    aliases,
    drop_freed,
    lone_imports,
    source_of,
    split_import,
)
from mmamp.migration.code.moves import BUILDERS, REGISTRIES
from mmamp.migration.code.names import (
    bound_names,
    of_type,
    rename,
    swap,
    variable_nodes,
)
from mmamp.migration.code.notes import Notes
from mmamp.migration.code.qualified import Names
from mmamp.migration.rule import Rule

PLACES = ('builder', 'registry', 'models', 'datasets', 'pipelines', 'core')
OTHERS = ('mmcv', 'mmengine', 'mmamp')
Row = tuple[str, str, str]


def apply(module: cst.Module, notes: Notes) -> cst.Module:
    """Convert a file."""
    before = module
    registry = notes.project.registry
    taken = bound_names(module)
    uses = _Uses(module, taken, notes.names(module))
    actions: dict[cst.CSTNode, list[Any]] = {}
    renamed: dict[str, str] = {}
    builders: dict[str, str] = {}
    for line, node in lone_imports(module):
        source = source_of(node)
        if not _is_place(source):
            continue
        rows: list[Row] = []
        for there, here in aliases(node):
            if there in BUILDERS and uses.are_calls(there, here):
                builders[here] = there
                rows.append((registry, 'MODELS', 'MODELS'))
            elif there in REGISTRIES and here != there:
                rows.append((registry, REGISTRIES[there], here))
            elif there in REGISTRIES and uses.are_free(there):
                renamed[here] = REGISTRIES[there]
                rows.append((registry, renamed[here], renamed[here]))
            else:
                rows.append((source, there, here))
        if any(x[0] == registry for x in rows):
            actions[line] = split_import(line, rows)
            targets = {x[2] for x in rows if x[0] == registry}
            notes.changed(line, f'{registry}: {", ".join(sorted(targets))}')
    news, targets = _converted(module, builders, taken, notes)
    module = swap(replace(module, actions), news)
    module = rename(module, {a: b for a, b in renamed.items() if a != b})
    for target in sorted(targets):
        module = add_import(module, registry, target)
    return drop_freed(before, module) if targets else module


def _is_place(source: str) -> bool:
    """Tell whether a module may have the registries of a project."""
    if source.partition('.')[0] in OTHERS:
        return False
    last = source.rpartition('.')[2]
    # `package.registry` is where 1.x has them.
    is_new = last == 'registry' and source.count('.') == 1 and source[0] != '.'
    return not is_new and (last in PLACES or not last)


class _Uses:
    """How the names of a file are used, imports left aside."""

    def __init__(
        self, module: cst.Module, taken: set[str], resolved: Names
    ) -> None:
        self.taken, self.resolved = taken, resolved
        self.strings = {x.raw_value for x in of_type(module, cst.SimpleString)}
        self.names = Counter(x.value for x in variable_nodes(module))
        self.calls: dict[str, list[cst.Call]] = {}
        for call in of_type(module, cst.Call):
            if isinstance(call.func, cst.Name):
                self.calls.setdefault(call.func.value, []).append(call)

    def are_free(self, name: str) -> bool:
        """Tell whether a registry can have its new name in all of the file."""
        return (
            name in self.names
            and name not in self.strings
            and not {name, REGISTRIES[name]} & self.taken
        )

    def are_calls(self, there: str, here: str) -> bool:
        """Tell whether a function is called in ways that are understood."""
        calls = self.calls.get(here, [])
        return (
            bool(calls)
            and len(calls) == self.names[here]
            and here not in self.strings
            and 'MODELS' not in self.taken
            and all(self.resolved.imported(x.func) for x in calls)
            and all(_new_args(there, x.args) is not None for x in calls)
        )


def _new_args(name: str, args: Sequence[cst.Arg]) -> list[cst.Arg] | None:
    """Return arguments for ``MODELS.build``; None if it takes no such."""
    if any(x.star for x in args) or not args or args[0].keyword:
        return None
    first, *others = args
    if not others:
        return [first]
    keys = ['default_args']
    if name in ('build_model', 'build_detector', 'build_segmentor'):
        keys = ['train_cfg', 'test_cfg']
    if len(others) > len(keys):
        return None
    given = {
        x.keyword.value if x.keyword else keys[i]: x.value
        for i, x in enumerate(others)
    }
    if not set(given) <= set(keys):
        return None
    value: cst.BaseExpression
    if 'default_args' in given:
        value = given['default_args']
    else:
        value = cst.Call(
            cst.Name('dict'), [_keyword(k, v) for k, v in given.items()]
        )
    if len(others) > 1:
        space = cst.SimpleWhitespace(' ')
        first = first.with_changes(comma=cst.Comma(whitespace_after=space))
    last = _keyword('default_args', value)
    return [first, last.with_changes(comma=others[-1].comma)]


def _keyword(name: str, value: cst.BaseExpression) -> cst.Arg:
    no_space = cst.SimpleWhitespace('')
    equal = cst.AssignEqual(no_space, no_space)
    return cst.Arg(value, keyword=cst.Name(name), equal=equal)


def _build(call: cst.Call, name: str) -> cst.Call:
    args = _new_args(name, call.args)
    assert args is not None
    func = cst.parse_expression('MODELS.build')
    return call.with_changes(func=func, args=args)


def _tell(call: cst.Call, name: str, notes: Notes) -> None:
    notes.changed(call, f'{name} is MODELS.build')
    if name == 'build_module':
        notes.warned(
            call,
            'of a list of configs MODELS.build makes a Sequential, '
            'build_module made a ModuleList',
        )


def _converted(
    module: cst.Module, builders: dict[str, str], taken: set[str], notes: Notes
) -> tuple[dict[cst.CSTNode, cst.CSTNode], set[str]]:
    """Convert calls, and what is taken of modules imported as a whole.

    Args:
        module (cst.Module): The file.
        builders (dict[str, str]): What it calls functions that are imported,
            and their names where they are from.
        taken (set[str]): Names that it binds.
        notes (Notes): Where to say what was done.

    Returns:
        tuple: New nodes by the old ones, and the registries that are still to
        be imported for them.
    """
    names = notes.names(module)
    news: dict[cst.CSTNode, cst.CSTNode] = {}
    targets: set[str] = set()
    for node in of_type(module, cst.Attribute):
        name = _of_place(names.imported(node))
        target = REGISTRIES.get(name)
        if target and target not in taken:
            news[node] = cst.Name(target)
            targets.add(target)
            notes.changed(node, f'{notes.project.registry}.{target}')
    # Inner calls first: the new outer one has what became of them.
    for call in reversed(of_type(module, cst.Call)):
        if isinstance(call.func, cst.Name):
            name = builders.get(call.func.value, '')
        else:
            name = _of_place(names.imported(call.func))
            if name not in BUILDERS or 'MODELS' in taken:
                continue
            if _new_args(name, call.args) is None:
                continue
            targets.add('MODELS')
        if name:
            news[call] = _build(swap(call, news), name)
            _tell(call, name, notes)
    return news, targets


def _of_place(name: str) -> str:
    """Return the last part of a name of a project's registries."""
    source, _, last = name.rpartition('.')
    return last if _is_place(source) else ''


RULE = Rule(
    'registries',
    'registries of a 0.x project and functions that build of them',
    apply,
    (*REGISTRIES, *BUILDERS),
)
