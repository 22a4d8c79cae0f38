"""What a wheel and an sdist hold, and what they say of themselves."""

import subprocess
import sys
import tarfile
import zipfile
from email import message_from_string
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import mmamp

ROOT = Path(__file__).parents[2]


def tracked(*patterns):
    """The repository's files, relative to its root."""
    out = subprocess.run(
        ['git', 'ls-files', '-co', '--exclude-standard', '--', *patterns],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    return {name for name in out if (ROOT / name).is_file()}


def package_files():
    """What the package is, by the rule: code, data, configs and tools."""
    code = tracked('mmamp') - tracked('mmamp/.mim')
    mim = tracked('configs/*.py', 'configs/*.md', 'configs/*.yml')
    mim |= tracked('configs/*.pth', 'tools/*.py', 'tools/*_train.sh')
    mim -= tracked('tools/dev', 'tools/benchmark*.py', 'tools/results.py')
    mim -= tracked('tools/optimizers.py')
    return code | {f'mmamp/.mim/{x}' for x in (*mim, 'model-index.yml')}


@pytest.fixture
def wheel(dists):
    with zipfile.ZipFile(dists[1]) as file:
        yield file


def metadata(wheel):
    (name,) = (x for x in wheel.namelist() if x.endswith('info/METADATA'))
    return message_from_string(wheel.read(name).decode())


def test_wheel_holds_the_package_and_nothing_else(wheel):
    names = {x for x in wheel.namelist() if '.dist-info/' not in x}
    assert names == package_files()


def test_rule_of_the_files_finds_them():
    files = package_files()
    assert 'mmamp/py.typed' in files
    assert 'mmamp/.mim/tools/train.py' in files
    assert 'mmamp/.mim/tools/dataset_converters/cifar10.py' in files
    assert 'mmamp/.mim/configs/dcgan/dcgan_digits-32x32.py' in files
    pth = 'configs/digit_features/digit_features_cnn-32x32.pth'
    assert f'mmamp/.mim/{pth}' in files
    assert not [x for x in files if 'setup.sh' in x or '.png' in x]


def test_links_of_the_checkout_are_files_in_the_wheel(wheel):
    # An editable install and PYTHONPATH have the folders by these.
    link = ROOT / 'mmamp' / '.mim'
    for name in ('configs', 'tools', 'model-index.yml'):
        assert (link / name).resolve() == ROOT / name
    path = 'configs/dcgan/dcgan_digits-32x32.py'
    assert wheel.read(f'mmamp/.mim/{path}') == (ROOT / path).read_bytes()


def test_sdist_holds_what_the_wheel_is_built_from(dists):
    with tarfile.open(dists[0]) as file:
        members = [x for x in file.getmembers() if not x.isdir()]
    assert all(x.isfile() for x in members)
    names = {x.name.partition('/')[2] for x in members}
    made = {'PKG-INFO', 'setup.cfg'}
    made |= {x for x in names if x.startswith('mmamp.egg-info/')}
    about = {'CHANGELOG.md', 'LICENSE', 'README.md', 'MANIFEST.in'}
    build = {'setup.py', 'pyproject.toml', *tracked('requirements')}
    assert names - made == package_files() | about | build


def test_version_is_that_of_the_package(dists, wheel):
    assert metadata(wheel)['Version'] == mmamp.__version__
    assert all(f'mmamp-{mmamp.__version__}' in x.name for x in dists)


def test_requires_no_host(wheel):
    needs = map(Requirement, metadata(wheel).get_all('Requires-Dist'))
    plain = {x.name for x in needs if x.marker is None}
    assert plain == {'numpy', 'pillow', 'scikit-learn'}


def test_extra_mm_is_all_that_the_reference_configs_need(wheel):
    needs = map(Requirement, metadata(wheel).get_all('Requires-Dist'))
    names = {
        need.name
        for need in needs
        if need.marker and need.marker.evaluate({'extra': 'mm'})
    }
    assert names == {'mmengine', 'mmcv-lite', 'torchmetrics'}


def test_metadata_passes_twine(dists):
    done = subprocess.run(
        [sys.executable, '-m', 'twine', 'check', '--strict', *dists],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count('PASSED') == 2
