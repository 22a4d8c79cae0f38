"""Brock et al., 2019, equation 3."""

import pytest
import torch
from torch import nn

from mmamp import AmpOptimWrapper
from mmamp.models import BigGANDiscriminator, BigGANGenerator, ImageGAN
from mmamp.models.layers.spectral_norm import spectral_norm
from mmamp.models.losses import Orthogonality


def closed_form(filters):
    """The energy, and its gradient, of filters that are rows."""
    filters = filters.detach().double()
    products = filters @ filters.T
    products -= products.diag().diag()
    return products.square().sum(), 4 * products @ filters


def weights(network):
    return {n: p for n, p in network.named_parameters() if p.dim() > 1}


def check(network, params, rows=lambda weight: weight.flatten(1), dtype=None):
    """A term and its gradients, of these of a network's parameters alone."""
    network.zero_grad()
    with torch.autocast('cpu', dtype=dtype, enabled=dtype is not None):
        term = Orthogonality(weight=0.3, interval=2)(network)
    term.backward()
    assert term.dtype is torch.float32
    total = 0
    for name, param in network.named_parameters():
        if not any(param is other for other in params):
            assert param.grad is None, name
            continue
        energy, grad = closed_form(rows(param))
        total = total + 0.6 * energy
        found = rows(param.grad).double()
        error = (found - 0.6 * grad).norm()
        assert error <= 1e-5 * (0.6 * grad).norm(), name
    assert term.item() == pytest.approx(float(total), rel=1e-5)


class TestClosedForm:
    @pytest.mark.parametrize(
        'layer',
        [
            nn.Linear(5, 4),
            nn.Linear(3, 200),  # more filters than inputs
            nn.Conv2d(3, 6, 3),
            nn.Conv1d(3, 6, 3, groups=3),
            nn.Embedding(7, 5),
        ],
    )
    def test_of_a_layer(self, layer):
        check(layer, [layer.weight])

    def test_a_filter_of_a_transposed_convolution_makes_an_output(self):
        layer = nn.ConvTranspose2d(3, 6, 4)
        check(layer, [layer.weight], lambda x: x.transpose(0, 1).flatten(1))

    def test_of_weights_before_spectral_norm(self):
        network = nn.Sequential(
            spectral_norm(nn.Linear(5, 4)),
            nn.utils.spectral_norm(nn.Linear(4, 3)),
            nn.utils.parametrizations.spectral_norm(nn.Linear(3, 2)),
            nn.BatchNorm1d(2),
        )
        params = [
            network[0].parametrizations.weight.original,
            network[1].weight_orig,
            network[2].parametrizations.weight.original,
        ]
        vectors = [b.clone() for b in network.buffers()]
        check(network, params)
        for before, now in zip(vectors, network.buffers(), strict=True):
            assert torch.equal(before, now)

    def test_orthogonal_filters_of_any_length_have_none(self):
        layer = nn.Linear(6, 4)
        nn.init.orthogonal_(layer.weight)
        with torch.no_grad():
            layer.weight *= torch.tensor([1.0, 2.0, 3.0, 4.0])[:, None]
        assert Orthogonality()(layer) < 1e-12

    def test_of_biggan(self):
        torch.manual_seed(0)
        small = dict(image_size=32, num_classes=10, base_channels=4)
        for network in (
            BigGANGenerator(noise_size=16, **small),
            BigGANDiscriminator(**small),
        ):
            with torch.no_grad():
                for weight in weights(network).values():
                    weight += 0.1 * torch.randn_like(weight)
            check(network, [*weights(network).values()])

    def test_frozen_weights_have_none(self):
        network = nn.Sequential(nn.Linear(5, 4), nn.Linear(4, 3))
        network[0].requires_grad_(False)
        check(network, [network[1].weight])


class TestPrecision:
    @pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
    def test_is_float32_under_autocast(self, dtype):
        layer = nn.Linear(64, 32)
        check(layer, [layer.weight], dtype=dtype)

    def test_of_what_float16_cannot_square(self):
        layer = nn.Linear(4, 3).half()
        nn.init.constant_(layer.weight, 300.0)
        term = Orthogonality(weight=1.0)(layer)
        expected = 6 * (4 * 300.0**2) ** 2
        assert term.item() == pytest.approx(expected, rel=1e-6)


class TestExclude:
    def network(self):
        return nn.ModuleDict(
            dict(
                embedding=nn.Embedding(5, 4),
                body=nn.Sequential(
                    nn.Linear(4, 4), spectral_norm(nn.Linear(4, 3))
                ),
                head=nn.Linear(3, 2),
            )
        )

    @pytest.mark.parametrize(
        ('exclude', 'left'),
        [
            (['embedding'], ['body.0', 'body.1', 'head']),
            (['embedding', 'body'], ['head']),
            ([r'.*\.1', 'head'], ['embedding', 'body.0']),
        ],
    )
    def test_leaves_out_modules_and_what_is_inside(self, exclude, left):
        network = self.network()
        term = Orthogonality(weight=1.0, exclude=exclude)(network)
        expected = sum(
            Orthogonality(weight=1.0)(network.get_submodule(x)) for x in left
        )
        torch.testing.assert_close(term, expected)

    def test_of_nothing_is_a_mistake(self):
        with pytest.raises(
            ValueError, match="exclude='embeding' matches no.*'embedding'"
        ):
            Orthogonality(exclude=['embeding']).check(self.network())
        everything = Orthogonality(exclude=['.*'])
        with pytest.raises(ValueError, match='no trainable weight.*leaves'):
            everything.check(self.network())
        with pytest.raises(ValueError, match='no trainable weight of two'):
            Orthogonality().check(nn.BatchNorm2d(3))

    @pytest.mark.parametrize('exclude', ['embedding', None, [1], ['(']])
    def test_is_a_list_of_expressions(self, exclude):
        with pytest.raises(TypeError, match='Orthogonality: exclude'):
            Orthogonality(exclude=exclude)

    @pytest.mark.parametrize(
        'kwargs', [dict(weight=-1), dict(interval=0), dict(weight='1')]
    )
    def test_other_values(self, kwargs):
        (name,) = kwargs
        with pytest.raises(ValueError, match=f'{name} must be'):
            Orthogonality(**kwargs)


def trained(rank, world_size):
    """Weights after an update on 4 images, be they on one rank or two."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), spectral_norm(nn.Linear(16, 4)))
    model = network
    if world_size > 1:
        model = nn.parallel.DistributedDataParallel(network)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    wrapper = AmpOptimWrapper(optimizer, dtype='float32')
    images = torch.linspace(0, 1, 64).view(4, 1, 4, 4)[rank::world_size]
    with wrapper.optim_context(model):
        loss = model(images).square().mean()
        loss = loss + Orthogonality(weight=1.0)(network)
    wrapper.update_params(loss)
    return [p.detach() for p in network.parameters()]


def test_under_ddp(in_ranks):
    expected = trained(0, 1)
    for found in in_ranks(2, trained):
        torch.testing.assert_close(found, expected)


class TestInAGan:
    def gan(self, **kwargs):
        torch.manual_seed(0)
        small = dict(image_size=32, num_classes=3, base_channels=4)
        return ImageGAN(
            BigGANGenerator(noise_size=16, out_channels=1, **small),
            BigGANDiscriminator(in_channels=1, **small),
            noise_size=16,
            num_classes=3,
            **kwargs,
        )

    @pytest.mark.parametrize('dtype', ['float32', 'float16', 'bfloat16'])
    @pytest.mark.parametrize('role', ['generator', 'discriminator'])
    def test_is_a_term_of_either_side(self, role, dtype):
        """The gradients with it are those without, and its own."""
        short = dict(generator='gen', discriminator='disc')[role]
        grads = []
        for given in ([], [dict(type='mmamp.Orthogonality', weight=0.01)]):
            gan = self.gan(**{f'{short}_regularizers': given})
            network = getattr(gan, role)
            optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
            wrapper = AmpOptimWrapper(optimizer, dtype=dtype, loss_scale=8.0)
            inputs = torch.rand(2, 1, 32, 32)
            labels = dict(gt_label=torch.tensor([0, 2]))
            with wrapper.optim_context(network):
                losses = getattr(gan, f'{short}_loss')(inputs, labels, wrapper)
            name = f'loss_{short}_orthogonality'
            assert (name in losses) == bool(given)
            loss, _ = gan.parse_losses(losses)
            wrapper.backward(loss)
            wrapper.loss_scaler.unscale_(optimizer)
            grads.append({n: p.grad for n, p in network.named_parameters()})
        without, found = grads
        for name, param in weights(network).items():
            _, grad = closed_form(param.flatten(1))
            expected = without[name].flatten(1) + 0.01 * grad
            error = (found[name].flatten(1) - expected).norm()
            assert error <= 1e-3 * expected.norm() + 1e-6, name

    @pytest.mark.parametrize('short', ['gen', 'disc'])
    def test_is_checked_when_the_model_is_built(self, short):
        term = dict(type='mmamp.Orthogonality', exclude=['embeding'])
        with pytest.raises(ValueError, match="Did you mean 'embedding'"):
            self.gan(**{f'{short}_regularizers': [term]})

    def test_fsdp2_is_to_keep_its_network_gathered(self):
        gan = self.gan(
            gen_regularizers=[dict(type='mmamp.Orthogonality', interval=2)]
        )
        assert gan.higher_order_networks == ('generator',)
