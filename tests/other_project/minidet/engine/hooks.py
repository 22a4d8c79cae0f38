"""Hooks of the project."""

from mmengine.hooks import CheckpointHook as MMEngineCheckpointHook
from mmengine.hooks import Hook

from minidet.registry import HOOKS


@HOOKS.register_module()
class DtypeHook(Hook):
    """Say what dtype a module's outputs had, in training and evaluation."""

    def __init__(self, module):
        self.module = module
        self.seen = {}

    def before_run(self, runner):
        def note(module, args, output):
            mode = 'train' if runner.model.training else 'eval'
            self.seen.setdefault(mode, set()).add(str(output.dtype))

        for name, module in runner.model.named_modules():
            # Several processes wrap each network.
            if name.replace('module.', '') == self.module:
                module.register_forward_hook(note)

    def after_run(self, runner):
        for mode, dtypes in self.seen.items():
            runner.logger.info(
                f'{self.module} in {mode}: {" ".join(sorted(dtypes))}'
            )


@HOOKS.register_module()
class CheckpointHook(MMEngineCheckpointHook):
    """Its name is MMEngine's and mmamp's too."""

    def after_run(self, runner):
        runner.logger.info("minidet's CheckpointHook was here")
