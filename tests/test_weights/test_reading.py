import copy

import pytest
import torch
from other_weights import NAMES, other

from benchmarks.weights.running import INPUT, gradients, own_call
from mmamp.errors import UsageError
from mmamp.weights.formats import FORMATS
from mmamp.weights.layouts import split
from mmamp.weights.reading import read
from mmamp.weights.writing import describe, write


def _reading(given, **kwargs):
    model = given.build()
    parts = split(given.checkpoint(), given.domains)
    if given.format == 'basicsr' and 'discriminator' in given.states:
        parts.states['discriminator'] = given.states['discriminator']
    return model, parts, read(model, given.model, parts, **kwargs)


def _assert_same(made, given):
    assert set(made) == set(given)
    for key, x in given.items():
        if isinstance(x, dict):
            _assert_same(made[key], x)
        else:
            assert made[key].dtype == x.dtype
            assert torch.equal(made[key], x), key


@pytest.mark.parametrize('name', NAMES)
def test_it_computes_what_theirs_does(name):
    """The figures were made by theirs, of the same weights."""
    given = other(name)
    model, _, reading = _reading(given, name=given.format)
    model.load_state_dict(reading.state)
    model.eval()
    for network, figures in given.figures.items():
        first, *labels = given.inputs[network]
        ours = getattr(model, network)
        call = own_call(model, network)
        made = call(ours, (first.requires_grad_(), *labels))
        gradient = gradients(ours, made, first)[INPUT].norm().item()
        assert gradient == pytest.approx(figures['gradient'], rel=5e-3)
        output = made.detach().double()
        assert list(output.shape) == figures['shape']
        wanted = torch.tensor(figures['values'], dtype=torch.float64)
        step = max(output.numel() // 6, 1)
        scale = wanted.abs().max()
        found = output.flatten()[::step][:6]
        assert (found - wanted).abs().max() <= 1e-4 * scale
        assert abs(output.mean() - figures['mean']) <= 1e-4 * scale
        assert abs(output.std() - figures['deviation']) <= 1e-4 * scale


@pytest.mark.parametrize('name', NAMES)
def test_it_is_the_same_again_when_written_back(name):
    given = other(name)
    model, parts, reading = _reading(given, name=given.format)
    model.load_state_dict(reading.state)
    details = describe(reading, parts, bgr=False)
    states = write(model, model.state_dict(), reading.format, details)
    if given.format == 'basicsr':
        # Two files.
        discriminator = states.pop('discriminator', {})
        _assert_same(discriminator, given.states.get('discriminator', {}))
    _assert_same(reading.format.join(states, details), given.checkpoint())


@pytest.mark.parametrize('name', NAMES)
def test_the_format_is_known_by_its_names(name):
    given = other(name)
    _, _, reading = _reading(given)
    same_names = {'mmagic-esrgan': 'basicsr'}
    assert reading.format.name == same_names.get(given.format, given.format)


@pytest.mark.parametrize('name', NAMES)
def test_every_name_has_one_rule_each_way(name):
    given = other(name)
    model = given.build()
    for network, tensors in given.states.items():
        module = getattr(model, network)
        table = FORMATS[given.format].tables[type(module)](module)
        ours = table.read(tensors, bgr=False)
        assert not ours.unknown
        assert not ours.missing
        own = module.state_dict()
        assert set(own) - set(table.optional) == (
            set(ours.tensors) - set(table.optional)
        )
        back = table.write({k: own[k] for k in ours.tensors}, bgr=False)
        assert not back.unknown
        assert not back.missing
        assert set(back.tensors) == set(tensors)


def test_an_average_alone_is_the_generator_too():
    given = other('basicsr_esrgan')
    given.model = {**given.model, 'ema_config': dict(momentum=0.01)}
    model = given.build()
    parts = split({'params_ema': given.states['generator']})
    reading = read(model, given.model, parts)
    state = reading.state
    assert torch.equal(
        state['generator.first.conv.weight'],
        state['generator_ema.module.first.conv.weight'],
    )
    assert int(state['generator_ema.steps']) == 1
    assert 'SOURCE has the average alone: generator gets it too' in (
        reading.notes
    )
    assert any('no discriminator' in note for note in reading.notes)


def test_an_average_of_its_own_stays_one():
    given = other('mmagic_dcgan')
    checkpoint = given.checkpoint()
    # The count of batches too.
    ema = {k: v + 1 for k, v in given.states['generator'].items()}
    checkpoint['state_dict'] |= {
        f'generator_ema.module.{k}': v for k, v in ema.items()
    }
    checkpoint['state_dict']['generator_ema.steps'] = torch.tensor(40)
    checkpoint['state_dict']['step_counter'] = torch.tensor(3)
    checkpoint['optimizer'] = {}
    model = given.build()
    parts = split(checkpoint)
    reading = read(model, given.model, parts)
    name = 'layers.0.conv.weight'
    torch.testing.assert_close(
        reading.state[f'generator_ema.module.{name}'],
        reading.state[f'generator.{name}'] + 1,
    )
    assert int(reading.state['generator_ema.steps']) == 40
    assert reading.notes == [
        'left out, as the model has nothing of the kind: optimizer, '
        'step_counter'
    ]
    details = describe(reading, parts, bgr=False)
    states = write(model, reading.state, reading.format, details)
    back = reading.format.join(states, details)['state_dict']
    del checkpoint['state_dict']['step_counter']
    _assert_same(back, checkpoint['state_dict'])


@pytest.mark.parametrize('name', ['mmagic_dcgan', 'biggan_pytorch_biggan'])
@pytest.mark.parametrize('has_average', [True, False])
def test_the_statistics_of_an_average_are_its_own(name, has_average):
    given = other(name)
    given.model = {**given.model, 'ema_config': dict(momentum=0.01)}
    model = given.build()
    parts = split(given.checkpoint())
    if has_average:
        parts.states['generator_ema'] = {
            k: v * 1.5 if 'mean' in k or 'var' in k else v
            for k, v in parts.states['generator'].items()
        }
    reading = read(model, given.model, parts, given.format)
    marks = {
        k: int(x)
        for k, x in reading.state.items()
        if k.startswith('generator_ema') and k.endswith('num_batches_tracked')
    }
    assert marks
    assert set(marks.values()) == {-1}
    assert all(
        int(x) >= 0
        for k, x in reading.state.items()
        if k.startswith(('generator.', 'discriminator.'))
        and k.endswith('num_batches_tracked')
    )
    model.load_state_dict(reading.state)
    noise, labels = model.latents(3)
    found = model.generate(noise, labels)
    kept = model.state_dict()
    for key in kept:
        if 'running_' in key or key.endswith('num_batches_tracked'):
            assert torch.equal(kept[key], reading.state[key]), key
    # Theirs, in the plain generator, which nobody estimates for.
    parts.states['generator'] = parts.states.get(
        'generator_ema', parts.states['generator']
    )
    theirs = read(model, given.model, parts, given.format).state
    model.load_state_dict(theirs)
    wanted = model.generate(noise, labels, use_ema=False)
    assert torch.equal(found, wanted)
    assert found.float().std() > 1


def test_a_trained_average_has_the_counts_of_its_generator():
    """As MMEngine's averages copy them."""
    given = other('mmagic_dcgan')
    model = given.build()
    state = model.state_dict()
    count = 'layers.0.bn.num_batches_tracked'
    state[f'generator.{count}'].fill_(7)
    state[f'generator_ema.module.{count}'].fill_(-1)
    states = write(model, state, FORMATS['mmagic-dcgan'], {})
    theirs = 'noise2feat.bn.num_batches_tracked'
    assert int(states['generator_ema'][theirs]) == 7


def test_an_average_that_the_config_has_not():
    given = other('basicsr_esrgan')
    generator = given.states['generator']
    parts = split({'params': generator, 'params_ema': dict(generator)})
    reading = read(given.build(), given.model, parts)
    assert any('add ema_config' in note for note in reading.notes)


def test_without_an_average_the_model_has_that_of_the_generator():
    given = other('mmagic_dcgan')
    _, _, reading = _reading(given)
    name = 'layers.0.conv.weight'
    assert torch.equal(
        reading.state[f'generator_ema.module.{name}'],
        reading.state[f'generator.{name}'],
    )
    assert int(reading.state['generator_ema.steps']) == 0
    assert any('no average' in note for note in reading.notes)


def test_another_shape_names_the_arguments():
    given = other('basicsr_esrgan')
    given.model = copy.deepcopy(given.model)
    given.model['generator'].update(num_blocks=3, base_channels=32)
    with pytest.raises(
        UsageError,
        match=r'set model.generator.base_channels=16 \(32 in the config\), '
        r'num_blocks=2 \(3 in the config\)',
    ):
        _reading(given)


def test_what_a_format_has_must_be_in_the_config():
    given = other('mmagic_dcgan')
    given.model = copy.deepcopy(given.model)
    del given.model['discriminator']['negative_slope']
    with pytest.raises(UsageError, match=r'negative_slope=0.01 \(0.2 in the'):
        _reading(given)


def test_keys_that_are_left_over_and_missing():
    given = other('biggan_pytorch_biggan')
    generator = given.states['generator']
    generator['shared.other'] = generator.pop('shared.weight')
    with pytest.raises(
        UsageError,
        match='SOURCE is not biggan-pytorch of this config, generator: '
        'keys that are left over: shared.other; of the model '
        'nothing is given for: embedding.weight',
    ):
        _reading(given, name='biggan-pytorch')


def test_another_filter_is_refused():
    given = other('stylegan2_ada_pytorch_stylegan2')
    name = 'synthesis.b8.conv0.resample_filter'
    given.states['generator'][name] = torch.ones(4, 4) / 16
    with pytest.raises(UsageError, match='another resample_filter'):
        _reading(given)


def test_networks_that_no_format_has():
    given = other('mmagic_dcgan')
    given.model = dict(
        type='ImageGAN',
        noise_size=8,
        generator=dict(type='WGANGPGenerator', image_size=8, noise_size=8),
        discriminator=dict(type='WGANGPCritic', image_size=8),
    )
    with pytest.raises(
        UsageError, match='no format knows networks such as WGANGPCritic'
    ):
        _reading(given)


@pytest.mark.parametrize(
    'network', ['mmagic_dcgan', 'mmagic_pix2pix', 'biggan_pytorch_biggan']
)
def test_bgr_turns_colours_and_back(network):
    given = other(network)
    model, parts, reading = _reading(given, bgr=True)
    _, _, plain = _reading(given)
    model.load_state_dict(reading.state)
    rgb = given.build()
    rgb.load_state_dict(plain.state)
    for name, inputs in given.inputs.items():
        turned = inputs
        if name == 'discriminator' or network == 'mmagic_pix2pix':
            images = inputs[0].unflatten(1, (-1, 3)).flip(2).flatten(1, 2)
            turned = (images, *inputs[1:])
        with torch.no_grad():
            found = getattr(model.eval(), name)(*turned)
            wanted = getattr(rgb.eval(), name)(*inputs)
        if name == 'generator':
            wanted = wanted.flip(1)
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)
    details = describe(reading, parts, bgr=True)
    states = write(
        model, model.state_dict(), reading.format, details, bgr=True
    )
    _assert_same(reading.format.join(states, details), given.checkpoint())


def test_weights_of_another_codebase_are_told_by_their_names():
    given = other('mmagic_dcgan')
    others = other('stylegan2_ada_pytorch_stylegan2').states['generator']
    with pytest.raises(
        UsageError,
        match='SOURCE is not mmagic-dcgan of this config, '
        'generator: keys that are left over: .* and 71 more; of the model',
    ):
        read(given.build(), given.model, split(others))


def test_the_norm_is_compared_with_the_default():
    given = other('mmagic_pix2pix')
    given.model = copy.deepcopy(given.model)
    del given.model['generator']['norm_cfg']
    _reading(given)
    given.model['generator']['norm_cfg'] = dict(type='IN', affine=True)
    with pytest.raises(UsageError, match="norm_cfg={'type': 'BN'}"):
        _reading(given)


def test_an_average_of_w_is_computed_where_there_is_none():
    given = other('mmagic_stylegan2')
    given.states = {'generator': given.states['generator']}
    model, _, reading = _reading(given, name='mmagic-stylegan2')
    model.load_state_dict(reading.state)
    styles = model.generator.mapping_network(torch.randn(20_000, 16))
    found = reading.state['generator.w_average']
    assert (found - styles.mean(0)).norm() < 0.1 * styles.std(0).norm()
    assert found.norm() > 0.1 * styles.std(0).norm()
    assert reading.notes[0] == (
        'SOURCE has no w_average of the generator: it is computed'
    )
