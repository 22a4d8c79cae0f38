"""Hooks. They report and save; they never touch gradients or parameters."""

from .amp_monitor_hook import AmpMonitorHook
from .checkpoint_hook import CheckpointHook
from .ema_hook import EMAHook
from .eval_precision_hook import EvalPrecisionHook
from .overflow_hook import OverflowHook
from .precision_hook import PrecisionHook
from .preemption_hook import PreemptionHook
from .runtime_info_hook import RuntimeInfoHook
from .sample_hook import SampleHook
from .sanity_check_hook import SanityCheckHook
from .state_hook import StateHook

__all__ = [
    'AmpMonitorHook',
    'CheckpointHook',
    'EMAHook',
    'EvalPrecisionHook',
    'OverflowHook',
    'PrecisionHook',
    'PreemptionHook',
    'RuntimeInfoHook',
    'SampleHook',
    'SanityCheckHook',
    'StateHook',
]
