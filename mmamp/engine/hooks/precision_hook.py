"""A precision for each module, by rules on their names."""

import difflib
import io
import logging
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.logging import print_log
from rich.table import Table

from mmamp.precision.bypassed import Bypass, BypassedIslands
from mmamp.precision.dtypes import is_narrow
from mmamp.precision.names import name_of
from mmamp.precision.placement import Place, Placed, place, places_of
from mmamp.precision.rules import Rule, parse_rule
from mmamp.registry import HOOKS
from mmamp.utils.consoles import new_console
from mmamp.utils.listing import listed
from mmamp.utils.protocols import Scaling, ShardsInDtype

from .runner_access import named_wrappers, strategy_of

WATCHED = 100
"""Iterations in which rules are watched: networks are trained in turns."""


@HOOKS.register_module()
class PrecisionHook(Hook):
    r"""Choose the precision of modules by name, with no code edited.

    What ``auto_fp16`` and ``force_fp32`` were for: a module that matches a
    rule computes in the rule's dtype, its inputs cast and autocast switched
    accordingly, in training and evaluation. The first rule that matches a
    module holds. A rule on a module covers what is inside of it, whatever
    method of the module is called, unless another rule is met there. After
    the first iteration a table in the log shows what was seen, and a warning
    names what was not reached.

    Args:
        rules (Sequence[dict or str]): Each is the name of a ready-made set of
            float32 modules, or a dict. The sets are ``'normalization'``
            (batch, group, layer, instance norm), ``'spectral_norm'`` (the
            estimation of the norm, not the layer) and ``'to_rgb'``. A dict
            has the keys

            - ``pattern`` (str): regular expression that matches a module's
              name in full, such as ``'discriminator\.blocks\.3.*'``; names are
              those of ``model.named_modules()``, without the ``module.`` of
              model wrappers. A generator's EMA copy follows the generator.
            - ``dtype`` (str or torch.dtype, optional): ``'float32'``
              (default), ``'bfloat16'``, ``'float16'``; None leaves the
              precision as it is.
            - ``output_dtype`` (str or torch.dtype, optional): one of them, or
              ``'input'``: what the first input had. Defaults to None: as
              computed.
            - ``clamp`` (float, optional): outputs are clamped to
              ``[-clamp, clamp]``, like ``conv_clamp`` of StyleGAN2-ADA
              (Karras et al., 2020), which takes 256. Defaults to None.

    Raises:
        TypeError: If a rule or a value in it is of a wrong type.
        ValueError: If a rule has unknown keys or values; when a run begins,
            if one matches no module. (One whose modules all are under
            earlier rules is told in the log.)

    Examples:
        >>> custom_hooks = [dict(
        ...     type='mmamp.PrecisionHook',
        ...     rules=[
        ...         'normalization',
        ...         dict(pattern=r'discriminator\.head', dtype='float32'),
        ...         dict(pattern=r'.*\.conv\d', dtype=None, clamp=256.)])]
    """

    def __init__(self, rules: Sequence[dict[str, Any] | str]) -> None:
        if isinstance(rules, (str, dict)) or not isinstance(rules, Sequence):
            raise TypeError(
                f'rules must be a list of rules, but got {rules!r}'
            )
        if not rules:
            raise ValueError('rules must not be empty')
        self.rules = [parse_rule(rule) for rule in rules]
        self._is_installed = False
        self._is_shown = False
        self._watch_left = WATCHED

    def before_run(self, runner: Any) -> None:
        """Install the rules, once, and log what they matched."""
        if self._is_installed:
            return
        self._is_installed = True
        strategy = strategy_of(runner)
        if (
            isinstance(strategy, ShardsInDtype)
            and (strategy.param_dtype == 'auto')
            and any(rule.dtype is torch.float32 for rule in self.rules)
        ):
            raise ValueError(
                'PrecisionHook: a float32 module needs parameters that FSDP2 '
                "has not rounded: strategy=dict(type='mmamp.FSDP2Strategy', "
                "param_dtype='float32')"
            )
        places = places_of(runner.model)
        self._placed = place(self.rules, places)
        for rule in self.rules:
            if not rule.matched:
                _check_shadowed(rule, places)
            else:
                print_log(_matched(rule), logger='current')
        self._bypassed = BypassedIslands(self._placed)
        self._check_surroundings(runner)

    def before_train(self, runner: Any) -> None:
        """Begin to watch whether the rules' modules are called."""
        self._bypassed.watch()

    def after_train_iter(
        self,
        runner: Any,
        batch_idx: int,
        data_batch: Any = None,
        outputs: dict[str, Any] | None = None,
    ) -> None:
        """Tell of rules whose modules are trained, but never called."""
        if not self._watch_left:
            return
        if self._watch_left == WATCHED:
            self._show()
            for rule in self.rules:
                _warn_of_unreached(
                    [x for x in self._bypassed.unreached() if x.rule is rule]
                )
        self._watch_left -= 1
        by_rule = defaultdict(list)
        for bypass in self._bypassed.found():
            by_rule[bypass.placed.rule.label, bypass.by_weights].append(bypass)
        for (label, _), bypasses in by_rule.items():
            print_log(
                _without_effect(label, bypasses),
                logger='current',
                level=logging.WARNING,
            )
        if self._bypassed.is_done or not self._watch_left:
            self._watch_left = 0
            self._bypassed.stop()

    def after_val_iter(self, *_: Any, **__: Any) -> None:
        """Show what was seen, if nothing was trained before."""
        self._show()

    def after_test_iter(self, *_: Any, **__: Any) -> None:
        """Show what was seen."""
        self._show()

    def _show(self) -> None:
        """Log the table, once."""
        if not self._is_shown:
            self._is_shown = True
            print_log(_table(self.rules, self._placed), logger='current')

    def after_train(self, runner: Any) -> None:
        """Watch no more."""
        self._bypassed.stop()

    def _check_surroundings(self, runner: Any) -> None:
        """float16 islands need a loss scale; float32 ones low precision."""
        wrapper = runner.optim_wrapper
        if isinstance(wrapper, dict) or wrapper is None:
            return  # nothing is trained here
        wrappers = [wrapper for _, wrapper in named_wrappers(runner)]
        half = [
            r.label
            for r in self.rules
            if r.dtype is not None and is_narrow(r.dtype)
        ]
        scalers = [w.loss_scaler for w in wrappers if isinstance(w, Scaling)]
        if half and not any(s and s.is_enabled() for s in scalers):
            print_log(
                f'PrecisionHook: {", ".join(half)} in float16, but no '
                'optimizer has a loss scale, so that small gradients are '
                "lost: give optim_wrapper type='mmamp.AmpOptimWrapper', "
                "dtype='float16', or the rules dtype='bfloat16'",
                logger='current',
                level=logging.WARNING,
            )
        full = [r.label for r in self.rules if r.dtype is torch.float32]
        dtypes = {
            w.cast_dtype if isinstance(w, Scaling) else torch.float32
            for w in wrappers
        }
        if full and dtypes == {torch.float32}:
            print_log(
                f'PrecisionHook: {", ".join(full)} would be in float32 '
                'anyway, as everything is in this run (no --amp)',
                logger='current',
            )


def _warn_of_unreached(unreached: list[Placed]) -> None:
    """Say of a rule which of its modules nothing has called so far."""
    if not unreached:
        return
    # What is inside of one goes without saying.
    names = [x.name for x in unreached]
    outer = [
        name
        for name in names
        if not any(name.startswith(f'{other}.') for other in names)
    ]
    print_log(
        f'PrecisionHook: rule {unreached[0].rule.label!r} has done nothing '
        f'for {_listed(outer)}: nothing in the first iteration called '
        f'{"it" if len(outer) == 1 else "them"}',
        logger='current',
        level=logging.WARNING,
    )


def _without_effect(label: str, bypasses: list[Bypass]) -> str:
    """Say of a rule that it does nothing, and what to name instead."""
    first = bypasses[0]
    more = f' and {len(bypasses) - 1} more' if len(bypasses) > 1 else ''
    if first.by_weights:
        what = (
            f'does nothing for {first.placed.name!r}{more}: it is trained, '
            'but its forward was not called; code outside of it uses its '
            'weights. Name the modules whose code does'
        )
    else:
        what = (
            f'has its dtype in {first.placed.name!r}{more}, but no '
            'output_dtype or clamp: its forward was not called, only what is '
            'inside of it was. Name the modules there'
        )
    return (
        f'PrecisionHook: rule {label!r} {what}, such as '
        f'dict(pattern={first.pattern!r})'
    )


def _matched(rule: Rule) -> str:
    """Say what a rule is for."""
    number = len(rule.matched)
    return (
        f'PrecisionHook: rule {rule.label!r} matches {number} '
        f'module{"s" * (number != 1)}: {_listed(rule.matched)}'
    )


def _listed(names: Sequence[str], shown: int = 3) -> str:
    return listed([name or '(model)' for name in names], shown)


def _check_shadowed(rule: Rule, places: list[Place]) -> None:
    """Refuse a rule that matches nothing; earlier ones may hold for it."""
    if not any(rule.matches(n, p.module) for p in places for n in p.names):
        raise ValueError(_no_match(rule, places))
    print_log(
        f'PrecisionHook: rule {rule.label!r} has no effect: earlier rules '
        'hold for every module that it matches',
        logger='current',
        level=logging.WARNING,
    )


def _no_match(rule: Rule, places: list[Place]) -> str:
    """Say of a rule that it matches nothing."""
    if rule.is_set:
        return (
            f'PrecisionHook: the set of rules {rule.label!r} finds nothing in '
            'this model: leave it out, or name modules with dict(pattern=...)'
        )
    names = list(dict.fromkeys(n for p in places for n in p.names if n))
    plain = rule.label.replace('\\', '').replace('.*', '')
    near = difflib.get_close_matches(plain, names, n=5, cutoff=0.4)
    top = [name for name in names if '.' not in name]
    return (
        f'PrecisionHook: rule {rule.label!r} matches no module'
        + (f'. Near it: {", ".join(near)}' if near else '')
        + f'. The sub-modules of the model are {", ".join(top)}'
    )


def _table(rules: list[Rule], placed: list[Placed]) -> str:
    """Return what each rule has been seen to do, as text."""
    table = Table(title='Precision by module, as seen in the first iteration')
    for column in (
        'rule',
        'dtype',
        'seen',
        'output',
        'clamp',
        'modules',
        'called',
        'such as',
    ):
        table.add_column(column, overflow='fold')
    for rule in rules:
        own = [x for x in placed if x.rule is rule]
        table.add_row(
            rule.label,
            _shown(rule.dtype),
            '-' if rule.of_norm else _seen(own),
            _shown(rule.output_dtype),
            '-' if rule.clamp is None else f'{rule.clamp:g}',
            str(len(rule.matched)),
            '-' if rule.of_norm else str(_called(own)),
            _listed(rule.matched),
        )
    text = io.StringIO()
    new_console(file=text, width=110, color_system=None).print(table)
    return '\n' + text.getvalue().rstrip()


def _called(placed: list[Placed]) -> int:
    """Count modules that a rule names and that ran, in whole or in part."""
    ran = [x.name for x in placed if x.island.has_run]
    return sum(
        x.island.has_run
        or any(not x.name or name.startswith(f'{x.name}.') for name in ran)
        for x in placed
        if x.is_matched
    )


def _seen(placed: list[Placed]) -> str:
    """Return the dtypes that modules with weights have computed in."""
    found = {
        name_of(x.island.seen_dtype)
        for x in placed
        if x.island.seen_dtype is not None
        and any(True for _ in x.module.parameters(recurse=False))
    }
    return ', '.join(sorted(found)) or '-'


def _shown(dtype: Any) -> str:
    return '-' if dtype is None else name_of(dtype)
