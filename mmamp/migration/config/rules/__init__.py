"""What is converted in a config, one rule a file, in order."""

from mmamp.migration.config.context import Context
from mmamp.migration.rule import Rule

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

RULES: tuple[Rule[[Context], None], ...] = (
    optimizers.RULE,
    progressive.RULE,
    fp16.RULE,
    # A hook that is named ran, whatever fp16 says.
    optimizer_config.RULE,
    apex.RULE,
    steps.RULE,
    # The loop of 1.x has the name that this takes away.
    model_cfg.RULE,
    model_wrapper.RULE,
    runner.RULE,
    lr_config.RULE,
    checkpoint_config.RULE,
    log_config.RULE,
    evaluation.RULE,
    custom_hooks.RULE,
    environment.RULE,
    loss_scaling.RULE,
    fp16_scales.RULE,
    outside.RULE,
    imports.RULE,
)
"""The rules, in the order in which they are applied."""
