"""Of ``mmamp.sample``, the command."""

from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.model import BaseModel
from PIL import Image

from mmamp.registry import MODELS
from mmamp.sample import FRAMES, _slerp, main
from mmamp.visualization import image_grid


@pytest.fixture
def sample(tmp_path, monkeypatch, build_runner):
    """``sample(*arguments)`` of a tiny GAN that was trained."""
    monkeypatch.chdir(tmp_path)
    runner = build_runner('gan', {'model.ema_config': dict(momentum=0.9)})
    runner.train()
    runner.cfg.dump('config.py')
    (path,) = Path().glob('run*/iter_4.pth')
    _with_contrast(path)
    return lambda *args: main(['config.py', str(path), *args])


def _with_contrast(path):
    """Have the generator's pictures use all values, as if trained for long."""
    checkpoint = torch.load(path, weights_only=False)
    for name, weight in checkpoint['state_dict'].items():
        if name.startswith('generator') and weight.ndim == 4:
            weight *= 10
    torch.save(checkpoint, path)


def pictures(folder='samples'):
    paths = sorted(Path(folder).glob('0*.png'))
    return np.stack([np.asarray(Image.open(path)) for path in paths])


def shown(path):
    """What a GIF shows every 60 ms; frames that are equal are stored once."""
    gif, frames = Image.open(path), []
    assert gif.info['loop'] == 0
    for i in range(gif.n_frames):
        gif.seek(i)
        frame = np.asarray(gif.convert('L'))
        frames += [frame] * (gif.info['duration'] // 60)
    return frames


def test_pictures_and_a_grid(sample):
    assert sample('--num', '5', '--out', 'a/b') == 0
    assert pictures('a/b').shape == (5, 8, 8)
    assert pictures('a/b').dtype == np.uint8
    assert Image.open('a/b/grid.png').size == (32, 22)


def test_the_seed_decides(sample):
    for name, seed in (('a', '0'), ('b', '0'), ('c', '1')):
        assert sample('--out', name, '--num', '4', '--seed', seed) == 0
    np.testing.assert_array_equal(pictures('a'), pictures('b'))
    assert (pictures('a') != pictures('c')).any((1, 2)).all()


def test_more_pictures_begin_with_the_same(sample):
    sample('--out', 'a', '--num', '2')
    sample('--out', 'b', '--num', '70')  # more than a batch
    assert len(pictures('b')) == 70
    np.testing.assert_array_equal(pictures('a'), pictures('b')[:2])
    assert len(np.unique(pictures('b'), axis=0)) == 70


def test_the_average_or_the_raw_generator(sample):
    sample('--out', 'a', '--num', '4')
    sample('--out', 'b', '--num', '4', '--raw')
    assert (pictures('a') != pictures('b')).any()


def test_truncation_of_the_noise(sample):
    sample('--out', 'a', '--num', '4')
    sample('--out', 'b', '--num', '4', '--truncation', '0.5')
    sample('--out', 'c', '--num', '4', '--cfg-options', 'model.truncation=0.5')
    spread = [pictures(x).astype(float).std(0).mean() for x in 'ab']
    assert spread[1] < 0.7 * spread[0]
    np.testing.assert_array_equal(pictures('b'), pictures('c'))


def test_interpolation_goes_round(sample):
    assert sample('--num', '3', '--interpolate') == 0
    frames = shown('samples/interpolation.gif')
    assert len(frames) == 3 * FRAMES
    made = pictures()[:, None]
    for leg in range(3):
        expected = image_grid(np.roll(made, -leg, 0), 2)[:, :, 0]
        np.testing.assert_array_equal(frames[leg * FRAMES], expected)
    middle = frames[FRAMES // 2]
    assert (middle != frames[0]).any()
    assert (middle != frames[FRAMES]).any()


def test_pictures_of_two_calls_are_not_mixed(sample, capsys):
    assert sample('--num', '4') == 0
    assert sample('--num', '4', '--seed', '1') == 0
    before = pictures()
    assert sample('--num', '2') == 2
    assert '2 pictures of an earlier call' in capsys.readouterr().err
    np.testing.assert_array_equal(pictures(), before)


def test_slerp():
    a, b = torch.tensor([3.0, 0.0]), torch.tensor([0.0, 3.0])
    found = _slerp(a, b, torch.tensor([[0.0], [1 / 3], [1.0]]))
    root = 3**0.5
    expected = torch.tensor([[3.0, 0.0], [1.5 * root, 1.5], [0.0, 3.0]])
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    same = _slerp(a, a, torch.tensor([[0.5]]))
    torch.testing.assert_close(same[0], a)


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['--label', '3'], '--label 3: the model is not conditional'),
        (['--out', 'config.py'], "'config.py' is a file"),
        (['--truncation', '0'], '--truncation 0.0: truncation must be a thr'),
        (['--cfg-options', 'model.truncation=-1'], 'must be a threshold > 0'),
        (['--cfg-options', 'model.generator.base_channels=3'], 'do not fit'),
    ],
)
def test_mistakes(sample, arguments, message, capsys):
    assert sample(*arguments) == 2
    assert message in capsys.readouterr().err


@MODELS.register_module()
class OwnPanels(BaseModel):
    """A user's, which makes pictures of pictures."""

    def __init__(self, names):
        super().__init__()
        self.names = names

    def forward(self, inputs):
        return inputs

    def panels(self, data):
        return dict.fromkeys(self.names, data['inputs'])


OWN = """
default_scope = 'mmamp'
model = dict(type='OwnPanels', names=['source', 'NAME'])
test_dataloader = dict(dataset=dict(
    type='DigitsDataset', pipeline=[dict(type='PackImage')]))
"""


@pytest.mark.parametrize('name', ['output', 'average'])
def test_panels_of_a_model_of_ones_own(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    Path('own.py').write_text(OWN.replace('NAME', name))
    torch.save(dict(state_dict={}), 'own.pth')
    assert main(['own.py', 'own.pth', '--num', '2']) == 0
    assert pictures().shape[0] == 2


def test_panels_without_what_is_made(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path('own.py').write_text(OWN.replace('NAME', 'generator'))
    torch.save(dict(state_dict={}), 'own.pth')
    assert main(['own.py', 'own.pth']) == 2
    (error,) = capsys.readouterr().err.splitlines()
    assert "OwnPanels.panels(data) has 'source', 'generator'" in error
    assert "'output', or 'average'" in error


@pytest.mark.parametrize('num', ['0', '-1', 'x', '1.5'])
def test_a_number_that_is_none(sample, num, capsys):
    with pytest.raises(SystemExit) as error:
        sample('--num', num)
    assert error.value.code == 2
    assert f"'{num}' is no int >= 1" in capsys.readouterr().err


class TestConditional:
    @pytest.fixture
    def sample(self, tmp_path, monkeypatch, build_runner):
        monkeypatch.chdir(tmp_path)

        def conditional(cfg):
            common = dict(image_size=32, num_classes=3, base_channels=1)
            cfg.model = dict(
                type='ImageGAN',
                noise_size=4,
                num_classes=3,
                generator=dict(
                    type='BigGANGenerator',
                    noise_size=4,
                    embedding_size=2,
                    out_channels=1,
                    **common,
                ),
                discriminator=dict(
                    type='BigGANDiscriminator', in_channels=1, **common
                ),
            )
            cfg.train_dataloader.dataset.classes = [0, 1, 2]
            cfg.train_dataloader.dataset.pipeline.insert(
                0, dict(type='Resize', scale=(32, 32))
            )

        runner = build_runner(
            'gan', {'train_cfg.max_iters': 1}, None, conditional
        )
        runner.train()
        runner.cfg.dump('config.py')
        checkpoint = str(next(Path().glob('run*/iter_1.pth')))
        return lambda *args: main(['config.py', checkpoint, *args])

    def test_labels_in_turn(self, sample):
        sample('--num', '4', '--out', 'all')
        sample('--num', '4', '--out', 'some', '--label', '1', '0')
        every, some = pictures('all'), pictures('some')
        # Classes 0 1 2 0 and 1 0 1 0, of the same noise.
        same = [np.array_equal(a, b) for a, b in zip(every, some, strict=True)]
        assert same == [False, False, False, True]

    def test_interpolates_between_classes(self, sample):
        assert sample('--num', '2', '--interpolate') == 0
        assert len(shown('samples/interpolation.gif')) == 2 * FRAMES

    @pytest.mark.parametrize('label', ['-1', '3'])
    def test_a_class_that_there_is_not(self, sample, label, capsys):
        assert sample('--label', '0', label) == 2
        message = f'--label {label}: the model has the classes 0 to 2'
        assert message in capsys.readouterr().err
