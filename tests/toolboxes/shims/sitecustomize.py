"""What the toolboxes need today to be imported at all, in one table.

Python runs this file by itself where its folder is in ``PYTHONPATH``. The
toolboxes are those of the registry, unchanged; what is missing beside them is
made here, and nothing of theirs is copied.
"""

import importlib.abc
import importlib.machinery
import importlib.util
import sys
import types

TABLE = [
    (
        'torchvision 0.28.0 beside a CPU build of torch 2.13.0',
        "its compiled operators want torch's CUDA libraries, and its import "
        'ends where it describes two of them',
        'the two are declared, without a kernel',
    ),
    (
        'mmcv-lite 2.1.0 (where mmcv was not built)',
        'mmdet and mmagic import compiled operators that it lacks',
        'suppression of boxes and RoIAlign in plain code, for the dtypes '
        'of the real ones; the others are errors where they are called',
    ),
    (
        'mmocr 1.0.1 beside mmdet 3.3.0',
        'refuses mmdet 3.2.0 and later, by its number alone',
        'mmdet tells mmocr that it is 3.1.0',
    ),
    (
        'mmaction2 1.2.0',
        "its wheel lacks the folder of a localizer ('drn') that it imports",
        'an empty class of that name',
    ),
    (
        'mmagic 1.2.0 with mmengine 0.10.7',
        'weights of DCGAN, LSGAN, GGAN, BigGAN, CycleGAN and pix2pix are not '
        'initialised: they write a text into a record that mmengine keeps of '
        'each module, and the text is set for layers alone',
        'only layers are asked, or the records are out of the way',
    ),
    (
        'mmagic 1.2.0 without a network',
        'perceptual losses fetch the weights of a VGG',
        'the VGG has random ones',
    ),
    (
        'mmagic 1.2.0 without a network',
        'DIC finds the points of faces by a network that is fetched',
        'the points are always the same',
    ),
]
"""What it is about, what happens, what is done."""


def declare_torchvision_operators():
    """Declare what torchvision's import describes."""
    import torch

    library = torch.library.Library('torchvision', 'FRAGMENT')
    for name in ('nms', 'qnms'):
        if not hasattr(torch.ops.torchvision, name):
            library.define(
                f'{name}(Tensor dets, Tensor scores, float iou_threshold)'
                ' -> Tensor'
            )
    return library


def nms(boxes, scores, iou_threshold, offset):
    """Return the boxes that none of a higher score overlaps."""
    import numpy as np
    import torch

    if boxes.dtype != torch.float32:
        name = {torch.bfloat16: 'BFloat16', torch.float16: 'Half'}
        raise RuntimeError(
            f'expected scalar type Float but found {name[boxes.dtype]}'
        )
    order = scores.argsort(descending=True).numpy()
    x0, y0, x1, y1 = np.ascontiguousarray(boxes.detach().numpy()[order].T)
    area = (x1 - x0 + offset) * (y1 - y0 + offset)
    is_left = np.ones(len(order), bool)
    for i in range(len(order)):
        if is_left[i]:
            after = slice(i + 1, None)
            width = np.minimum(x1[after], x1[i]) - np.maximum(x0[after], x0[i])
            high = np.minimum(y1[after], y1[i]) - np.maximum(y0[after], y0[i])
            inside = (width + offset).clip(0) * (high + offset).clip(0)
            overlap = inside / (area[i] + area[after] - inside)
            is_left[after] &= ~(overlap > iou_threshold)
    return torch.from_numpy(order[is_left])


def roi_grid(rois, size, scale, aligned, shape):
    """Return where RoIAlign looks, one sample for each bin, in [-1, 1]."""
    import torch

    height, width = size
    corners = rois[:, 1:] * scale - (0.5 if aligned else 0)
    x = (torch.arange(width, device=rois.device) + 0.5) / width
    y = (torch.arange(height, device=rois.device) + 0.5) / height
    x = corners[:, :1] + (corners[:, 2:3] - corners[:, :1]) * x
    y = corners[:, 1:2] + (corners[:, 3:] - corners[:, 1:2]) * y
    x = (2 * x + 1) / shape[1] - 1
    y = (2 * y + 1) / shape[0] - 1
    return torch.stack(
        [
            x[:, None].expand(-1, height, -1),
            y[:, :, None].expand(-1, -1, width),
        ],
        -1,
    )


def sample_rois(x, rois, size, scale, aligned):
    """RoIAlign with one sample for each bin."""
    import torch.nn.functional as F

    grid = roi_grid(rois, size, scale, aligned, x.shape[-2:])
    return F.grid_sample(
        x[rois[:, 0].long()], grid.to(x.dtype), align_corners=False
    )


def roi_align_forward(x, rois, output, argmax_y, argmax_x, **kwargs):
    """Fill ``output``."""
    import torch

    if x.dtype == torch.bfloat16:
        raise RuntimeError(
            '"ROIAlign_forward" not implemented for \'BFloat16\''
        )
    size = kwargs['aligned_height'], kwargs['aligned_width']
    output.copy_(
        sample_rois(x, rois, size, kwargs['spatial_scale'], kwargs['aligned'])
    )


def roi_align_backward(grad, rois, argmax_y, argmax_x, grad_input, **kwargs):
    """Fill ``grad_input``."""
    import torch

    size = kwargs['aligned_height'], kwargs['aligned_width']
    x = torch.zeros_like(grad_input, requires_grad=True)
    with torch.enable_grad():
        output = sample_rois(
            x, rois, size, kwargs['spatial_scale'], kwargs['aligned']
        )
    grad_input.copy_(torch.autograd.grad(output, x, grad)[0])


def operators():
    """Return a module in place of mmcv's compiled one."""
    module = types.ModuleType('mmcv._ext')
    module.nms = nms
    module.roi_align_forward = roi_align_forward
    module.roi_align_backward = roi_align_backward

    def missing(name):
        if name.startswith('__'):
            raise AttributeError(name)

        def operator(*args, **kwargs):
            raise NotImplementedError(
                f'mmcv.ops: {name} is compiled code, and mmcv-lite has none'
            )

        return operator

    module.__getattr__ = missing
    return module


def empty_localizer():
    """Return a package with a class that nobody builds."""
    module = types.ModuleType('mmaction.models.localizers.drn')
    module.__path__ = []
    module.DRN = type('DRN', (), {})
    return module


MADE = {
    'mmcv._ext': operators,
    'mmaction.models.localizers.drn': empty_localizer,
    'mmaction.models.localizers.drn.drn': empty_localizer,
}
"""Modules that are made where there are none."""


def tell_mmocr(mmdet):
    """Let mmocr take this mmdet."""
    if 'mmocr' in sys.modules:
        mmdet.__version__ = '3.1.0'


def of_layers_alone(given):
    """Initialise a network that takes all its modules for layers."""

    def init_weights(module, *args, **kwargs):
        found = [m for m in module.modules() if hasattr(m, 'reset_parameters')]
        module.modules = lambda: found
        try:
            return given(module, *args, **kwargs)
        finally:
            del module.modules

    return init_weights


def without_records(given):
    """Initialise a module whose records of that are put aside."""

    def init_weights(module, *args, **kwargs):
        name = '_params_init_info'
        kept = [
            (m, vars(m).pop(name)) for m in module.modules() if name in vars(m)
        ]
        try:
            return given(module, *args, **kwargs)
        finally:
            for m, record in kept:
                setattr(m, name, record)

    return init_weights


def initialise_networks(module):
    """Let mmagic's networks initialise their weights."""
    for value in list(vars(module).values()):
        is_own = getattr(value, '__module__', None) == module.__name__
        if is_own and 'init_weights' in vars(value):
            value.init_weights = of_layers_alone(value.init_weights)


def initialise_modules(module):
    """Let its function for that do so too."""
    name = 'generation_init_weights'
    setattr(module, name, without_records(getattr(module, name)))


class Random:
    """Makes torchvision's networks without their published weights."""

    def __init__(self, given):
        self._given = given

    def __getattr__(self, name):
        make = getattr(self._given, name)
        return lambda pretrained: make()


def leave_random(module):
    """Let the network of perceptual losses be as it was made."""
    module.vgg = Random(module.vgg)


class SameFace:
    """Finds one face in each picture."""

    def __init__(self, *args, **kwargs):
        pass

    def get_landmarks(self, image):
        import numpy as np

        angle = np.linspace(0, 2 * np.pi, 68)
        points = np.stack([np.cos(angle), np.sin(angle)], 1)
        return [(points * 0.3 + 0.5) * image.shape[:2]]


def know_a_face(module):
    """Let faces be found without weights."""
    module.FaceAlignment = SameFace


EDITORS = 'mmagic.models.editors'
AFTER = {
    'mmdet': tell_mmocr,
    'face_alignment': know_a_face,
    'mmagic.models.losses.perceptual_loss': leave_random,
    'mmagic.models.utils.model_utils': initialise_modules,
    **{
        f'{EDITORS}.{name}': initialise_networks
        for name in ('dcgan.dcgan_discriminator',)
    },
}
"""What is done after a module's import."""


class Shims(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Makes and changes modules as they are imported."""

    def __init__(self):
        self._is_asking = False
        self._library = None

    def find_spec(self, name, path=None, target=None):
        if self._is_asking or name not in (*MADE, *AFTER, 'torchvision'):
            return None
        self._is_asking = True
        try:
            found = importlib.util.find_spec(name)
        except ModuleNotFoundError:
            found = None
        finally:
            self._is_asking = False
        if name == 'torchvision':
            # The declarations live as long as this is kept.
            self._library = self._library or declare_torchvision_operators()
            return None
        if name in MADE and found is None:
            return importlib.machinery.ModuleSpec(
                name, self, is_package=name.endswith('drn')
            )
        if name in AFTER and found is not None:
            found.loader = _Followed(found.loader, AFTER[name])
        return found

    def create_module(self, spec):
        return MADE[spec.name]()

    def exec_module(self, module):
        pass


class _Followed(importlib.abc.Loader):
    """Runs a module, and something after it."""

    def __init__(self, loader, after):
        self._loader, self._after = loader, after

    def create_module(self, spec):
        return self._loader.create_module(spec)

    def exec_module(self, module):
        self._loader.exec_module(module)
        self._after(module)

    def __getattr__(self, name):
        return getattr(self._loader, name)


sys.meta_path.insert(0, Shims())
