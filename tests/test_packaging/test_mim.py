"""MIM, as the registry has it, with mmamp: what get_started.md says of it."""

from pathlib import Path

import pytest

# Minutes each; more where others use the machine.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1800),
    pytest.mark.usefixtures('registry'),
]

REQUIREMENTS = Path(__file__).parents[2] / 'requirements'
NAME = 'dcgan_digits-32x32'
CONFIG, WORK_DIR = f'{NAME}.py', f'work_dirs/{NAME}'
SHORT = (
    *('--cfg-options', 'train_cfg.max_iters=1', 'val_cfg=None'),
    *('val_dataloader=None', 'val_evaluator=None'),
    'train_dataloader.batch_size=4',
)


class Mim:
    """``mim COMMAND mmamp ...`` of an environment, in a folder."""

    def __init__(self, environment, folder):
        self.environment = environment
        self.folder = folder

    def __call__(self, command, *arguments, fails=False):
        done = self.environment.run(
            *('-m', 'mim', command, 'mmamp', *arguments), cwd=self.folder
        )
        told = done.stdout + done.stderr
        assert bool(done.returncode) == fails, told
        return told


def test_openmim_with_a_wheel(make_environment, dists, tmp_path):
    environment = make_environment(torch=True)
    environment.pip(f'{dists[1]}[mm]', '-r', REQUIREMENTS / 'mim.txt')
    mim = Mim(environment, tmp_path)

    told = mim('search', '--model', 'dcgan', '--valid-config')
    assert f"['{NAME}', '{NAME}_bfloat16', '{NAME}_float16']" in told
    mim('download', '--config', NAME, '--dest', 'mine')
    assert "type='ImageGAN'" in (tmp_path / 'mine' / CONFIG).read_text()
    told = mim('train', CONFIG, '--gpus', 0, '--amp', *SHORT)
    assert 'precision: bfloat16' in told
    told = mim(
        *('test', CONFIG, '--checkpoint', WORK_DIR),
        *('--cfg-options', 'test_dataloader.dataset.indices=100'),
    )
    assert 'SWD/avg' in told
    mim(
        *('run', 'sample', f'mmamp::dcgan/{CONFIG}', WORK_DIR),
        *('--num', 2, '--out', 'samples'),
    )
    assert any((tmp_path / 'samples').iterdir())
    mim(
        *('gridsearch', CONFIG, '--gpus', 2, '--launcher', 'pytorch'),
        *('--search-args', '--train_dataloader.batch_size 2'),
        *('--work-dir', 'grid', '--amp', *SHORT[:-1]),
    )
    assert list(tmp_path.glob('grid_search_*batch_size_2/iter_1.pth'))

    told = mim('search', '--config', 'dcgan', fails=True)
    assert f"'{NAME}'" in told
    told = mim('train', 'dcgan_digit.py', fails=True)
    assert 'can not find the config file' in told
    told = mim('test', CONFIG, '--checkpoint', 'nope.pth', fails=True)
    assert 'mmamp.test: error' in told
    assert 'returned non-zero exit status 2' in told
    told = mim('run', 'sampel', fails=True)
    assert 'No script in codebase mmamp' in told


def test_the_fork_with_a_clone(make_environment, dists, tmp_path):
    environment = make_environment(torch=True)
    for name in ('fork', 'mim_fork', 'runtime', 'metrics'):
        environment.pip('-r', REQUIREMENTS / f'{name}.txt')
    environment.pip('--no-deps', 'mmcv-lite', 'opencv-python')
    tree = dists[0].parent / 'tree'
    environment.pip('--no-deps', '--no-build-isolation', '-e', tree)
    mim = Mim(environment, tmp_path)

    mim('download', '--config', NAME, '--dest', 'mine')
    told = mim('train', f'mine/{CONFIG}', '--gpus', 0, '--amp', *SHORT)
    assert 'precision: bfloat16' in told
    told = mim('train', CONFIG, fails=True)
    assert 'multiple config files with same name' in told

    environment.pip('--no-deps', '--force-reinstall', dists[1])
    told = mim('search', fails=True)
    assert 'dist-info/model-index.yml' in told
