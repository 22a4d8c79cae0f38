"""Its mistakes, and what it says of configs."""

import json
import re
from pathlib import Path

import jsonschema
import pytest

from mmamp.plan.command import main
from mmamp.plan.rows import BETWEEN, LARGEST

ROOT = Path(__file__).parents[2]
SCHEMA = json.loads((ROOT / 'mmamp/plan/schema.json').read_text())
DCGAN = 'configs/dcgan/dcgan_digits-32x32.py'
SMALL = (
    *('--cfg-options', 'train_dataloader.batch_size=4'),
    *(
        'model.generator.base_channels=8',
        'model.discriminator.base_channels=8',
    ),
)


@pytest.mark.parametrize(
    ('argv', 'said'),
    [
        (['no.py'], "'no.py' does not exist"),
        ([DCGAN, '--memory', '80'], "--memory: '80' is no size > 0"),
        ([DCGAN, '--memory', '0GiB'], "--memory: '0GiB' is no size > 0"),
        ([DCGAN, '--memory', 'much'], "'much' is no size.*such as 80GiB"),
        ([DCGAN, '--card', 'A1000'], "'A1000' is not known; there are T4"),
        ([DCGAN, '--batch-size', '0'], '--batch-size must be 1 or more'),
        ([DCGAN, '--gpus', '0'], '--gpus must be 1 or more, but got 0'),
        ([DCGAN, '--ranks', '1'], '--ranks must be 2 to 4096, but got 1'),
        ([DCGAN, '--flops', '-1'], '--flops must be > 0, but got -1'),
        ([DCGAN, '--strategy', 'ddp'], 'ddp needs several devices'),
        (
            [DCGAN, '--cfg-options', 'train_dataloader=None'],
            'has no train_dataloader',
        ),
        (
            [DCGAN, '--cfg-options', 'train_dataloader.batch_size=0'],
            'batch_size must be an int >= 1, but is 0',
        ),
        (
            [DCGAN, '--cfg-options', 'optim_wrapper=None'],
            'has no optim_wrapper',
        ),
    ],
)
def test_mistakes(argv, said, capsys, monkeypatch):
    monkeypatch.chdir(ROOT)
    assert main(argv) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith('plan: error: ')
    assert re.search(said, error), error


def test_a_model_that_does_not_build(capsys, monkeypatch):
    monkeypatch.chdir(ROOT)
    option = 'model.generator.type=NoSuchGenerator'
    assert main([DCGAN, '--dtypes', 'float32', '--cfg-options', option]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith('plan: error: ')
    assert 'NoSuchGenerator' in error


def test_a_plan(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    out = tmp_path / 'out'
    argv = [
        *(str(ROOT / DCGAN), '--card', 'V100-32GB', '--dtypes', 'float16'),
        *('--gpus', '2', '--link', '25GB', '--out', str(out), *SMALL),
    ]
    assert main(argv) == 0
    assert [x.name for x in tmp_path.iterdir()] == ['out']
    plan = json.loads((out / 'plan.json').read_text())
    jsonschema.validate(plan, SCHEMA)
    rows = {x['strategy']: x for x in plan['rows']}
    assert list(rows) == ['none', 'ddp', 'fsdp2']
    for row in rows.values():
        assert row['failed'] is None
        assert row['peak']['total'] == sum(row['peak']['parts'].values())
        assert set(row['networks']) == {'generator', 'discriminator'}
        most = max(row['networks'].values())
        # So small a network has its peak where its average advances.
        is_between = row['peak']['phase'] == BETWEEN
        assert is_between == (most < row['peak']['total'])
        assert row['largest_batch'] == LARGEST
        assert row['seconds']['at_least'] > 0
        work = {(x['network'], x['dtype']) for x in row['compute']}
        assert ('generator', 'float16') in work
    assert rows['none']['traffic'] == []
    assert rows['ddp']['traffic'][0]['calls'] == {'all-reduce': 2}
    assert "DDP's buckets" in rows['ddp']['peak']['parts']
    weights = {x: rows[x]['peak']['parts']['weights'] for x in rows}
    assert weights['fsdp2'] < 0.6 * weights['none']
    said = capsys.readouterr().out
    assert 'Not rehearsed: AmpMonitorHook, SampleHook, StateHook' in said
    page = (out / 'plan.html').read_text()
    assert '<script' not in page
    assert page.count('<img') == 3
    assert page.count('class="bar"') == 3
