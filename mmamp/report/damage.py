"""What a dtype breaks, as measured against float32."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from .histograms import Sizes

LOST = 0.25
"""Share of a module's values that become 0, from which on it is damaged."""
SKIPPED = 0.25
"""Share of steps skipped, once the loss scale had half of a trial to settle,
from which on an optimizer is."""


@dataclass(frozen=True)
class Damage:
    """One thing that a dtype breaks.

    Attributes:
        kind (str): ``'overflow'``: a module makes values that are not finite
            from values that are; ``'underflow'``: at least a quarter of its
            outputs, or of their gradients, are 0 that are not in float32;
            ``'skipped'``: of an optimizer's steps in the second half of the
            trial at least a quarter are skipped.
        where (str): Name of the module, or of the optimizer.
        text (str): What was measured.
    """

    kind: str
    where: str
    text: str

    def state(self) -> dict[str, str]:
        """Return the damage as text, for JSON."""
        return asdict(self)


def assess(trial: dict[str, Any], reference: dict[str, Any]) -> list[Damage]:
    """Find the damage in a trial.

    Args:
        trial (dict): What a trial of the dtype wrote.
        reference (dict): What the one in float32 wrote.

    Returns:
        list[Damage]: The worst kind first; empty if there is none.
    """
    return [
        *_overflows(trial, reference),
        *_skipped(trial),
        *_underflows(trial, reference),
    ]


def suspects(
    trial: dict[str, Any], reference: dict[str, Any], found: list[Damage]
) -> list[str]:
    """Return the modules that a rule may have to be about.

    Args:
        trial (dict): As of :func:`assess`.
        reference (dict): As of :func:`assess`.
        found (list[Damage]): What it said.

    Returns:
        list[str]: Names. Those that were seen to make the damage come first;
        where only skipped steps were seen it may be any that computes.
    """
    seen = [x.where for x in found if x.kind != 'skipped']
    if seen:
        return seen
    modules = trial['modules']
    spoilt = [
        name
        for name, module in modules.items()
        if Sizes.of(module['gradients']).nonfinite_share > 0
    ]
    found_leaves = leaves(modules)
    return [x for x in found_leaves if x in spoilt] or found_leaves


def leaves(modules: Iterable[str]) -> list[str]:
    """Return the names of modules that have no others in them.

    Args:
        modules (Iterable[str]): All names.
    """
    names = list(modules)
    return [
        name
        for name in names
        if not any(other.startswith(f'{name}.') for other in names)
    ]


def _overflows(
    trial: dict[str, Any], reference: dict[str, Any]
) -> list[Damage]:
    found = []
    for name, times in trial['origins'].items():
        if reference['origins'].get(name):
            continue  # no precision mends it
        kind = trial['modules'].get(name, {}).get('kind', 'module')
        found.append(
            Damage(
                'overflow',
                name,
                f'{name} ({kind}) makes values that are not finite in '
                f'{times} iteration{"s" * (times > 1)}; in float32 it does '
                'not',
            )
        )
    return found


def _skipped(trial: dict[str, Any]) -> list[Damage]:
    found = []
    for name, counts in trial['skipped'].items():
        half = len(counts) // 2
        windows = trial['windows'][name]
        steps = windows[-1] - windows[half - 1]
        late = counts[-1] - counts[half - 1]
        if late and late >= SKIPPED * steps:
            name = name or 'optim_wrapper'
            found.append(
                Damage(
                    'skipped',
                    name,
                    f'{name} skips {late} of its last {steps} steps',
                )
            )
    return found


def _underflows(
    trial: dict[str, Any], reference: dict[str, Any]
) -> list[Damage]:
    found = []
    for name, module in trial['modules'].items():
        for part, what in (
            ('outputs', 'outputs'),
            ('gradients', 'gradients of its outputs'),
        ):
            lost = lost_share(module, reference['modules'].get(name), part)
            if lost >= LOST:
                found.append(
                    Damage(
                        'underflow',
                        name,
                        f'{lost:.0%} of the {what} of {name} '
                        f'({module["kind"]}) are 0, and are not in float32',
                    )
                )
                break
    return found


def lost_share(
    module: dict[str, Any], reference: dict[str, Any] | None, part: str
) -> float:
    """Return a module's share of values that are 0 only in a dtype.

    Those that are 0 in float32, too, are taken off.

    Args:
        module (dict): Of the dtype's trial.
        reference (dict, optional): The same module's in float32.
        part (str): ``'outputs'`` or ``'gradients'``.
    """
    if reference is None:
        return 0.0
    here, there = Sizes.of(module[part]), Sizes.of(reference[part])
    if not here.total or not there.total:
        return 0.0
    return max(here.zero_share - there.zero_share, 0.0)
