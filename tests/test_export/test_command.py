"""The command: what it writes, says and refuses."""

import sys
import zipfile
from pathlib import Path

import pytest
import torch
from disturbed_models import small_config
from has_fsdp2 import HAS_FSDP2, WHY

from mmamp.checkpoint.parts import write_parts
from mmamp.compat.torch import HAS_ONNX
from mmamp.errors import UsageError
from mmamp.export import baked, main, read_metadata
from mmamp.models.archs import DCGANGenerator
from mmamp.models.base.base_gan import BaseGAN
from mmamp.registry import MODELS

needs_onnx = pytest.mark.skipif(
    not HAS_ONNX, reason='torch >= 2.7 writes ONNX'
)


@MODELS.register_module(force=True)
class CountsSamples(DCGANGenerator):
    """Its images depend on a number that a trace takes for a constant."""

    def forward(self, noise):
        return super().forward(noise) + 0.01 * len(noise)


@MODELS.register_module(force=True)
class Draws(DCGANGenerator):
    """Its images are others each time, as with dropout at test."""

    def forward(self, noise):
        images = super().forward(noise)
        return images + 0.01 * torch.rand_like(images)


@pytest.fixture
def dcgan():
    return small_config('dcgan_32x32')


def test_what_it_says(export, dcgan, capfd):
    done = export(dcgan, '--format', 'torchscript', '--dynamic-batch')
    assert done.code == 0
    assert done.path == Path('config_generator.pt')
    out, err = capfd.readouterr()
    first, second = out.splitlines()
    assert first == (
        'Wrote config_generator.pt (0.1 MiB): generator, average, iteration 7'
    )
    assert second.startswith('Largest difference from the model: ')
    assert second.endswith(' (bound 1e-03), at batch size 1 and 3')
    assert err == ''


@needs_onnx
def test_metadata(export, capfd):
    onnx = pytest.importorskip('onnx')
    cfg = small_config('sagan_32x32')
    for network in (cfg.model.generator, cfg.model.discriminator):
        network.update(image_size=8, attention_size=None)
    cfg.model.data_preprocessor = dict(
        type='GANDataPreprocessor', mean=0.0, std=255.0
    )
    arguments = ['--dynamic-batch', '--truncation', '0.5']
    done = export(cfg, 'out.onnx', '--format', 'onnx', *arguments)
    assert done.code == 0
    assert capfd.readouterr().err == ''
    found = read_metadata('out.onnx')
    assert found.pop('mmamp')
    assert found == dict(
        config='config',
        checkpoint='iter_7.pth',
        iteration=7,
        network='generator',
        weights='average',
        inputs=[
            dict(
                name='noise',
                shape=['N', 64],
                dtype='float32',
                meaning='standard normal numbers, drawn again where |z| > 0.5',
            ),
            dict(
                name='labels',
                shape=['N'],
                dtype='int64',
                meaning='classes, 0 to 9',
            ),
        ],
        output=dict(
            name='image',
            shape=['N', 1, 8, 8],
            dtype='float32',
            range=[0.0, 1.0],
            mean=0.0,
            std=255.0,
            pixels='clamp(round(x * std + mean), 0, 255)',
        ),
        image_size=[8, 8],
        channels='grey',
        num_classes=10,
        truncation=dict(threshold=0.5),
    )
    model = onnx.load('out.onnx')
    sides = [
        [x.dim_param or x.dim_value for x in value.type.tensor_type.shape.dim]
        for value in (*model.graph.input, *model.graph.output)
    ]
    assert sides == [['N', 64], ['N'], ['N', 1, 8, 8]]


def test_sides_of_pictures(export):
    cfg = small_config('srgan_x4')
    pack = dict(type='PackImage', to_rgb=False)
    cfg.train_dataloader = dict(dataset=dict(pipeline=[pack]))
    done = export(cfg, '--format', 'state_dict', '--dynamic-batch')
    found = read_metadata(done.path)
    assert found['inputs'][0]['shape'] == ['N', 3, 'H', 'W']
    assert found['output']['shape'] == ['N', 3, '4*H', '4*W']
    assert found['channels'] == 'BGR'


def test_psi_is_in_the_graph(export):
    """And the average of ``w`` is that of the average."""
    cfg = small_config('stylegan2_32x32', truncation=0.9)
    arguments = ('--format', 'torchscript', '--dynamic-batch')
    done = export(cfg, *arguments, '--truncation', '0.25')
    assert read_metadata(done.path)['truncation'] == dict(psi=0.25)
    noise = torch.randn(5, 64)
    model = done.model
    model.truncation = 0.25
    images = torch.jit.load(done.path)(noise)
    found = model.data_preprocessor.to_uint8(images).int()
    assert (found - model.generate(noise).int()).abs().max() <= 1
    assert (done.run(noise) - images).abs().max() > 1e-2


def test_network(export, capsys):
    cfg = small_config('cyclegan_32x32')
    arguments = ['--format', 'torchscript', '--dynamic-batch', '--network']
    done = export(cfg, *arguments, 'generator_ba')
    assert done.path == Path('config_generator_ba.pt')
    images = torch.rand(2, 1, 16, 16)
    found = torch.jit.load(done.path)(images)
    wanted = done.run(images, name='generator_ba')
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-4)
    assert export(cfg, *arguments, 'generator_a').code == 2
    said = capsys.readouterr().err
    assert 'CycleGAN has generator_ab, generator_ba' in said
    assert 'Did you mean' in said


def test_one_of_its_own_is_written_anew(export, dcgan):
    arguments = ('out.pth', '--format', 'state_dict')
    assert export(dcgan, *arguments).code == 0
    assert read_metadata('out.pth')['weights'] == 'average'
    assert export(dcgan, *arguments, '--raw').code == 0
    assert read_metadata('out.pth')['weights'] == 'raw'


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['a.pt', '--format', 'onnx'], "--format onnx ends with '.onnx'"),
        (['iter_7.pth', '--format', 'state_dict'], 'is there already'),
        (['--format', 'torchscript', '--size', '8', '8'], 'makes images of'),
        (['--format', 'torchscript', '--network', 'x'], 'has generator.'),
        (
            ['--format', 'torchscript', '--truncation', '-1'],
            '--truncation -1.0: truncation must be a threshold > 0',
        ),
        (
            [
                *('--format', 'torchscript', '--cfg-options'),
                'model.generator.base_channels=4',
            ],
            'do not fit',
        ),
    ],
)
def test_mistakes(export, dcgan, arguments, message, capsys):
    assert export(dcgan, *arguments).code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith('mmamp.export: error: ')
    assert message in line
    torch.load('iter_7.pth', weights_only=True)


def test_a_folder_is_where_the_file_goes(export, dcgan, tmp_path):
    (tmp_path / 'files').mkdir()
    export(dcgan, 'files', '--format', 'state_dict')
    assert read_metadata('files/config_generator.pth')


def test_sizes_that_are_and_are_not_needed(export, capsys):
    cfg = small_config('pix2pix_32x32')
    arguments = ['--format', 'state_dict']
    assert export(cfg, *arguments).code == 2
    assert '--size HEIGHT WIDTH is needed' in capsys.readouterr().err
    size = ['--size', '32', '32']
    assert export(cfg, *arguments, '--dynamic-batch', *size).code == 2
    assert 'takes pictures of any size' in capsys.readouterr().err
    assert export(cfg, *arguments, '--size', '32', '48').code == 2
    assert 'multiples of 32, but got 32x48' in capsys.readouterr().err
    cfg.train_dataloader = dict(
        dataset=dict(
            type='DigitsDataset',
            pipeline=[
                dict(type='Resize', scale=(64, 32)),
                dict(type='PackImage'),
            ],
        )
    )
    done = export(cfg, *arguments)
    assert read_metadata(done.path)['inputs'][0]['shape'] == [1, 1, 32, 64]


def test_paths_that_are_wrong(export, dcgan, capsys):
    export(dcgan, '--format', 'state_dict')
    for config, checkpoint, message in (
        ('config.py', 'iter_8.pth', "'iter_8.pth' does not exist"),
        ('configs.py', 'iter_7.pth', 'configs.py'),
    ):
        assert main([config, checkpoint, '--format', 'onnx']) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert message in line
    with pytest.raises(SystemExit) as error:
        main(['config.py', 'iter_7.pth', '--format', 'onx'])
    assert error.value.code == 2
    assert 'torchscript' in capsys.readouterr().err


def test_a_model_that_is_no_gan(export, dcgan, capsys):
    dcgan.model = dict(type='TinyClassifier')
    assert export(dcgan, '--format', 'onnx').code == 2
    assert 'TinyClassifier is no GAN' in capsys.readouterr().err


def test_a_file_that_does_something_else_is_not_written(export, dcgan, capsys):
    arguments = ('out.pt', '--format', 'torchscript')
    assert export(dcgan, *arguments).code == 0
    kept = Path('out.pt').read_bytes()
    dcgan.model.generator.type = 'CountsSamples'
    # With a batch of one it is right, and written.
    assert export(dcgan, 'one.pt', *arguments[1:]).code == 0
    before = sorted(Path().iterdir())
    assert export(dcgan, *arguments, '--dynamic-batch').code == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert 'nothing was written: its results differ' in line
    assert Path('out.pt').read_bytes() == kept
    assert sorted(Path().iterdir()) == before


def test_a_network_that_cannot_be_exported(export, dcgan, capsys):
    dcgan.model.generator.type = 'CountsSamples'
    arguments = ('--format', 'torch_export', '--dynamic-batch')
    done = export(dcgan, *arguments)
    assert (done.code, done.path) == (2, None)
    (line,) = capsys.readouterr().err.splitlines()
    assert 'CountsSamples cannot be exported with --format torch_ex' in line


def test_a_network_that_draws(export, dcgan, capsys):
    dcgan.model.generator.type = 'Draws'
    assert export(dcgan, '--format', 'torchscript').code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert 'Draws gives other images each time' in line


def test_weights_that_are_not_finite(export, dcgan, capsys):
    export(dcgan, '--format', 'state_dict')
    content = torch.load('iter_7.pth', weights_only=True)
    content['state_dict']['generator_ema.module.layers.0.conv.weight'][0] = (
        float('nan')
    )
    torch.save(content, 'iter_8.pth')
    arguments = ['config.py', 'iter_8.pth', '--format', 'state_dict']
    assert main(arguments) == 2
    assert 'images that are not finite' in capsys.readouterr().err
    assert main([*arguments, '--raw']) == 0


def test_interrupted(export, dcgan, monkeypatch, capsys):
    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    export(dcgan, 'out.pt', '--format', 'torchscript')
    kept = Path('out.pt').read_bytes()
    monkeypatch.setattr(torch.jit, 'save', interrupt)
    before = sorted(Path().iterdir())
    done = export(dcgan, 'out.pt', '--format', 'torchscript')
    assert done.code == 130
    assert capsys.readouterr().err == 'Interrupted.\n'
    assert Path('out.pt').read_bytes() == kept
    assert sorted(Path().iterdir()) == before


@needs_onnx
def test_without_onnxruntime(export, dcgan, monkeypatch, capsys):
    pytest.importorskip('onnx')
    monkeypatch.setattr('mmamp.export.onnx.find_spec', lambda name: None)
    done = export(dcgan, '--format', 'onnx')
    assert done.code == 0
    said = capsys.readouterr().out
    assert 'It was not compared with the model' in said
    assert "`pip install 'mmamp[export]'`" in said


@needs_onnx
def test_without_onnx(export, dcgan, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, 'onnxscript', None)
    assert export(dcgan, '--format', 'onnx').code == 2
    assert "pip install 'mmamp[export]'" in capsys.readouterr().err


def test_without_onnx_another_file_is_not_known(
    export, dcgan, tmp_path, monkeypatch, capsys
):
    (tmp_path / 'out.onnx').write_bytes(b'another')
    monkeypatch.setitem(sys.modules, 'onnx', None)
    with pytest.raises(UsageError, match=r"pip install 'mmamp\[export\]'"):
        read_metadata(tmp_path / 'out.onnx')
    assert export(dcgan, 'out.onnx', '--format', 'onnx').code == 2
    assert "pip install 'mmamp[export]'" in capsys.readouterr().err
    assert (tmp_path / 'out.onnx').read_bytes() == b'another'


def test_what_is_built_and_read_once(export, dcgan, monkeypatch):
    """No statistics of fresh networks; one reading of the checkpoint."""
    estimated, read = [], []

    def estimate(model):
        estimated.append(model)

    def load(file, *args, **kwargs):
        read.append(file)
        return torch_load(file, *args, **kwargs)

    torch_load = torch.load
    monkeypatch.setattr(BaseGAN, 'estimate_statistics', estimate)
    monkeypatch.setattr(torch, 'load', load)
    assert export(dcgan, '--format', 'state_dict').code == 0
    assert len(estimated) == 1
    assert read.count('iter_7.pth') == 1


@pytest.mark.parametrize('text', ['not json', '[1]', '{"mmamp": "1.0"}'])
def test_a_foreign_file_of_that_name_is_kept(export, dcgan, text, capsys):
    with zipfile.ZipFile('out.pt', 'w') as file:
        file.writestr('model/extra/mmamp.json', text)
    kept = Path('out.pt').read_bytes()
    assert read_metadata('out.pt') is None
    assert export(dcgan, 'out.pt', '--format', 'torchscript').code == 2
    assert 'mmamp.export has not written it' in capsys.readouterr().err
    assert Path('out.pt').read_bytes() == kept


def test_no_file_on_a_store(export, dcgan, tmp_path, capsys):
    out = 's3://bucket/out.pth'
    assert export(dcgan, out, '--format', 'state_dict').code == 2
    said = capsys.readouterr().err
    assert f'{out!r} is no path on a disk' in said
    assert not (tmp_path / 's3:').exists()


@pytest.mark.parametrize('is_raw', [False, True])
def test_statistics_are_of_the_noise(export, dcgan, is_raw):
    """The checkpoint's, but for an average whose noise has a threshold."""
    raw = ['--raw'] if is_raw else []
    form = ['--format', 'state_dict', *raw]
    plain = export(dcgan, 'plain.pth', *form)
    near = export(dcgan, 'near.pth', *form, '--truncation', '0.5')
    assert (plain.code, near.code) == (0, 0)
    prefix = 'generator.' if is_raw else 'generator_ema.module.'

    def statistics(model):
        return {
            name.removeprefix(prefix): x.clone()
            for name, x in model.state_dict().items()
            if name.startswith(prefix) and 'running_' in name
        }

    kept = statistics(plain.model)
    near.model.truncation = 0.5
    near.model.estimate_statistics()
    of_noise = statistics(near.model)
    found, found_near = (
        torch.load(f'{name}.pth', weights_only=True)['state_dict']
        for name in ('plain', 'near')
    )
    for name, x in kept.items():
        assert torch.equal(found[name], x)
        assert torch.equal(found_near[name], of_noise[name])
        assert torch.equal(of_noise[name], x) is is_raw


def test_a_work_dir(export, dcgan, tmp_path):
    export(dcgan, '--format', 'state_dict')
    (tmp_path / 'run').mkdir()
    content = torch.load('iter_7.pth', weights_only=True)
    torch.save(dict(content, message_hub={}), 'run/iter_7.pth')
    Path('run/last_checkpoint').write_text('run/iter_7.pth')
    assert main(['config.py', 'run', 'a.pth', '--format', 'state_dict']) == 0
    assert read_metadata('a.pth')['checkpoint'] == 'iter_7.pth'


@pytest.mark.skipif(not HAS_FSDP2, reason=WHY)
def test_a_checkpoint_in_parts(export, dcgan):
    done = export(dcgan, '--format', 'state_dict')
    content = torch.load('iter_7.pth', weights_only=True)
    write_parts(dict(content, message_hub={}), 'iter_7.dcp', None)
    arguments = ['a.pth', '--format', 'state_dict']
    assert main(['config.py', 'iter_7.dcp', *arguments]) == 0
    found = torch.load('a.pth', weights_only=True)
    assert found['meta']['iteration'] == 7
    wanted = done.model.generator_ema.module.state_dict()
    assert found['state_dict'].keys() == wanted.keys()
    for name, weight in found['state_dict'].items():
        assert torch.equal(weight, wanted[name])


def test_of_another_project(export, dcgan, tmp_path, monkeypatch):
    """Its scope, its classes, its rules of precision, compiled training."""
    (tmp_path / 'their_models.py').write_text(
        'from mmengine.registry import MODELS\n'
        'from mmamp import ImageGAN\n'
        'from mmamp.models.archs import DCGANGenerator\n'
        '@MODELS.register_module()\n'
        'class TheirGAN(ImageGAN):\n'
        '    pass\n'
        '@MODELS.register_module()\n'
        'class TheirGenerator(DCGANGenerator):\n'
        '    def __init__(self, **kwargs):\n'
        '        super().__init__(**kwargs)\n'
        '        self.compile(backend=refuse)\n'
        'def refuse(*args):\n'
        "    raise AssertionError('nothing is compiled')\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    dcgan.custom_imports = dict(imports=['their_models'])
    __import__('their_models')
    dcgan.default_scope = 'mmengine'
    model = dcgan.model
    model.type = 'TheirGAN'
    model.generator.type = 'TheirGenerator'
    for name in ('data_preprocessor', 'discriminator', 'gan_loss'):
        model[name].type = f'mmamp.{model[name].type}'
    model.compile = dict(generator=dict(fullgraph=True))
    dcgan.custom_hooks = [
        dict(
            type='mmamp.PrecisionHook',
            rules=[dict(pattern='generator.*', dtype='bfloat16')],
        )
    ]
    done = export(dcgan, '--format', 'torchscript', '--dynamic-batch')
    assert done.code == 0
    noise = torch.randn(5, 100)
    baked(done.model.generator_ema.module)
    torch.testing.assert_close(
        torch.jit.load(done.path)(noise), done.run(noise), rtol=0, atol=1e-4
    )
