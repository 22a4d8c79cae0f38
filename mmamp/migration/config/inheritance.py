"""A config on top of its bases, which may be of either version."""

from mmamp.migration.config.rules.runner import is_loop

from .values import Value, merge

MADE_OF = {
    'optim_wrapper': (
        *('optimizer', 'optimizers', 'optimizer_config', 'fp16'),
        *('apex_amp', 'use_apex_amp'),
    ),
    'train_cfg': ('runner', 'total_iters', 'total_epochs'),
    'param_scheduler': ('lr_config', 'momentum_config'),
    'default_hooks': ('checkpoint_config', 'log_config'),
    'model_wrapper_cfg': ('use_ddp_wrapper', 'find_unused_parameters'),
    'env_cfg': ('dist_params', 'cudnn_benchmark'),
}
"""The names of 1.x, and those of 0.x that they are made of."""
OLD_NAMES = {name for names in MADE_OF.values() for name in names} | {
    *('evaluation', 'visual_config', 'workflow', 'resume_from'),
}
"""Names that 1.x has not, or not with this meaning."""
NEW_NAMES = {
    *('optim_wrapper', 'param_scheduler', 'default_hooks', 'default_scope'),
    *('train_dataloader', 'val_dataloader', 'val_evaluator', 'val_cfg'),
    *('env_cfg', 'vis_backends', 'visualizer', 'log_processor'),
}
"""Names that 0.x has not."""
TAKEN_BACK = ('param_scheduler', 'val_cfg', 'visualizer', 'log_processor')
"""Names that a base may set and a config that inherits it has to unset."""


def on_top(old_base: Value, new_base: Value, own: Value) -> Value:
    """Put together what a config holds in all.

    Where the file at hand speaks of a thing as 1.x does and its base as 0.x,
    the base's word is taken as it will be once it is migrated.

    Args:
        old_base (Value): What it inherits as it is.
        new_base (Value): The same as it will be.
        own (Value): What the file says.

    Returns:
        Value: All of it.
    """
    merged = merge(old_base, own)
    for new, old in MADE_OF.items():
        if new not in own or any(name in own for name in old):
            continue
        if new == 'train_cfg' and not is_loop(own[new]):
            # The model's, which had the name in 0.x.
            continue
        theirs = new_base.child(new)
        ours = merge(theirs, own[new]) if theirs is not None else own[new]
        merged = merged.without(*old).with_items(**{new: ours})
    return merged
