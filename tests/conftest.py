"""What all tests share: clean globals, the log, and real small runs."""

import contextlib
import itertools
import logging
import os
import pickle
import subprocess
import sys
import tempfile
import time
from pathlib import Path

# Tests are small: threads of two workers would only wait for each other.
os.environ.setdefault('OMP_NUM_THREADS', '1')

import kept_results
import pytest
import torch
from mmengine.config import Config, ConfigDict
from mmengine.evaluator import BaseMetric
from mmengine.logging import MessageHub, MMLogger
from mmengine.model import BaseModel
from mmengine.registry import DefaultScope
from mmengine.runner import FlexibleRunner, Runner
from mmengine.visualization import Visualizer
from torch import distributed, nn
from torch.testing._internal.distributed.fake_pg import FakeStore
from warm_python import warm_python

from mmamp.registry import METRICS, MODELS

kept_results.install()


WARM_PYTHON = 'MMAMP_TESTS_PYTHON'


def pytest_configure(config):
    """All workers of ``-n`` have one server, which starts as they do."""
    is_worker = hasattr(config, 'workerinput')
    if not is_worker and getattr(config.option, 'numprocesses', None):
        stack = contextlib.ExitStack()
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        path = stack.enter_context(warm_python(Path(folder)))
        os.environ[WARM_PYTHON] = path
        config.add_cleanup(lambda: os.environ.pop(WARM_PYTHON))
        config.add_cleanup(stack.close)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """What uses ``in_ranks`` starts ranks."""
    for item in items:
        if 'in_ranks' in getattr(item, 'fixturenames', ()):
            item.add_marker(pytest.mark.ranks)


@pytest.fixture(autouse=True)
def _fresh_globals():
    """MMEngine keeps global instances; each test starts without them."""
    kept_results.keep_digits()
    kept_results.leave_modules_to_themselves()
    managers = (MessageHub, MMLogger, DefaultScope, Visualizer)
    kept = [(m, m._instance_dict.copy()) for m in managers]
    for manager in managers:
        manager._instance_dict.clear()
    yield
    for manager, instances in kept:
        manager._instance_dict.clear()
        manager._instance_dict.update(instances)


@pytest.fixture
def mm_log():
    """What has been logged since: ``mm_log(level)`` returns the text."""
    records = []

    class Keep(logging.Handler):
        def emit(self, record):
            records.append(record)

    logger = MMLogger.get_current_instance()
    handler = Keep(logging.DEBUG)
    logger.addHandler(handler)
    yield lambda level=logging.DEBUG: '\n'.join(
        r.getMessage() for r in records if r.levelno >= level
    )
    logger.removeHandler(handler)


@MODELS.register_module(force=True)
class TinyClassifier(BaseModel):
    """One optimizer; the loss is infinite at ``bad_iters``."""

    def __init__(self, bad_iters=(), dropout=0.0):
        super().__init__(dict(type='mmamp.GANDataPreprocessor'))
        self.network = nn.Linear(64, 10)
        self.dropout = nn.Dropout(dropout)
        self.bad_iters = bad_iters
        self.seen = 0

    def forward(self, inputs, data_samples=None, mode='tensor'):
        return self.network(self.dropout(inputs.flatten(1)))

    def val_step(self, data):
        return [torch.rand(1)]

    def train_step(self, data, optim_wrapper):
        batch = self.data_preprocessor(data, True)
        with optim_wrapper.optim_context(self):
            logits = self(batch['inputs'])
            loss = nn.functional.cross_entropy(
                logits.float(), batch['data_samples']['gt_label']
            )
            if self.seen in self.bad_iters:
                loss = loss * float('inf')
        self.seen += 1
        total, log_vars = self.parse_losses(dict(loss_cls=loss))
        optim_wrapper.update_params(total)
        return log_vars


@METRICS.register_module(force=True)
class Falling(BaseMetric):
    """A better score each time."""

    scores = itertools.count(0, -1)

    def process(self, data_batch, data_samples):
        self.results.append(0)

    def compute_metrics(self, results):
        return dict(distance=next(self.scores))


def _base(work_dir):
    return dict(
        default_scope='mmamp',
        work_dir=str(work_dir),
        train_dataloader=dict(
            batch_size=4,
            num_workers=0,
            sampler=dict(type='InfiniteSampler', shuffle=True),
            collate_fn=dict(type='default_collate'),
            dataset=dict(
                type='DigitsDataset', pipeline=[dict(type='PackImage')]
            ),
        ),
        train_cfg=dict(by_epoch=False, max_iters=4),
        default_hooks=dict(
            logger=dict(
                type='LoggerHook', interval=2, log_metric_by_epoch=False
            ),
            checkpoint=dict(type='CheckpointHook', interval=2, by_epoch=False),
        ),
        visualizer=dict(
            type='Visualizer', vis_backends=[dict(type='LocalVisBackend')]
        ),
        log_processor=dict(by_epoch=False),
        log_level='WARNING',
        randomness=dict(seed=0),
    )


def _optimizer(**kwargs):
    return dict(
        type='AmpOptimWrapper',
        dtype='float16',
        loss_scale=dict(init_scale=1024.0),
        optimizer=dict(type='Adam', lr=1e-3),
        **kwargs,
    )


def classifier_config(work_dir):
    cfg = _base(work_dir)
    cfg['model'] = dict(type='TinyClassifier')
    cfg['optim_wrapper'] = _optimizer()
    return cfg


def gan_config(work_dir):
    cfg = _base(work_dir)
    cfg['model'] = dict(
        type='ImageGAN',
        noise_size=4,
        generator=dict(
            type='DCGANGenerator',
            image_size=8,
            out_channels=1,
            base_channels=2,
            noise_size=4,
        ),
        discriminator=dict(
            type='DCGANDiscriminator',
            image_size=8,
            in_channels=1,
            base_channels=2,
        ),
    )
    cfg['optim_wrapper'] = dict(
        constructor='OptimWrapperConstructor',
        generator=_optimizer(),
        discriminator=_optimizer(),
    )
    return cfg


_CONFIGS = dict(classifier=classifier_config, gan=gan_config)


@pytest.fixture
def build_runner(tmp_path):
    """``build_runner('gan', {'train_cfg.max_iters': 2})`` gives a Runner.

    Each has its own work dir, unless one is given, and its own message hub.
    """
    numbers = itertools.count()

    def build(kind='classifier', options=None, work_dir=None, edit=None):
        number = next(numbers)
        cfg = Config(_CONFIGS[kind](work_dir or tmp_path / f'run{number}'))
        cfg.merge_from_dict(options or {})
        if edit is not None:
            edit(cfg)
        # Two runs in one second would share what MMEngine keeps by name.
        cfg.experiment_name = f'{tmp_path.name}_{number}'
        assert isinstance(cfg.train_cfg, ConfigDict)
        runner = FlexibleRunner if 'strategy' in cfg else Runner
        return runner.from_cfg(cfg)

    return build


@pytest.fixture
def as_rank():
    """``with as_rank(1):`` is rank 1 of a run, the others being elsewhere."""

    @contextlib.contextmanager
    def process_group(rank, world_size=4):
        distributed.init_process_group(
            'fake', rank=rank, world_size=world_size, store=FakeStore()
        )
        try:
            yield
        finally:
            distributed.destroy_process_group()

    return process_group


@pytest.fixture(scope='session')
def python(tmp_path_factory):
    """A Python that begins with torch imported: see ``warm_python.py``.

    Where the start of Python itself is what a test is about, and once for
    each command, it is ``sys.executable``.
    """
    if WARM_PYTHON in os.environ:
        yield os.environ[WARM_PYTHON]
        return
    folder = tmp_path_factory.mktemp('bin')
    with warm_python(folder) as path:
        yield path


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 4 MiB; root can mount one, and others pass it over."""
    folder = tmp_path / 'disk'
    folder.mkdir()
    mount = ['mount', '-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', str(folder)]
    try:
        done = subprocess.run(mount, capture_output=True)
    except OSError as error:
        pytest.skip(str(error))
    if done.returncode:
        pytest.skip(done.stderr.decode())
    yield folder
    subprocess.run(['umount', str(folder)], check=True)


@pytest.fixture
def in_ranks(tmp_path, python):
    """``in_ranks(2, task, *args)``: what a task returns in real ranks.

    It is called as ``task(rank, world_size, *args)``.
    """
    numbers = itertools.count()
    command = [
        python,
        str(Path(__file__).with_name('helpers') / 'one_rank.py'),
    ]

    def run(world_size, task, *args):
        path = tmp_path / f'task{next(numbers)}_'
        with path.open('wb') as file:
            pickle.dump(sys.path, file)
            pickle.dump((task, args), file)
        said = [Path(f'{path}{rank}.txt') for rank in range(world_size)]
        ranks = []
        try:
            for rank in range(world_size):
                place = dict(RANK=str(rank), WORLD_SIZE=str(world_size))
                with said[rank].open('w') as file:
                    ranks.append(
                        subprocess.Popen(
                            [*command, str(path)],
                            env={**os.environ, **place},
                            stderr=file,
                        )
                    )
            while any(process.poll() is None for process in ranks):
                if any(process.poll() for process in ranks):
                    break  # The others would wait for it.
                time.sleep(0.02)
            for process, file in zip(ranks, said, strict=True):
                assert not process.poll(), file.read_text()
        finally:
            for process in ranks:
                process.kill()
                process.wait()
        return [
            torch.load(f'{path}{rank}', weights_only=True)
            for rank in range(world_size)
        ]

    return run


@pytest.fixture
def process_of_rank():
    """``process_of_rank(launcher_pid, 1)``: found by its environment."""

    def find(launcher, rank):
        parents, found = {}, []
        for path in Path('/proc').glob('[0-9]*'):
            try:
                stat = (path / 'stat').read_text()
                variables = (path / 'environ').read_bytes().split(b'\0')
            except OSError:
                continue
            number = int(path.name)
            parents[number] = int(stat.rpartition(')')[2].split()[1])
            if b'RANK=%d' % rank in variables:
                found.append(number)
        for number in found:
            # Its children have its environment.
            above = parents[number]
            if above in found:
                continue
            while above not in (launcher, None):
                above = parents.get(above)
            if above == launcher:
                return number
        raise AssertionError(f'no process of rank {rank}')

    return find


USER_MODEL = """
import torch
from mmengine.model import BaseModel
from mmengine.registry import MODELS
"""
USER_CONFIG = """
default_scope = 'mmamp'
custom_imports = dict(imports=['user_model'])
train_dataloader = dict(
    batch_size=4, num_workers=0,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    collate_fn=dict(type='default_collate'),
    dataset=dict(type='DigitsDataset', pipeline=[dict(type='PackImage')]))
log_processor = dict(by_epoch=False)
"""


@pytest.fixture
def user_project(tmp_path):
    """Make a folder with a user's own model and a config on the digits."""

    def make(model, config):
        (tmp_path / 'user_model.py').write_text(USER_MODEL + model)
        (tmp_path / 'config.py').write_text(USER_CONFIG + config)
        return tmp_path

    return make


@pytest.fixture
def environment(python):
    """The environment of a process on the CPU that has this mmamp."""

    def make(*folders, **variables):
        # A job of Slurm's must not take itself for a part of another.
        kept = {k: v for k, v in os.environ.items() if k[:6] != 'SLURM_'}
        root = Path(__file__).parents[1]
        interpreter = variables.get('PYTHON', python)
        return {
            **kept,
            # Of the scripts in tools/, and of the ranks that torchrun starts.
            'PYTHON': interpreter,
            'PYTHON_EXEC': interpreter,
            'PYTHONPATH': os.pathsep.join(map(str, (root, *folders))),
            'OMP_NUM_THREADS': '1',
            'CUDA_VISIBLE_DEVICES': '',
            **variables,
        }

    return make


@pytest.fixture
def evaluate():
    """``evaluate(metric, real, fake)``: what it reports of two sets."""

    def run(metric, real, fake, key='inputs', batch_size=7):
        for begin in range(0, len(fake), batch_size):
            part = slice(begin, begin + batch_size)
            batch = dict(inputs=real[part], data_samples={})
            if key != 'inputs':
                batch['inputs'] = torch.zeros_like(real[part])
                batch['data_samples'] = {key: real[part]}
            samples = [dict(fake_img=image) for image in fake[part]]
            metric.process(batch, samples)
        return metric.evaluate(len(fake))

    return run


@pytest.fixture
def images():
    """``images(num, channels, size)``: uint8, blurred noise."""

    def make(num, channels=1, size=32, seed=0):
        generator = torch.Generator().manual_seed(seed)
        noise = torch.rand(num, channels, size, size, generator=generator)
        blurred = torch.nn.functional.avg_pool2d(noise, 5, 1, 2)
        return (blurred * 255).round().byte()

    return make
