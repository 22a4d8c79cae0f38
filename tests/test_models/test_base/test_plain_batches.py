import logging

import numpy as np
import pytest
import torch
from mmengine.structures import BaseDataElement, InstanceData
from torch import Tensor, nn

from mmamp.checkpoint.primitives import to_primitives
from mmamp.models.base.kept_batches import KeptBatches
from mmamp.models.base.plain_batches import (
    batches_from,
    plain_batches,
    share_of,
)


class Image(Tensor):
    """As torchvision's."""


class Sample(BaseDataElement):
    """As those of MMEngine's toolboxes: a property with a type."""

    @property
    def gt(self):
        return self._gt

    @gt.setter
    def gt(self, value):
        self.set_field(value, '_gt', dtype=InstanceData)


def sample(number):
    gt = InstanceData(boxes=torch.full((2, 4), float(number)))
    found = Sample(metainfo=dict(path=f'{number}.png', size=(3, 4)))
    found.gt = gt
    found.score = torch.tensor(number)
    return found


def saved_and_loaded(value, tmp_path):
    torch.save(to_primitives(plain_batches(value)), tmp_path / 'x.pth')
    found = torch.load(tmp_path / 'x.pth', weights_only=True)
    return batches_from(found, 'cpu')


class TestPlain:
    def test_data_elements_come_back(self, tmp_path):
        (found,) = saved_and_loaded([sample(3)], tmp_path)
        assert type(found) is Sample
        assert type(found.gt) is InstanceData
        assert found.gt.boxes.tolist() == [[3.0] * 4] * 2
        assert found.score == 3
        assert found.metainfo == dict(path='3.png', size=(3, 4))

    @pytest.mark.parametrize(
        'value',
        [torch.ones(2).as_subclass(Image), nn.Parameter(torch.ones(2))],
    )
    def test_subclasses_of_tensors_are_tensors(self, value, tmp_path):
        found = saved_and_loaded(dict(x=value), tmp_path)['x']
        assert type(found) is Tensor
        assert not found.requires_grad
        assert found.tolist() == [1, 1]

    def test_arrays_are_arrays(self, tmp_path):
        value = dict(x=np.eye(2, dtype=np.float32), n=np.float32(2))
        found = saved_and_loaded(value, tmp_path)
        assert isinstance(found['x'], np.ndarray)
        assert found['x'].dtype == np.float32
        assert found['n'] == 2

    def test_all_else_is_what_it_was(self, tmp_path):
        value = dict(a=None, b='x', c=(1, [2.0]), d={'e': torch.ones(1)})
        assert saved_and_loaded(value, tmp_path) == value

    def test_a_class_that_is_gone_is_an_error(self):
        state = plain_batches(sample(1))
        state['mmamp.data_element'] = 'other.Sample'
        with pytest.raises(ValueError, match=r"class 'other\.Sample'.*custom"):
            batches_from(state, 'cpu')

    def test_what_cannot_be_saved_is_left_out_with_a_warning(self, mm_log):
        kept = KeptBatches()
        kept.add(dict(inputs=torch.ones(1), data_samples=[lambda: 0]))
        assert kept.state() == kept.state() == []
        assert mm_log(logging.WARNING).count('hold a builtins.function') == 1
        assert len(kept[0]['data_samples']) == 1


class TestShare:
    def batch(self, *numbers):
        return plain_batches(
            dict(
                inputs=torch.tensor(numbers),
                data_samples=[sample(number) for number in numbers],
                fields=[torch.tensor(numbers), torch.tensor(numbers) * 2],
                names=tuple(map(str, numbers)),
                scale=torch.tensor(2.0),
            )
        )

    @pytest.mark.parametrize('world_size', [1, 2, 4])
    def test_samples_are_dealt_out_anew(self, world_size):
        batches = [self.batch(0, 2), self.batch(1, 3)]
        for rank in range(world_size):
            found = batches_from(share_of(batches, rank, world_size), 'cpu')
            expected = list(range(4))[rank::world_size]
            assert found['inputs'].tolist() == expected
            assert [int(x.score) for x in found['data_samples']] == expected
            assert found['fields'][1].tolist() == [2 * x for x in expected]
            assert found['names'] == tuple(map(str, expected))
            assert found['scale'] == 2

    def test_nobody_has_what_one_rank_could_not_save(self):
        kept = KeptBatches()
        kept.load([[self.batch(0)], []], 'cpu')
        assert kept.state() == []
