"""The whole report, of three configs, in processes of their own."""

import json
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import jsonschema
import pytest

from mmamp.report.command import main as report

ROOT = Path(__file__).parents[2]
SCHEMA = json.loads((ROOT / 'mmamp/report/schema.json').read_text())

GAN = """
default_scope = 'mmamp'
custom_imports = dict(imports=['planted_models'])
train_dataloader = dict(
    batch_size=8, num_workers=0,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    collate_fn=dict(type='default_collate'),
    dataset=dict(type='DigitsDataset', pipeline=[dict(type='PackImage')]))
train_cfg = dict(by_epoch=False, max_iters=1000)
default_hooks = dict(logger=dict(type='LoggerHook', interval=10))
model = dict(
    type='ImageGAN', noise_size=4,
    generator=dict(type='PlantedGenerator'),
    discriminator=dict(type='PlantedDiscriminator', factor=FACTOR))
optim_wrapper = dict(
    constructor='OptimWrapperConstructor',
    generator=dict(optimizer=dict(type='Adam', lr=1e-3)),
    discriminator=dict(optimizer=dict(type='Adam', lr=1e-3)))
custom_hooks = [dict(type='SampleHook', interval=5, num_samples=4)]
log_processor = dict(by_epoch=False)
"""

THEIRS = """
default_scope = 'mmengine'
custom_imports = dict(imports=['mmamp', 'planted_models'])
train_dataloader = dict(
    batch_size=8, num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=True),
    collate_fn=dict(type='default_collate'),
    dataset=dict(type='mmamp.TheirData'))
train_cfg = dict(by_epoch=True, max_epochs=100)
model = dict(type='mmamp.TheirRegressor')
optim_wrapper = dict(optimizer=dict(type='SGD', lr=1e-3))
"""


@pytest.fixture
def config(tmp_path, monkeypatch):
    """``config(text)`` is the path of a config with it."""
    monkeypatch.setenv('PYTHONPATH', f'{ROOT}/tests/helpers:{ROOT}')
    monkeypatch.syspath_prepend(ROOT / 'tests/helpers')

    def write(text):
        path = tmp_path / 'a_config.py'
        path.write_text(text)
        return path

    return write


def run(config, tmp_path, *options):
    out = tmp_path / 'out'
    command = [str(config), '--out', str(out), '--iters', '20', *options]
    assert report(command) == 0
    found = json.loads((out / 'report.json').read_text())
    jsonschema.validate(found, SCHEMA)
    return out, found


def row(found, dtype):
    return next(x for x in found['dtypes'] if x['dtype'] == dtype)


@pytest.mark.slow
def test_a_planted_overflow(config, tmp_path):
    path = config(GAN.replace('FACTOR', '1e6'))
    out, found = run(path, tmp_path, '--dtypes', 'float16', 'bfloat16')
    damaged = row(found, 'float16')
    assert {'overflow', 'skipped'} <= {x['kind'] for x in damaged['damage']}
    assert damaged['damage'][0]['where'] == 'discriminator.large'
    assert damaged['rules'] == [
        dict(pattern=r'discriminator\.large', dtype='float32')
    ]
    assert damaged['with_rules']['seconds']['median'] > 0
    assert not row(found, 'bfloat16')['damage']
    # The file that was written trains, and in good health.
    fragment = out / 'amp_rules.py'
    command = [sys.executable, str(ROOT / 'tools/train.py'), str(fragment)]
    command += ['--amp', '--amp-dtype', 'float16']
    command += ['--work-dir', str(tmp_path / 'run'), '--cfg-options']
    command += ['train_cfg.max_iters=30']
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    text = next((tmp_path / 'run').glob('*/vis_data/scalars.json')).read_text()
    last = json.loads(text.splitlines()[-1])
    assert last['discriminator.skipped_steps'] < 10
    assert last['discriminator.skip_rate'] == 0
    _looked_at(out / 'report.html', ['discriminator.large', 'amp_rules.py'])


@pytest.mark.slow
def test_a_healthy_gan(config, tmp_path):
    out, found = run(config(GAN.replace('FACTOR', '1.0')), tmp_path)
    assert [x['dtype'] for x in found['dtypes']] == [
        *('float32', 'bfloat16', 'float16')
    ]
    for each in found['dtypes']:
        assert each['failed'] is None
        assert each['damage'] == []
        assert len(each['losses']['loss_gen']) == 20
        assert each['peak_memory'] > 0
    first = [x['losses']['loss_gen'][0] for x in found['dtypes']]
    assert first[1] == pytest.approx(first[0], abs=0.02)  # the same data
    assert not (out / 'amp_rules.py').exists()
    assert found['noise'] >= 1
    _looked_at(out / 'report.html', ['generator.layers.0'])


@pytest.mark.slow
def test_a_single_optimizer_of_another_scope(config, tmp_path):
    _, found = run(config(THEIRS), tmp_path, '--dtypes', 'bfloat16')
    assert row(found, 'bfloat16')['damage'] == []
    assert set(row(found, 'bfloat16')['modules']) >= {'net', 'net.0'}


@pytest.mark.slow
def test_a_dtype_that_fails_is_a_row(config, tmp_path):
    """As one that runs out of memory does."""
    text = GAN.replace('FACTOR', '1.0')
    text += "model['generator'] = dict(type='FailsInLow')\n"
    out, found = run(config(text), tmp_path, '--dtypes', 'bfloat16')
    failed = row(found, 'bfloat16')
    assert failed['failed'] == (
        'out of memory: MemoryError: no room for bfloat16'
    )
    assert 'did not run' in found['verdict']
    assert row(found, 'float32')['failed'] is None
    _looked_at(out / 'report.html', ['no room'])


@pytest.mark.slow
def test_a_config_that_does_not_run(config, tmp_path, capsys):
    text = GAN.replace('FACTOR', '0.0')  # divides by it
    out = tmp_path / 'out'
    assert report([str(config(text)), '--out', str(out)]) == 2
    assert 'float32 did not run: ZeroDivisionError' in capsys.readouterr().out
    assert 'planted_models.py' in (out / 'float32_failed.txt').read_text()


@pytest.mark.slow
def test_sigterm_leaves_nothing_behind(config, tmp_path):
    path = config(GAN.replace('FACTOR', '1.0'))
    command = [sys.executable, str(ROOT / 'tools/amp_report.py'), str(path)]
    process = subprocess.Popen([*command, '--out', str(tmp_path / 'out')])
    child: list[int] = []
    while not child:
        time.sleep(0.5)
        assert process.poll() is None
        listed = Path(f'/proc/{process.pid}/task/{process.pid}/children')
        child = list(map(int, listed.read_text().split()))
    process.terminate()
    assert process.wait(30) == 143
    assert not Path(f'/proc/{child[0]}').exists()


def _looked_at(page, texts):
    """In a real browser: it loads, says nothing in red, and shows all."""
    chromium = shutil.which('chromium') or shutil.which('google-chrome')
    if chromium is None:
        pytest.skip('no browser: apt-get install chromium')
    probe = page.with_name('probe.html')
    probe.write_text(
        page.read_text().replace(
            '</body>',
            """<script>
addEventListener('load', () => {
  const broken = [...document.images].filter(
    x => !(x.complete && x.naturalWidth > 0 && x.clientWidth > 50));
  const table = document.querySelector('#dtypes')?.parentElement;
  console.error('PICTURES ' + document.images.length + ' BROKEN '
    + broken.length + ' WIDTH ' + document.documentElement.scrollWidth
    + ' HIDDEN ' + (table ? table.scrollWidth - table.clientWidth : 0));
});
</script></body>""",
        )
    )
    assert '<script' not in page.read_text()
    done = subprocess.run(
        [
            *(chromium, '--headless=new', '--no-sandbox', '--disable-gpu'),
            *('--enable-logging=stderr', '--v=0', '--window-size=500,900'),
            *('--virtual-time-budget=5000', '--dump-dom', probe.as_uri()),
        ],
        capture_output=True,
        text=True,
        timeout=120,
    )
    said = re.findall(r'CONSOLE.*?"(.*?)", source', done.stderr)
    assert len(said) == 1, said
    pictures, broken, width, hidden = map(int, re.findall(r'\d+', said[0]))
    assert pictures > 0
    assert broken == 0
    # Nothing to scroll sideways on a phone.
    assert width <= 500
    assert hidden == 0
    for text in texts:
        assert text in done.stdout
