"""Bases of one config that would both say the same."""

import textwrap
from pathlib import Path

import pytest
from mmengine.config import Config

from mmamp.migration.config import migrate_configs
from mmamp.migration.findings import Outcome

RUNTIME = """
    log_config = dict(interval=50, hooks=[dict(type='TextLoggerHook')])
    # how ranks talk
    dist_params = dict(backend='nccl')
"""
SCHEDULE = """
    optimizer = dict(type='SGD', lr=0.01)
    optimizer_config = dict()
    runner = dict(type='IterBasedRunner', max_iters=40000)
    checkpoint_config = dict(by_epoch=False, interval=4000)
"""
SHORT = SCHEDULE.replace('40000', '20000').replace('4000)', '2000)')
MODEL = "    model = dict(type='Net')\n"
NET = """
    _base_ = ['runtime.py', 'schedule.py', 'model.py']
    optimizer = dict(lr=0.02)
"""
FOLDERS = {
    'one heir': {},
    'the other order': {
        'net.py': "_base_ = ['model.py', 'schedule.py', 'runtime.py']"
    },
    'a heir of the first alone': {
        'other.py': f"    _base_ = ['runtime.py', 'model.py']{SHORT}"
    },
    'a heir of the second alone': {
        'other.py': "    _base_ = ['schedule.py', 'model.py']"
    },
    'two schedules': {
        'short.py': SHORT,
        'other.py': "    _base_ = ['runtime.py', 'short.py', 'model.py']",
    },
    'two schedules and a heir alone': {
        'short.py': SHORT,
        'other.py': "    _base_ = ['runtime.py', 'short.py', 'model.py']",
        'third.py': "    _base_ = ['runtime.py', 'model.py']",
    },
    'two schedules and two runtimes': {
        'short.py': SHORT,
        'quiet.py': RUNTIME.replace('50', '500'),
        'other.py': "    _base_ = ['quiet.py', 'short.py', 'model.py']",
        'third.py': "    _base_ = ['quiet.py', 'schedule.py', 'model.py']",
    },
    'a base in between': {
        'between.py': "    _base_ = ['runtime.py', 'model.py']",
        'other.py': "    _base_ = ['schedule.py', 'between.py']",
    },
    'a whole config as a base': {
        'more.py': '    log_config = dict(interval=7, hooks=[])',
        'other.py': """
            _base_ = ['more.py', 'whole.py']
        """,
        'whole.py': f"    model = dict(type='Net'){SCHEDULE}",
    },
    'children of children': {
        'other.py': "    _base_ = 'net.py'\n    optimizer = dict(lr=0.03)",
        'third.py': """
            _base_ = 'other.py'
            log_config = dict(interval=10)
            checkpoint_config = dict(interval=5)
        """,
    },
    'a child that deletes': {
        'other.py': """
            _base_ = 'net.py'
            checkpoint_config = dict(_delete_=True, interval=5)
        """,
    },
    'three bases': {
        'third.py': '    checkpoint_config = dict(interval=1)',
        'schedule.py': SCHEDULE.replace('checkpoint_config', 'unused'),
        'save.py': "    evaluation = dict(interval=400, save_best='mIoU')",
        'net.py': """
            _base_ = ['runtime.py', 'schedule.py', 'model.py', 'save.py',
                      'third.py']
        """,
    },
    'lengths and evaluation': {
        'runtime.py': '    total_epochs = 12',
        'schedule.py': """
            optimizer = dict(type='SGD', lr=0.01)
            runner = dict(type='EpochBasedRunner')
            evaluation = dict(interval=3)
        """,
    },
    'model wrappers': {
        'net.py': "    _base_ = ['runtime.py', 'schedule.py', 'model.py']",
        'runtime.py': '    find_unused_parameters = True',
        'schedule.py': """
            optimizer = dict(
                a=dict(type='SGD', lr=1), b=dict(type='SGD', lr=2))
            total_iters = 5
            use_ddp_wrapper = True
        """,
    },
    'of 1.x in part': {
        'schedule.py': f"{SCHEDULE}    default_hooks = dict(x=dict(type='X'))",
    },
}


@pytest.fixture(params=FOLDERS)
def folder(request, tmp_path):
    files = {
        'runtime.py': RUNTIME,
        'schedule.py': SCHEDULE,
        'model.py': MODEL,
        'net.py': NET,
        **FOLDERS[request.param],
    }
    (tmp_path / 'old').mkdir()
    for name, text in files.items():
        (tmp_path / 'old' / name).write_text(textwrap.dedent(text))
    return tmp_path / 'old'


def written(paths: list[Path], to: Path) -> dict[str, str]:
    to.mkdir(exist_ok=True)
    results = migrate_configs(paths)
    for result in results:
        (to / result.path.name).write_text(result.after)
    return {x.path.name: x for x in results}


def loaded(path: Path) -> dict:
    cfg = Config.fromfile(path, import_custom_modules=False).to_dict()
    # What is measured stays, in a part with what its heirs take of it.
    cfg.pop('evaluation', None)
    return cfg


def test_all_loads_and_is_as_if_it_were_one_file(folder):
    new = folder.with_name('new')
    results = written(sorted(folder.glob('*.py')), new)
    for path in folder.glob('*.py'):
        flat = folder.with_name('flat')
        flat.mkdir(exist_ok=True)
        old = Config.fromfile(path, import_custom_modules=False)
        (flat / path.name).write_text(old.pretty_text)
        written([flat / path.name], flat)
        if 'model' in old and 'optimizer' in old:
            assert loaded(new / path.name) == loaded(flat / path.name)
    assert not [y for x in results.values() for y in x.of(Outcome.TODO)]
    for path in new.glob('*.py'):
        before = path.read_text()
        assert (
            written(sorted(new.glob('*.py')), new)[path.name].after == before
        )


def test_one_of_the_two_says_all(tmp_path):
    paths = [tmp_path / x for x in ('runtime.py', 'schedule.py', 'net.py')]
    net = "_base_ = ['runtime.py', 'schedule.py']\n"
    for path, text in zip(paths, (RUNTIME, SCHEDULE, net), strict=True):
        path.write_text(textwrap.dedent(text))
    results = written(paths, tmp_path)
    # The one knows nothing of epochs, nor does the other of the log.
    assert paths[2].read_text() == (
        f'{net}default_hooks = dict(logger=dict(log_metric_by_epoch=False))\n'
        "log_processor = dict(type='LogProcessor', by_epoch=False)\n"
    )
    assert 'default_hooks' not in paths[0].read_text()
    assert '# how ranks talk\nenv_cfg' in paths[0].read_text()
    hooks = loaded(paths[1])['default_hooks']
    assert set(hooks) == {'logger', 'checkpoint'}
    (said,) = results['runtime.py'].of(Outcome.WARNED)
    assert said.reason.startswith('default_hooks is said by the files')
    assert said.line == 2


def test_without_the_bases_in_the_run_it_is_named(tmp_path):
    names = ('runtime.py', 'schedule.py', 'net.py')
    for name, text in zip(names, (RUNTIME, SCHEDULE, NET), strict=True):
        text = text.replace(", 'model.py'", '')
        (tmp_path / name).write_text(textwrap.dedent(text))
    (result,) = migrate_configs([tmp_path / 'net.py'])
    (found,) = result.of(Outcome.TODO)
    assert "default_hooks of the base 'schedule.py' is set by" in found.reason
    assert f'TODO(mmamp migrate): {found.reason[:30]}' in result.after
