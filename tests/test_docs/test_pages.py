"""Every block of the README and the docs does what its page says."""

import os
import subprocess
import sys
from itertools import count
from pathlib import Path

import cv2
import numpy as np
import pytest
from built_examples import BUILDERS, PARSED_ONLY, check_arguments
from doc_blocks import ROOT, blocks, pages
from doc_commands import check, run
from has_fsdp2 import HAS_FSDP2, WHY
from mmengine.config import Config
from mmengine.logging import MessageHub, MMLogger
from mmengine.registry import DefaultScope
from mmengine.visualization import Visualizer

from mmamp import registry
from mmamp.compat.torch import HAS_ONNX
from mmamp.train import main

PAGES = pages('en')
LANGUAGES = ('python', 'bash', 'text', '{toctree}', '{eval-rst}')
# What a run takes; a block with none of it is built only.
RUN_KEYS = {'optim_wrapper', 'custom_hooks', 'default_hooks', 'train_cfg'}
BASES = dict(
    gan='configs/dcgan/dcgan_digits-32x32.py',
    single='configs/digit_features/digit_features_cnn-32x32.py',
)
SHORT = """
train_dataloader = dict(batch_size=2)
val_cfg = val_dataloader = val_evaluator = None
log_level = 'WARNING'
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A checkout, seen from the page's own folder."""
    for name in ('configs', 'tools', 'mmamp', 'tests', 'requirements'):
        (tmp_path / name).symlink_to(ROOT / name)
    for name in ('LOCAL_RANK', 'TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD'):
        monkeypatch.setenv(name, '0')
        monkeypatch.delenv(name)
    monkeypatch.setenv('PYTHONPATH', os.pathsep.join([str(ROOT), '.']))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for name in (
        'cifar10/train/cat',
        'maps/aerial',
        'maps/map',
        'horse2zebra/trainA',
        'horse2zebra/trainB',
    ):
        path = Path('data', name, '0.png')
        path.parent.mkdir(parents=True)
        cv2.imwrite(str(path), np.zeros((300, 300, 3), np.uint8))
    Path('photos').mkdir()
    rng = np.random.default_rng(0)
    for i in range(4):
        photo = rng.integers(0, 256, (90, 120, 3), np.uint8)
        cv2.imwrite(f'photos/{i}.jpg', photo)
    kept = registry.MODELS.module_dict.copy()
    yield tmp_path
    registry.MODELS.module_dict.clear()
    registry.MODELS.module_dict.update(kept)


def forget() -> None:
    """What MMEngine keeps of a run is nothing to the next."""
    for manager in (MessageHub, MMLogger, DefaultScope, Visualizer):
        manager._instance_dict.clear()


@pytest.mark.parametrize('page', PAGES)
def test_page(page, folder):
    if page == 'distributed.md' and not HAS_FSDP2:
        pytest.skip(WHY)
    if page == 'export.md' and not HAS_ONNX:
        pytest.skip('torch >= 2.7 writes ONNX')
    names: dict = {'__name__': 'page'}
    numbers = count()
    for block in blocks(PAGES[page]):
        where = f'{page}, line {block.line}'
        assert block.language in LANGUAGES, where
        forget()
        if block.file:
            write(block)
        elif block.language == 'python' and block.marker != 'migrate':
            take_python(block, names, where)
        elif block.language == 'bash':
            for words in block.commands():
                check(words, folder)
                if not block.marker:
                    forget()
                    run(words, next(numbers))


def write(block):
    Path(block.file).parent.mkdir(exist_ok=True)
    Path(block.file).write_text(block.text)


def take_python(block, names, where):
    code = compile(block.text, where, 'exec')
    if block.marker == 'parse' or block.marker.startswith('recipe'):
        return
    if not block.is_config:
        exec(code, names)
        return
    cfg = Config.fromstring(block.text, '.py')
    known = [key for key in cfg if key in BUILDERS]
    if RUN_KEYS & set(cfg) and block.marker != 'build':
        train(block.text, cfg)
        return
    assert known, f'{where}: nothing in it is built or trained'
    with DefaultScope.overwrite_default_scope('mmamp'):
        for key in known:
            build(key, cfg)


def build(key, cfg):
    value = cfg[key]
    if any(name in str(value) for name in PARSED_ONLY):
        for item in value if isinstance(value, list) else [value]:
            check_arguments(item)
    else:
        BUILDERS[key](value, dict(cfg.items()))


def train(text, cfg):
    """Two iterations of the block upon a reference config."""
    single = 'optimizer' in cfg.get('optim_wrapper', {})
    base = str(ROOT / BASES['single' if single else 'gan'])
    Path('page_config.py').write_text(
        f'_base_ = [{base!r}]\n{SHORT}{text}\n'
        "visualizer = dict(_delete_=True, type='Visualizer')\n"
    )
    options = ['train_cfg.max_iters=2', 'default_hooks.checkpoint.interval=9']
    options += ['default_hooks.checkpoint.save_best=None']
    assert not main(['page_config.py', '--cfg-options', *options])


def slow_pages():
    return [
        page
        for page, path in PAGES.items()
        if any(block.marker == 'slow' for block in blocks(path))
    ]


@pytest.mark.slow
@pytest.mark.parametrize('page', slow_pages())
def test_slow_commands(page, folder):
    numbers = count()
    for block in blocks(PAGES[page]):
        if block.file:
            write(block)
        elif block.marker == 'slow':
            for words in block.commands():
                forget()
                run(words, next(numbers))


def recipes():
    """Configs that need a package: its name, their base, and the text."""
    return [
        pytest.param(
            *[*block.marker.split()[1:], BASES['gan']][:2],
            block.text,
            id=f'{page}:{line}',
        )
        for page, path in PAGES.items()
        for block in blocks(path)
        if block.marker.startswith('recipe') and (line := block.line)
    ]


@pytest.fixture(scope='session')
def site(tmp_path_factory):
    """``site(package)``: a folder with one that the recipes are about."""
    pins = (ROOT / 'requirements/optimizers.txt').read_text().splitlines()

    def install(package):
        if package == 'torch':
            return ROOT  # it is there
        (pin,) = (
            x
            for x in pins
            if x.partition('==')[0].replace('-', '_') == package
        )
        target = tmp_path_factory.getbasetemp() / 'site' / package
        if not target.exists():
            command = [sys.executable, '-m', 'pip', 'install', '--quiet']
            command += ['--no-deps', '--target', str(target), pin]
            subprocess.run(command, check=True)
        return target

    return install


@pytest.mark.slow
@pytest.mark.parametrize(('package', 'base', 'text'), recipes())
def test_recipe(package, base, text, site, folder):
    """Two updates of each network, and on from a checkpoint."""
    Path('recipe.py').write_text(
        f'_base_ = [{str(ROOT / base)!r}]\n{SHORT}{text}\n'
        "visualizer = dict(_delete_=True, type='Visualizer')\n"
    )
    command = [sys.executable, '-m', 'mmamp.train', 'recipe.py', '--amp']
    options = 'default_hooks.checkpoint.save_best=None'
    path = os.pathsep.join([str(ROOT), str(site(package))])
    for iters, more in ((2, []), (4, ['--resume'])):
        done = subprocess.run(
            [
                *(*command, *more, '--cfg-options', options),
                f'train_cfg.max_iters={iters}',
                'default_hooks.checkpoint.interval=1',
            ],
            env=dict(os.environ, PYTHONPATH=path, OMP_NUM_THREADS='1'),
            capture_output=True,
            text=True,
        )
        assert not done.returncode, done.stdout[-2000:] + done.stderr[-2000:]
