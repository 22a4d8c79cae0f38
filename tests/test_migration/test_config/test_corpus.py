"""Configs of the old kind come to the settings that their projects chose.

``corpus/config`` has configs written after public ones, each in a tree of its
project. ``corpus/config/expected`` says, one file a config, what the project's
own config of the new kind sets; see the README beside it.
"""

import ast
import json
import re
import shutil
from collections import Counter
from fnmatch import fnmatch
from pathlib import Path
from types import SimpleNamespace

import pytest
from mmengine.config import Config

from mmamp.migration.config import migrate_config
from mmamp.migration.findings import Outcome
from mmamp.migration.project import Project

CORPUS = Path(__file__).resolve().parents[1] / 'corpus' / 'config'
EXPECTED = CORPUS / 'expected'
ENTRIES = sorted(EXPECTED.rglob('*.json'))
# What an entry says of itself, and not of a config.
ABOUT = ('old', 'new', 'note', 'named', 'or_named', 'half', 'float32')


# ---- reading a config of the new kind --------------------------------------


def plain(value):
    """Lists for tuples, as JSON has it."""
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    return value


def optimizers_of(cfg):
    """Every optimizer by its name; ``model`` is one for all of the model."""
    wrapper = cfg.get('optim_wrapper') or {}
    if 'optimizer' in wrapper:
        return {'model': one_optimizer(wrapper)}
    return {
        name: one_optimizer(entry)
        for name, entry in wrapper.items()
        if isinstance(entry, dict) and 'optimizer' in entry
    }


def one_optimizer(wrapper):
    amp = fnmatch(wrapper.get('type', 'OptimWrapper'), '*AmpOptimWrapper')
    return dict(
        optimizer=wrapper['optimizer'],
        accumulative_counts=wrapper.get('accumulative_counts', 1),
        clip_grad=wrapper.get('clip_grad'),
        paramwise_cfg=wrapper.get('paramwise_cfg'),
        amp=amp,
        loss_scale=wrapper.get('loss_scale', 'dynamic') if amp else None,
    )


def schedulers_of(cfg):
    """The schedulers, each with the range that MMEngine gives it."""
    schedulers = cfg.get('param_scheduler') or []
    if isinstance(schedulers, dict):
        schedulers = [schedulers]
    loop = cfg.get('train_cfg') or {}
    return [with_range(scheduler, loop) for scheduler in schedulers]


def with_range(scheduler, loop):
    scheduler = {'by_epoch': True, 'begin': 0, **scheduler}
    if scheduler['type'] == 'mmamp.LinearLrInterval':
        # MMagic's is told factors, this one a learning rate.
        target = scheduler.get('target_lr', 0)
        scheduler.update(type='LinearLrInterval', start_factor=1.0)
        scheduler['end_factor'] = target
    unit = 'max_epochs' if scheduler['by_epoch'] else 'max_iters'
    scheduler.setdefault('end', loop.get(unit))
    if scheduler['end'] is not None:
        length = scheduler['end'] - scheduler['begin']
        scheduler.setdefault('T_max', length)
    return scheduler


def ema_of(cfg):
    """The average, whether the model keeps it or a hook."""
    defaults = dict(interval=1, start_iter=0, update_buffers=False)
    if cfg.model.get('ema_config'):
        return {**defaults, 'momentum': 0.0002, **cfg.model.ema_config}
    for hook in cfg.get('custom_hooks') or []:
        if fnmatch(hook['type'], '*ExponentialMovingAverageHook'):
            return {**defaults, **hook, **hook.get('interp_cfg', {})}
        if fnmatch(hook['type'], '*EMAHook'):
            return {**defaults, 'momentum': 0.0002, **hook}
    return None


def stays_in_float32(name, cfg):
    """Whether a rule of the precision hook keeps a module there."""
    return any(
        re.fullmatch(rule['pattern'], name)
        for hook in cfg.get('custom_hooks') or []
        if fnmatch(hook['type'], '*PrecisionHook')
        for rule in hook['rules']
        if rule.get('dtype') == 'float32'
    )


def settings_of(cfg):
    """What counts in a config, however it is spelt."""
    loop = cfg.get('train_cfg') or {}
    hooks = cfg.get('default_hooks') or {}
    wrapper = cfg.get('model_wrapper_cfg') or {}
    return plain(
        dict(
            cfg.to_dict(),
            optimizers=optimizers_of(cfg),
            discriminator_steps=cfg.model.get('discriminator_steps', 1),
            generator_steps=cfg.model.get('generator_steps', 1),
            max_iters=loop.get('max_iters'),
            max_epochs=loop.get('max_epochs'),
            val_interval=loop.get('val_interval', 1),
            dynamic_intervals=loop.get('dynamic_intervals'),
            param_scheduler=schedulers_of(cfg),
            ema=ema_of(cfg),
            checkpoint={
                'by_epoch': True,
                'max_keep_ckpts': -1,
                **hooks.get('checkpoint', {}),
            },
            logger=hooks.get('logger', {}),
            load_from=cfg.get('load_from'),
            resume=bool(cfg.get('resume')),
            model_wrapper=wrapper.get('type'),
            find_unused_parameters=wrapper.get(
                'find_unused_parameters',
                cfg.get('find_unused_parameters', False),
            ),
        )
    )


# ---- comparing -------------------------------------------------------------


def differences(expected, actual, at=''):
    """Where ``actual`` lacks what is expected, or has it otherwise.

    What an entry leaves out is not compared, but for an optimizer: there it
    stands for the default.
    """
    if isinstance(expected, dict) and isinstance(actual, dict):
        found = []
        for key, value in expected.items():
            found += differences(value, actual.get(key), f'{at}.{key}')
        return found
    if isinstance(expected, list) and isinstance(actual, list):
        if len(expected) != len(actual):
            return [f'{at}: {len(actual)} for {len(expected)}: {actual}']
        found = []
        for i, (want, have) in enumerate(zip(expected, actual, strict=True)):
            found += differences(want, have, f'{at}[{i}]')
        return found
    same = expected == actual
    if isinstance(expected, float) and isinstance(actual, int | float):
        same = actual == pytest.approx(expected, rel=1e-6)
    return [] if same else [f'{at}: {actual!r} for {expected!r}']


def complete(optimizers):
    """An entry's optimizers, with the defaults that it leaves out."""
    return {
        name: {
            **dict(accumulative_counts=1, clip_grad=None, paramwise_cfg=None),
            **dict(amp='loss_scale' in entry, loss_scale=None),
            **entry,
        }
        for name, entry in optimizers.items()
    }


def without(entry, path):
    """The entry without what ``path`` leads to, as in ``ema.start_iter``."""
    key, _, rest = path.partition('.')
    kept = {k: v for k, v in entry.items() if k != key}
    return {**kept, key: without(entry[key], rest)} if rest else kept


# ---- the tests -------------------------------------------------------------


@pytest.fixture(scope='module')
def projects(tmp_path_factory):
    """Every project of the corpus, migrated in place.

    All files are read before one is written: a config sees its bases as they
    were, in whatever order the files come.
    """
    root = tmp_path_factory.mktemp('corpus').resolve()
    shutil.copytree(CORPUS, root, dirs_exist_ok=True)
    shutil.rmtree(root / 'expected')
    # What was chosen by hand ends a step early.
    project = Project(ends_by_hand=True)
    paths = list(root.rglob('*.py'))
    results = {path: migrate_config(path, project) for path in paths}
    for path, result in results.items():
        path.write_text(result.after)
    return SimpleNamespace(root=root, results=results)


def family(path):
    """A config and the files it inherits from."""
    yield path
    for statement in ast.parse(path.read_text()).body:
        match statement:
            case ast.Assign(targets=[ast.Name(id='_base_')], value=value):
                bases = ast.literal_eval(value)
                for base in [bases] if isinstance(bases, str) else bases:
                    yield from family((path.parent / base).resolve())


def report_on(path, results):
    """What was said of a config and its bases, in one text."""
    said = []
    for file in family(path):
        said += results[file].rules
        for finding in results[file].findings:
            if finding.outcome is not Outcome.CHANGED:
                said.append(finding.reason)
    return '\n'.join(said)


def test_the_corpus_is_large_enough():
    counts = Counter(entry.relative_to(EXPECTED).parts[0] for entry in ENTRIES)
    assert counts['mmgeneration'] >= 10
    assert counts['mmediting'] >= 10
    assert counts['mmdetection'] + counts['mmclassification'] >= 4
    assert counts.total() >= 28


def test_every_config_of_the_corpus_has_an_entry():
    configs = {
        config.relative_to(CORPUS).with_suffix('')
        for config in CORPUS.rglob('*.py')
        if '_base_' not in config.parts
    }
    entries = {e.relative_to(EXPECTED).with_suffix('') for e in ENTRIES}
    # What only serves as a base needs none.
    bases = {
        base.relative_to(CORPUS).with_suffix('')
        for config in CORPUS.rglob('*.py')
        for base in list(family(config))[1:]
    }
    assert entries <= configs
    assert configs - bases <= entries


@pytest.mark.parametrize('entry', ENTRIES, ids=lambda entry: entry.stem)
def test_settings_are_those_of_the_new_config(entry, projects):
    expected = json.loads(entry.read_text())
    path = projects.root / entry.relative_to(EXPECTED).with_suffix('.py')
    report = report_on(path, projects.results)
    for word in expected.get('named', []):
        assert word in report, f'nothing is said of {word}'
    wanted = {k: v for k, v in expected.items() if k not in ABOUT}
    for setting, word in expected.get('or_named', {}).items():
        if word in report:
            wanted = without(wanted, setting)
    if 'optimizers' in wanted:
        wanted['optimizers'] = complete(wanted['optimizers'])

    cfg = Config.fromfile(path)
    settings = settings_of(cfg)
    found = differences(wanted, settings)
    if 'optimizers' in wanted:
        found += differences(settings['optimizers'], wanted['optimizers'])
    for precision in ('half', 'float32'):
        for name in expected.get(precision, []):
            if stays_in_float32(name, cfg) != (precision == 'float32'):
                found.append(f'{name} is not in {precision}')
    assert not found, '\n'.join(found)
