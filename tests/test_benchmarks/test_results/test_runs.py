"""Of ``benchmarks.results``, the command, and what it writes."""

import sys
from pathlib import Path

import pytest
from PIL import Image

from benchmarks.results import main, runs
from benchmarks.results.runs import Run, train
from benchmarks.results.tables import report, table, write

CONFIG = """
default_scope = 'mmamp'
loader = dict(
    batch_size=4, num_workers=0, collate_fn=dict(type='default_collate'),
    dataset=dict(
        type='DigitsDataset', indices=8,
        pipeline=[
            dict(type='Resize', scale=(16, 16)), dict(type='PackImage')]))
train_dataloader = dict(
    sampler=dict(type='InfiniteSampler', shuffle=True), **loader)
val_dataloader = dict(
    sampler=dict(type='DefaultSampler', shuffle=False), **loader)
val_cfg = dict()
val_evaluator = dict(type='SWD', num_patches=4)
train_cfg = dict(by_epoch=False, max_iters=4, val_interval=4)
default_hooks = dict(
    logger=dict(type='LoggerHook', interval=2),
    checkpoint=dict(type='CheckpointHook', by_epoch=False, save_best='SWD/avg',
                    rule='less'))
custom_hooks = [dict(type='SampleHook', interval=4, num_samples=4)]
visualizer = dict(
    type='Visualizer', vis_backends=[dict(type='LocalVisBackend')])
log_processor = dict(by_epoch=False)
size = dict(image_size=16, base_channels=2)
model = dict(
    type='ImageGAN', noise_size=4,
    generator=dict(
        type='DCGANGenerator', out_channels=1, noise_size=4, **size),
    discriminator=dict(type='DCGANDiscriminator', in_channels=1, **size))
optimizer = dict(type='TYPE', optimizer=dict(type='Adam', lr=1e-3))
optim_wrapper = dict(
    constructor='OptimWrapperConstructor',
    generator=optimizer, discriminator=optimizer)
"""
READMES = ('README.md', 'README_zh-CN.md')


def run(precision, seed, iters=None):
    return Run(Path('a.py'), precision, seed, iters, f'{precision}-{seed}')


def test_table():
    found = {
        run('float32', 0): dict(FID=1.0, FID_std=9.0, peak_memory=2**20),
        run('float32', 1): dict(FID=3.0, FID_std=9.0, peak_memory=3 * 2**20),
        run('bfloat16', 0): dict(FID=2.0, FID_std=9.0, peak_memory=2**20),
        run('float16', 0, 50): dict(FID=12.34567, peak_memory=2**20),
    }
    times = dict(
        float32=[0.1, 0.2, 0.4],
        bfloat16=[0.05, 0.2, 0.3],
        float16=[0.1, 0.2, 0.4],
    )
    lines = table(found, times).splitlines()
    assert lines[0].split(' | ')[:4] == [
        '| precision',
        'seeds',
        'FID',
        'ms an iteration',
    ]
    cells = '| float32 | 0, 1 | 2 ± 1.4 | 200 | 1.00 (1.00 to 1.00) | 3 |'
    assert lines[2] == cells
    cells = '| bfloat16 | 0 | 2 | 200 | 0.75 (0.50 to 1.00) | 1 |'
    assert lines[3] == cells
    assert lines[4].startswith('| float16 (50 iterations) | 0 | 12.35 |')


def test_table_has_the_mean_of_several_levels():
    found = {
        run(p, 0): {
            'PSNR': 21.5,
            'SWD/avg': 3.0,
            'SWD/96': 4.0,
            'SWD/48': 2.0,
            'peak_memory': 2**20,
            'pixel_stage': {'PSNR': 22.0, 'SWD/avg': 5.0},
        }
        for p in runs.PRECISIONS
    }
    times = {key: [0.1] for key in runs.PRECISIONS}
    lines = table(found, times, {'PSNR': 20.0, 'SWD/avg': 7.0}).splitlines()
    head = '| precision | seeds | PSNR | SWD/avg | ms an iteration | '
    assert lines[0].startswith(head)
    assert lines[2] == '| bicubic |  | 20 | 7 |  |  |  |'
    assert lines[3] == '| float32, pixels alone | 0 | 22 | 5 |  |  |  |'
    assert lines[4].startswith('| float32 | 0 | 21.5 | 3 | 100 |')


@pytest.mark.slow
def test_what_was_cut_off_goes_on(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path('tiny.py').write_text(CONFIG.replace('TYPE', 'OptimWrapper'))
    tiny = Run(Path('tiny.py'), 'bfloat16', 0, None, 'bfloat16-0')
    steps = ['default_hooks.checkpoint.interval=2', 'model.noise_size=4']
    whole = train(tiny, Path('whole'), steps)
    train(tiny, Path('cut'), steps)
    folder = tiny.work_dir(Path('cut'))
    # As if it had been killed after the first checkpoint.
    (folder / 'result.json').unlink()
    (folder / 'iter_4.pth').unlink()
    (folder / 'last_checkpoint').write_text(str(folder / 'iter_2.pth'))
    found = train(tiny, Path('cut'), steps)
    output = (folder / 'output.txt').read_text()
    assert 'resumed epoch' in output
    assert found['SWD/avg'] == whole['SWD/avg']
    # Settings that differ, or the wish, begin anew.
    for options, resume in ((['model.noise_size=4'], True), (steps, False)):
        train(tiny, Path('cut'), options, resume)
        output = (folder / 'output.txt').read_text()
        assert 'resumed epoch' not in output


class TestWrite:
    def test_after_what_is_there(self, tmp_path):
        (tmp_path / 'README.md').write_text('# A\n\ntext\n')
        write(tmp_path / 'a.py', 'one')
        write(tmp_path / 'b.py', 'two')
        text = (tmp_path / 'README.md').read_text()
        assert text.startswith('# A\n\ntext\n\n<!-- results of a: begin -->')
        assert text.index('one') < text.index('two')

    def test_in_place_of_older_ones(self, tmp_path):
        readme = tmp_path / 'README.md'
        readme.write_text('# A\n')
        for text in ('one', 'other', 'one'):
            write(tmp_path / 'a.py', text)
            write(tmp_path / 'b.py', 'two')
            found = readme.read_text()
        assert found.count('one') == found.count('two') == 1
        assert 'other' not in found
        write(tmp_path / 'a.py', 'one')
        assert readme.read_text() == found

    def test_in_both_languages(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        for name in ('README.md', 'README_zh-CN.md'):
            Path(name).write_text('# A\n')
        found = {
            run(p, 0): dict(FID=2.0, peak_memory=2**20)
            for p in runs.PRECISIONS
        }
        folder = run('bfloat16', 0).work_dir(Path('runs'))
        pictures = folder / 'time/vis_data/vis_image'
        pictures.mkdir(parents=True)
        (pictures / 'samples_9.png').touch()
        times = {key: [0.1] for key in runs.PRECISIONS}
        config = Path('a.py')
        config.write_text(CONFIG.replace('TYPE', 'OptimWrapper'))
        text = report(config, found, times, Path('runs'), 'python x.py')
        assert write(config, text) == [Path(name) for name in READMES]
        en, zh = (Path(name).read_text() for name in READMES)
        assert text in en
        for kept in (table(found, times), '\npython x.py\n', '](a.png)'):
            assert kept in zh
        assert '## a.py 的结果' in zh
        assert 'Times of' not in zh

    def test_what_has_no_chinese_is_an_error(self, tmp_path):
        for name in READMES:
            (tmp_path / name).write_text('# A\n')
        with pytest.raises(ValueError, match="'new words'"):
            write(tmp_path / 'a.py', 'new words')
        assert (tmp_path / 'README.md').read_text() == '# A\n'


@pytest.mark.parametrize('kind', ['OptimWrapper', 'AmpOptimWrapper'])
@pytest.mark.slow
def test_a_whole_run(tmp_path, monkeypatch, kind):
    monkeypatch.setattr(runs, 'TIMED', 20)
    monkeypatch.setattr(runs, 'ROUNDS', 1)
    monkeypatch.chdir(tmp_path)
    config = Path('tiny.py')
    config.write_text(CONFIG.replace('TYPE', kind))
    for name in READMES:
        Path(name).write_text('# Tiny\n')
    arguments = [str(config), '--seeds', '0', '--float16-iters', '2', '--gif']
    assert main(arguments) == 0
    text = Path('README.md').read_text()
    for row in ('float32 |', 'bfloat16 |', 'float16 (2 iterations) |'):
        assert f'| {row} 0 |' in text
    assert 'SWD/avg' in text
    assert '![samples of tiny](tiny.png)' in text
    assert Path('tiny.png').is_file()
    assert '![interpolation of tiny](tiny.gif)' in text
    assert Image.open('tiny.gif').n_frames > 1
    assert '![tiny 的插值](tiny.gif)' in Path('README_zh-CN.md').read_text()
    root = Path('work_dirs/results/tiny')
    log = next((root / 'float32-0').glob('2*/*.log')).read_text()
    assert 'float32' in log
    assert 'bfloat16 on' not in log
    log = next((root / 'bfloat16-0').glob('2*/*.log')).read_text()
    assert 'generator: bfloat16 on cpu' in log
    # What is there is not run again.
    before = {p: p.stat().st_mtime for p in root.glob('*/result.json')}
    assert main(arguments) == 0
    after = {p: p.stat().st_mtime for p in root.glob('*/result.json')}
    assert before == after


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['no.py'], "'no.py' does not exist"),
        (['a.py'], "no README.md beside 'a.py'"),
        (['b/b.py', '--seeds', 'x'], 'invalid int value'),
        (['b/b.py'], 'holds no optimizer'),
    ],
)
def test_mistakes(tmp_path, monkeypatch, arguments, message, capsys):
    monkeypatch.chdir(tmp_path)
    Path('a.py').touch()
    Path('b').mkdir()
    for name in ('b.py', 'README.md'):
        Path('b', name).write_text('a = 1\n')
    with pytest.raises(SystemExit) as error:
        main(arguments)
    assert error.value.code == 2
    assert message in capsys.readouterr().err


def test_a_run_that_fails_is_named(tmp_path, monkeypatch, capsys, python):
    monkeypatch.setattr(sys, 'executable', python)
    monkeypatch.chdir(tmp_path)
    Path('bad.py').write_text('optim_wrapper = dict(optimizer=dict())\n')
    Path('README.md').touch()
    assert main(['bad.py']) == 1
    (error,) = capsys.readouterr().err.splitlines()
    file = Path('work_dirs/results/bad/float32-0/output.txt')
    assert f'{file} says why' in error
    assert 'mmamp.train: error' in file.read_text()
