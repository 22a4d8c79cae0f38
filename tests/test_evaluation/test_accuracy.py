import pytest
import torch

from mmamp.evaluation import Accuracy


def test_is_a_percentage_over_batches():
    metric = Accuracy()
    for labels, found in (([1, 2, 3], [1, 2, 0]), ([4], [4])):
        batch = dict(data_samples=dict(gt_label=torch.tensor(labels)))
        metric.process(batch, [dict(pred_label=x) for x in found])
    assert metric.evaluate(4) == dict(accuracy=75.0)


def test_a_prediction_is_missing():
    batch = dict(data_samples=dict(gt_label=torch.tensor([1, 2])))
    with pytest.raises(ValueError, match='longer'):
        Accuracy().process(batch, [dict(pred_label=1)])
