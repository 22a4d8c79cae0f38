"""The shipped configs that are trained, and what makes them small."""

from collections.abc import Iterable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path


@dataclass(frozen=True)
class Entry:
    """A shipped config.

    Attributes:
        toolbox (str): Its package.
        path (str): Of the config, in the package's ``configs``.
        edit (str): Python on ``cfg`` that makes it small, or names the data.
        sizes (bool): Whether pictures can be made smaller.
    """

    toolbox: str
    path: str
    edit: str = ''
    sizes: bool = False

    @property
    def name(self) -> str:
        """str: Unique."""
        return f'{self.toolbox}/{self.path}'

    @property
    def base(self) -> str:
        """str: As ``_base_`` names it, where MMEngine finds that.

        No folder there has a hyphen, and the fork's mmseg is not found.
        """
        from mmengine.utils import is_installed

        folder = self.path.rpartition('/')[0]
        is_found = self.toolbox != 'mmseg' or is_installed('mmsegmentation')
        if '-' not in folder and is_found:
            return f'{self.toolbox}::{self.path}'
        package = Path(str(import_module(self.toolbox).__file__)).parent
        return str(package / '.mim/configs' / self.path)


def entries(
    toolbox: str,
    paths: Iterable[str],
    edit: str = '',
    sizes: bool = False,
    edits: dict[str, str] | None = None,
) -> list[Entry]:
    """Return entries of one kind; some may have an edit of their own."""
    own = edits or {}
    return [
        Entry(
            toolbox,
            path,
            '\n'.join(
                [edit, *(v for k, v in own.items() if path.startswith(k))]
            ),
            sizes,
        )
        for path in paths
    ]


CLASSIFIERS = [
    *entries(
        'mmpretrain',
        [
            'resnet/resnet18_8xb32_in1k.py',
            'mobilenet_v2/mobilenet-v2_8xb32_in1k.py',
            'mobilenet_v3/mobilenet-v3-small_8xb128_in1k.py',
            'regnet/regnetx-400mf_8xb128_in1k.py',
            'repvgg/repvgg-A0_8xb32_in1k.py',
            'efficientnet/efficientnet-b0_8xb32_in1k.py',
            'convnext/convnext-tiny_32xb128_in1k.py',
            'poolformer/poolformer-s12_32xb128_in1k.py',
            'mocov2/mocov2_resnet50_8xb32-coslr-200e_in1k.py',
            'simsiam/simsiam_resnet50_8xb32-coslr-100e_in1k.py',
        ],
        sizes=True,
        edits={'mocov2': 'cfg.model.queue_len = 64'},
    ),
    *entries(
        'mmpretrain',
        [
            'deit/deit-tiny_4xb256_in1k.py',
            # Of small pictures its gradients are too large for float16.
            'mobileone/mobileone-s0_8xb32_in1k.py',
            'mobilevit/mobilevit-xxsmall_8xb128_in1k.py',
            'swin_transformer/swin-tiny_16xb64_in1k.py',
            'swav/swav_resnet50_8xb32-mcrop-coslr-200e_in1k-224px-96px.py',
            'arcface/resnet50-arcface_8xb32_inshop.py',
        ],
        edits={
            'swav': 'cfg.model.head.loss.update(num_crops=[2, 6])',
            'arcface': """
for node in dicts(cfg._cfg_dict):
    if node.get('type') == 'InShop':
        node.clear()
        node.update(
            type='ImageNet', data_root='data/imagenet', split='train',
            pipeline=[
                dict(type='LoadImageFromFile'),
                dict(type='Resize', scale=64),
                dict(type='PackInputs')])
cfg.model.prototype = dict(
    batch_size=2, num_workers=0, persistent_workers=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=cfg.train_dataloader.dataset)
cfg.model.head.num_classes = 1000
cfg.val_evaluator = [dict(type='RetrievalRecall', topk=1)]
cfg.test_evaluator = cfg.val_evaluator
""",
        },
    ),
]
SEGMENTERS = entries(
    'mmseg',
    [
        'fcn/fcn_r50-d8_4xb4-80k_ade20k-512x512.py',
        'pspnet/pspnet_r18-d8_4xb2-80k_cityscapes-512x1024.py',
        'deeplabv3plus/deeplabv3plus_r18-d8_4xb2-80k_cityscapes-512x1024.py',
        'bisenetv2/bisenetv2_fcn_4xb4-160k_cityscapes-1024x1024.py',
        'pidnet/pidnet-s_2xb6-120k_1024x1024-cityscapes.py',
        'segformer/segformer_mit-b0_8xb2-160k_ade20k-512x512.py',
        'fastscnn/fast_scnn_8xb4-160k_cityscapes-512x1024.py',
        'stdc/stdc1_4xb12-80k_cityscapes-512x1024.py',
        'hrnet/fcn_hr18_4xb2-40k_cityscapes-512x1024.py',
        'segnext/segnext_mscan-t_1xb16-adamw-160k_ade20k-512x512.py',
        'sem_fpn/fpn_r50_4xb4-160k_ade20k-512x512.py',
        'upernet/upernet_r50_4xb4-80k_ade20k-512x512.py',
        'mask2former/mask2former_r50_8xb2-160k_ade20k-512x512.py',
    ],
    "cfg.model.setdefault('test_cfg', {}).update(mode='whole')",
    True,
    # It weighs classes, and looks up a weight for those that are ignored too.
    # Its branches meet where sides are multiples of 64.
    {
        'pidnet': """
cfg.model.data_preprocessor.seg_pad_val = 0
cfg.val_dataloader.dataset.pipeline[1].keep_ratio = False
"""
    },
)
DETECTORS = entries(
    'mmdet',
    [
        'retinanet/retinanet_r50_fpn_1x_coco.py',
        'faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py',
        'mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py',
        'cascade_rcnn/cascade-mask-rcnn_r50_fpn_1x_coco.py',
        'detr/detr_r50_8xb2-150e_coco.py',
        'deformable_detr/deformable-detr_r50_16xb2-50e_coco.py',
        'yolox/yolox_tiny_8xb8-300e_coco.py',
        'rtmdet/rtmdet_tiny_8xb32-300e_coco.py',
        'fcos/fcos_r50-caffe_fpn_gn-head_1x_coco.py',
        'atss/atss_r50_fpn_1x_coco.py',
        'gfl/gfl_r50_fpn_1x_coco.py',
    ],
    """
for node in dicts(cfg.model):
    for key in ('nms_pre', 'max_per_img'):
        if key in node:
            node[key] = 50
""",
    True,
)
POSES = entries(
    'mmpose',
    [
        'body_2d_keypoint/topdown_heatmap/coco/'
        'td-hm_res50_8xb64-210e_coco-256x192.py',
        'body_2d_keypoint/topdown_regression/coco/'
        'td-reg_res50_8xb64-210e_coco-256x192.py',
        'body_2d_keypoint/topdown_regression/coco/'
        'td-reg_res50_rle-8xb64-210e_coco-256x192.py',
        'body_2d_keypoint/simcc/coco/'
        'simcc_mobilenetv2_wo-deconv-8xb64-210e_coco-256x192.py',
        'body_2d_keypoint/rtmpose/coco/rtmpose-t_8xb256-420e_coco-256x192.py',
        'body_2d_keypoint/integral_regression/coco/'
        'ipr_res50_8xb64-210e_coco-256x256.py',
        'body_2d_keypoint/simcc/coco/simcc_res50_8xb64-210e_coco-256x192.py',
    ],
    "cfg.val_dataloader.dataset.pop('bbox_file', None)",
)
GANS = entries(
    'mmagic',
    [
        'dcgan/dcgan_Glr4e-4_Dlr1e-4_1xb128-5kiters_mnist-64x64.py',
        'lsgan/lsgan_dcgan-archi_lr1e-3-1xb128-12Mimgs_'
        'celeba-cropped-64x64.py',
        'ggan/ggan_dcgan-archi_lr1e-3-1xb128-12Mimgs_celeba-cropped-64x64.py',
        'wgan-gp/wgangp_GN_1xb64-160kiters_celeba-cropped-128x128.py',
        'sagan/sagan_woReLUinplace_lr2e-4-ndisc5-1xb64_cifar10-32x32.py',
        'sngan_proj/sngan-proj_woReLUinplace_lr2e-4-ndisc5-1xb64_'
        'cifar10-32x32.py',
        'biggan/biggan_2xb25-500kiters_cifar10-32x32.py',
        'styleganv2/stylegan2_c2_8xb4_ffhq-1024x1024.py',
        'pggan/pggan_8xb4-12Mimgs_celeba-cropped-128x128.py',
        'singan/singan_balloons.py',
        'cyclegan/cyclegan_lsgan-id0-resnet-in_1xb1-270kiters_horse2zebra.py',
        'pix2pix/pix2pix_vanilla-unet-bn_1xb1-220kiters_maps2aerial.py',
        'positional_encoding_in_gans/'
        'mspie-stylegan2-config-d_c2_8xb3-1100kiters_ffhq-256-512.py',
    ],
    'pictures(cfg)',
    edits={
        'dcgan': 'pictures(cfg, 64)',
        'cyclegan': 'cfg.custom_hooks = []\npictures(cfg, 64)',
        'pix2pix': 'cfg.custom_hooks = []',
        'wgan-gp': """
for name in ('generator', 'discriminator'):
    cfg.model[name].pop('base_channels', None)
""",
        'styleganv2': """
for name in ('generator', 'discriminator'):
    for key in ('out_size', 'in_size'):
        if key in cfg.model[name]:
            cfg.model[name][key] = 32
cfg.train_dataloader.dataset.pipeline.insert(
    1, dict(type='Resize', keys='gt', scale=(32, 32)))
""",
        'positional': """
cfg.model.generator.out_size = cfg.model.discriminator.in_size = 32
cfg.model.train_settings.num_upblocks = 3
cfg.train_dataloader.dataset.pipeline.insert(
    1, dict(type='Resize', keys='gt', scale=(32, 32)))
""",
        'pggan': """
cfg.train_dataloader.dataset.data_roots = {'128': 'data/pictures/train/gt'}
""",
    },
)
EDITORS = entries(
    'mmagic',
    [
        'srcnn/srcnn_x4k915_1xb16-1000k_div2k.py',
        'edsr/edsr_x4c64b16_1xb16-300k_div2k.py',
        'srgan_resnet/srgan_x4c64b16_1xb16-1000k_div2k.py',
        'esrgan/esrgan_x4c64b23g32_1xb16-400k_div2k.py',
        'aot_gan/aot-gan_smpgan_4xb4_places-512x512.py',
        'deepfillv1/deepfillv1_8xb2_places-256x256.py',
        'deepfillv2/deepfillv2_8xb2_places-256x256.py',
        'global_local/gl_8xb12_places-256x256.py',
        'partial_conv/pconv_stage1_8xb12_places-256x256.py',
        'deblurganv2/deblurganv2_fpn-mobilenet_1xb1_gopro.py',
        'ttsr/ttsr-gan_x4c64b16_1xb9-500k_CUFED.py',
        'dic/dic_gan-x8c48b6_4xb2-500k_celeba-hq.py',
        'real_basicvsr/realbasicvsr_c64b20-1x30x8_8xb1-lr5e-5-150k_reds.py',
    ],
    'pictures(cfg)',
    edits={
        # What it feels of faces is a network from elsewhere.
        'dic': """
cfg.model.pop('feature_loss')
cfg.model.train_cfg.pixel_init = 0
""",
        'real_basicvsr': """
cfg.model.generator.update(
    mid_channels=8, num_propagation_blocks=1, num_cleaning_blocks=1,
    spynet_pretrained=None)
cfg.train_dataloader.dataset.update(
    data_root='data/pictures', num_input_frames=2,
    data_prefix=dict(img='frames', gt='frames'))
for node in dicts(cfg.train_dataloader):
    if node.get('type') == 'DegradationsWithShuffle':
        node['degradations'] = node['degradations'][1:]
pipeline = cfg.train_dataloader.dataset.pipeline
pipeline[:] = [x for x in pipeline if x.type != 'RandomVideoCompression']
""",
        # Their discriminators are of 128 pixels.
        **dict.fromkeys(
            ['srgan', 'esrgan'],
            """
for node in dicts(cfg.train_dataloader):
    if 'gt_patch_size' in node:
        node['gt_patch_size'] = 128
""",
        ),
        'srcnn': 'pictures(cfg, validates=True)',
        'edsr': 'pictures(cfg, validates=True)',
    },
)
READERS = entries(
    'mmocr',
    [
        'textdet/dbnet/dbnet_resnet18_fpnc_1200e_icdar2015.py',
        'textrecog/crnn/crnn_mini-vgg_5e_mj.py',
        'textrecog/satrn/satrn_shallow-small_5e_st_mj.py',
    ],
    """
for node in dicts(cfg._cfg_dict):
    if node.get('type') == 'OCRDataset':
        task = node['ann_file'].partition('_')[0]
        node.update(data_root='data/ocr', ann_file=f'{task}.json')
""",
    True,
    edits={
        'textrecog': """
for mode in ('train', 'val', 'test'):
    data = cfg[f'{mode}_dataloader'].dataset
    data.datasets = data.datasets[:1]
for mode in ('val', 'test'):
    cfg[f'{mode}_evaluator'].dataset_prefixes = ['one']
"""
    },
)
ACTIONS = entries(
    'mmaction',
    [
        'recognition/tsn/'
        'tsn_imagenet-pretrained-r50_8xb32-1x1x3-100e_kinetics400-rgb.py',
        'recognition/tsm/tsm_imagenet-pretrained-mobilenetv2_8xb16-'
        '1x1x8-100e_kinetics400-rgb.py',
        'skeleton/stgcn/stgcn_8xb16-joint-u100-80e_ntu60-xsub-keypoint-2d.py',
    ],
    sizes=True,
    edits={
        'recognition': """
for node in dicts(cfg._cfg_dict):
    if node.get('type') == 'MultiScaleCrop':
        node['input_size'] = 64
""",
        # It would have its weights from elsewhere.
        'recognition/tsm': 'cfg.model.backbone.pretrained2d = False',
        'skeleton': 'cfg.train_dataloader.dataset.times = 1',
    },
)
ENTRIES = [
    *CLASSIFIERS,
    *SEGMENTERS,
    *DETECTORS,
    *POSES,
    *GANS,
    *EDITORS,
    *READERS,
    *ACTIONS,
]
