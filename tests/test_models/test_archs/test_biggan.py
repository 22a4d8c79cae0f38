import pytest
import torch
from torch import nn
from torch.nn.utils.parametrize import is_parametrized

from mmamp.models.archs import BigGANDiscriminator, BigGANGenerator
from mmamp.registry import MODELS

SIZES = (32, 64, 128)
# Latents have one part more than there are blocks.
PARTS = {32: 4, 64: 5, 128: 6}


def num_params(network):
    return sum(p.numel() for p in network.parameters())


def make_generator(size=32, **kwargs):
    torch.manual_seed(0)
    kwargs = (
        dict(num_classes=5, base_channels=4, noise_size=60, embedding_size=6)
        | kwargs
    )
    return BigGANGenerator(size, **kwargs)


def make_discriminator(size=32, **kwargs):
    torch.manual_seed(0)
    return BigGANDiscriminator(
        size, **(dict(num_classes=5, base_channels=4) | kwargs)
    )


def run(network, size=32):
    torch.manual_seed(1)
    labels = torch.tensor([0, 1])
    if isinstance(network, BigGANGenerator):
        return network(torch.randn(2, 60), labels)
    return network(torch.randn(2, 3, size, size), labels)


def trained(network):
    """In evaluation mode, after a few steps of the power iteration."""
    with torch.no_grad():
        for _ in range(3):
            run(network)
    return network.eval()


class TestPublishedSize:
    """128x128, 96 channels, attention at 64, a thousand classes."""

    def test_of_the_generator(self):
        with torch.device('meta'):
            generator = BigGANGenerator(
                128,
                num_classes=1000,
                base_channels=96,
                noise_size=120,
                embedding_size=128,
                attention_size=64,
            )
        assert num_params(generator) == 70_433_988

    def test_of_the_discriminator(self):
        with torch.device('meta'):
            discriminator = BigGANDiscriminator(
                128, num_classes=1000, base_channels=96, attention_size=64
            )
        assert num_params(discriminator) == 87_982_370


@pytest.mark.parametrize('size', SIZES)
class TestShapes:
    def test_of_images(self, size):
        generator = make_generator(size, base_channels=1, out_channels=1)
        images = generator(torch.randn(2, 60), torch.tensor([0, 4]))
        assert images.shape == (2, 1, size, size)
        assert images.abs().max() <= 1

    def test_of_logits(self, size):
        discriminator = make_discriminator(size, base_channels=1)
        images = torch.randn(2, 3, size, size)
        assert discriminator(images, torch.tensor([0, 4])).shape == (2, 1)


class TestGenerator:
    def test_every_part_of_the_latent_counts(self):
        """The first feeds the linear layer, each other one its block."""
        generator = trained(make_generator())
        noise = torch.randn(2, 60, requires_grad=True)
        generator(noise, torch.tensor([0, 1])).square().sum().backward()
        assert (noise.grad != 0).all()

    @pytest.mark.parametrize('part', range(4))
    def test_where_each_part_goes(self, part):
        generator = trained(make_generator())
        reached = []
        generator.linear.register_forward_hook(
            lambda _, args, out: reached.append(out.detach())
        )
        for block in generator.blocks:
            block.register_forward_hook(
                lambda _, args, out: reached.append(out.detach())
            )
        noise, labels = torch.randn(1, 60), torch.tensor([0])
        generator(noise, labels)
        noise[:, part * 15 : (part + 1) * 15] += 1
        generator(noise, labels)
        before, after = reached[:4], reached[4:]
        for i in range(4):
            assert torch.equal(before[i], after[i]) == (i < part)

    def test_the_class_embedding_is_shared_and_free(self):
        generator = make_generator()
        embeddings = [
            m for m in generator.modules() if isinstance(m, nn.Embedding)
        ]
        assert embeddings == [generator.embedding]
        assert not is_parametrized(generator.embedding)

    def test_labels_make_a_difference(self):
        generator = trained(make_generator())
        noise = torch.randn(1, 60).expand(5, 60)
        images = generator(noise, torch.arange(5))
        for i in range(4):
            assert not torch.allclose(images[i], images[i + 1])

    def test_a_noise_that_cannot_be_split(self):
        with pytest.raises(
            ValueError, match='noise_size=62 must be a multiple of 4'
        ):
            make_generator(noise_size=62)

    @pytest.mark.parametrize('size', SIZES)
    def test_parts(self, size):
        generator = make_generator(size, base_channels=1)
        assert len(generator.blocks) + 1 == PARTS[size]
        assert generator.chunk_size == 60 // PARTS[size]


class TestDiscriminator:
    def test_is_a_projection(self):
        """Labels enter by an inner product with the features alone."""
        discriminator = trained(make_discriminator())
        images = torch.randn(3, 3, 32, 32)
        x = images
        for block in discriminator.blocks:
            x = block(x)
        features = x.relu().sum((2, 3))
        embedding = discriminator.embedding.weight
        linear = discriminator.linear
        for label in range(5):
            expected = (
                features @ linear.weight.T
                + linear.bias
                + (features @ embedding[label])[:, None]
            )
            logits = discriminator(images, torch.full((3,), label))
            torch.testing.assert_close(logits, expected)

    @pytest.mark.parametrize(
        ('size', 'resolutions'),
        [
            (32, [16, 8, 8, 8]),
            (64, [32, 16, 8, 4, 4]),
            (128, [64, 32, 16, 8, 4, 4]),
        ],
    )
    def test_resolutions(self, size, resolutions):
        discriminator = make_discriminator(size, base_channels=1)
        seen = []
        for block in discriminator.blocks:
            block.register_forward_hook(
                lambda _, args, out: seen.append(out.shape[-1])
            )
        discriminator(torch.randn(1, 3, size, size), torch.tensor([0]))
        assert seen == resolutions


@pytest.mark.parametrize('make', [make_generator, make_discriminator])
class TestBoth:
    @pytest.mark.parametrize(
        ('size', 'at'),
        [(32, 16), (32, 8), (64, 32), (64, 16), (128, 64), (128, 32)],
    )
    def test_attention_is_where_it_was_asked_for(self, make, size, at):
        network = make(size, base_channels=8, attention_size=at)
        seen = []
        (attention,) = network.attention.values()
        attention.register_forward_pre_hook(
            lambda _, args: seen.append(tuple(args[0].shape[2:]))
        )
        run(network, size)
        assert seen == [(at, at)]

    @pytest.mark.parametrize('at', [4, 7, 12, 256])
    def test_attention_that_cannot_be_had_is_refused(self, make, at):
        """Not left out, nor put elsewhere."""
        with pytest.raises(ValueError, match=f'attention_size={at}'):
            make(32, attention_size=at)

    def test_no_attention_by_default(self, make):
        assert len(make().attention) == 0

    def test_every_layer_is_normed(self, make):
        network = make(attention_size=16)
        for name, module in network.named_modules():
            if isinstance(module, (nn.Conv2d, nn.Linear, nn.Embedding)):
                expected = module is not getattr(
                    network, 'embedding', None
                ) or (make is make_discriminator)
                assert is_parametrized(module) == expected, name

    def test_starts_orthogonal(self, make):
        network = make(attention_size=16)
        for name, param in network.named_parameters():
            if not name.endswith(('weight', 'weight.original')):
                continue
            if param.dim() < 2:
                continue
            matrix = param.detach().flatten(1)
            if matrix.shape[0] > matrix.shape[1]:
                matrix = matrix.T
            torch.testing.assert_close(
                matrix @ matrix.T, torch.eye(len(matrix)), atol=1e-4, rtol=0
            )

    def test_a_fresh_network_is_normed_in_evaluation_mode_too(self, make):
        """Its singular vectors are those of the weights that it has."""
        for name, module in make(attention_size=16).eval().named_modules():
            if is_parametrized(module):
                value = torch.linalg.matrix_norm(module.weight.flatten(1), 2)
                assert value.item() == pytest.approx(1, abs=1e-3), name

    @pytest.mark.parametrize('size', [16, 48, 256, None])
    def test_another_size_lists_those_there_are(self, make, size):
        with pytest.raises(ValueError, match=r'image_size=.*\[32, 64, 128\]'):
            make(size)

    @pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
    def test_runs_in_low_precision(self, make, dtype):
        network = make(attention_size=16)
        with torch.autocast('cpu', dtype=dtype):
            out = run(network)
        assert out.isfinite().all()
        out.float().square().sum().backward()
        for name, param in network.named_parameters():
            assert param.grad is not None, name
            assert param.grad.isfinite().all(), name

    def test_builds_from_a_config(self, make):
        kind = type(make())
        cfg = dict(
            type=f'mmamp.{kind.__name__}',
            image_size=32,
            num_classes=3,
            base_channels=2,
        )
        assert isinstance(MODELS.build(cfg), kind)


def test_shortcuts_after_the_activation():
    """But that of the first block, which sees the image."""
    torch.manual_seed(0)
    net = BigGANDiscriminator(32, 3, base_channels=2, shortcut_act=True).eval()
    seen = {}
    for i, block in enumerate(net.blocks):
        block.shortcut.register_forward_pre_hook(
            lambda module, args, i=i: seen.update({i: args[0]})
        )
    net(torch.randn(2, 3, 32, 32), torch.zeros(2, dtype=torch.long))
    assert [bool((seen[i] < 0).any()) for i in seen] == [True] + 3 * [False]
