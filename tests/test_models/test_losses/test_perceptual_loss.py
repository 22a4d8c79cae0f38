import pytest
import torch
import torch.nn.functional as F
from mmcv.cnn import VGG
from mmengine.model import BaseDataPreprocessor, ImgDataPreprocessor
from mmengine.runner.checkpoint import get_state_dict
from torch import nn

from mmamp.models import GANDataPreprocessor, PerceptualLoss
from mmamp.models.gans.srgan import SRGAN
from mmamp.registry import MODELS


@pytest.fixture(scope='module')
def weights(tmp_path_factory):
    """A file as torchvision's, the last layers of the classifier left out."""
    torch.manual_seed(0)
    network = VGG(19)
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            # Enough of a signal to be seen sixteen layers on.
            nn.init.kaiming_normal_(module.weight)
            nn.init.normal_(module.bias, std=0.1)
    path = tmp_path_factory.mktemp('vgg') / 'vgg19-dcbb9e9d.pth'
    state = dict(network.state_dict())
    state['classifier.0.weight'] = torch.zeros(2, 2)
    torch.save(state, path)
    return str(path)


def images(seed=0, channels=3, num=2):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(num, channels, 32, 32, generator=generator) * 2 - 1


def reference(path, image, num_layers):
    """Features by torch's functions alone."""
    state = torch.load(path, weights_only=True)
    x = (image + 1) / 2  # [0, 1], as torchvision's weights have it
    x = x - torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
    x = x / torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    convs = [2, 2, 4, 4, 4]
    i = done = 0
    for stage in convs:
        for _ in range(stage):
            x = F.conv2d(
                x,
                state[f'features.{i}.weight'],
                state[f'features.{i}.bias'],
                padding=1,
            )
            done += 1
            if done == num_layers:
                return x
            x = F.relu(x)
            i += 2
        x = F.max_pool2d(x, 2)
        i += 1
    raise AssertionError(num_layers)


class TestValue:
    @pytest.mark.parametrize('criterion', ['l1', 'mse'])
    @pytest.mark.parametrize('name', ['conv5_4', 'relu5_4'])
    def test_of_the_papers_layers(self, weights, criterion, name):
        loss = PerceptualLoss({name: 2.0}, weights, criterion, loss_weight=0.5)
        one, other = (reference(weights, images(s), 16) for s in (0, 1))
        if name == 'relu5_4':
            one, other = one.relu(), other.relu()
        else:
            assert (one < 0).any()
        difference = one - other
        expected = (
            difference.abs() if criterion == 'l1' else difference.square()
        ).mean()
        assert expected > 1e-3
        torch.testing.assert_close(loss(images(0), images(1)), expected)

    def test_of_several_layers(self, weights):
        """An activation leaves what is before it as it was."""
        parts = dict(conv1_2=0.5, relu1_2=1.5, conv3_1=2.0)
        whole = PerceptualLoss(parts, weights)(images(0), images(1))
        expected = sum(
            PerceptualLoss({name: weight}, weights)(images(0), images(1))
            for name, weight in parts.items()
        )
        torch.testing.assert_close(whole, expected)
        one, other = (reference(weights, images(s), 2) for s in (0, 1))
        torch.testing.assert_close(
            PerceptualLoss(dict(conv1_2=1.0), weights)(images(0), images(1)),
            (one - other).abs().mean(),
        )

    def test_grey_is_repeated(self, weights):
        loss = PerceptualLoss(dict(conv2_1=1.0), weights)
        grey, other = images(0, 1), images(1, 1)
        torch.testing.assert_close(
            loss(grey, other),
            loss(grey.repeat(1, 3, 1, 1), other.repeat(1, 3, 1, 1)),
        )

    def test_equal_images_have_none(self, weights):
        loss = PerceptualLoss(dict(relu3_4=1.0), weights)
        assert loss(images(), images()).item() == 0


class TestRange:
    """Of the images, which the data preprocessor says."""

    @pytest.mark.parametrize(
        ('mean', 'std'), [(0.0, 255.0), (0.0, 1.0), (100.0, 50.0)]
    )
    def test_whatever_the_normalisation(self, weights, mean, std):
        loss = PerceptualLoss(dict(conv2_1=1.0), weights)
        one, other = images(0), images(1)
        wanted = loss(one, other)
        loss.in_range_of(GANDataPreprocessor(mean, std))
        pixels = [(x + 1) * 127.5 for x in (one, other)]
        found = loss(*((x - mean) / std for x in pixels))
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=0)

    def test_of_each_channel(self, weights):
        """As MMEngine's preprocessor has them."""
        loss = PerceptualLoss(dict(conv2_1=1.0), weights)
        one, other = images(0), images(1)
        wanted = loss(one, other)
        mean, std = [100.0, 110.0, 120.0], [50.0, 60.0, 70.0]
        loss.in_range_of(ImgDataPreprocessor(mean, std))
        mean, std = (torch.tensor(x).view(3, 1, 1) for x in (mean, std))
        pixels = [(x + 1) * 127.5 for x in (one, other)]
        found = loss(*((x - mean) / std for x in pixels))
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=0)

    def test_the_model_says_it(self, weights):
        model = SRGAN(
            nn.Identity(),
            nn.Linear(1, 1),
            data_preprocessor=dict(
                type='mmamp.GANDataPreprocessor', mean=0.0, std=255.0
            ),
            perceptual_loss=dict(
                type='mmamp.PerceptualLoss',
                layer_weights=dict(conv2_1=1.0),
                weights=weights,
            ),
        )
        unit = [(images(seed) + 1) / 2 for seed in (0, 1)]
        torch.testing.assert_close(
            model.perceptual_loss(*unit),
            PerceptualLoss(dict(conv2_1=1.0), weights)(images(0), images(1)),
            rtol=1e-4,
            atol=0,
        )

    def test_an_unknown_one_is_told(self, weights, mm_log):
        loss = PerceptualLoss(dict(conv2_1=1.0), weights)
        loss.in_range_of(BaseDataPreprocessor())
        assert 'BaseDataPreprocessor has no mean and std; images' in mm_log()


class TestGradient:
    def test_goes_to_the_result_alone(self, weights):
        loss = PerceptualLoss(dict(conv3_1=1.0), weights)
        pred = images(0).requires_grad_()
        target = images(1).requires_grad_()
        loss(pred, target).backward()
        assert pred.grad.abs().sum() > 0
        assert target.grad is None
        for param in loss._network[0].parameters():
            assert param.grad is None


class TestIsNoPartOfTheModel:
    def test_of_its_state_or_parameters(self, weights):
        loss = PerceptualLoss(dict(conv1_1=1.0), weights)
        assert not list(loss.parameters())
        assert not loss.state_dict()
        assert not get_state_dict(loss)

    def test_follows_to_a_device(self, weights):
        loss = PerceptualLoss(dict(conv1_1=1.0), weights)
        loss.init_weights()
        holder = nn.Sequential(loss).to('meta')
        assert holder[0]._network[0][0].weight.device.type == 'meta'
        assert holder[0].mean.device.type == 'meta'

    def test_stays_in_evaluation_mode(self, weights):
        loss = PerceptualLoss(dict(relu1_1=1.0), weights)
        loss.init_weights()
        loss.train()
        assert not any(m.training for m in loss._network[0].modules())


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_autocast(weights, dtype):
    """The network runs in low precision, the comparison in float32."""
    loss = PerceptualLoss(dict(conv2_1=1.0), weights)
    seen = []
    loss.init_weights()
    loss._network[0][-1].register_forward_hook(
        lambda m, i, out: seen.append(out.dtype)
    )
    wanted = loss(images(0), images(1))
    pred = images(0).requires_grad_()
    with torch.autocast('cpu', dtype=dtype):
        low = loss(pred.to(dtype), images(1))
    assert seen == [torch.float32] * 2 + [dtype] * 2
    assert low.dtype is torch.float32
    torch.testing.assert_close(low, wanted, rtol=0.05, atol=0)
    low.backward()
    assert pred.grad.isfinite().all()


class TestMistakes:
    def test_no_file(self):
        loss = PerceptualLoss(dict(conv5_4=1.0), 'nowhere.pth')
        with pytest.raises(
            FileNotFoundError,
            match='no file .nowhere.pth.*download https://download.pytorch.org'
            '/models/vgg19-dcbb9e9d.pth.*configs/srgan/srgan_photos-x4.py',
        ):
            loss.init_weights()

    def test_what_is_no_file_of_weights(self, tmp_path):
        path = tmp_path / 'page.html'
        path.write_text('<html>not found</html>')
        loss = PerceptualLoss(dict(conv5_4=1.0), str(path))
        with pytest.raises(ValueError, match='page.html.*cannot be read'):
            loss.init_weights()

    def test_none_is_needed_without_training(self):
        """A model can be tested and moved where the file is not."""
        loss = PerceptualLoss(dict(conv5_4=1.0), 'nowhere.pth')
        assert not nn.Sequential(loss).to('cpu').eval().state_dict()

    def test_another_file(self, tmp_path):
        path = tmp_path / 'other.pth'
        torch.save({'conv.weight': torch.zeros(1)}, path)
        with pytest.raises(
            ValueError, match=r"lacks 'features.0.weight': it is at https"
        ):
            PerceptualLoss(dict(conv5_4=1.0), str(path)).init_weights()

    @pytest.mark.parametrize('layers', [dict(conv5_5=1.0), {}])
    def test_unknown_layer(self, weights, layers):
        with pytest.raises(ValueError, match='some of conv1_1, relu1_1, conv'):
            PerceptualLoss(layers, weights)

    def test_unknown_criterion(self, weights):
        with pytest.raises(ValueError, match="'l2' is unknown: give one of"):
            PerceptualLoss(dict(conv5_4=1.0), weights, criterion='l2')


def test_builds_from_a_config(weights):
    loss = MODELS.build(
        dict(
            type='mmamp.PerceptualLoss',
            layer_weights=dict(conv1_1=1.0),
            weights=weights,
        )
    )
    assert isinstance(loss, PerceptualLoss)
