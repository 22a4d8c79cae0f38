"""The names of what is logged. Nothing here imports torch.

Of each optimizer: ``AmpOptimWrapper.amp_scalars`` gives them,
``AmpMonitorHook`` writes them, and the report reads them from a log.
"""

LOSS_SCALE = 'loss_scale'
SKIPPED_STEPS = 'skipped_steps'
SKIP_RATE = 'skip_rate'
GRAD_NORM = 'grad_norm'
D = 'd'
"""The estimate of optimizers that find their learning rate themselves."""
EFFECTIVE_LR = 'effective_lr'
SCALARS = (
    *(LOSS_SCALE, SKIPPED_STEPS, SKIP_RATE, GRAD_NORM),
    *(D, EFFECTIVE_LR),
)
"""All of them."""

AUGMENT_P = 'augment_p'
R_T = 'r_t'
AUGMENTATION = (AUGMENT_P, R_T)
"""Of a model: ``ADA`` gives them among the discriminator's losses."""
