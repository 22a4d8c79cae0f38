import subprocess
import sys

import pytest
import torch

from mmamp.evaluation.images import (
    fake_images,
    library,
    places_of,
    real_images,
)

PICTURES = torch.arange(2 * 3 * 4 * 4, dtype=torch.uint8).view(2, 3, 4, 4)


class TestFake:
    def test_are_stacked(self):
        samples = [dict(fake_img=image) for image in PICTURES]
        assert torch.equal(fake_images(samples), PICTURES)

    @pytest.mark.parametrize(
        ('sample', 'found'),
        [
            (dict(fake_img=torch.zeros(1, 4, 4)), 'float32.*1, 4, 4'),
            (dict(image=PICTURES[0]), 'image: a tensor'),
            (PICTURES[0], 'a tensor of torch.uint8'),
        ],
    )
    def test_without_an_image(self, sample, found):
        with pytest.raises(TypeError, match=f'`fake_img`.*{found}'):
            fake_images([sample])

    def test_of_several_shapes(self):
        samples = [dict(fake_img=x) for x in (PICTURES[0], PICTURES[0, :1])]
        with pytest.raises(ValueError, match=r'\(1, 4, 4\), \(3, 4, 4\)'):
            fake_images(samples)

    def test_of_two_dimensions(self):
        with pytest.raises(ValueError, match=r'but got \(4, 4\)'):
            fake_images([dict(fake_img=PICTURES[0, 0])])

    def test_none(self):
        with pytest.raises(ValueError, match='no image'):
            fake_images([])


class TestReal:
    @pytest.mark.parametrize('key', ['inputs', 'gt_img'])
    def test_are_where_the_key_says(self, key):
        other = torch.zeros_like(PICTURES)
        batch = dict(inputs=other, data_samples=dict(gt_img=other))
        part = batch if key == 'inputs' else batch['data_samples']
        part[key] = PICTURES
        assert torch.equal(real_images(batch, key, like=other), PICTURES)

    @pytest.mark.parametrize(
        'batch',
        [
            None,
            dict(inputs=PICTURES),
            dict(inputs=PICTURES, data_samples=None),
            dict(inputs=PICTURES, data_samples=dict(gt_label=3)),
        ],
    )
    def test_missing(self, batch):
        with pytest.raises(TypeError, match=r"data_samples\['gt_img'\]"):
            real_images(batch, 'gt_img', like=PICTURES)

    def test_says_what_there_is(self):
        batch = dict(data_samples=dict(gt_label=3, target_img=PICTURES))
        with pytest.raises(TypeError, match='gt_label, target_img'):
            real_images(batch, 'gt_img', like=PICTURES)

    def test_floats(self):
        batch = dict(inputs=PICTURES.float())
        with pytest.raises(TypeError, match=r'`inputs`.*torch\.float32'):
            real_images(batch, 'inputs', like=PICTURES)

    def test_of_another_shape(self):
        batch = dict(inputs=PICTURES[:, :1])
        with pytest.raises(
            ValueError, match=r'\(2, 1, 4, 4\).*\(2, 3, 4, 4\)'
        ):
            real_images(batch, 'inputs', like=PICTURES)


def test_places_of_ranks_are_those_of_torchs_samplers(as_rank):
    assert places_of(3, 4) == [4, 5, 6]
    with as_rank(1, world_size=2):
        assert places_of(3, 4) == [9, 11, 13]


def test_a_missing_library_is_one_line():
    with pytest.raises(
        ImportError,
        match=r"dict needs no_such.*pip install 'mmamp\[metrics\]'",
    ) as error:
        library('no_such.thing', {})
    assert '\n' not in str(error.value)


def test_the_package_does_without_them(environment):
    code = (
        'import sys, mmamp; from mmamp.registry import METRICS; '
        "assert METRICS.get('FeatureMetric'); "
        "print([x for x in ('torchmetrics', 'sklearn') if x in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, '-c', code],
        env=environment(),
        capture_output=True,
        text=True,
    )
    assert result.stdout.strip() == '[]', result.stderr
