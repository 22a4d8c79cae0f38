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
    aliases,
    lone_imports,
    source_of,
    split_import,
)
from mmamp.migration.code.moves import BUILDERS, REGISTRIES
from mmamp.migration.code.names import (
    bound_names,
    dotted,
    find,
    of_type,
    rename,
    swap,
    variable_nodes,
)
from mmamp.migration.code.notes import Notes
from mmamp.migration.rule import Rule

PLACES = ('builder', 'registry', 'models', 'datasets', 'pipelines', 'core')
OTHERS = ('mmcv', 'mmengine', 'mmamp')
TARGET = 'mmamp.registry'
Row = tuple[str, str, str]


def apply(module: cst.Module, notes: Notes) -> cst.Module:
    """Convert a file."""
    taken = bound_names(module)
    convertible = _convertible(module, taken)
    actions: dict[cst.CSTNode, list[Any]] = {}
    names: dict[str, str] = {}
    builders: set[str] = set()
    for line, node in lone_imports(module):
        source = source_of(node)
        if not _is_place(source):
            continue
        rows: list[Row] = []
        for there, here in aliases(node):
            if here != there or there not in convertible:
                rows.append((source, there, here))
            elif there in BUILDERS:
                builders.add(there)
                rows.append((TARGET, 'MODELS', 'MODELS'))
            else:
                names[here] = REGISTRIES[there]
                rows.append((TARGET, names[here], names[here]))
        if any(x[0] == TARGET for x in rows):
            actions[line] = split_import(line, rows)
            targets = {x[2] for x in rows if x[0] == TARGET}
            notes.changed(line, f'{TARGET}: {", ".join(sorted(targets))}')
    module = replace(module, actions)
    module = _without_builders(module, builders, notes)
    return rename(module, {a: b for a, b in names.items() if a != b})


def _is_place(source: str) -> bool:
    """Whether a module may be one that has the registries of a project."""
    if source.partition('.')[0] in OTHERS:
        return False
    last = source.rpartition('.')[2]
    # `package.registry` is where 1.x has them.
    is_new = last == 'registry' and source.count('.') == 1 and source[0] != '.'
    return not is_new and (last in PLACES or not last)


def _convertible(module: cst.Module, taken: set[str]) -> set[str]:
    """Names that a file uses in no other way than is understood."""
    strings = {x.raw_value for x in of_type(module, cst.SimpleString)}
    uses = _Uses(module)
    free = {
        name
        for name, target in REGISTRIES.items()
        if name in uses.names and name not in taken and target not in taken
    }
    if 'MODELS' not in taken:
        free |= {
            name
            for name in BUILDERS - taken
            if uses.calls[name] and uses.calls[name] == uses.names[name]
        }
    return free - strings


class _Uses:
    """How often names are used, and how often they are called."""

    def __init__(self, module: cst.Module) -> None:
        self.names = Counter(x.value for x in variable_nodes(module))
        self.calls = Counter(
            dotted(x.func)
            for x in of_type(module, cst.Call)
            if dotted(x.func) in BUILDERS
            and _new_args(dotted(x.func), x.args) is not None
        )


def _new_args(name: str, args: Sequence[cst.Arg]) -> list[cst.Arg] | None:
    """Arguments of ``MODELS.build``; None if it does not take such."""
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


def _without_builders(
    module: cst.Module, builders: set[str], notes: Notes
) -> cst.Module:
    """Call ``MODELS.build`` in the place of the functions."""
    calls = find(
        module,
        lambda x: isinstance(x, cst.Call) and dotted(x.func) in builders,
    )
    news: dict[cst.CSTNode, cst.CSTNode] = {}
    for call in calls:
        name = dotted(call.func)
        args = _new_args(name, call.args)
        assert args is not None
        func = cst.parse_expression('MODELS.build')
        news[call] = call.with_changes(func=func, args=args)
        notes.changed(call, f'{name} is MODELS.build')
        if name == 'build_module':
            notes.warned(
                call,
                'of a list of configs MODELS.build makes a Sequential, '
                'build_module made a ModuleList',
            )
    return swap(module, news)


RULE = Rule(
    'registries',
    'registries of a 0.x project and functions that build of them',
    apply,
    (*REGISTRIES, *BUILDERS),
)
