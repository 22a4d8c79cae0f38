import sys
from unittest.mock import MagicMock

import pytest
import torch

from mmamp.evaluation import FeatureMetric, InceptionV3
from mmamp.registry import MODELS


def test_says_where_to_get_the_weights():
    with pytest.raises(
        FileNotFoundError, match=r"'no\.pth'.*https://github.com/toshas"
    ):
        InceptionV3('no.pth')


def test_torch_fidelity_is_missing(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'torch_fidelity', None)
    torch.save({}, tmp_path / 'weights.pth')
    with pytest.raises(
        ImportError, match=r"InceptionV3.*pip install 'mmamp\[inception\]'"
    ):
        InceptionV3(str(tmp_path / 'weights.pth'))


def test_a_file_that_holds_more_than_tensors(tmp_path):
    torch.save(dict(weight=MagicMock), tmp_path / 'weights.pth')
    with pytest.raises(Exception, match='[Ww]eights.only'):
        InceptionV3(str(tmp_path / 'weights.pth'))


@pytest.fixture(scope='module')
def weights(tmp_path_factory):
    """A file of random weights of that architecture."""
    # For other networks' sake it imports torchvision, and there may be none
    # for this torch.
    with pytest.MonkeyPatch.context() as patch:
        for name in ('', '.datasets', '.transforms', '.transforms.functional'):
            patch.setitem(sys.modules, f'torchvision{name}', MagicMock())
        pytest.importorskip(
            'torch_fidelity', reason="needs `pip install 'mmamp[inception]'`"
        )
    from torch_fidelity import feature_extractor_inceptionv3 as extractor

    path = tmp_path_factory.mktemp('inception') / 'weights.pth'
    torch.manual_seed(0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            extractor.FeatureExtractorInceptionV3,
            'load_state_dict',
            MagicMock(),
        )
        patch.setattr(extractor, 'load_state_dict_from_url', MagicMock())
        network = extractor.FeatureExtractorInceptionV3('any', ['2048'])
    torch.save(network.state_dict(), path)
    return str(path)


class TestRandomWeights:
    def test_grey_images_are_repeated(self, weights):
        network = MODELS.build(dict(type='mmamp.InceptionV3', weights=weights))
        grey = torch.randint(0, 256, (2, 1, 32, 32)).byte()
        features, logits = network(grey)
        assert features.shape == (2, 2048)
        assert logits.shape == (2, 1008)
        colour = network(grey.repeat(1, 3, 1, 1))
        torch.testing.assert_close((features, logits), colour)
        assert not torch.equal(features[0], features[1])

    def test_scores(self, weights, evaluate, images):
        metric = FeatureMetric(
            dict(type='mmamp.InceptionV3', weights=weights), is_splits=1
        )
        same = images(8)
        found = evaluate(metric, same, same, batch_size=8)
        assert found['FID'] == pytest.approx(0, abs=1e-3)
        assert 0.99 < found['IS'] < 8
