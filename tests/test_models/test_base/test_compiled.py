import pytest
import torch
from torch import nn

from mmamp.models.base.compiled import compile_network, eager
from mmamp.precision.islands import Island, islands


def compiled_gan(build_runner, edit=None, **options):
    return build_runner(
        'gan',
        {
            'optim_wrapper.generator.dtype': 'bfloat16',
            'optim_wrapper.discriminator.dtype': 'bfloat16',
            **options,
        },
        edit=edit,
    )


@pytest.fixture(autouse=True)
def _fresh_dynamo():
    yield
    torch._dynamo.reset()


BOTH = dict(
    generator=dict(backend='aot_eager'), discriminator=dict(backend='eager')
)


def test_trains_as_without(build_runner):
    """With a backend that changes nothing, the weights are the same."""
    options = {'model.disc_regularizers': [dict(type='R1', interval=2)]}
    plain = compiled_gan(build_runner, **options)
    plain.train()
    runner = compiled_gan(build_runner, **options, **{'model.compile': BOTH})
    runner.train()
    counters = torch._dynamo.utils.counters
    assert counters['stats']['unique_graphs'] >= 2
    expected = plain.model.state_dict()
    found = runner.model.state_dict()
    assert list(found) == list(expected)
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-3, atol=1e-4)


def test_says_so(mm_log):
    compile_network('generator', nn.Linear(1, 1), dict(backend='eager'))
    assert "generator is compiled ({'backend': 'eager'})" in mm_log()


@pytest.mark.parametrize(
    ('given', 'error', 'said'),
    [
        (dict(disc=dict()), ValueError, "no 'disc' among discriminator, gen"),
        ('dict(generator=1)', TypeError, "must be a dict.*'dict"),
        (dict(generator=dict(bakend='x')), ValueError, 'bakend.*backend'),
        (dict(generator=True), TypeError, 'generator must be a dict.*True'),
    ],
)
def test_mistakes(build_runner, given, error, said):
    with pytest.raises(error, match=said):
        compiled_gan(build_runner, **{'model.compile': given})


def test_islands_hold():
    class Shows(nn.Module):
        def forward(self, x):
            return x * torch.finfo(x.dtype).eps

    net = nn.Sequential(nn.Linear(4, 4), Shows())
    Island(torch.float32).install(net[0])
    x = torch.randn(2, 4)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        expected = net(x)
        compile_network('net', net, dict(backend='aot_eager'))
        assert len(islands(net[0])) == 1
        found = net(x)
    assert found.dtype is expected.dtype is torch.float32
    assert torch.equal(found, expected)


def test_eager_for_a_while():
    class Twice(nn.Module):
        def forward(self, x):
            return 2 * x

    net = Twice()
    calls = []

    def backend(graph, inputs):
        calls.append(1)
        return graph

    compile_network('net', net, dict(backend=backend))
    with eager(net):
        net(torch.ones(1, 2))
    assert not calls
    net(torch.ones(1, 2))
    assert calls
    with eager(nn.Linear(1, 1)):  # one that is not compiled
        pass


@pytest.mark.slow
def test_inductor(build_runner):
    """What users get, double backward included."""
    runner = compiled_gan(
        build_runner,
        **{
            'model.compile': dict(generator=dict(), discriminator=dict()),
            'model.disc_regularizers': [dict(type='R1')],
        },
    )
    runner.train()
    assert torch._dynamo.utils.counters['inductor']
    for name, value in runner.model.state_dict().items():
        assert torch.isfinite(value).all(), name
