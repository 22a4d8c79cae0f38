"""What constructors share: names of types, errors about what was written."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from traceback import extract_tb
from typing import Any

from mmengine.optim import OptimWrapper
from mmengine.registry import Registry
from torch import nn
from torch.optim import Optimizer

from mmamp.registry import OPTIM_WRAPPERS, OPTIMIZERS
from mmamp.utils.optimizer_packages import package_of
from mmamp.utils.suggest import did_you_mean

from .limits import UnfitParameter


def resolve(
    registry: Registry, cfg: dict[str, Any], label: str
) -> Callable[..., Any]:
    """Return what ``cfg['type']`` names, or say what it could have named.

    Args:
        registry (Registry): ``OPTIMIZERS`` or ``OPTIM_WRAPPERS``.
        cfg (dict): With ``type``, and ``_scope_`` if it is another than the
            default scope.
        label (str): Where it stands in the config, for the error.

    Raises:
        TypeError: If there is no ``type``.
        ValueError: If nothing has this name.
    """
    given: Callable[..., Any] | str | None = cfg.get('type')
    if callable(given):
        return given
    if not isinstance(given, str):
        raise TypeError(f'{label}: {registry.name} needs a `type`, got {cfg}')
    with registry.switch_scope_and_registry(cfg.get('_scope_')) as scoped:
        try:
            found: Callable[..., Any] | None = scoped.get(given)
        except RuntimeError:  # what MMEngine raises for a malformed name
            found = None
    if callable(found):
        return found
    known = {**registry.root.module_dict, **scoped.module_dict}
    # torch's base class is registered too.
    valid = sorted(name for name in known if known[name] is not Optimizer)
    hint = did_you_mean(given.rpartition('.')[2], valid)
    if registry.name == OPTIMIZERS.name:
        hint += package_of(given)
    raise ValueError(
        f'{label}: there is no {registry.name} {given!r}; there are '
        f'{", ".join(valid)}.{hint}'
    )


def build_wrapper(
    cfg: dict[str, Any],
    optimizer: Optimizer,
    names: Mapping[nn.Parameter, str],
    label: str,
) -> OptimWrapper:
    """Build an optimizer's wrapper.

    Args:
        cfg (dict): Its ``type`` and arguments; they may be taken apart.
        optimizer (Optimizer): Built.
        names (Mapping[nn.Parameter, str]): The parameters' full names.
        label (str): Where it stands in the config, for errors.

    Raises:
        TypeError: If an argument is of a wrong type.
        ValueError: If a type or value is not valid.
    """
    cls = resolve(OPTIM_WRAPPERS, cfg, label)
    with naming(label, f'{cfg!r} does not build'):
        try:
            wrapper: OptimWrapper = OPTIM_WRAPPERS.build(
                {**cfg, 'type': cls, 'optimizer': optimizer}
            )
        except UnfitParameter as error:
            raise ValueError(error.named(names)) from error
    return wrapper


@contextmanager
def naming(label: str, what: str) -> Iterator[None]:
    """Put the entry's name into an error about what the user wrote there.

    Args:
        label (str): The entry's name.
        what (str): What does not work.
    """
    try:
        yield
    except Exception as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f'{label}: {what}: {told(error)}') from error


def told(error: BaseException) -> str:
    """Return what an error says, or else the line that raised it."""
    if isinstance(error, KeyError):
        return f'it asks for {error}'
    if str(error):
        return str(error)
    *_, last = extract_tb(error.__traceback__)
    return f'{type(error).__name__} of `{last.line}`'
