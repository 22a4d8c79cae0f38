"""What is converted in a config, one rule a file, in order.

A rule is a function of a :class:`~mmamp.migration.config.context.Context`. It
leaves a config that is of 1.x as it is.
"""

from mmamp.migration.config.context import Rule

from . import (
    apex,
    checkpoint_config,
    custom_hooks,
    environment,
    evaluation,
    fp16,
    fp16_scales,
    imports,
    log_config,
    loss_scaling,
    lr_config,
    model_cfg,
    model_wrapper,
    optimizer_config,
    optimizers,
    outside,
    progressive,
    runner,
    steps,
)

RULES: dict[str, Rule] = {
    'optimizers': optimizers.apply,
    'progressive': progressive.apply,
    'optimizer_config': optimizer_config.apply,
    'fp16': fp16.apply,
    'apex': apex.apply,
    'steps': steps.apply,
    # The loop of 1.x has the name that this takes away.
    'model_cfg': model_cfg.apply,
    'model_wrapper': model_wrapper.apply,
    'runner': runner.apply,
    'lr_config': lr_config.apply,
    'checkpoint_config': checkpoint_config.apply,
    'log_config': log_config.apply,
    'evaluation': evaluation.apply,
    'custom_hooks': custom_hooks.apply,
    'environment': environment.apply,
    'loss_scaling': loss_scaling.apply,
    'fp16_scales': fp16_scales.apply,
    'outside': outside.apply,
    'imports': imports.apply,
}
