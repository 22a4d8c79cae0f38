"""Evaluation in the precision of training."""

from contextlib import ExitStack
from typing import Any

import torch
from mmengine.hooks import Hook
from torch import nn

from mmamp.config.amp import evaluation_precision
from mmamp.logging.once import LogOnce
from mmamp.precision.autocast import autocast
from mmamp.precision.dtypes import casts, resolve_dtype
from mmamp.precision.mismatch import mismatch
from mmamp.precision.names import FULL, name_of
from mmamp.precision.predictions import in_float32
from mmamp.registry import HOOKS
from mmamp.utils.modules import unwrap

_LOOPS = dict(val='val_cfg', test='test_cfg')


@HOOKS.register_module()
class EvalPrecisionHook(Hook):
    """Validate and test under autocast, in the dtype of training.

    MMEngine's loops know one low precision for each device, and only where
    ``val_cfg`` or ``test_cfg`` asks for it by ``fp16=True``. Where they have
    the key ``fp16``, True or False, that is left alone.

    Whatever the model computes in, what its ``val_step`` and ``test_step``
    return is in float32 when metrics and visualizers get it: tensors,
    containers, ``BaseDataElement`` and objects of other classes alike. Where
    code of the model cannot do with the dtype, such as an operator that has
    none for it, the batch is evaluated again in float32, and all that comes
    after; the log says which module it was.

    mmamp's launcher adds this hook where a network is trained or evaluated in
    mixed precision, as a whole or by a ``PrecisionHook``.

    Args:
        dtype (str, optional): ``'float16'``, ``'bfloat16'``, ``'float32'`` or
            ``'auto'``. Defaults to None: what ``optim_wrapper`` in the config
            says of the generator, or else of the first network.

    Raises:
        ValueError: If the device has no such dtype.

    Examples:
        >>> custom_hooks = [
        ...     dict(type='mmamp.EvalPrecisionHook')]
    """

    def __init__(self, dtype: str | None = None) -> None:
        self.dtype = dtype
        self._undo = ExitStack()
        self._open: list[Any] = []
        # What is cast to in the evaluation that is going on.
        self._dtype: torch.dtype | None = None
        # Whether no code was found that cannot do with it.
        self._is_low = True
        self._log_once = LogOnce()

    def before_val(self, runner: Any) -> None:
        """Switch over."""
        self._begin(runner, 'val')

    def after_val(self, runner: Any) -> None:
        """Switch back."""
        self._undo.close()

    def before_test(self, runner: Any) -> None:
        """Switch over."""
        self._begin(runner, 'test')

    def after_test(self, runner: Any) -> None:
        """Switch back."""
        self._undo.close()

    def _begin(self, runner: Any, mode: str) -> None:
        self._undo.close()  # an evaluation that was broken off
        self._dtype = None
        self._convert(runner.model, f'{mode}_step')
        key = _LOOPS[mode]
        if 'fp16' in (runner.cfg.get(key) or {}):
            self._say(mode, f'as {key}.fp16 says')
            return
        model = unwrap(runner.model)
        device = next(model.parameters()).device.type
        dtype = resolve_dtype(self._wanted(runner.cfg), device)
        name = name_of(dtype) if self._is_low else FULL
        self._say(mode, f'{name} on {device}')
        if casts(dtype) and self._is_low:
            self._dtype = dtype
            self._cast(model, device, dtype)

    def _convert(self, model: nn.Module, step: str) -> None:
        """Have a step of a model return float32, in place of its own."""
        own = vars(model).get(step)
        predict = getattr(model, step)

        def predict_in_float32(data: Any) -> Any:
            try:
                return in_float32(predict(data), self._warn_of_low)
            except Exception as error:
                if not self._gives_up(error, model):
                    raise
            return in_float32(predict(data), self._warn_of_low)

        setattr(model, step, predict_in_float32)
        if own is None:
            self._undo.callback(delattr, model, step)
        else:
            self._undo.callback(setattr, model, step, own)

    def _gives_up(self, error: Exception, model: nn.Module) -> bool:
        """Go over to float32 if that is what an error is about."""
        if self._dtype is None:
            return False
        text = mismatch(error, unwrap(model), self._dtype)
        if text is None:
            return False
        self._dtype, self._is_low = None, False
        self._log_once.warn(
            f'{text}. Evaluation goes on in float32, as a whole'
        )
        return True

    def _warn_of_low(self, cls: type) -> None:
        self._log_once.warn(
            f'EvalPrecisionHook: predictions of class {cls.__qualname__} '
            'cannot be copied, so that what they hold in a low precision '
            'stays so: return a dict, or tensors in float32'
        )

    def _cast(self, model: nn.Module, device: str, dtype: torch.dtype) -> None:
        """Run a model under autocast."""

        def enter(module: nn.Module, args: Any) -> None:
            if self._dtype is None:
                return  # given up
            context = autocast(device, dtype)
            context.__enter__()
            self._open.append(context)

        def leave(module: nn.Module, args: Any, output: Any) -> None:
            if self._open:
                self._open.pop().__exit__(None, None, None)

        for handle in (
            model.register_forward_pre_hook(enter),
            model.register_forward_hook(leave, always_call=True),
        ):
            self._undo.callback(handle.remove)

    def _wanted(self, cfg: Any) -> str | None:
        """Return the dtype; None is PyTorch's default for the device."""
        if self.dtype is not None:
            return self.dtype
        precision = evaluation_precision(cfg)
        if precision is None or not precision.mixed:
            return FULL
        return precision.dtype

    def _say(self, mode: str, what: str) -> None:
        name = dict(val='Validation', test='Test')[mode]
        self._log_once(f'{name} runs in: {what}', key=mode)
