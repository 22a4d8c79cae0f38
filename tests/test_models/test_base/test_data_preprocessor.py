import pytest
import torch

from mmamp.models import GANDataPreprocessor
from mmamp.registry import MODELS


def every_pixel_value():
    return torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16)


class TestNormalisation:
    def test_to_minus_one_and_one(self):
        images = GANDataPreprocessor()(dict(inputs=every_pixel_value()))
        assert images['inputs'].dtype is torch.float32
        flat = images['inputs'].flatten()
        assert flat[0] == -1
        assert flat[255] == 1
        torch.testing.assert_close(flat, torch.linspace(-1, 1, 256))

    @pytest.mark.parametrize(('mean', 'std'), [(127.5, 127.5), (0, 255.0)])
    def test_and_back(self, mean, std):
        preprocessor = GANDataPreprocessor(mean=mean, std=std)
        pixels = every_pixel_value()
        normalised = preprocessor(dict(inputs=pixels))['inputs']
        assert torch.equal(preprocessor.to_uint8(normalised), pixels)

    def test_back_rounds_and_clips(self):
        images = torch.tensor([-9.0, -1.0, 0.0039, 0.0041, 1.0, 9.0])
        pixels = GANDataPreprocessor().to_uint8(images.view(1, 1, 1, 6))
        assert pixels.dtype is torch.uint8
        assert pixels.flatten().tolist() == [0, 0, 128, 128, 255, 255]

    def test_back_from_low_precision(self):
        images = torch.full((1, 1, 1, 1), 0.5, dtype=torch.float16)
        assert GANDataPreprocessor().to_uint8(images).item() == 191

    def test_float_images_too(self):
        images = torch.full((1, 3, 2, 2), 255.0)
        inputs = GANDataPreprocessor()(dict(inputs=images))['inputs']
        assert torch.equal(inputs, torch.ones(1, 3, 2, 2))

    def test_leaves_the_batch_as_it_was(self):
        data = dict(inputs=torch.full((1, 1, 2, 2), 255.0))
        GANDataPreprocessor()(data)
        assert torch.equal(data['inputs'], torch.full((1, 1, 2, 2), 255.0))


class TestMemoryFormat:
    @pytest.mark.parametrize('dtype', [torch.uint8, torch.float32])
    @pytest.mark.parametrize(
        'memory_format', ['channels_last', 'contiguous_format']
    )
    def test_is_the_one_asked_for(self, dtype, memory_format):
        preprocessor = GANDataPreprocessor(memory_format=memory_format)
        pixels = torch.zeros(2, 3, 4, 4, dtype=dtype)
        inputs = preprocessor(dict(inputs=pixels))['inputs']
        wanted, other = torch.channels_last, torch.contiguous_format
        if memory_format == 'contiguous_format':
            wanted, other = other, wanted
        assert inputs.is_contiguous(memory_format=wanted)
        assert not inputs.is_contiguous(memory_format=other)

    def test_must_be_one_that_there_is(self):
        with pytest.raises(ValueError, match=r"'contiguous_format'.*'nhwc'"):
            GANDataPreprocessor(memory_format='nhwc')


class TestSamples:
    def test_pass_through(self):
        labels = torch.tensor([3, 4])
        data = dict(
            inputs=torch.zeros(2, 1, 4, 4, dtype=torch.uint8),
            data_samples=dict(gt_label=labels),
        )
        batch = GANDataPreprocessor()(data, training=True)
        assert torch.equal(batch['data_samples']['gt_label'], labels)

    def test_are_none_where_there_are_none(self):
        data = dict(inputs=torch.zeros(2, 1, 4, 4, dtype=torch.uint8))
        assert GANDataPreprocessor()(data)['data_samples'] is None

    def test_move_to_the_models_device(self):
        preprocessor = GANDataPreprocessor().to('meta')
        data = dict(
            inputs=torch.zeros(2, 1, 4, 4, dtype=torch.uint8),
            data_samples=dict(gt_label=torch.tensor([3, 4])),
        )
        batch = preprocessor(data)
        assert batch['inputs'].device.type == 'meta'
        assert batch['data_samples']['gt_label'].device.type == 'meta'


class TestOtherImages:
    """`gt_img` of a paired task, `target_img` of an unpaired one."""

    def batch(self, **samples):
        inputs = torch.zeros(2, 1, 4, 4, dtype=torch.uint8)
        return dict(inputs=inputs, data_samples=samples)

    @pytest.mark.parametrize('key', ['gt_img', 'target_img'])
    def test_are_normalised(self, key):
        pixels = every_pixel_value()
        data = self.batch(**{key: pixels}, gt_label=torch.tensor([3, 4]))
        batch = GANDataPreprocessor()(data)
        images = batch['data_samples'][key]
        assert images.dtype is torch.float32
        torch.testing.assert_close(
            images.flatten(), torch.linspace(-1, 1, 256)
        )
        assert batch['data_samples']['gt_label'].tolist() == [3, 4]
        assert data['data_samples'][key] is pixels
        assert pixels.dtype is torch.uint8

    def test_only_what_is_called_an_image(self):
        other = torch.full((2,), 255, dtype=torch.uint8)
        batch = GANDataPreprocessor()(self.batch(gt_img_number=other))
        assert torch.equal(batch['data_samples']['gt_img_number'], other)

    def test_take_the_memory_format_and_the_device(self):
        pixels = torch.zeros(2, 3, 4, 4, dtype=torch.uint8)
        preprocessor = GANDataPreprocessor(memory_format='channels_last').to(
            'meta'
        )
        batch = preprocessor(self.batch(gt_img=pixels))
        images = batch['data_samples']['gt_img']
        assert images.device.type == 'meta'
        assert images.is_contiguous(memory_format=torch.channels_last)

    def test_a_list_of_them(self):
        data = self.batch(gt_img=[torch.zeros(1, 4, 4)])
        with pytest.raises(TypeError, match=r'`gt_img`.*list.*collate'):
            GANDataPreprocessor()(data)

    def test_another_shape(self):
        data = self.batch(target_img=torch.zeros(1, 4, 4))
        with pytest.raises(ValueError, match=r'`target_img`.*\(1, 4, 4\)'):
            GANDataPreprocessor()(data)


class TestErrors:
    def test_a_list_of_images_says_what_to_set(self):
        data = dict(inputs=[torch.zeros(1, 4, 4), torch.zeros(1, 4, 4)])
        with pytest.raises(TypeError, match=r'list.*default_collate'):
            GANDataPreprocessor()(data)

    @pytest.mark.parametrize(
        'data', [dict(), [], None, torch.ones(1, 1, 2, 2)]
    )
    def test_a_batch_that_is_no_dict_of_inputs(self, data):
        with pytest.raises(TypeError, match='`inputs`'):
            GANDataPreprocessor()(data)

    @pytest.mark.parametrize('shape', [(4, 4), (1, 4, 4), (1, 1, 1, 4, 4)])
    def test_another_shape(self, shape):
        with pytest.raises(ValueError, match=r'\(N, C, H, W\)'):
            GANDataPreprocessor()(dict(inputs=torch.zeros(shape)))

    @pytest.mark.parametrize('std', [0, -1.0])
    def test_std(self, std):
        with pytest.raises(ValueError, match=f'std must be > 0.*{std}'):
            GANDataPreprocessor(std=std)


def test_builds_from_a_config():
    cfg = dict(type='mmamp.GANDataPreprocessor', mean=0.0, std=255.0)
    assert isinstance(MODELS.build(cfg), GANDataPreprocessor)
