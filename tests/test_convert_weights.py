import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from other_weights import other

from mmamp.convert_weights import main
from mmamp.registry import MODELS
from mmamp.sample import main as sample

ROOT = Path(__file__).parents[1]


@pytest.fixture
def files(tmp_path):
    """Write the config and the checkpoint of networks of others."""

    def write(name, **model):
        given = other(name)
        config = tmp_path / 'config.py'
        Config(
            dict(default_scope='mmamp', model={**given.model, **model})
        ).dump(str(config))
        source = tmp_path / 'source.pth'
        torch.save(given.checkpoint(), source)
        return given, [str(source), str(config), str(tmp_path / 'out.pth')]

    return write


def _error(capsys):
    said = capsys.readouterr().err
    assert said.startswith('mmamp.convert_weights: error: ')
    assert said.count('\n') == 1
    return said


def test_there_and_back(files, tmp_path, capsys):
    given, command = files('biggan_pytorch_biggan')
    assert main(command) == 0
    said = capsys.readouterr().out
    assert f'biggan-pytorch (generator, discriminator) -> {command[2]}' in said
    assert 'note: SOURCE has no average' in said
    pictures = tmp_path / 'pictures'
    arguments = [command[1], command[2], '--num', '2', '--out', str(pictures)]
    assert sample(arguments) == 0
    assert len(list(pictures.glob('*.png'))) == 3

    out = tmp_path / 'back.pth'
    assert main([command[2], command[1], str(out), '--back']) == 0
    assert capsys.readouterr().out.endswith(f'biggan-pytorch -> {out}\n')
    found = torch.load(out, weights_only=True)
    for network, tensors in given.checkpoint().items():
        assert set(found[network]) == set(tensors)
        for key, x in tensors.items():
            assert torch.equal(found[network][key], x)


def test_networks_in_files_of_their_own(files, tmp_path, capsys):
    given, command = files('biggan_pytorch_biggan')
    paths = {x: str(tmp_path / f'{x}.pth') for x in ('G', 'G_ema', 'D')}
    checkpoint = given.checkpoint()
    ema = {
        k: v + 1 if k == 'shared.weight' else v
        for k, v in checkpoint['G'].items()
    }
    for name, state in (*checkpoint.items(), ('G_ema', ema)):
        torch.save(state, paths[name], _use_new_zipfile_serialization=False)
    beside = ['--ema', paths['G_ema'], '--discriminator', paths['D']]
    assert main([paths['G'], *command[1:], *beside]) == 0
    state = torch.load(command[2], weights_only=True)['state_dict']
    torch.testing.assert_close(
        state['generator_ema.module.embedding.weight'],
        state['generator.embedding.weight'] + 1,
    )
    back = {x: str(tmp_path / f'back_{x}.pth') for x in paths}
    beside = ['--ema', back['G_ema'], '--discriminator', back['D']]
    assert main([command[2], command[1], back['G'], '--back', *beside]) == 0
    capsys.readouterr()
    # As its code saves them.
    for name, wanted in (*checkpoint.items(), ('G_ema', ema)):
        found = torch.load(back[name], weights_only=True)
        assert set(found) == set(wanted)
        assert all(torch.equal(found[k], v) for k, v in wanted.items())


def test_pictures_are_of_the_statistics_of_the_file(files, tmp_path, capsys):
    _, command = files('mmagic_dcgan')
    source = torch.load(command[0], weights_only=True)
    state = source['state_dict']
    state |= {
        f'generator_ema.module.{k.removeprefix("generator.")}': v
        for k, v in state.items()
        if k.startswith('generator.')
    }
    state['generator_ema.steps'] = torch.tensor(5)
    torch.save(source, command[0])
    assert main(command) == 0
    pictures = {}
    for of, flags in (('average', []), ('generator', ['--raw'])):
        out = tmp_path / of
        arguments = [command[1], command[2], '--num', '2', *flags]
        assert sample([*arguments, '--out', str(out)]) == 0
        pictures[of] = [x.read_bytes() for x in sorted(out.glob('0*.png'))]
    assert len(pictures['average']) == 2
    assert pictures['average'] == pictures['generator']
    back = str(tmp_path / 'back.pth')
    assert main([command[2], command[1], back, '--back']) == 0
    capsys.readouterr()
    found = torch.load(back, weights_only=True)['state_dict']
    assert set(found) == set(state)
    assert all(torch.equal(found[k], x) for k, x in state.items())


def test_two_domains(files, tmp_path, capsys):
    _, command = files('mmagic_cyclegan')
    assert main(command) == 2
    assert 'networks of the domains horse and zebra: give --domains A B' in (
        _error(capsys)
    )
    assert main([*command, '--domains', 'zebra', 'cow']) == 2
    assert 'horse and zebra, not zebra and cow' in _error(capsys)
    assert main([*command, '--domains', 'zebra', 'horse']) == 0
    state = torch.load(command[2], weights_only=True)['state_dict']
    source = torch.load(command[0], weights_only=True)['state_dict']
    assert torch.equal(
        state['generator_ab.layers.0.conv.weight'],
        source['generators.horse.model.0.conv.weight'],
    )


def test_the_range_of_pixels(files, capsys):
    _, command = files('basicsr_esrgan')
    assert main(command) == 0
    assert 'images with mean=0.0 and std=255.0; set model.data_pre' in (
        capsys.readouterr().out
    )
    Path(command[2]).unlink()
    options = ['model.data_preprocessor.mean=0.0']
    options += ['model.data_preprocessor.std=255.0']
    options += ['model.data_preprocessor.type=GANDataPreprocessor']
    assert main([*command, '--cfg-options', *options]) == 0
    assert 'std=255.0' not in capsys.readouterr().out


def test_mistakes(files, tmp_path, capsys):
    _, command = files('basicsr_esrgan')
    source, config, out = command
    assert main([str(tmp_path / 'no.pth'), config, out]) == 2
    assert "no.pth' does not exist" in _error(capsys)
    assert main([source, config, str(tmp_path)]) == 2
    assert 'is there already' in _error(capsys)
    assert main([source, config, str(tmp_path / 'no/out.pth')]) == 2
    assert "there is no folder '" in _error(capsys)
    assert main([source, config, out, '--from', 'mmagic-dcgan']) == 2
    assert 'mmagic-dcgan has no RRDBNet, but DCGANGenerator' in _error(capsys)
    assert main([*command, '--from', 'basicsr', '--back']) == 2
    assert 'give the format as --back basicsr' in _error(capsys)
    options = ['--cfg-options', 'model.generator.num_blocks=5']
    assert main([*command, *options]) == 2
    assert 'num_blocks=2 (5 in the config)' in _error(capsys)
    text = tmp_path / 'text.pth'
    text.write_text('no checkpoint')
    assert main([str(text), config, out]) == 2
    assert 'was not written by torch.save' in _error(capsys)
    torch.save([1, 2], text)
    assert main([str(text), config, out]) == 2
    assert 'SOURCE holds a list, no state dict' in _error(capsys)
    torch.save(dict(step=4), text)
    assert main([str(text), config, out]) == 2
    assert "no state dict: its keys are 'step'" in _error(capsys)
    assert not Path(out).exists()
    with pytest.raises(SystemExit) as stopped:
        main([*command, '--from', 'esrgan'])
    assert stopped.value.code == 2


def test_pickles_are_not_run(files, tmp_path, capsys):
    _, command = files('basicsr_esrgan')
    torch.save({'params': _Evil(tmp_path / 'evil')}, command[0])
    assert main(command) == 2
    assert 'does not allow' in _error(capsys)
    assert not (tmp_path / 'evil').exists()


class _Evil:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_back_without_knowing_where_from(files, tmp_path, capsys):
    given, command = files('mmagic_dcgan')
    model = given.build()
    saved = tmp_path / 'trained.pth'
    torch.save(dict(state_dict=model.state_dict(), meta={}), saved)
    back = [str(saved), command[1], command[2], '--back']
    assert main(back) == 2
    assert 'give --back FORMAT, one of basicsr, ' in _error(capsys)
    assert main([*back, 'mmagic-dcgan']) == 0
    assert main([command[2], command[1], str(tmp_path / 'again.pth')]) == 0
    again = torch.load(tmp_path / 'again.pth', weights_only=True)
    for key, x in model.state_dict().items():
        is_mark = key.startswith('generator_ema') and key.endswith('tracked')
        wanted = torch.tensor(-1) if is_mark else x
        assert torch.equal(again['state_dict'][key], wanted)


@pytest.fixture
def trained(files, tmp_path):
    """Write a checkpoint of mmamp's, which was converted from nothing."""

    def write(name, **model):
        given, command = files(name, **model)
        given.model |= model
        saved = tmp_path / 'trained.pth'
        torch.save(dict(state_dict=given.build().state_dict()), saved)
        return [str(saved), *command[1:]]

    return write


@pytest.mark.parametrize('name', ['mmagic_cyclegan', 'mmagic_dcgan'])
def test_a_checkpoint_of_mmamp_is_not_read(trained, capsys, name):
    command = trained(name)
    assert main(command) == 2
    assert 'names of mmamp' in (said := _error(capsys))
    assert 'give --back' in said
    assert not Path(command[2]).exists()


def test_a_file_without_a_network_that_is_known(files, capsys):
    _, command = files('mmagic_cyclegan')
    source = torch.load(command[0], weights_only=True)
    source['state_dict'] = {
        k.replace('generators.horse', 'generator_ab').replace(
            'discriminators.', 'discriminator_'
        ): v
        for k, v in source['state_dict'].items()
        if not k.startswith('generators.zebra')
    }
    torch.save(source, command[0])
    assert main(command) == 2
    assert (
        'SOURCE has no network that is known: its keys begin with '
        'discriminator_horse, discriminator_zebra, generator_ab, not with '
        'generator, generator_ema, discriminator'
    ) in _error(capsys)
    assert not Path(command[2]).exists()


@pytest.mark.parametrize(
    ('name', 'domains', 'prefixes'),
    [
        (
            'mmagic_pix2pix',
            ['photo'],
            {'generators.photo', 'discriminators.photo'},
        ),
        (
            'mmagic_cyclegan',
            ['zebra', 'horse'],
            {
                f'{kind}.{domain}'
                for kind in ('generators', 'discriminators')
                for domain in ('horse', 'zebra')
            },
        ),
    ],
)
def test_trained_networks_are_called_by_domains(
    trained, capsys, name, domains, prefixes
):
    command = trained(name, ema_config=dict(momentum=0.1))
    back = [*command, '--back', name.replace('_', '-')]
    assert main(back) == 2
    assert 'give --domains ' in _error(capsys)
    assert main([*back, '--domains', 'a', 'b', 'c']) == 2
    assert '--domains a b c: mmagic' in _error(capsys)
    assert main([*back, '--domains', *domains]) == 0
    assert 'note: left out: generator' in capsys.readouterr().out
    state = torch.load(command[2], weights_only=True)['state_dict']
    assert {'.'.join(x.split('.')[:2]) for x in state} == prefixes


def test_domains_of_files_that_have_none(files, trained, capsys):
    _, command = files('mmagic_dcgan')
    assert main([*command, '--domains', 'a', 'b']) == 2
    assert '--domains a b: SOURCE calls no network by a domain' in (
        _error(capsys)
    )
    back = [*trained('mmagic_dcgan'), '--back', 'mmagic-dcgan']
    assert main([*back, '--domains', 'a', 'b']) == 2
    assert '--domains a b: mmagic-dcgan calls no network by a domain' in (
        _error(capsys)
    )
    _, command = files('mmagic_pix2pix')
    assert main([*command, '--domains', 'map']) == 2
    assert 'domain photo, not map: give --domains photo, or' in _error(capsys)
    assert main([*command, '--domains', 'photo']) == 0


def test_basicsr_has_a_file_each(trained, tmp_path, capsys):
    ema = dict(momentum=0.1)
    command = trained('basicsr_esrgan', ema_config=ema)
    back = [*command, '--back', 'basicsr']
    assert main(back) == 2
    assert 'cannot hold discriminator, generator, generator_ema:' in (
        said := _error(capsys)
    )
    assert 'by --discriminator FILE' in said
    assert not Path(command[2]).exists()
    file = str(tmp_path / 'D.pth')
    assert main([*back, '--discriminator', file]) == 0
    assert set(torch.load(command[2], weights_only=True)) == {
        'params',
        'params_ema',
    }
    assert set(torch.load(file, weights_only=True)) == {'params'}
    again = str(tmp_path / 'again.pth')
    read = [command[2], command[1], again, '--discriminator', file]
    assert main(read) == 0
    capsys.readouterr()
    found = torch.load(again, weights_only=True)['state_dict']
    source = torch.load(command[0], weights_only=True)['state_dict']
    assert all(
        torch.equal(found[k], x)
        for k, x in source.items()
        if not k.endswith(('steps', 'num_batches_tracked'))
    )


def test_files_that_are_one(trained, tmp_path, capsys):
    command = trained('basicsr_esrgan')
    back = [*command, '--back', 'basicsr']
    assert main([*back, '--discriminator', command[2]]) == 2
    assert f"--discriminator '{command[2]}' is OUT too" in _error(capsys)
    other = str(tmp_path / 'a.pth')
    same = f'{tmp_path}/../{tmp_path.name}/a.pth'
    assert main([*back, '--ema', other, '--discriminator', same]) == 2
    assert f"--discriminator '{same}' is --ema too" in _error(capsys)
    assert {x.name for x in tmp_path.iterdir()} == {
        *('config.py', 'source.pth', 'trained.pth')
    }


def test_steps_of_an_average_in_a_file_of_its_own(trained, tmp_path, capsys):
    command = trained('mmagic_dcgan')
    source = torch.load(command[0], weights_only=True)
    source['state_dict']['generator_ema.steps'].fill_(40)
    torch.save(source, command[0])
    ema, again = str(tmp_path / 'ema.pth'), str(tmp_path / 'again.pth')
    assert main([*command, '--back', 'mmagic-dcgan', '--ema', ema]) == 0
    found = torch.load(ema, weights_only=True)['state_dict']
    assert {x.split('.')[0] for x in found} == {'generator_ema'}
    assert main([command[2], command[1], again, '--ema', ema]) == 0
    capsys.readouterr()
    state = torch.load(again, weights_only=True)['state_dict']
    assert int(state['generator_ema.steps']) == 40


def test_the_range_of_pixels_of_mmengines_preprocessor(files, capsys):
    images = dict(type='mmengine.ImgDataPreprocessor')
    _, command = files(
        'mmagic_dcgan',
        data_preprocessor=dict(images, mean=[127.5] * 3, std=[127.5] * 3),
    )
    assert main(command) == 0
    assert 'work on images' not in capsys.readouterr().out
    Path(command[2]).unlink()
    _, command = files(
        'mmagic_dcgan',
        data_preprocessor=dict(images, mean=[1.0, 2.0, 2.0], std=[127.5] * 3),
    )
    assert main(command) == 0
    assert 'the config has mean=1.0, 2.0 and std=127.5, or' in (
        capsys.readouterr().out
    )


def test_bgr_of_grey_images(trained, tmp_path, capsys):
    command = trained('mmagic_dcgan')
    options = ['--cfg-options', 'model.generator.out_channels=1']
    options += ['model.discriminator.in_channels=1']
    cfg = Config.fromfile(command[1])
    cfg.model.generator.out_channels = cfg.model.discriminator.in_channels = 1
    torch.save(
        dict(state_dict=MODELS.build(cfg.model).state_dict()), command[0]
    )
    back = ['--back', 'mmagic-dcgan', *options]
    assert main([*command, *back, '--bgr']) == 2
    assert '--bgr: no network here has images of three' in _error(capsys)
    assert main([*command, *back]) == 0
    capsys.readouterr()
    read = [command[2], command[1], str(tmp_path / 'again.pth'), *options]
    assert main([*read, '--bgr']) == 2
    assert '--bgr: no network here has images of three' in _error(capsys)
    assert main(read) == 0


def test_the_tool(files):
    _, command = files('basicsr_srgan__msrresnet_')
    done = subprocess.run(
        [sys.executable, ROOT / 'tools/convert_weights.py', *command],
        capture_output=True,
        text=True,
        env={**os.environ, 'PYTHONPATH': str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    assert 'basicsr (generator) -> ' in done.stdout
