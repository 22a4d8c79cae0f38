"""Imports go one way, and what is private stays in its file."""

import ast
from functools import cache
from graphlib import CycleError, TopologicalSorter

from architecture import ORDER, files, imports_of, room_of

APART = (
    ('mmamp.engine.optimizers', 'mmamp.engine.hooks'),
    ('mmamp.engine.hooks', 'mmamp.engine.optimizers'),
    ('mmamp.engine.loops', 'mmamp.engine.hooks'),
    ('mmamp.models', 'mmamp.datasets'),
    ('mmamp.datasets', 'mmamp.models'),
)
"""Which stand beside each other and know nothing of each other."""
WITHOUT_TORCH = (
    'mmamp.errors',
    'mmamp.precision.names',
    'mmamp.logging.scalars',
    'mmamp.config',
    'mmamp.migration',
)
"""Whose one subclass, in another file, has its private names too."""

OF_HOSTS = {'_reconstruct', '_scale'}
"""Of numpy and torch.amp.GradScaler; mmamp has others of the same names."""


FILES = files('mmamp', 'benchmarks')


@cache
def tree(module):
    return ast.parse(FILES[module].read_text())


@cache
def imported(module):
    return imports_of(FILES[module])


def place(module):
    """How far down the order a module stands."""
    part = room_of(module)
    for number, parts in enumerate(ORDER):
        if part in parts:
            return number
    raise AssertionError(f'{module} is in no row of ORDER')


PACKAGE = [x for x in FILES if x.partition('.')[0] == 'mmamp']


def test_imports_go_up_the_order_only():
    for module in PACKAGE:
        for other, _ in imported(module):
            if other not in FILES or other == 'mmamp':
                continue
            assert place(other) <= place(module), f'{module} -> {other}'
            for one, two in APART:
                assert not (
                    module.startswith(one) and other.startswith(two)
                ), f'{module} -> {other}'


def test_nothing_goes_round():
    graph = {
        module: {
            other
            for other, _ in imported(module)
            # A package is what its files are, and imports them.
            if other in FILES and not module.startswith(f'{other}.')
        }
        for module in FILES
    }
    try:
        tuple(TopologicalSorter(graph).static_order())
    except CycleError as error:
        raise AssertionError(' -> '.join(error.args[1])) from None


def test_what_needs_no_torch_imports_none():
    verifies = 'mmamp.migration.verification'
    for module in PACKAGE:
        if module.startswith(WITHOUT_TORCH) and verifies not in module:
            for other, _ in imported(module):
                assert other.partition('.')[0] != 'torch', module


def is_private(name):
    return name.startswith('_') and not name.startswith('__')


@cache
def private_names():
    """Functions, classes, methods and attributes that mmamp has, by file."""
    found = {}
    for module in FILES:
        names = set()
        for node in ast.walk(tree(module)):
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                names.add(node.name)
            elif isinstance(node, ast.Name) and isinstance(
                node.ctx, ast.Store
            ):
                names.add(node.id)
            elif isinstance(node, ast.Attribute) and isinstance(
                node.ctx, ast.Store
            ):
                names.add(node.attr)
        found[module] = set(filter(is_private, names))
    return found


def test_no_private_name_of_another_module():
    for module in FILES:
        for other, name in imported(module):
            wrong = other in FILES and is_private(name or '')
            assert not wrong, f'{module} takes {name} of {other}'


def test_no_private_attribute_of_another_module():
    known = set().union(*private_names().values()) - OF_HOSTS
    for module in FILES:
        own = private_names()[module]
        if module.startswith('mmamp.compat'):
            continue  # all of them are hosts'
        used = {
            f'{node.lineno}: {node.attr}'
            for node in ast.walk(tree(module))
            if isinstance(node, ast.Attribute) and node.attr in known - own
        }
        assert used == set(), module


HOSTS = ('torch', 'mmengine', 'mmcv')


def test_private_modules_and_names_of_hosts_are_in_compat():
    for module in PACKAGE:
        if module.startswith('mmamp.compat'):
            continue
        for other, name in imported(module):
            if other.partition('.')[0] in HOSTS:
                parts = [*other.split('.'), name or '']
                found = [x for x in parts if is_private(x)]
                # A base class of one of ours.
                assert found in ([], ['_SpectralNorm']), f'{module}: {found}'
