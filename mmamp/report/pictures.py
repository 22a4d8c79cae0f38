"""The report's pictures, as SVG in ``data:`` addresses."""

import base64
import io
from collections.abc import Callable, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .histograms import RANGES, Sizes

COLOURS = dict(
    float32='#64748b', bfloat16='#0d9488', float16='#d97706', logged='#2563eb'
)
_GREY = '#8a94a6'


def picture_of(
    draw: Callable[[Axes], None], width: float, height: float
) -> str:
    """Draw a picture with one pair of axes, readable on white and on black."""
    figure = Figure(figsize=(width, height), layout='constrained')
    axes = figure.add_subplot()
    draw(axes)
    axes.tick_params(colors=_GREY, labelsize=8)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ('left', 'bottom'))
        spine.set_color(_GREY)
    for label in (axes.xaxis.label, axes.yaxis.label, axes.title):
        label.set_color(_GREY)
        label.set_fontsize(9)
    buffer = io.BytesIO()
    figure.savefig(
        buffer, format='svg', transparent=True, metadata=dict(Date=None)
    )
    code = base64.b64encode(buffer.getvalue()).decode()
    return f'data:image/svg+xml;base64,{code}'


def _colour(dtype: str) -> str:
    return COLOURS.get(dtype, COLOURS['logged'])


def curves(
    lines: dict[str, Sequence[float | None]],
    steps: Sequence[int] | None = None,
    log: bool = False,
) -> str:
    """Draw values over the iterations, with a line for each dtype.

    Args:
        lines (dict): Values by what they are of, such as a dtype.
        steps (Sequence[int], optional): Their iterations. Defaults to None:
            all.
        log (bool): Whether the scale is logarithmic. Defaults to False.
    """

    def draw(axes: Axes) -> None:
        for name, values in lines.items():
            numbers = [float('nan') if v is None else v for v in values]
            where = (steps or range(1, len(numbers) + 1))[: len(numbers)]
            mark = 'o' if len(numbers) < 3 else None
            colour = _colour(name)
            axes.plot(where, numbers, color=colour, lw=1.3, marker=mark)
        if log:
            axes.set_yscale('log', base=2)
        axes.set_xlabel('iteration')

    return picture_of(draw, 4.2, 2.2)


def exponents(sizes: dict[str, Sizes], dtype: str) -> str:
    """Draw how large values are, against what a dtype can hold.

    Args:
        sizes (dict[str, Sizes]): By the dtype of the trial.
        dtype (str): Whose range is shown.
    """
    smallest, normal, largest = RANGES[dtype]

    def draw(axes: Axes) -> None:
        for name, found in sizes.items():
            total = max(found.total, 1)
            where = sorted(found.exponents)
            shares = [found.exponents[e] / total * 100 for e in where]
            axes.fill_between(
                where, shares, step='mid', alpha=0.35, color=_colour(name)
            )
            axes.plot(
                where, shares, drawstyle='steps-mid', color=_colour(name), lw=1
            )
        low, high = axes.get_xlim()
        low, high = min(low, -30), max(high, 18)
        for begin, end, alpha in (
            (low, smallest, 0.22),
            (smallest, normal, 0.1),
            (largest + 1, high, 0.22),
        ):
            if end > begin:
                axes.axvspan(
                    max(begin, low), end, color='#dc2626', alpha=alpha, lw=0
                )
        axes.set_xlim(low, high)
        axes.set_ylim(bottom=0)
        axes.set_xlabel('exponent of 2')
        axes.set_ylabel('% of values')

    return picture_of(draw, 4.2, 1.9)
