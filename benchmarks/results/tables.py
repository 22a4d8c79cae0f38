"""Results as Markdown, in the READMEs beside a config."""

import shutil
import statistics
from pathlib import Path
from typing import Any

from mmamp.precision.devices import machine
from mmamp.sample import main as sample

from .bicubic import of_bicubic
from .chinese import in_chinese
from .runs import PRECISIONS, STAGE, Run

BEGIN, END = '<!-- results of {}: begin -->', '<!-- results of {}: end -->'


def _cell(values: list[float]) -> str:
    """Format the mean and, of several, their standard deviation."""
    mean = f'{statistics.mean(values):.4g}'
    if len(values) == 1:
        return mean
    return f'{mean} ± {statistics.stdev(values):.2g}'


def _metrics(found: dict[str, Any]) -> list[str]:
    """Choose what to show: no spreads, and of several levels their mean."""
    means = [key[:-3] for key in found if key.endswith('/avg')]
    return [
        key
        for key in found
        if key not in ('peak_memory', STAGE)
        and not key.endswith('_std')
        and (key.endswith('/avg') or not key.startswith(tuple(means)))
    ]


def table(
    results: dict[Run, dict[str, Any]],
    times: dict[str, list[float]],
    bicubic: dict[str, float] | None = None,
) -> str:
    """Make the table of a config, in Markdown.

    Args:
        results (dict): What :func:`train` said of each run.
        times (dict): What :func:`time_precisions` said.
        bicubic (dict, optional): The metrics of bicubic enlargements.
            Defaults to None: no row of them.
    """
    first = next(iter(results.values()))
    metrics = _metrics(first)
    head = ['precision', 'seeds', *metrics, 'ms an iteration']
    head += ['time / float32', 'peak memory, MiB']
    rows = [head, ['---'] * len(head)]
    if bicubic is not None:
        values = (_cell([bicubic[key]]) for key in metrics)
        rows.append(['bicubic', '', *values, '', '', ''])
    for precision in PRECISIONS:
        runs = [run for run in results if run.precision == precision]
        found = [results[run] for run in runs]
        iters = runs[0].iters
        ratios = [
            t / f
            for t, f in zip(times[precision], times['float32'], strict=True)
        ]
        seeds = ', '.join(str(run.seed) for run in runs)
        if stages := [r[STAGE] for r in found if r.get(STAGE)]:
            values = (_cell([s[key] for s in stages]) for key in metrics)
            name = f'{precision}, pixels alone'
            rows.append([name, seeds, *values, '', '', ''])
        rows.append(
            [
                precision + (f' ({iters} iterations)' if iters else ''),
                seeds,
                *(_cell([r[key] for r in found]) for key in metrics),
                f'{statistics.median(times[precision]) * 1000:.0f}',
                f'{statistics.median(ratios):.2f} '
                f'({min(ratios):.2f} to {max(ratios):.2f})',
                f'{max(r["peak_memory"] for r in found) / 2**20:.0f}',
            ]
        )
    return '\n'.join(f'| {" | ".join(row)} |' for row in rows)


def write(config: Path, text: str) -> list[Path]:
    """Put results into the READMEs beside a config, in place of older ones.

    Args:
        config (Path): Of the config file.
        text (str): Markdown, in English; a README in Chinese gets it in
            Chinese.

    Returns:
        list[Path]: Of the READMEs.
    """
    texts = {config.parent / 'README.md': text}
    chinese = config.parent / 'README_zh-CN.md'
    if chinese.is_file():
        texts[chinese] = in_chinese(text)
    begin, end = BEGIN.format(config.stem), END.format(config.stem)
    for readme, section in texts.items():
        put_between(readme, begin, end, section)
    return list(texts)


def put_between(page: Path, begin: str, end: str, text: str) -> None:
    """Put text between two marks of a page, in place of what was there.

    Args:
        page (Path): Of a Markdown file; one without the marks gets them at
            its end.
        begin (str): The first mark.
        end (str): The second.
        text (str): Markdown.
    """
    before, _, rest = page.read_text().partition(begin)
    after = rest.partition(end)[2].strip()
    parts = [before.rstrip(), f'{begin}\n\n{text}\n\n{end}', after]
    page.write_text('\n\n'.join(part for part in parts if part) + '\n')


def report(
    config: Path,
    results: dict[Run, dict[str, Any]],
    times: dict[str, list[float]],
    root: Path,
    command: str,
    gif: bool = False,
) -> str:
    """Make the report on a config, in Markdown, and its picture beside it.

    Args:
        config (Path): Of the config file.
        results (dict): What :func:`train` said of each run.
        times (dict): What :func:`time_precisions` said.
        root (Path): Where runs are.
        command (str): What made them.
        gif (bool): Whether an interpolation is wanted, too. Defaults to
            False.
    """
    rounds = len(times['float32'])
    return (
        f'## Results of {config.name}\n\n'
        f'{table(results, times, of_bicubic(config))}\n\n'
        'The last validation of each run: mean and standard deviation over '
        f'seeds. Times of {rounds} rounds in which precisions take turns. '
        'Memory is that of the accelerator, on a CPU of the whole process. '
        f'On {machine()}. Made by\n\n```bash\n{command}\n```'
        f'{_picture(config, results, root)}'
        f'{_interpolation(config, results, root) if gif else ""}'
    )


def _shown(results: dict[Run, dict[str, Any]]) -> Run:
    """Choose the run whose pictures are shown: the first in bfloat16."""
    return next(run for run in results if run.precision == 'bfloat16')


def _interpolation(
    config: Path, results: dict[Run, dict[str, Any]], root: Path
) -> str:
    """Put an interpolation beside the config."""
    folder = _shown(results).work_dir(root)
    out = folder / 'interpolation'
    arguments = [str(config), str(folder), '--num', '20', '--interpolate']
    if sample([*arguments, '--out', str(out)]):
        raise RuntimeError(f'nothing could be sampled of {str(folder)!r}')
    picture = config.with_suffix('.gif')
    shutil.copyfile(out / 'interpolation.gif', picture)
    return (
        '\n\nFrom latents to others and back, its average:\n\n'
        f'![interpolation of {config.stem}]({picture.name})'
    )


def _picture(
    config: Path, results: dict[Run, dict[str, Any]], root: Path
) -> str:
    """Put the last picture in bfloat16 beside the config, if there is one."""
    run = _shown(results)
    pictures = run.work_dir(root).glob('*/vis_data/vis_image/samples_*.png')
    last = max(pictures, key=lambda path: path.stat().st_mtime, default=None)
    if last is None:
        return ''
    picture = config.with_suffix('.png')
    shutil.copyfile(last, picture)
    return (
        f'\n\nIn bfloat16, seed {run.seed}:\n\n'
        f'![samples of {config.stem}]({picture.name})'
    )
