"""What users may rely on: the snapshot of it, and the page about it."""

import ast
import inspect
import re
from pathlib import Path

import pytest
import torch
from public_api import SNAPSHOT, exported, lines, methods, public_objects
from public_api import registered as types_for_configs

import mmamp
from mmamp.engine.hooks.amp_monitor_hook import SCALARS
from mmamp.export.command import FORMATS
from mmamp.launcher.arguments import (
    build_convert_parser,
    build_export_parser,
    build_parser,
    build_sample_parser,
    build_test_parser,
)
from mmamp.logging.scalars import AUGMENTATION
from mmamp.migration.cli import build_parser as build_migration_parser
from mmamp.plan.command import build_parser as build_plan_parser
from mmamp.report.command import build_parser as build_report_parser
from mmamp.weights.formats import FORMATS as WEIGHT_FORMATS

ROOT = SNAPSHOT.parents[1]
CLASSES = {
    name.rpartition('.')[2]: value
    for name, value in public_objects().items()
    if inspect.isclass(value)
}


def test_snapshot():
    """A change that is meant: ``python tools/dev/public_api.py --write``."""
    assert list(lines()) == SNAPSHOT.read_text().splitlines()


class Tables:
    """The tables of the page, one after the other."""

    def __init__(self, text):
        found = re.findall(r'(?:^\|.*\n)+', text, re.MULTILINE)
        names = (
            'types',
            'imports',
            'methods',
            'attributes',
            'overrides',
            'config_keys',
            'commands',
            'exit_codes',
            'variables',
            'checkpoint',
            'wrapper_state',
            'differences',
            'log',
            'log_of_models',
        )
        self._tables = dict(zip(names, found, strict=True))

    def rows(self, name):
        """Code in the first column, and in the second, row by row."""
        for line in self._tables[name].splitlines()[2:]:
            _, *cells, _ = re.split(r' ?\| ?', line)
            yield [re.findall(r'`([^`]+)`', cell) for cell in cells]

    def column(self, name):
        return [key for keys, _ in self.rows(name) for key in keys]


@pytest.fixture(params=['en', 'zh_cn'])
def tables(request):
    page = ROOT / 'docs' / request.param / 'public_api.md'
    return Tables(page.read_text(encoding='utf-8'))


class TestPage:
    def test_types(self, tables):
        said = {keys[0]: values for keys, values in tables.rows('types')}
        types = types_for_configs()
        assert said == {name: sorted(types[name]) for name in types}

    def test_imports(self, tables):
        said = {keys[0]: values for keys, values in tables.rows('imports')}
        assert said == exported()

    def test_methods(self, tables):
        said = {
            name: values
            for names, values in tables.rows('methods')
            for name in names
        }
        own = {name: list(methods(cls)) for name, cls in CLASSES.items()}
        assert said == {name: found for name, found in own.items() if found}

    def test_attributes(self, tables):
        wrapper = mmamp.AmpOptimWrapper(torch.optim.SGD([torch.ones(1)], 0.1))
        said = tables.column('attributes')
        assert all(hasattr(wrapper, name) for name in said)
        doc = inspect.getdoc(mmamp.AmpOptimWrapper).partition('Attributes')[2]
        assert set(re.findall(r'^    (\w+) \(', doc, re.MULTILINE)) & set(
            vars(wrapper)
        ) <= {*said, 'loss_scaler'}

    def test_overrides(self, tables):
        said = tables.column('overrides')
        shown = ['sample', 'panels']  # of a subclass, for SampleHook
        known = [x for x in said if hasattr(mmamp.BaseGAN, x)]
        assert known == [x for x in said if x not in shown]
        assert set(methods(mmamp.BaseGAN)) <= set(known)

    def test_commands(self, tables):
        (kinds,) = build_migration_parser()._subparsers._group_actions
        parsers = {
            'tools/train.py': build_parser(),
            'tools/test.py': build_test_parser(),
            'tools/sample.py': build_sample_parser(),
            'tools/export.py': build_export_parser([*FORMATS]),
            'tools/convert_weights.py': build_convert_parser(
                [*WEIGHT_FORMATS]
            ),
            'tools/amp_report.py': build_report_parser(),
            'tools/plan.py': build_plan_parser(),
            'tools/migrate.py config': kinds.choices['config'],
            'tools/migrate.py code': kinds.choices['code'],
            'tools/migrate.py project': kinds.choices['project'],
        }
        wanted = {name: _options(x) for name, x in parsers.items()}
        wanted['tools/dcp_to_pth.py'] = _options_in(
            ROOT / 'mmamp/dcp_to_pth.py'
        )
        for path in ROOT.glob('tools/dataset_converters/*.py'):
            wanted[str(path.relative_to(ROOT))] = _options_in(path)
        said = {
            re.sub(r' [A-Z ]+$', '', names[0]): values
            for names, values in tables.rows('commands')
            if 'tools/train.py' not in values
        }
        assert {name: set(said[name]) for name in said} == wanted

    def test_variables(self, tables):
        said = {keys[0]: set(x) for keys, x in tables.rows('variables')}
        for script in ('tools/dist_train.sh', 'tools/slurm_train.sh'):
            text = Path(ROOT, script).read_text()
            read = set(re.findall(r'\$\{([A-Z_]+):-', text))
            # Slurm sets it.
            assert said[script] == read - {'SLURM_RESTART_COUNT'}

    def test_log(self, tables):
        assert tables.column('log') == list(SCALARS)
        assert tables.column('log_of_models') == list(AUGMENTATION)

    def test_checkpoint(self, tables, build_runner):
        runner = build_runner('gan', edit=_within_a_window)
        runner.train()
        path = Path(runner.work_dir, 'iter_3.pth')
        checkpoint = torch.load(path, weights_only=True)
        of_several_ranks = {'optimizer_by_rank'}
        of_some_models = {'model_by_rank'}
        of_some_configs = {'param_schedulers'}
        said = set(tables.column('checkpoint'))
        assert said - of_several_ranks - of_some_models == (
            set(checkpoint) | of_some_configs
        )
        of_some = {
            *('penalty_scalers', 'training_weights'),
            *('inner_optimizers', 'optimizer_attributes'),
        }
        said = set(tables.column('wrapper_state'))
        for state in checkpoint['optimizer'].values():
            assert said - of_some == set(state) | {'window'}
        assert 'window' in checkpoint['optimizer']['discriminator']


def _options(parser):
    return {
        max(action.option_strings, key=len)
        for action in parser._actions
        if action.option_strings and action.dest != 'help'
    }


def _options_in(path):
    """Those that a script defines."""
    return {
        x.args[0].value
        for x in ast.walk(ast.parse(path.read_text()))
        if isinstance(x, ast.Call)
        and ast.unparse(x.func).endswith('.add_argument')
        and x.args[0].value.startswith('-')
    }


def _within_a_window(cfg):
    cfg.train_cfg.max_iters = 4
    for name in ('generator', 'discriminator'):
        cfg.optim_wrapper[name].accumulative_counts = 2
    cfg.default_hooks.checkpoint = dict(
        type='CheckpointHook', interval=3, by_epoch=False
    )
    cfg.custom_hooks = [dict(type='StateHook')]
    cfg.train_dataloader.sampler = dict(
        type='SeededSampler', sampler=cfg.train_dataloader.sampler
    )
    cfg.train_dataloader.dataset = dict(
        type='SeededDataset', dataset=cfg.train_dataloader.dataset
    )
