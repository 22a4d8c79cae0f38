"""Other people's toolboxes, trained as they are.

``bash tools/dev/toolboxes.sh --lite`` makes an environment of them, ``--fork``
one of the fork's; without one its tests are skipped.
``tools/dev/toolbox_table.py`` trains all of ``entries.py``.
"""

import json
import os
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
FOLDER = Path(
    os.environ.get('TOOLBOXES_DIR', Path.home() / '.cache/mmamp/toolboxes')
)

pytestmark = pytest.mark.toolboxes


def python_of(*names):
    """Return the interpreter of the first environment that is there."""
    for name in names:
        if (path := FOLDER / name / 'bin/python').exists():
            return path
    pytest.skip(f'none is there: tools/dev/toolboxes.sh --{names[-1]}')


def rows_of(name, folder, *ways, envs=('full', 'lite')):
    """Train a config; return what came of each way."""
    trial = HERE / 'trial.py'
    done = subprocess.run(
        [python_of(*envs), '-W', 'ignore', trial, name, folder, *ways],
        capture_output=True,
        text=True,
        env={
            **os.environ,
            'PYTHONPATH': f'{HERE / "shims"}{os.pathsep}{HERE.parents[1]}',
            'OMP_NUM_THREADS': '1',
        },
    )
    lines = [x for x in done.stdout.splitlines() if x.startswith('{"name"')]
    assert lines, done.stderr[-2000:]
    return {row['way']: row for row in map(json.loads, lines)}


@pytest.fixture(scope='session')
def folder(tmp_path_factory):
    """Where the data is made, and the runs are."""
    return tmp_path_factory.mktemp('toolboxes')


NAMES = [
    'mmpretrain/resnet/resnet18_8xb32_in1k.py',
    'mmseg/segformer/segformer_mit-b0_8xb2-160k_ade20k-512x512.py',
    'mmdet/retinanet/retinanet_r50_fpn_1x_coco.py',
]


@pytest.mark.parametrize('name', NAMES)
def test_a_shipped_config_trains(name, folder):
    rows = rows_of(name, folder, 'float32', 'amp', 'resumed', 'own')
    assert_all_trained(rows)


@pytest.mark.parametrize('name', NAMES)
def test_one_of_the_fork_trains(name, tmp_path):
    ways = 'float32', 'amp', 'resumed', 'own'
    assert_all_trained(rows_of(name, tmp_path, *ways, envs=['fork']))


def assert_all_trained(rows):
    """Assert that all ways of a config did what float32 does."""
    assert {row['code'] for row in rows.values()} == {0}, rows
    for way in ('float32', 'amp', 'own'):
        assert rows[way]['validated']
    assert rows['resumed']['exact']
    first = rows['float32']['first']
    assert rows['amp']['first'] == pytest.approx(first, rel=0.02)


PCONV = 'mmagic/partial_conv/pconv_stage1_8xb12_places-256x256.py'
ESRGAN = 'mmagic/esrgan/esrgan_x4c64b23g32_1xb16-400k_div2k.py'


@pytest.mark.parametrize('name', [*NAMES, ESRGAN])
def test_a_plan_of_a_shipped_config(name, folder):
    row = rows_of(name, folder, 'plan')['plan']
    assert row['code'] == 0, row
    assert row['predicted'] == pytest.approx(row['measured'], rel=0.1)


def test_a_report_has_a_verdict(folder):
    (row,) = rows_of(NAMES[0], folder, 'report').values()
    assert row['verdict'], row


def test_a_train_step_without_a_context(folder):
    """Of mmagic's: the networks run in autocast by themselves."""
    rows = rows_of(PCONV, folder, 'amp', 'resumed')
    assert {row['code'] for row in rows.values()} == {0}, rows
    assert rows['amp']['by_itself']
    assert rows['resumed']['exact']


def test_what_a_toolbox_cannot_do_is_mended_by_the_rule_that_is_named(folder):
    """Heads that go over to numpy, which has no bfloat16."""
    rows = rows_of(
        'mmpose/body_2d_keypoint/topdown_heatmap/coco/'
        'td-hm_res50_8xb64-210e_coco-256x192.py',
        folder,
        'amp',
    )
    assert rows['amp']['code'] == 0, rows
    assert rows['amp']['rules'] == ['head']
    assert rows['amp']['validated']
