"""Optimizer wrappers, loss scaling, and the constructor of several.

An update, and where each line of it is made::

    with optim_context(model):             # window.py: a window opens
        loss = model(batch)                # buffer_guard.py: what it changes
    loss = scale_loss(loss)                # window.py: by the real length
    backward(loss * window.scale)          # foreign_gradients.py: whom else
    if should_update():                    # run_length.py: the run's end, too
        unscale(gradients)                 # loss_scaler.py
        norm, finite = judge(gradients)    # gradient_step.py, gradients.py
        clip(gradients, norm)              # gradients.py
        optimizer.step() if finite         # kernels.py: or on the device
        restore(buffers) if not finite     # buffer_changes.py
        scale, record = update(finite)     # shared_scaler.py, step_record.py

``grad`` is in ``higher_order.py``, what cannot work is refused in
``limits.py``, and what a user's own loop gets wrong is told by ``usage.py``.
"""

from .amp_optim_wrapper import AmpOptimWrapper
from .default_constructor import DefaultOptimWrapperConstructor
from .loss_scaler import LossScaler
from .optim_wrapper_constructor import OptimWrapperConstructor

__all__ = [
    'AmpOptimWrapper',
    'DefaultOptimWrapperConstructor',
    'LossScaler',
    'OptimWrapperConstructor',
]
