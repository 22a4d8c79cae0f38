"""One optimizer for each network, as MMagic's constructor has it."""

from mmengine.model import is_model_wrapper
from mmengine.optim import OptimWrapperDict
from mmengine.registry import OPTIM_WRAPPERS as ROOT_WRAPPERS
from mmengine.registry import OPTIMIZERS

from minidet.registry import OPTIM_WRAPPER_CONSTRUCTORS


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class OptimWrapperConstructor:
    """Its name is mmamp's too."""

    def __init__(self, optim_wrapper_cfg, paramwise_cfg=None):
        self.entries = optim_wrapper_cfg

    def __call__(self, model):
        if is_model_wrapper(model):
            model = model.module
        wrappers = {}
        for name, entry in self.entries.items():
            entry = dict(entry)
            entry.setdefault('type', 'OptimWrapper')
            params = getattr(model, name).parameters()
            optimizer = OPTIMIZERS.build(
                dict(entry.pop('optimizer'), params=params)
            )
            wrappers[name] = ROOT_WRAPPERS.build(
                dict(entry, optimizer=optimizer)
            )
        return OptimWrapperDict(**wrappers)
