import torch
from torch import nn

from mmamp.models.layers.spectral_norm import spectral_norm
from mmamp.weights.norms import OF_TORCH, OF_U


def _load(tensors):
    layer = spectral_norm(nn.Linear(5, 4, bias=False))
    layer.load_state_dict(tensors)
    return layer.eval()


def test_of_u_divides_as_biggan_does():
    """Its sigma is v W u' with v, u' a step of the power iteration from u."""
    torch.manual_seed(0)
    weight, u = torch.randn(4, 5), torch.randn(1, 4)
    v = nn.functional.normalize(u @ weight)
    step = nn.functional.normalize(v @ weight.T)
    sigma = v @ weight.T @ step.T
    layer = _load(OF_U.read(dict(weight=weight, u0=u)))
    torch.testing.assert_close(layer.weight, weight / sigma)


def test_what_is_written_divides_by_nearly_the_same():
    torch.manual_seed(0)
    read = OF_U.read(dict(weight=torch.randn(4, 5), u0=torch.randn(1, 4)))
    back = OF_U.write(read)
    sigma = float(back['sv0'])
    again = OF_U.write(OF_U.read({k: back[k] for k in ('weight', 'u0')}))
    assert sigma <= float(again['sv0']) <= sigma * 1.5


def test_v_is_computed_where_it_is_missing():
    torch.manual_seed(0)
    layer = nn.utils.spectral_norm(nn.Linear(5, 4, bias=False))
    for _ in range(50):
        layer(torch.randn(1, 5))
    layer.eval()
    state = layer.state_dict()
    whole = OF_TORCH.read(state)
    del state['weight_v']
    less = OF_TORCH.read(state)
    torch.testing.assert_close(
        less['parametrizations.weight.0._v'],
        whole['parametrizations.weight.0._v'],
    )
    x = torch.randn(3, 5)
    torch.testing.assert_close(_load(less)(x), layer(x))
