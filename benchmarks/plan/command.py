"""The command."""

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks import json_lines
from benchmarks.results.tables import put_between
from mmamp.precision.devices import machine

from .measure import Case

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / f'docs/{x}/plan.md' for x in ('en', 'zh_cn')]
MARKS = (
    '<!-- begin: python -m benchmarks.plan -->',
    '<!-- end: python -m benchmarks.plan -->',
)
FAMILIES = dict(
    DCGAN='dcgan/dcgan_digits-32x32.py',
    LSGAN='lsgan/lsgan_digits-32x32.py',
    WGAN_GP='wgan_gp/wgan-gp_digits-32x32.py',
    SAGAN='sagan/sagan_digits-32x32.py',
    BigGAN='biggan/biggan_digits-32x32.py',
    StyleGAN2='stylegan2/stylegan2_digits-32x32.py',
    pix2pix='pix2pix/pix2pix_digits-edges-32x32.py',
    CycleGAN='cyclegan/cyclegan_digits-edges-32x32.py',
    SRGAN='srgan/srgan_photos-x4.py',
    ESRGAN='esrgan/esrgan_photos-x4.py',
)
DTYPES = ('float32', 'bfloat16')
PENALISED = ('WGAN_GP', 'StyleGAN2')
"""Families with penalties that come now and then."""
IN_RANKS = ('DCGAN', 'StyleGAN2')
"""Families that are trained by several ranks too."""
HEAD = (
    *('family', 'dtype', 'accumulative_counts', 'penalties'),
    *('predicted, MiB', 'measured, MiB', 'difference'),
)
HEAD_OF_RANKS = (
    *('family', 'strategy', 'ranks', 'collectives of an update', 'bytes'),
    *('counted', 'predicted, MiB', 'measured, MiB', 'difference'),
    'at the start, MiB',
)
MIB = 2**20


def build_parser() -> argparse.ArgumentParser:
    """Build the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog='benchmarks.plan',
        description='Compare the memory that a plan predicts on a CPU with '
        "what torch's profiler measures",
    )
    parser.add_argument(
        '--families', nargs='+', choices=FAMILIES, default=list(FAMILIES)
    )
    parser.add_argument(
        '--results',
        type=Path,
        default=Path('work_dirs/plan.jsonl'),
        metavar='FILE',
        help='where it is kept; what is there is not run again (default: '
        '%(default)s)',
    )
    parser.add_argument(
        '--write', action='store_true', help='put the table into the docs'
    )
    parser.add_argument(
        '--tabulate',
        action='store_true',
        help='run nothing: the table is of what has been run',
    )
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run what has not been run yet, and make the table.

    Args:
        argv (list[str], optional): The command line. Defaults to None:
            ``sys.argv``.

    Returns:
        int: Exit code: 1 if a case failed.
    """
    args = build_parser().parse_args(argv)
    args.results.parent.mkdir(parents=True, exist_ok=True)
    rows = json_lines.read(args.results) if args.results.exists() else []
    found = {Case(**x['case']): x for x in rows}
    for case in cases(args.families):
        if case in found or args.tabulate:
            continue
        print(case, flush=True)
        row = run(case)
        if row is None:
            return 1
        found[case] = dict(case=asdict(case), **row)
        json_lines.add(args.results, found[case])
    wanted = [x for x in cases(args.families) if x in found]
    alone = {x: found[x] for x in wanted if x.ranks == 1}
    several = {x: found[x] for x in wanted if x.ranks > 1}
    tables = [table(alone), *([table_of_ranks(several)] if several else [])]
    text = '\n\n'.join([f'{machine()}:', *tables])
    if args.write:
        for page in PAGES:
            put_between(page, *MARKS, text)
    else:
        print(text)
    return 0


def cases(families: list[str]) -> Iterator[Case]:
    """Yield all cases of some families."""
    for name in families:
        for dtype in DTYPES:
            config = FAMILIES[name]
            for counts in (1, 8):
                yield Case(config, dtype, counts)
                if name in PENALISED:
                    yield Case(config, dtype, counts, due=True)
    for name in filter(families.__contains__, IN_RANKS):
        for strategy in ('ddp', 'fsdp2'):
            for ranks in (2, 4):
                yield Case(
                    FAMILIES[name],
                    'float32',
                    due=name in PENALISED,
                    strategy=strategy,
                    ranks=ranks,
                )


def run(case: Case) -> dict[str, Any] | None:
    """Run a case in a process of its own; None if it fails."""
    done = subprocess.run(
        [
            *(sys.executable, '-W', 'ignore', '-m', 'benchmarks.plan.measure'),
            json.dumps(asdict(case)),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        print(done.stderr[-2000:], file=sys.stderr)
        return None
    row: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return row


def table(found: dict[Case, dict[str, Any]]) -> str:
    """Make the table, in Markdown.

    Args:
        found (dict): What the cases came to.
    """
    names = {config: name for name, config in FAMILIES.items()}
    rows = [HEAD, ('---',) * len(HEAD)]
    for case, row in found.items():
        predicted, measured = (
            row[x]['peak'] for x in ('predicted', 'measured')
        )
        penalised = names[case.config] in PENALISED
        rows.append(
            (
                names[case.config].replace('_', '-'),
                case.dtype,
                str(case.counts),
                ('due' if case.due else 'not due') if penalised else '-',
                f'{predicted / MIB:.2f}',
                f'{measured / MIB:.2f}',
                f'{(predicted / measured - 1) * 100:+.2f} %',
            )
        )
    return '\n'.join(f'| {" | ".join(row)} |' for row in rows)


def table_of_ranks(found: dict[Case, dict[str, Any]]) -> str:
    """Make the table of several ranks, in Markdown.

    Args:
        found (dict): What the cases came to.
    """
    names = {config: name for name, config in FAMILIES.items()}
    rows = [HEAD_OF_RANKS, ('---',) * len(HEAD_OF_RANKS)]
    for case, row in found.items():
        plan, real = row['predicted'], row['measured']
        calls = ', '.join(f'{n} {kind}' for kind, n in plan['calls'].items())
        rows.append(
            (
                names[case.config],
                dict(ddp='DDP', fsdp2='FSDP2')[case.strategy],
                str(case.ranks),
                calls,
                f'{sum(plan["sizes"].values()):,}',
                'equal'
                if (plan['calls'], plan['sizes'])
                == (real['calls'], real['sizes'])
                else f'{real["calls"]}, {real["sizes"]}',
                f'{plan["peak"] / MIB:.2f}',
                f'{real["peak"] / MIB:.2f}',
                f'{(plan["peak"] / real["peak"] - 1) * 100:+.2f} %',
                f'{plan["start"] / MIB:.2f}, measured '
                f'{real["start"] / MIB:.2f}',
            )
        )
    return '\n'.join(f'| {" | ".join(row)} |' for row in rows)
