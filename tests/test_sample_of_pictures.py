"""``mmamp.sample --input``: a trained model on new pictures."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config

from mmamp.registry import MODELS
from mmamp.sample import main

CONFIGS = Path(__file__).parents[1] / 'configs'
SMALL = dict(
    pix2pix=['model.generator.base_channels=2'],
    cyclegan=[
        'model.generator.base_channels=2',
        'model.generator.num_blocks=1',
    ],
    srgan=[
        'model.generator.base_channels=4',
        'model.generator.num_blocks=1',
        'model.perceptual_loss=None',
    ],
    esrgan=[
        'model.generator.base_channels=4',
        'model.generator.num_blocks=1',
        'model.generator.growth_channels=4',
        'model.perceptual_loss=None',
    ],
)
OF_FOLDERS = dict(
    pix2pix='pix2pix_paired-folder-256x256',
    cyclegan='cyclegan_unpaired-folders-256x256',
    srgan='srgan_folder-x4',
    esrgan='esrgan_folder-x4',
)


def write(path, height=32, width=48):
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(len(path.name))
    img = rng.integers(0, 256, (height, width, 3), np.uint8)
    assert cv2.imwrite(str(path), img)


@pytest.fixture
def apply(tmp_path, monkeypatch):
    """``apply('cyclegan', *arguments)``: a model that has learnt nothing."""
    monkeypatch.chdir(tmp_path)
    write(Path('new/one.jpg'))
    write(Path('new/in here/two.PNG'))

    def run(family, *arguments, name=None, options=()):
        name = name or OF_FOLDERS[family]
        config = CONFIGS / family / f'{name}.py'
        options = [*SMALL[family], *options]
        cfg = Config.fromfile(config)
        found = (x.split('=', 1) for x in options)
        cfg.merge_from_dict(
            {k: None if v == 'None' else int(v) for k, v in found}
        )
        torch.manual_seed(0)
        model = MODELS.build({**cfg.model, '_scope_': 'mmamp'})
        torch.save(dict(state_dict=model.state_dict()), 'iter_1.pth')
        return main(
            [
                *(str(config), 'iter_1.pth', *arguments),
                *('--cfg-options', *options),
            ]
        )

    return run


def found(folder='samples'):
    paths = sorted(Path(folder).rglob('*.*'))
    return {
        path.relative_to(folder).as_posix(): cv2.imread(str(path))
        for path in paths
    }


@pytest.mark.parametrize(
    ('family', 'shape'),
    [
        # That of the test data.
        ('pix2pix', (256, 256, 3)),
        ('cyclegan', (256, 256, 3)),
        # Four times that of each picture.
        ('srgan', (128, 192, 3)),
        ('esrgan', (128, 192, 3)),
    ],
)
def test_names_are_kept(apply, family, shape, capsys):
    assert apply(family, '--input', 'new') == 0
    results = found()
    assert list(results) == ['in here/two.png', 'one.png']
    assert {x.shape for x in results.values()} == {shape}
    assert '2 pictures are in samples' in capsys.readouterr().out


def test_each_direction_has_its_network(apply):
    for direction in ('a2b', 'b2a'):
        arguments = ['--direction', direction, '--out', direction]
        assert apply('cyclegan', '--input', 'new', *arguments) == 0
    assert apply('cyclegan', '--input', 'new') == 0
    one, other = found('a2b')['one.png'], found('b2a')['one.png']
    assert (one != other).any()
    assert (found()['one.png'] == one).all()


def test_grey_pictures_of_a_model_on_data_in_memory(apply):
    write(Path('grey/a.png'), 64, 32)
    name = 'pix2pix_digits-edges-32x32'
    assert apply('pix2pix', '--input', 'grey', name=name) == 0
    assert cv2.imread('samples/a.png', cv2.IMREAD_UNCHANGED).shape == (64, 32)


def test_as_many_as_asked_for(apply):
    assert apply('srgan', '--input', 'new', '--num', '1') == 0
    assert len(found()) == 1


def refused(apply, capsys, family, *arguments, **kwargs):
    assert apply(family, *arguments, **kwargs) == 2
    err = capsys.readouterr().err
    (line,) = err.strip().splitlines()
    assert line.startswith('mmamp.sample: error: ')
    return line


class TestMistakes:
    def test_no_such_folder(self, apply, capsys):
        line = refused(apply, capsys, 'srgan', '--input', 'nwe')
        assert "the folder 'nwe' does not exist" in line

    def test_an_empty_folder(self, apply, capsys):
        Path('empty').mkdir()
        line = refused(apply, capsys, 'srgan', '--input', 'empty')
        assert "the folder 'empty' holds no picture" in line

    def test_a_direction_that_there_is_not(self, apply, capsys):
        arguments = ('--input', 'new', '--direction', 'b2a')
        line = refused(apply, capsys, 'pix2pix', *arguments)
        assert "no direction 'b2a': Pix2Pix has a2b" in line

    def test_a_direction_of_nothing(self, apply, capsys):
        line = refused(apply, capsys, 'cyclegan', '--direction', 'b2a')
        assert '--direction goes with --input DIR' in line

    def test_a_broken_picture(self, apply, capsys):
        Path('new/x.png').write_bytes(b'no picture')
        line = refused(apply, capsys, 'srgan', '--input', 'new')
        assert "cannot read 'new/x.png' as a picture" in line

    def test_results_among_pictures(self, apply, capsys):
        arguments = ('--input', 'new', '--out', 'new/results')
        line = refused(apply, capsys, 'srgan', *arguments)
        assert 'are in each other' in line

    def test_two_of_one_name(self, apply, capsys):
        write(Path('new/one.png'))
        line = refused(apply, capsys, 'srgan', '--input', 'new')
        assert "'one.jpg' and 'one.png' would both become" in line

    def test_a_size_that_the_network_does_not_take(self, apply, capsys):
        write(Path('odd/a.png'), 40, 40)
        name = 'pix2pix_digits-edges-32x32'
        arguments = ('--input', 'odd')
        line = refused(apply, capsys, 'pix2pix', *arguments, name=name)
        assert "'odd/a.png'" in line
        assert 'multiples of 32' in line

    def test_options_of_latents(self, apply, capsys):
        line = refused(apply, capsys, 'srgan', '--input', 'new', '--seed', '1')
        assert '--seed: SRGAN makes pictures of pictures' in line
