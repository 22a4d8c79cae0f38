"""Every family does in every format what its model does."""

import pytest
import torch
from disturbed_models import small_config
from mmengine.registry import DefaultScope

from mmamp.compat.torch import HAS_ONNX
from mmamp.export import baked, read_metadata
from mmamp.registry import MODELS

NOISE = dict(
    dcgan_32x32=100,
    lsgan_32x32=128,
    wgan_gp_32x32=128,
    sagan_32x32=64,
    biggan_32x32=64,
    stylegan2_32x32=64,
)
CLASSES = ('sagan_32x32', 'biggan_32x32')
PICTURES = dict(  # channels, and what sides are multiples of
    pix2pix_32x32=(1, 32),
    cyclegan_32x32=(1, 4),
    srgan_x4=(3, 1),
    esrgan_x4=(3, 1),
)
FORMATS = ('onnx', 'torchscript', 'torch_export', 'state_dict')
FAST = [
    *[(base, 'torchscript') for base in (*NOISE, *PICTURES)],
    *[('biggan_32x32', 'state_dict'), ('dcgan_32x32', 'onnx')],
    ('pix2pix_32x32', 'torch_export'),
]
SLOW = [
    (base, kind)
    for base in (*NOISE, *PICTURES)
    for kind in FORMATS
    if (base, kind) not in FAST
]
ALL = [*FAST, *[pytest.param(*x, marks=pytest.mark.slow) for x in SLOW]]


def runner(path, kind, cfg):
    """What a user does with a file, without mmamp unless it is weights."""
    if kind == 'onnx':
        onnxruntime = pytest.importorskip('onnxruntime')
        session = onnxruntime.InferenceSession(str(path))
        names = [x.name for x in session.get_inputs()]
        return lambda *inputs: torch.from_numpy(
            session.run(
                None,
                {
                    name: x.numpy()
                    for name, x in zip(names, inputs, strict=True)
                },
            )[0]
        )
    if kind == 'torchscript':
        return torch.jit.load(path)
    if kind == 'torch_export':
        return torch.export.load(path).module()
    with DefaultScope.overwrite_default_scope('mmamp'):
        network = baked(MODELS.build(cfg.model.generator))
    weights = torch.load(path, weights_only=True)['state_dict']
    network.load_state_dict(weights)
    return network


def inputs_of(base, num, seed=3):
    """Inputs of a size that the command neither traces nor compares."""
    torch.manual_seed(seed)
    if base in NOISE:
        noise = torch.randn(num, NOISE[base])
        labels = (torch.arange(num) % 10,) if base in CLASSES else ()
        return (noise, *labels)
    channels, multiple = PICTURES[base]
    height = 3 * multiple if multiple > 1 else 19
    return (torch.rand(num, channels, height, height + multiple) * 2 - 1,)


def assert_same(found, wanted):
    assert found.shape == wanted.shape
    largest = max(wanted.abs().max().item(), 1.0)
    assert (found - wanted).abs().max() <= 1e-4 * largest
    # Which images that are all the same would be, too.
    assert wanted.std(0).max() > 1e-3


@pytest.mark.parametrize(('base', 'kind'), ALL)
def test_dynamic_batch(base, kind, export):
    if kind == 'onnx' and not HAS_ONNX:
        pytest.skip('torch >= 2.7 writes ONNX')
    cfg = small_config(base)
    name = 'generator_ab' if 'cyclegan' in base else 'generator'
    done = export(cfg, '--format', kind, '--dynamic-batch')
    assert done.code == 0
    run = runner(done.path, kind, cfg)
    for num in (1, 5):
        inputs = inputs_of(base, num)
        with torch.no_grad():
            found = run(*inputs)
        wanted = done.run(*inputs_of(base, 5), name=name)
        if num == 5:
            assert_same(found, done.run(*inputs, name=name))
            raw = done.run(*inputs, name=name, use_ema=False)
            assert (found - raw).abs().max() > 1e-2
        else:
            assert found.shape == (1, *wanted.shape[1:])
    assert read_metadata(done.path)['network'] == name


@pytest.mark.parametrize('kind', FORMATS)
def test_one_sample(kind, export):
    if kind == 'onnx' and not HAS_ONNX:
        pytest.skip('torch >= 2.7 writes ONNX')
    cfg = small_config('pix2pix_32x32')
    done = export(cfg, '--format', kind, '--size', '32', '64', '--raw')
    assert done.code == 0
    image = torch.rand(1, 1, 32, 64) * 2 - 1
    with torch.no_grad():
        found = runner(done.path, kind, cfg)(image)
    wanted = done.run(image, use_ema=False)
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-4)
    assert (done.run(image) - wanted).abs().max() > 1e-2
    metadata = read_metadata(done.path)
    assert metadata['weights'] == 'raw'
    assert metadata['inputs'][0]['shape'] == [1, 1, 32, 64]
