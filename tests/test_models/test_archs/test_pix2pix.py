import pytest
import torch
from torch import nn

from mmamp.models.archs import PatchDiscriminator, UNetGenerator
from mmamp.registry import MODELS

IN = dict(type='IN', affine=True)


def num_params(network):
    return sum(p.numel() for p in network.parameters())


class TestPublishedSize:
    """As the authors' code prints them, in millions to three places."""

    @pytest.mark.parametrize(
        'norm_cfg', [dict(type='BN'), dict(type='IN', affine=True)]
    )
    def test_of_the_generator(self, norm_cfg):
        with torch.device('meta'):
            size = num_params(UNetGenerator(norm_cfg=norm_cfg))
        assert f'{size / 1e6:.3f}' == '54.414'

    def test_of_the_discriminator(self):
        with torch.device('meta'):
            size = num_params(PatchDiscriminator(in_channels=6))
        assert f'{size / 1e6:.3f}' == '2.769'

    def test_of_cyclegans_discriminator(self):
        with torch.device('meta'):
            size = num_params(
                PatchDiscriminator(in_channels=3, norm_cfg=dict(type='IN'))
            )
        assert f'{size / 1e6:.3f}' == '2.765'


class TestUNet:
    @pytest.mark.parametrize(('size', 'num_downs'), [(32, 5), (64, 5), (8, 2)])
    def test_shapes(self, size, num_downs):
        generator = UNetGenerator(3, 1, base_channels=2, num_downs=num_downs)
        images = generator(torch.randn(2, 3, size, size))
        assert images.shape == (2, 1, size, size)
        assert images.abs().max() <= 1

    def test_needs_not_be_square(self):
        generator = UNetGenerator(1, 1, base_channels=2, num_downs=3)
        assert generator(torch.randn(1, 1, 16, 32)).shape == (1, 1, 16, 32)

    def test_another_size_is_refused(self):
        generator = UNetGenerator(base_channels=2, num_downs=5)
        with pytest.raises(ValueError, match='multiples of 32, but got 40x64'):
            generator(torch.randn(1, 3, 40, 64))

    @pytest.mark.parametrize('num_downs', [1, 0, 2.0, True])
    def test_another_depth_is_refused(self, num_downs):
        with pytest.raises(ValueError, match='num_downs must be an int >= 2'):
            UNetGenerator(num_downs=num_downs)

    @pytest.mark.parametrize(('num_downs', 'layers'), [(8, 3), (5, 1), (4, 0)])
    def test_dropout_is_in_the_innermost_layers(self, num_downs, layers):
        generator = UNetGenerator(base_channels=1, num_downs=num_downs)
        drops = [isinstance(up, nn.Sequential) for up in generator.ups]
        assert drops == [True] * layers + [False] * (num_downs - layers)
        assert [m.p for m in generator.modules() if type(m) is nn.Dropout] == (
            [0.5] * layers
        )

    def test_norm_is_everywhere_but_at_the_ends(self):
        generator = UNetGenerator(base_channels=1, num_downs=5)
        assert [d.with_norm for d in generator.downs] == [
            *(False, True, True, True, False)
        ]
        ups = [
            up[0] if isinstance(up, nn.Sequential) else up
            for up in generator.ups
        ]
        assert [u.with_norm for u in ups] == [True] * 4 + [False]

    def test_decoder_sees_the_encoders_maps(self):
        """The bottleneck being cut off, the image still gets through."""
        generator = UNetGenerator(1, 1, base_channels=4, num_downs=3).eval()
        for param in generator.ups[0].conv.parameters():
            nn.init.zeros_(param)
        one, other = (generator(torch.randn(1, 1, 8, 8)) for _ in range(2))
        assert not torch.allclose(one, other)

    def test_activations_leave_the_maps_alone(self):
        """An activation in place would change what the decoder sees."""
        generator = UNetGenerator(1, 1, base_channels=4, num_downs=3).eval()
        kept = []
        for down in generator.downs:
            down.register_forward_hook(
                lambda m, i, out: kept.append((out, out.clone()))
            )
        generator(torch.randn(1, 1, 8, 8))
        assert len(kept) == 3
        for out, copy in kept:
            assert (copy < 0).any()
            assert torch.equal(out, copy)


class TestDropoutAtTest:
    """Isola et al., section 3.1."""

    def generator(self, **kwargs):
        torch.manual_seed(0)
        kwargs = dict(base_channels=4, num_downs=5, norm_cfg=IN) | kwargs
        return UNetGenerator(test_dropout=True, **kwargs).eval()

    def dropped(self, generator, images):
        """What goes into each layer behind dropout, and what came out."""
        pairs = []
        for i, up in enumerate(generator.ups):
            if isinstance(up, nn.Sequential):
                size = up[0].conv.out_channels
                following = generator.ups[i + 1]
                up.register_forward_hook(
                    lambda m, args, out: pairs.append([out])
                )
                following.register_forward_pre_hook(
                    lambda m, args, n=size: pairs[-1].append(args[0][:, -n:])
                )
        generator(images)
        return pairs

    @pytest.mark.parametrize('prob', [0.0, 0.2, 0.5, 1.0])
    def test_drops_and_scales_as_in_training(self, prob):
        generator = self.generator(dropout=prob, num_downs=6)
        pairs = self.dropped(generator, torch.randn(20, 3, 64, 64))
        assert len(pairs) == 2
        for before, after in pairs:
            keeps = after != 0
            assert torch.equal(after[keeps], before[keeps] / (1 - prob))
            share = keeps.float().mean(0)
            assert share.mean() == pytest.approx(1 - prob, abs=0.05)
        # Each image, and each layer, has a mask of its own.
        if prob == 0.5:
            masks = [(after != 0).flatten(1) for _, after in pairs]
            assert len(masks[0].unique(dim=0)) == 20
            assert not torch.equal(masks[0], masks[1][:, : masks[0].shape[1]])

    def test_an_image_has_one_result(self):
        generator, images = self.generator(), torch.randn(6, 3, 32, 32)
        torch.manual_seed(1)
        whole = generator(images)
        torch.manual_seed(2)
        order = torch.tensor([3, 0, 5, 1, 4, 2])
        shuffled = generator(images[order])
        torch.testing.assert_close(shuffled, whole[order])
        for i in range(6):
            alone = generator(images[i : i + 1])
            torch.testing.assert_close(alone[0], whole[i])
        strided = images.to(memory_format=torch.channels_last)
        torch.testing.assert_close(generator(strided), whole)
        plain = UNetGenerator(base_channels=4, num_downs=5, norm_cfg=IN)
        plain.load_state_dict(generator.state_dict())
        assert not torch.allclose(plain.eval()(images), whole)

    def test_draws_nothing_of_torchs(self):
        generator = self.generator()
        torch.manual_seed(3)
        expected = torch.randn(3)
        torch.manual_seed(3)
        images = torch.ones(2, 3, 32, 32)
        generator(images)
        assert torch.equal(torch.randn(3), expected)

    def test_training_is_what_it_was(self):
        one = self.generator().train()
        other = UNetGenerator(base_channels=4, num_downs=5, norm_cfg=IN)
        other.load_state_dict(one.state_dict())
        images = torch.randn(2, 3, 32, 32)
        results = []
        for generator in (one, other):
            torch.manual_seed(4)
            results.append(generator(images))
        assert torch.equal(*results)

    @pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
    def test_masks_are_those_of_float32(self, dtype):
        images = torch.randn(4, 3, 32, 32)
        (true,) = self.dropped(self.generator(), images)
        with torch.autocast('cpu', dtype=dtype):
            (low,) = self.dropped(self.generator(), images)
        assert low[1].dtype is dtype
        assert torch.equal(low[1] == 0, true[1] == 0)

    def test_needs_dropout(self):
        with pytest.raises(ValueError, match='from num_downs=5 on, and it is'):
            UNetGenerator(num_downs=4, test_dropout=True)
        with pytest.raises(ValueError, match='must be True or False, but got'):
            UNetGenerator(test_dropout=1)


class TestPatches:
    @pytest.mark.parametrize(
        ('num_layers', 'field'), [(1, 16), (2, 34), (3, 70)]
    )
    def test_receptive_field(self, num_layers, field):
        """Pixels that one logit depends on."""
        net = PatchDiscriminator(1, base_channels=2, num_layers=num_layers)
        net.eval()
        images = torch.randn(1, 1, 128, 128, requires_grad=True)
        logits = net(images)
        middle = logits.shape[2] // 2
        logits[0, 0, middle, middle].backward()
        rows = images.grad[0, 0].abs().sum(1).nonzero()
        assert int(rows.max() - rows.min()) + 1 == field

    def test_shape_at_256(self):
        """The paper's 30x30 logits."""
        net = PatchDiscriminator(6, base_channels=1)
        assert net(torch.randn(1, 6, 256, 256)).shape == (1, 1, 30, 30)


@pytest.mark.parametrize('norm', ['BN', 'IN'])
def test_init_is_that_of_the_paper(norm):
    torch.manual_seed(0)
    net = PatchDiscriminator(base_channels=32, norm_cfg=dict(type=norm))
    net.init_weights()
    for module in net.modules():
        if isinstance(module, nn.Conv2d) and module.weight.numel() > 4000:
            std = module.weight.std().item()
            assert std == pytest.approx(0.02, rel=0.05)
            assert module.bias is None or (module.bias == 0).all()
        if isinstance(module, nn.BatchNorm2d):
            assert module.weight.mean().item() == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
@pytest.mark.parametrize(
    'cfg',
    [
        dict(type='UNetGenerator', num_downs=3, in_channels=6),
        dict(type='PatchDiscriminator', num_layers=1),
    ],
)
def test_runs_in_low_precision(cfg, dtype):
    net = MODELS.build(dict(cfg, base_channels=4, _scope_='mmamp'))
    with torch.autocast('cpu', dtype=dtype):
        out = net(torch.randn(2, 6, 32, 32))
    assert out.dtype is dtype
    out.float().sum().backward()
    for param in net.parameters():
        assert param.grad.isfinite().all()
