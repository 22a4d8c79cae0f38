"""Imports go one way, and what is private stays in its file."""

import ast
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

ORDER = (
    ('errors', 'version', 'registry'),
    ('compat',),
    ('utils',),
    ('distributed', 'sharding', 'logging'),
    ('precision', 'randomness', 'checkpoint'),
    ('config',),
    ('visualization', 'datasets', 'models', 'evaluation'),
    ('engine',),
    ('launcher',),
    ('migration',),
    ('train', 'test', 'sample'),
    ('report',),
    ('__init__',),
)
"""A folder imports of what stands above it, and of itself."""
APART = (
    ('mmamp.engine.optimizers', 'mmamp.engine.hooks'),
    ('mmamp.engine.hooks', 'mmamp.engine.optimizers'),
    ('mmamp.engine.loops', 'mmamp.engine.hooks'),
    ('mmamp.models', 'mmamp.datasets'),
    ('mmamp.datasets', 'mmamp.models'),
)
"""Which stand beside each other and know nothing of each other."""
WITHOUT_TORCH = ('mmamp.errors', 'mmamp.precision.names', 'mmamp.config')
BASE_OF_THE_WRAPPER = 'mmamp.engine.optimizers.windowed_optim_wrapper'
"""Whose one subclass, in another file, has its private names too."""

OF_HOSTS = {'_reconstruct', '_scale'}
"""Of numpy and torch.amp.GradScaler; mmamp has others of the same names."""


def name_of(path):
    name = '.'.join(path.relative_to(ROOT).with_suffix('').parts)
    return name.removesuffix('.__init__')


FILES = {
    name_of(path): path
    for folder in ('mmamp', 'benchmarks')
    for path in sorted((ROOT / folder).rglob('*.py'))
    if '.mim' not in path.parts
}


@cache
def tree(module):
    return ast.parse(FILES[module].read_text())


def imported(module):
    """Modules that one imports, inside of functions too, with the names."""
    package = module
    if FILES[module].name != '__init__.py':
        package = module.rpartition('.')[0]
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parts = package.split('.')
            above = parts[: len(parts) + 1 - node.level] if node.level else []
            base = '.'.join([*above, *filter(None, [node.module])])
            for alias in node.names:
                inner = f'{base}.{alias.name}'
                if inner in FILES:
                    yield inner, None
                else:
                    yield base, alias.name


def place(module):
    """How far down the order a module stands."""
    part = (*module.split('.'), '__init__')[1]
    for number, parts in enumerate(ORDER):
        if part in parts:
            return number
    raise AssertionError(f'{module} is in no row of ORDER')


PACKAGE = [x for x in FILES if x.partition('.')[0] == 'mmamp']


@pytest.mark.parametrize('module', PACKAGE)
def test_imports_go_up_the_order_only(module):
    for other, _ in imported(module):
        if other in FILES and other != 'mmamp':
            assert place(other) <= place(module), f'{module} -> {other}'
            for one, two in APART:
                assert not (module.startswith(one) and other.startswith(two))


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


@pytest.mark.parametrize('module', PACKAGE)
def test_what_needs_no_torch_imports_none(module):
    if not module.startswith((*WITHOUT_TORCH, 'mmamp.migration')):
        return
    if module.startswith('mmamp.migration.verification'):
        return
    for other, _ in imported(module):
        assert other.partition('.')[0] != 'torch', f'{module} -> {other}'


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


@pytest.mark.parametrize('module', FILES)
def test_no_private_name_of_another_module(module):
    for other, name in imported(module):
        assert not (other in FILES and is_private(name or '')), other
    own = private_names()[module]
    if module == 'mmamp.engine.optimizers.amp_optim_wrapper':
        own = own | private_names()[BASE_OF_THE_WRAPPER]
    if module.startswith('mmamp.compat'):
        return  # all of them are hosts'
    others = set().union(*private_names().values()) - own - OF_HOSTS
    used = {
        f'{node.lineno}: {node.attr}'
        for node in ast.walk(tree(module))
        if isinstance(node, ast.Attribute) and node.attr in others
    }
    assert used == set()


HOSTS = ('torch', 'mmengine', 'mmcv')


@pytest.mark.parametrize('module', PACKAGE)
def test_private_modules_and_names_of_hosts_are_in_compat(module):
    if module.startswith('mmamp.compat'):
        return
    for other, name in imported(module):
        if other.partition('.')[0] in HOSTS:
            parts = [*other.split('.'), name or '']
            found = [x for x in parts if is_private(x)]
            assert found in ([], ['_SpectralNorm']), f'{other} {name}'
