"""The table of a checkpoint's keys: what each holds, and who owns it.

MMEngine's own are ``state_dict``, ``meta``, ``message_hub``, ``optimizer`` and
``param_schedulers``. A new key is a line here and its owner, which writes it
and reads it.
"""

# ---- at the top of a checkpoint ---------------------------------------------

RNG_STATES = 'rng_states'
"""A list, one entry a rank: its random-number states.

Written by ``CheckpointHook`` of all ranks, else by ``StateHook`` of one; read
by ``StateHook``.
"""
DATA_POSITION = 'data_position'
"""Samples that were taken; ``StateHook``, of its ``DataPosition``."""
MODEL_BY_RANK = 'model_by_rank'
"""A list, one entry a rank: what a model's ``rank_state()`` says.

``CheckpointHook``.
"""
OPTIMIZER_BY_RANK = 'optimizer_by_rank'
"""A list, one entry a rank: ``rank_state()`` of each optimizer wrapper.

``CheckpointHook``; there are none of a single rank.
"""
CONVERTED_FROM = 'converted_from'
"""Where weights are from: the format, and what of theirs has no place here.

``mmamp.convert_weights``, which needs it to write them back bit for bit.
"""
BEFORE = {MODEL_BY_RANK: 'model_states', OPTIMIZER_BY_RANK: 'rank_states'}
"""What keys were called in checkpoints that are read still."""

# ---- in a wrapper's part of ``optimizer``: ``AmpOptimWrapper`` --------------

LOSS_SCALER = 'loss_scaler'
"""MMEngine's key: the scaler's state, empty without a scale."""
AMP_COUNTERS = 'amp_counters'
"""Windows, and skipped windows."""
WINDOW = 'window'
"""The gradients of a window that is open."""
PENALTY_SCALERS = 'penalty_scalers'
"""The scales of ``optim_wrapper.grad``."""
TRAINING_WEIGHTS = 'training_weights'
"""The weights of training, where the model has others for evaluation."""
INNER_OPTIMIZERS = 'inner_optimizers'
"""The states of optimizers that the optimizer holds, where its own has not."""
OPTIMIZER_ATTRIBUTES = 'optimizer_attributes'
"""What the optimizer's steps have changed outside of its state."""
