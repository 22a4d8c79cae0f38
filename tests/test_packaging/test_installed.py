"""The wheel in new environments, away from the checkout."""

import hashlib

import pytest

pytestmark = pytest.mark.slow

NAME = 'mmamp::dcgan/dcgan_digits-32x32.py'
SHORT = (
    'randomness.seed=0',
    'train_cfg.max_iters=2',
    'train_cfg.val_interval=2',
    'train_dataloader.batch_size=4',
    'val_dataloader.dataset.indices=100',
)
WEIGHTS = """
import torch
old, new = (
    torch.load(f'work_dirs/{x}/iter_2.pth', weights_only=True)['state_dict']
    for x in ('by_module', 'by_tool')
)
assert all(torch.equal(old[key], new[key]) for key in old | new)
"""
GET_CONFIG = f"""
import mmamp
from mmengine.hub import get_config
cfg = get_config({NAME!r})
print(cfg.model.type, mmamp.__file__)
"""


@pytest.fixture(scope='module')
def with_host(make_environment, dists):
    """Torch, and what ``pip install 'mmamp[mm]'`` brings."""
    environment = make_environment(torch=True)
    environment.pip(f'{dists[1]}[mm]')
    return environment


@pytest.fixture(
    scope='module', params=['setuptools<82', 'setuptools>=82'], ids=str
)
def setuptools(request, with_host):
    with_host.pip(request.param)
    found = with_host.run('-c', 'import pkg_resources', cwd='/')
    assert (found.returncode == 0) == (request.param == 'setuptools<82')
    return with_host


def train(environment, cwd, *arguments):
    """Train two iterations and validate."""
    options = ('--cfg-options', *SHORT)
    done = environment.run(*arguments, '--amp', *options, cwd=cwd)
    assert done.returncode == 0, done.stdout + done.stderr
    assert 'precision: bfloat16' in done.stdout
    assert 'FID:' in done.stdout
    return done


@pytest.fixture(scope='module')
def without_host(make_environment, dists):
    """What ``pip install 'mmamp[migration]'`` brings."""
    environment = make_environment()
    environment.pip(f'{dists[1]}[migration]')
    return environment


def test_without_a_host_it_says_what_is_missing(without_host, tmp_path):
    names = without_host.installed()
    assert {'mmamp', 'numpy', 'scikit-learn'} <= names
    assert not names & {'torch', 'mmengine', 'mmcv', 'mmcv-lite'}
    done = without_host.run('-c', 'import mmamp', cwd=tmp_path)
    last = done.stderr.splitlines()[-1]
    assert last.startswith('ImportError: mmamp needs mmcv, which is not')
    assert "pip install 'mmamp[mm]'" in last


def test_migration_tool_runs_without_a_host(without_host, tmp_path):
    (tmp_path / 'old.py').write_text(
        "optimizer = dict(type='SGD', lr=0.1)\nfp16 = dict(loss_scale=512.0)"
    )
    tool = without_host.site / 'mmamp' / '.mim' / 'tools' / 'migrate.py'
    done = without_host.run(tool, 'config', 'old.py', '--diff', cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert '-fp16 = dict(loss_scale=512.0)' in done.stdout


def test_get_config(setuptools, tmp_path):
    done = setuptools.run('-c', GET_CONFIG, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    kind, file = done.stdout.split()
    assert kind == 'ImageGAN'
    assert file.startswith(str(setuptools.site))


def test_a_config_of_the_users_with_a_base_trains(setuptools, tmp_path):
    (tmp_path / 'mine.py').write_text(f'_base_ = {NAME!r}\n')
    train(setuptools, tmp_path, '-m', 'mmamp.train', 'mine.py')


def test_the_module_does_what_the_tool_does(with_host, tmp_path):
    tools = with_host.site / 'mmamp' / '.mim' / 'tools'
    for work_dir, command in (
        ('by_module', ('-m', 'mmamp.train')),
        ('by_tool', (tools / 'train.py',)),
    ):
        train(
            *(with_host, tmp_path, *command, NAME),
            *('--work-dir', f'work_dirs/{work_dir}'),
        )
    done = with_host.run('-c', WEIGHTS, cwd=tmp_path)
    assert done.returncode == 0, done.stderr


def test_a_typo_gets_near_names(with_host, tmp_path):
    done = with_host.run(
        *('-m', 'mmamp.train', NAME.replace('digits', 'digit')), cwd=tmp_path
    )
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert '.mim/configs/dcgan/dcgan_digits-32x32.py' in line


def test_a_fork_and_full_mmcv_stay_as_they_are(make_environment, dists):
    environment = make_environment()
    environment.pip('--no-deps', 'onedl-mmengine')
    # Where there is no torch mmcv leaves its compiled operators out.
    environment.pip('setuptools<82', 'wheel', 'packaging')
    environment.pip('--no-deps', '--no-build-isolation', 'mmcv==2.2.0')
    before = hashes(environment)
    environment.pip(dists[1])
    assert hashes(environment) == before
    names = environment.installed()
    assert {'mmamp', 'onedl-mmengine', 'mmcv'} <= names
    assert not names & {'mmengine', 'mmcv-lite'}


def hashes(environment):
    """What is in the files of the host."""
    site = environment.site
    files = [
        path
        for pattern in ('*mmengine*/**/*', 'mmcv*/**/*')
        for path in site.glob(pattern)
        if path.is_file() and path.suffix != '.pyc'
    ]
    assert len(files) > 300
    return {
        str(path.relative_to(site)): hashlib.sha256(
            path.read_bytes()
        ).hexdigest()
        for path in files
    }
