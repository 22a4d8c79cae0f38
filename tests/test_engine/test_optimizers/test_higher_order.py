"""Gradient penalties under AMP against the same penalties in float32."""

import copy
import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mmamp import AmpOptimWrapper
from mmamp.engine.optimizers.higher_order import PenaltyScaler
from mmamp.models import (
    BigGANDiscriminator,
    DCGANDiscriminator,
    StyleGAN2Discriminator,
    StyleGAN2Generator,
)
from mmamp.models.losses import DRAGAN, R1, R2, WGANGP, PathLength
from mmamp.precision.islands import Island
from mmamp.randomness.samples import SampleRandom

LOSS_SCALES = [1.0, 256.0, 65536.0]
# DESIGN 3.6: cosine and relative norm of the parameter gradients.
BOUNDS = dict(float16=(0.999, 0.01), bfloat16=(0.99, 0.05))


def without_batch_norm(network):
    for module in list(network.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.BatchNorm2d):
                setattr(module, name, nn.Identity())
    return network


def make(kind):
    torch.manual_seed(0)
    if kind == 'biggan':
        network = BigGANDiscriminator(
            image_size=32,
            num_classes=4,
            in_channels=3,
            base_channels=4,
            attention_size=16,
        )
        return network, (torch.arange(8) % 4,)
    if kind == 'stylegan2':
        return StyleGAN2Discriminator(32, channel_base=512, channel_max=32), ()
    network = DCGANDiscriminator(32, in_channels=3, base_channels=8)
    if kind == 'dcgan':
        network = without_batch_norm(network)
    return network, ()


def images(seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(8, 3, 32, 32, generator=generator) * 2 - 1


def gradient(network, wrapper, loss_of):
    """All parameter gradients of a loss, unscaled, in one vector."""
    network.zero_grad()
    with wrapper.optim_context(network):
        loss = loss_of(wrapper.grad)
    wrapper.backward(loss)
    if wrapper.loss_scaler.is_enabled():
        wrapper.loss_scaler.unscale_(wrapper.optimizer)
    found = [
        torch.zeros_like(p) if p.grad is None else p.grad
        for p in network.parameters()
    ]
    return loss.detach(), torch.cat([g.flatten() for g in found]).double()


def wrap(network, dtype, loss_scale='dynamic'):
    return AmpOptimWrapper(
        torch.optim.SGD(network.parameters(), lr=0.1),
        dtype=dtype,
        loss_scale=loss_scale,
    )


def compare(network, penalty_of, dtype, loss_scale):
    """Penalty, cosine and relative norm against float32."""
    results = []
    for each in ('float32', dtype):
        twin = copy.deepcopy(network)
        scale = 'dynamic' if each != 'float16' else loss_scale
        results.append(
            gradient(
                twin,
                wrap(twin, each, scale),
                lambda grad, twin=twin: penalty_of(twin, grad),
            )
        )
    (loss, true), (low_loss, low) = results
    return (
        abs(low_loss / loss - 1).item(),
        F.cosine_similarity(low, true, dim=0).item(),
        abs(low.norm() / true.norm() - 1).item(),
        true.norm().item(),
    )


def on_discriminator(penalty, others):
    def penalty_of(network, grad):
        return penalty(
            network,
            (images(1), *others),
            (images(2), *others),
            grad,
            SampleRandom('cpu', 8, 0, 0),
        )

    return penalty_of


def assert_agrees(result, dtype, condition=1):
    loss_error, cosine, norm_error, _ = result
    low_cosine, max_error = BOUNDS[dtype]
    assert loss_error <= max_error * condition, result
    assert cosine >= low_cosine, result
    assert norm_error <= max_error, result


def shrink_until(network, small_enough):
    """All weights in proportion, a little at a time."""
    while not small_enough():
        with torch.no_grad():
            for p in network.parameters():
                if p.dim() > 1:
                    p.mul_(0.92)


NETWORKS = ['dcgan', 'dcgan with BatchNorm', 'biggan', 'stylegan2']
CASES = [('float16', s) for s in LOSS_SCALES] + [('bfloat16', 1.0)]


class TestAgreesWithFloat32:
    @pytest.mark.parametrize('kind', NETWORKS)
    @pytest.mark.parametrize('penalty', [R1, R2, WGANGP, DRAGAN])
    @pytest.mark.parametrize(('dtype', 'loss_scale'), CASES)
    def test_penalties(self, kind, penalty, dtype, loss_scale):
        network, others = make(kind)
        penalty_of = on_discriminator(penalty(), others)
        assert_agrees(
            compare(network, penalty_of, dtype, loss_scale),
            dtype,
            # (|g| - 1)^2 is worse conditioned than |g|, near |g| = 1.
            condition=2 if penalty in (WGANGP, DRAGAN) else 1,
        )

    @pytest.mark.parametrize('kind', ['dcgan', 'stylegan2'])
    @pytest.mark.parametrize(('dtype', 'loss_scale'), CASES)
    @pytest.mark.parametrize('norm', [1e-3, 1e-7])
    def test_small_gradients(self, kind, dtype, loss_scale, norm):
        """As small as float16, left to itself, would lose."""
        network, others = make(kind)
        penalty_of = on_discriminator(R1(), others)
        shrink_until(
            network,
            lambda: compare(network, penalty_of, 'float32', 1.0)[-1] < norm,
        )
        result = compare(network, penalty_of, dtype, loss_scale)
        assert norm / 3 < result[-1] < norm
        assert_agrees(result, dtype)

    def test_batch_norm_of_tiny_variance(self, mm_log):
        """Its second derivative divides by the variance, in float16."""
        network, others = make('dcgan with BatchNorm')
        with torch.no_grad():
            for p in network.parameters():
                if p.dim() > 1:
                    p.mul_(0.2)
        penalty_of = on_discriminator(R1(), others)

        def hidden(twin, grad):
            return penalty_of(lambda *args: twin(*args), grad)

        # What would happen, if nobody saw the BatchNorm.
        assert math.isnan(compare(network, hidden, 'float16', 256.0)[1])
        assert 'is run in float32' not in mm_log()
        assert_agrees(
            compare(network, penalty_of, 'float16', 256.0), 'float16'
        )
        text = 'DCGANDiscriminator has batch or instance norm, whose second'
        assert mm_log().count(text) == 1

        islands = copy.deepcopy(network)
        for module in islands.modules():
            if isinstance(module, nn.BatchNorm2d):
                Island(torch.float32).install(module)
        penalty_of = on_discriminator(R1(), others)
        assert_agrees(
            compare(islands, penalty_of, 'float16', 256.0), 'float16'
        )
        assert mm_log().count(text) == 1

    @pytest.mark.parametrize('kind', NETWORKS)
    @pytest.mark.parametrize('dtype', ['float16', 'bfloat16'])
    def test_force_fp32_is_float32(self, kind, dtype):
        network, others = make(kind)
        penalty_of = on_discriminator(R1(force_fp32=True), others)
        loss_error, cosine, norm_error, _ = compare(
            network, penalty_of, dtype, 65536.0
        )
        assert loss_error < 1e-6
        assert cosine > 1 - 1e-9
        assert norm_error < 1e-6

    @pytest.mark.parametrize(('dtype', 'loss_scale'), CASES)
    @pytest.mark.parametrize('force_fp32', [False, True])
    def test_path_length(self, dtype, loss_scale, force_fp32):
        """Through the mapping network too, which ``w`` comes from."""
        torch.manual_seed(0)
        network = StyleGAN2Generator(
            16, noise_size=8, style_size=16, channel_base=256, channel_max=16
        )
        # With the same noise in both precisions.
        network.eval()
        noise = torch.randn(8, 8)

        def penalty_of(twin, grad):
            penalty = PathLength(force_fp32=force_fp32)
            with penalty.precision(noise, twin):
                latents = twin.mapping(noise)
            return penalty(
                twin.synthesis,
                latents,
                grad,
                SampleRandom('cpu', 8, 0, 0),
            )

        assert_agrees(compare(network, penalty_of, dtype, loss_scale), dtype)

    def test_unscaled_float16_does_not(self):
        """The reason for all this: torch's own grad loses the gradient."""
        network, others = make('stylegan2')
        with torch.no_grad():
            network.out.weight.mul_(1e-4)
        penalty_of = on_discriminator(R1(), others)
        naive = compare(
            network,
            lambda twin, grad: penalty_of(twin, torch.autograd.grad),
            'float16',
            256.0,
        )
        assert naive[1] < 0.999 or naive[2] > 0.01
        ours = compare(network, penalty_of, 'float16', 256.0)
        assert_agrees(ours, 'float16')


class TestComposes:
    @pytest.mark.parametrize('dtype', ['float32', 'float16', 'bfloat16'])
    def test_with_accumulation_and_clipping(self, dtype):
        """One window of two halves equals one of the whole batch."""
        network, _ = make('dcgan')
        results = []
        for counts in (1, 2):
            twin = copy.deepcopy(network)
            wrapper = AmpOptimWrapper(
                torch.optim.SGD(twin.parameters(), lr=0.1),
                dtype=dtype,
                loss_scale=256.0 if dtype == 'float16' else 'dynamic',
                accumulative_counts=counts,
                clip_grad=dict(max_norm=0.01),
            )
            for half in images(1).chunk(counts):
                with wrapper.optim_context(twin):
                    loss = twin(half).mean()
                    loss = loss + R1()(twin, (half,), (half,), wrapper.grad)
                wrapper.update_params(loss)
            assert not wrapper.step_was_skipped
            results.append(
                torch.cat(
                    [
                        (p - q).detach().flatten()
                        for p, q in zip(
                            twin.parameters(),
                            network.parameters(),
                            strict=True,
                        )
                    ]
                )
            )
        assert results[0].norm() == pytest.approx(1e-3, rel=1e-3)
        cosine = F.cosine_similarity(*results, dim=0)
        assert cosine > (1 - 1e-6 if dtype == 'float32' else 0.999)

    def test_gradients_add_to_those_of_the_main_loss(self):
        network, _ = make('stylegan2')
        penalty = on_discriminator(R1(), ())

        def main(grad):
            return F.softplus(network(images(4))).mean()

        main_part, penalty_part, both = (
            gradient(network, wrap(network, 'float16', 256.0), loss_of)[1]
            for loss_of in (
                main,
                lambda grad: penalty(network, grad),
                lambda grad: main(grad) + penalty(network, grad),
            )
        )
        torch.testing.assert_close(both, main_part + penalty_part)

    def test_an_overflow_skips_the_window_and_mends_itself(self):
        network, _ = make('dcgan')
        with torch.no_grad():
            for p in network.parameters():
                p.mul_(12)
        before = [p.clone() for p in network.parameters()]
        wrapper = wrap(network, 'float16', 2.0**-20)
        skipped = []
        for _ in range(6):
            with wrapper.optim_context(network):
                loss = R1()(network, (images(1),), (), wrapper.grad) * 1e-30
            wrapper.update_params(loss)
            skipped.append(wrapper.step_was_skipped)
        assert skipped[0]
        assert not skipped[-1]
        for p, q in zip(network.parameters(), before, strict=True):
            assert torch.isfinite(p).all()
            torch.testing.assert_close(p, q)


class TestSignature:
    """That of ``torch.autograd.grad``."""

    def setup_method(self):
        self.net = nn.Linear(3, 2)
        self.x = torch.ones(4, 3, requires_grad=True)

    @pytest.mark.parametrize('dtype', ['float32', 'float16', 'bfloat16'])
    def test_forms(self, dtype):
        wrapper = wrap(self.net, dtype)
        with wrapper.optim_context(self.net):
            out = self.net(self.x)
            (single,) = wrapper.grad(out.sum(), self.x, retain_graph=True)
            vector = torch.full_like(out, 2.0)
            double, weight = wrapper.grad(
                [out], [self.x, self.net.weight], vector, create_graph=True
            )
        expected = self.net.weight.sum(0).expand(4, 3)
        torch.testing.assert_close(single, expected, rtol=2e-2, atol=1e-2)
        assert single.dtype is double.dtype is torch.float32
        assert not single.requires_grad
        torch.testing.assert_close(double, 2 * single, rtol=2e-2, atol=1e-2)
        assert double.requires_grad
        torch.testing.assert_close(weight, torch.full((2, 3), 8.0))

    def test_unused_inputs(self):
        wrapper = wrap(self.net, 'float16')
        unused = torch.ones(1, requires_grad=True)
        with wrapper.optim_context(self.net):
            found, none = wrapper.grad(
                self.net(self.x).sum(), (self.x, unused), allow_unused=True
            )
        assert found is not None
        assert none is None
        with pytest.raises(RuntimeError, match='not have been used'):
            wrapper.grad(self.net(self.x).sum(), (self.x, unused))

    @pytest.mark.parametrize('dtype', ['float32', 'bfloat16', 'float16'])
    def test_nothing_is_used(self, dtype):
        wrapper = wrap(self.net, dtype)
        unused = torch.ones(1, requires_grad=True)
        with wrapper.optim_context(self.net):
            found = wrapper.grad(
                self.net(self.x).sum(),
                unused,
                create_graph=True,
                allow_unused=True,
            )
        assert found == (None,)

    def test_float64_is_left_alone(self):
        net, x = self.net.double(), self.x.detach().double().requires_grad_()
        wrapper = wrap(net, 'float16')
        (found,) = wrapper.grad(net(x).sum(), x, create_graph=True)
        assert found.dtype is torch.float64
        torch.testing.assert_close(found, net.weight.sum(0).expand(4, 3))


class TestScaler:
    def test_adapts_within_its_bounds(self):
        scaler = PenaltyScaler(torch.device('cpu'))
        for largest, expected in [
            (2.0**-3, 2.0**11),
            (1.5, 2.0**11),
            (0.0, 2.0**11),
            (2.0**-20, 2.0**14),
            (float('inf'), 2.0**10),
            (float('nan'), 2.0**6),
            (2.0**9, 2.0**-3),
        ]:
            scaler.saw_gradient([torch.tensor([largest, 0.0])])
            assert scaler.cotangent == expected

    def test_state_goes_round_through_a_wrapper(self):
        net, x = nn.Linear(3, 1), torch.ones(1, 3, requires_grad=True)
        wrapper = wrap(net, 'float16')
        assert 'penalty_scalers' not in wrapper.state_dict()
        with wrapper.optim_context(net):
            wrapper.grad(net(x * 1e-3).sum(), x)
        state = wrapper.state_dict()
        scales = state['penalty_scalers']
        assert scales[0]['cotangent'] != PenaltyScaler._START[0]
        other = wrap(net, 'float16')
        other.load_state_dict(state)
        assert other.state_dict()['penalty_scalers'] == scales

    def test_an_overflow_lowers_what_follows_it(self):
        """Else small and large gradients in turn would overflow for ever."""
        scaler = PenaltyScaler(torch.device('cpu'))
        scaler.saw_gradient([torch.tensor([float('inf')])])
        bound = float(scaler.cotangent)
        for _ in range(50):
            scaler.saw_gradient([torch.tensor([2.0**-20])])
            assert scaler.cotangent == bound
        for _ in range(200):
            scaler.saw_gradient([torch.tensor([2.0**-20])])
        assert scaler.cotangent == 2 * bound

    def test_the_second_scale_falls_and_comes_back(self):
        scaler = PenaltyScaler(torch.device('cpu'))
        first = float(scaler.tangent)
        scaler.saw_second_order([torch.tensor([float('inf')])])
        assert scaler.tangent == first / 16
        for part in (16, 8, 4, 2, 1):
            for _ in range(200):
                assert scaler.tangent == first / part
                scaler.saw_second_order([torch.tensor([1.0])])
        assert scaler.tangent == first

    def test_two_penalties_of_very_different_size(self):
        """In one update of one optimizer, none of whose windows is skipped."""
        torch.manual_seed(0)
        nets = nn.ModuleList(nn.Linear(3, 1) for _ in range(2))
        with torch.no_grad():
            nets[0].weight.mul_(1e-5)
            nets[1].weight.mul_(20)
        wrapper = wrap(nets, 'float16')
        x = torch.randn(4, 3, requires_grad=True)
        for _ in range(10):
            with wrapper.optim_context(nets):
                loss = sum(
                    wrapper.grad(net(x).sum(), x, create_graph=True)[0]
                    .square()
                    .mean()
                    for net in nets
                )
            wrapper.update_params(loss)
        # Those of the loss scale's own beginning apart.
        assert wrapper.skipped_steps <= 2
        assert not wrapper.step_was_skipped

    def test_arguments_in_the_order_of_torch(self):
        net, x = nn.Linear(3, 1), torch.ones(1, 3, requires_grad=True)
        wrapper = wrap(net, 'float16')
        with wrapper.optim_context(net):
            (grad,) = wrapper.grad(net(x), x, torch.ones(1, 1), True, True)
        expected = net.weight.half().float()
        torch.testing.assert_close(grad, expected)
        assert grad.requires_grad
