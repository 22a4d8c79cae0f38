"""Other people's networks, imported from a folder of their repositories.

Only what defines a network is imported: packages are empty until a name is
asked of them, which is then looked for in their files. What cannot be had
without compiled operators, or is of an older mmcv, has a stand-in here.
"""

import ast
import functools
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import math
import re
import sys
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy
import torch
import torch.nn.functional as F
from torch import Tensor, nn

PACKAGES = {
    'basicsr': 'BasicSR/basicsr',
    'mmagic': 'mmagic/mmagic',
    'mmgen': 'mmgeneration/mmgen',
}
"""Where packages are in the folder."""
ON_PATH = {
    'BigGAN-PyTorch': ('BigGAN', 'layers', 'sync_batchnorm'),
    'stylegan2-ada-pytorch': ('dnnlib', 'torch_utils', 'training'),
}
"""Repositories without a package, and the modules that they have."""
FILES = {
    'dcgan_example': 'examples/dcgan/main.py',
    'translation_networks': 'contrastive-unpaired-translation/models/'
    'networks.py',
    'wgan_gp_networks': 'pytorch-gan-collections/source/models/wgangp.py',
}
"""Files that do more than define networks, and what they are imported as."""


class _Lazy(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds packages whose ``__init__`` is not run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def _path(self, name: str) -> Path | None:
        root, *rest = name.split('.')
        if root not in PACKAGES:
            return None
        return self.folder.joinpath(PACKAGES[root], *rest)

    def find_spec(self, name: str, path: Any, target: Any = None) -> Any:
        """Find a package, or a file of one."""
        place = self._path(name)
        if place is None:
            return None
        if place.is_dir():
            return importlib.machinery.ModuleSpec(
                name, self, is_package=True, origin=str(place)
            )
        file = place.with_suffix('.py')
        if not file.is_file():
            return None
        return importlib.util.spec_from_file_location(name, file)

    def create_module(self, spec: Any) -> types.ModuleType:
        """Make an empty package."""
        module = types.ModuleType(spec.name)
        module.__path__ = [spec.origin]
        return module

    def exec_module(self, module: types.ModuleType) -> None:
        """Let the package look for names in its files."""
        folder = Path(module.__path__[0])
        module.__getattr__ = lambda name: _look_for(  # type: ignore[method-assign]
            name, module.__name__, folder
        )


def _look_for(name: str, package: str, folder: Path) -> Any:
    """Return what defines a name somewhere below a package."""
    if name.startswith('__'):
        raise AttributeError(name)
    defines = re.compile(rf'^(class|def) {name}\b|^{name} = ', re.M)
    for file in sorted(folder.rglob('*.py'), key=lambda x: len(x.parts)):
        if file.name == '__init__.py' or not defines.search(file.read_text()):
            continue
        parts = file.relative_to(folder).with_suffix('').parts
        module = importlib.import_module('.'.join([package, *parts]))
        return getattr(module, name)
    raise AttributeError(f'{package} has no {name}')


class _Definitions(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds files of which classes and functions are run alone."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def find_spec(self, name: str, path: Any, target: Any = None) -> Any:
        """Find a file of :data:`FILES`."""
        if name not in FILES:
            return None
        file = str(self.folder / FILES[name])
        return importlib.machinery.ModuleSpec(name, self, origin=file)

    def exec_module(self, module: types.ModuleType) -> None:
        """Run the definitions of a file."""
        assert module.__spec__ is not None
        assert module.__spec__.origin is not None
        tree = ast.parse(Path(module.__spec__.origin).read_text())
        tree.body = [
            x
            for x in tree.body
            if isinstance(x, ast.ClassDef | ast.FunctionDef)
        ]
        module.__dict__.update(
            torch=torch,
            nn=nn,
            init=nn.init,
            F=F,
            functools=functools,
            math=math,
            np=numpy,
        )
        exec(compile(tree, module.__spec__.origin, 'exec'), module.__dict__)


@contextmanager
def importable(folder: Path) -> Iterator[None]:
    """Have the repositories of a folder importable for a while.

    Args:
        folder (Path): Of the clones.
    """
    finders = [_Lazy(folder), _Definitions(folder)]
    paths = [str(folder / name) for name in ON_PATH]
    before = set(sys.modules)
    sys.meta_path[:0] = finders
    sys.path[:0] = paths
    try:
        _stand_in()
        yield
    finally:
        for finder in finders:
            sys.meta_path.remove(finder)
        sys.path[:] = [x for x in sys.path if x not in paths]
        roots = {
            *PACKAGES,
            *FILES,
            *(x for names in ON_PATH.values() for x in names),
        }
        for name in set(sys.modules) - before:
            if name.split('.')[0] in roots:
                del sys.modules[name]


def _module(name: str, **content: Any) -> None:
    """Put a module of stand-ins where it is imported from."""
    module = types.ModuleType(name)
    module.__dict__.update(content)
    module.__path__ = []
    sys.modules[name] = module
    parent, _, child = name.rpartition('.')
    if parent in sys.modules:
        setattr(sys.modules[parent], child, module)


def _nothing(*args: Any, **kwargs: Any) -> Any:
    return None


def _stand_in() -> None:
    """Make what is missing, or is of packages that this does not need."""
    _basicsr()
    _mmcv_ops()
    _mmagic()
    _mmgen()
    _without_asserts('training.networks')


def _without_asserts(name: str) -> None:
    """Import a module whose asserts are of one dtype, not of autocast's."""
    spec = importlib.util.find_spec(name)
    assert spec is not None
    assert spec.origin is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    text = Path(spec.origin).read_text(encoding='utf-8-sig')
    exec(compile(text, spec.origin, 'exec', optimize=1), module.__dict__)


def _basicsr() -> None:
    class Registry:
        def register(self, **kwargs: Any) -> Callable[[Any], Any]:
            return lambda cls: cls

    _module('torchvision')
    if importlib.util.find_spec('distutils') is None:
        _module('distutils')
        _module('distutils.version', LooseVersion=str)
        _module('distutils.util', strtobool=bool)
    _module('basicsr.ops.dcn')
    for name in ('ModulatedDeformConvPack', 'modulated_deform_conv'):
        setattr(sys.modules['basicsr.ops.dcn'], name, nn.Identity)
    _module('basicsr.utils', get_root_logger=_nothing)
    _module('basicsr.utils.registry', ARCH_REGISTRY=Registry())


def fused_bias_leakyrelu(
    x: Tensor, bias: Tensor, slope: float = 0.2, scale: float = 2**0.5
) -> Tensor:
    """Add a bias, and apply a leaky ReLU of another scale."""
    bias = bias.view(1, -1, *[1] * (x.dim() - 2))
    return F.leaky_relu(x + bias, slope) * scale


class FusedBiasLeakyReLU(nn.Module):
    """The same as a module."""

    def __init__(
        self, channels: int, negative_slope: float = 0.2, scale: float = 2**0.5
    ) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(channels))
        self.negative_slope, self.scale = negative_slope, scale


def upfirdn2d(
    x: Tensor,
    kernel: Tensor,
    up: int = 1,
    down: int = 1,
    padding: Any = 0,
    pad: Any = None,
) -> Tensor:
    """Insert zeros, pad, filter, and take each ``down``-th pixel.

    Older releases of mmcv call the padding ``pad``.
    """
    padding = padding if pad is None else pad
    padding = (padding,) * 2 if isinstance(padding, int) else padding
    if len(padding) == 2:
        padding = (*padding, *padding)
    channels = x.shape[1]
    if up > 1:
        zeros = x.new_zeros(up, up)
        zeros[0, 0] = 1
        x = F.conv_transpose2d(
            x,
            zeros.expand(channels, 1, -1, -1),
            stride=up,
            groups=channels,
        )
    x = F.pad(x, padding)
    weight = kernel.flip((0, 1)).to(x.dtype).expand(channels, 1, -1, -1)
    return F.conv2d(x, weight, stride=down, groups=channels)


def _mmcv_ops() -> None:
    _module('mmcv.ops', conv2d=F.conv2d, conv_transpose2d=F.conv_transpose2d)
    _module(
        'mmcv.ops.fused_bias_leakyrelu',
        fused_bias_leakyrelu=fused_bias_leakyrelu,
        FusedBiasLeakyReLU=FusedBiasLeakyReLU,
    )
    _module('mmcv.ops.upfirdn2d', upfirdn2d=upfirdn2d)


def get_module_device(module: nn.Module) -> torch.device:
    """Tell where a module is."""
    return next(module.parameters()).device


def _make_layer(block: Any, num: int, **kwargs: Any) -> nn.Sequential:
    return nn.Sequential(*(block(**kwargs) for _ in range(num)))


def _mmagic() -> None:
    # Weights of a comparison are drawn anew: what initialises them does
    # nothing here.
    helpers = dict(
        default_init_weights=_nothing,
        generation_init_weights=_nothing,
        get_module_device=get_module_device,
        make_layer=_make_layer,
    )
    for name in ('mmagic', 'mmagic.models'):
        importlib.import_module(name)
    _module('mmagic.models.utils', **helpers)
    importlib.import_module('mmagic.models.archs')
    importlib.import_module('mmagic.models.archs.conv')
    importlib.import_module('mmagic.models.editors.stylegan2')
    _module('mmagic.models.editors.stylegan2.ada')
    _module(
        'mmagic.models.editors.stylegan2.ada.augment', AugmentPipe=nn.Identity
    )
    _module('mmagic.models.editors.stylegan2.ada.misc', constant=_nothing)


def _mmgen() -> None:
    import mmcv.cnn
    import mmengine
    from mmengine.model import weight_init
    from mmengine.registry import MODELS, Registry

    modules = Registry('mmgen module', parent=MODELS, scope='mmgen')
    modules.register_module('Deconv', module=nn.ConvTranspose2d)

    def build_module(cfg: Any, default_args: Any = None) -> Any:
        return modules.build(cfg, default_args=default_args)

    for name in ('mmgen', 'mmgen.models', 'mmgen.core'):
        importlib.import_module(name)
    _module('mmgen.models.builder', MODULES=modules, build_module=build_module)
    _module(
        'mmgen.utils',
        get_root_logger=_nothing,
        check_dist_init=_nothing,
        register_all_modules=_nothing,
    )
    _module('mmgen.utils.logger', get_root_logger=_nothing)
    _module('mmgen.ops', conv2d=F.conv2d, conv_transpose2d=F.conv_transpose2d)
    _module('mmgen.core.runners')
    _module('mmgen.core.runners.fp16_utils', auto_fp16=_decorator)
    _module('mmgen.models.common', AllGatherLayer=None)
    _module('mmcv.runner', load_checkpoint=_nothing)
    _module('mmcv.runner.checkpoint', _load_checkpoint_with_prefix=_nothing)
    _module('mmcv.runner.dist_utils', get_dist_info=lambda: (0, 1))
    _module('mmcv.utils', is_list_of=_is_list_of)
    _module('mmcv.utils.parrots_wrapper', _BatchNorm=nn.BatchNorm2d)
    _module('mmcv.cnn.utils', normal_init=weight_init.normal_init)
    for name in (
        *('constant_init', 'kaiming_init', 'normal_init', 'xavier_init'),
    ):
        setattr(mmcv.cnn, name, getattr(weight_init, name))
    mmcv.print_log = _nothing
    mmcv.is_seq_of = mmengine.is_seq_of
    for name in ('NORM_LAYERS', 'PLUGIN_LAYERS'):
        setattr(mmcv.cnn.bricks, name, Registry(name))


def _is_list_of(values: Any, kind: Any) -> bool:
    return isinstance(values, list) and all(
        isinstance(x, kind) for x in values
    )


def _decorator(*args: Any, **kwargs: Any) -> Callable[[Any], Any]:
    return lambda function: function
