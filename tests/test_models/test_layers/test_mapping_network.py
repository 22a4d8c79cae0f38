import pytest
import torch

from mmamp.models.layers.mapping_network import MappingNetwork


def rms(x):
    return x.square().mean().sqrt().item()


class TestMapping:
    def test_only_the_direction_of_the_noise_counts(self):
        network = MappingNetwork(6, 8, 3)
        noise = torch.randn(4, 6)
        torch.testing.assert_close(network(noise), network(1000 * noise))
        assert not torch.allclose(network(noise), network(noise + 1))

    def test_keeps_the_size_of_its_vectors(self):
        network = MappingNetwork(256, 256, 8)
        assert rms(network(torch.randn(64, 256))) == pytest.approx(1, rel=0.4)

    def test_learns_at_a_hundredth(self):
        layers = MappingNetwork(6, 8, 3).layers
        assert [layer.lr_mult for layer in layers] == [0.01] * 3


class TestClasses:
    """StyleGAN2-ADA's; its figures are in test_conditional_stylegan2.py."""

    def test_only_the_direction_of_the_embedding_counts(self):
        network = MappingNetwork(6, 8, 3, num_classes=4)
        noise, labels = torch.randn(4, 6), torch.arange(4)
        w = network(noise, labels)
        with torch.no_grad():
            network.embedding.weight.mul_(1000)
            network.embedding.bias.mul_(1000)
        torch.testing.assert_close(network(noise, labels), w)
        assert not torch.allclose(network(noise, labels.flip(0)), w)

    def test_alone(self):
        network = MappingNetwork(0, 8, 3, num_classes=4)
        w = network(None, torch.tensor([3, 1, 3]))
        assert w.shape == (3, 8)
        assert torch.equal(w[0], w[2])
        assert not torch.equal(w[0], w[1])

    def test_learn_at_the_full_rate(self):
        network = MappingNetwork(6, 8, 3, num_classes=4)
        assert network.embedding.lr_mult == 1.0
