"""What a config's optimizers are, and what builds them."""

from collections.abc import Iterator
from typing import Any

from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.registry import OPTIM_WRAPPERS, OPTIMIZERS

from mmamp.engine.optimizers import AmpOptimWrapper
from mmamp.engine.optimizers.building import resolve
from mmamp.errors import UsageError

CONSTRUCTOR = 'mmamp.DefaultOptimWrapperConstructor'


def check_optimizers(cfg: Config) -> None:
    """Refuse names that no optimizer has, before anything is built.

    Args:
        cfg (Config): The config.

    Raises:
        UsageError: If there is one; it says what there is.
    """
    for label, node in _optimizers(cfg.get('optim_wrapper')):
        if isinstance(node.get('type'), str):
            try:
                resolve(OPTIMIZERS, _scoped(node, cfg), label)
            except ValueError as error:
                raise UsageError(str(error)) from error


def set_constructor(cfg: Config) -> None:
    """Have mmamp build the optimizer of its own wrapper, and say so.

    Args:
        cfg (Config): The config, changed in place where it has one optimizer
            and names no constructor.
    """
    wrapper: Any = cfg.get('optim_wrapper')
    if (
        not isinstance(wrapper, dict)
        or not isinstance(wrapper.get('optimizer'), dict)
        or wrapper.get('constructor') is not None
    ):
        return
    node = dict(wrapper)
    node.setdefault('type', 'OptimWrapper')
    try:
        kind: Any = resolve(OPTIM_WRAPPERS, _scoped(node, cfg), '')
    except ValueError:
        return  # MMEngine says what there is
    if 'param_groups' in wrapper or issubclass(kind, AmpOptimWrapper):
        wrapper['constructor'] = CONSTRUCTOR
        print_log(f'optim_wrapper: constructor={CONSTRUCTOR!r}', 'current')


def _scoped(node: dict[str, Any], cfg: Config) -> dict[str, Any]:
    scope = node.get('_scope_') or cfg.get('default_scope')
    return {'type': node.get('type'), '_scope_': scope}


def _optimizers(wrapper: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every dict of an optimizer, with where it stands."""
    if not isinstance(wrapper, dict):
        return
    entries = {'optim_wrapper': wrapper}
    if 'optimizer' not in wrapper:
        entries = {
            f'optim_wrapper[{name!r}]': entry
            for name, entry in wrapper.items()
            if isinstance(entry, dict)
        }
    for label, entry in entries.items():
        yield from _wrapping(label, entry.get('optimizer'))
        rules = entry.get('param_groups')
        listed = rules if isinstance(rules, list | tuple) else ()
        for number, rule in enumerate(listed):
            if isinstance(rule, dict):
                place = f'{label}: param_groups[{number}]'
                yield from _wrapping(place, rule.get('optimizer'))


def _wrapping(label: str, node: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield an optimizer and those that it wraps."""
    if isinstance(node, dict):
        yield label, node
        for key, value in node.items():
            if isinstance(value, dict) and 'type' in value:
                yield from _wrapping(f'{label}: {key}', value)
