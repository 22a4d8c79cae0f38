"""The plan as text."""

from typing import Any

from rich.console import Console
from rich.table import Table

from .cards import in_words


def print_plan(plan: dict[str, Any], console: Console) -> None:
    """Print what matters most.

    Args:
        plan (dict): As ``schema.json`` describes it.
        console (rich.console.Console): Where it goes.
    """
    console.print(_memory(plan))
    for table in (_traffic(plan), _compute(plan)):
        if table.row_count:
            console.print(table)
    for line in findings(plan):
        console.print(line)


def _memory(plan: dict[str, Any]) -> Table:
    ranks = plan['ranks']
    table = Table(
        title=f'Memory of a rank at its peak, {plan["device"]}, {ranks} '
        f'rank{"s" * (ranks != 1)}'
    )
    for column in (
        *('strategy', 'dtype', 'batch', 'peak', 'in', 'fits'),
        *('largest batch', 'most of it'),
    ):
        table.add_column(column, overflow='fold')
    for row in plan['rows']:
        if row['failed']:
            table.add_row(row['strategy'], row['dtype'], '', row['failed'])
            continue
        peak = row['peak']
        parts = sorted(peak['parts'].items(), key=lambda x: -x[1])[:3]
        table.add_row(
            row['strategy'],
            row['dtype'],
            str(row['batch']),
            in_words(peak['total']),
            peak['phase'],
            fits(peak['total'], plan['memory']),
            str(row.get('largest_batch', '-')),
            ', '.join(f'{name} {in_words(size)}' for name, size in parts),
        )
    return table


def fits(total: int, memory: int | None) -> str:
    """Say whether it fits, and with what margin.

    Args:
        total (int): Bytes at the peak.
        memory (int, optional): Bytes of the device; None if not known.
    """
    if memory is None:
        return '-'
    margin = memory - total
    words = in_words(abs(margin))
    return f'yes, {words} left' if margin >= 0 else f'no, {words} short'


def _traffic(plan: dict[str, Any]) -> Table:
    table = Table(title='Traffic of an update of every network, a rank')
    for column in ('strategy', 'dtype', 'ranks', 'collectives', 'sent'):
        table.add_column(column, overflow='fold')
    for row in plan['rows']:
        for traffic in row.get('traffic', []):
            calls = ', '.join(f'{n} {x}' for x, n in traffic['calls'].items())
            table.add_row(
                row['strategy'],
                row['dtype'],
                str(traffic['ranks']),
                calls or '0',
                in_words(traffic['sent']),
            )
    return table


def _compute(plan: dict[str, Any]) -> Table:
    table = Table(title='An update of every network, penalties included')
    for column in ('strategy', 'dtype', 'multiply-adds', 'at least'):
        table.add_column(column, overflow='fold')
    for row in plan['rows']:
        if row['failed'] or row['strategy'] != plan['rows'][0]['strategy']:
            continue
        work = ', '.join(
            f'{x["network"] or "beside"}: {x["multiply_adds"] / 1e9:.2f} G in '
            f'{x["dtype"]}'
            for x in row['compute']
        )
        bound = row['seconds']['at_least']
        told = '-' if bound is None else f'{bound * 1000:.3g} ms'
        table.add_row(row['strategy'], row['dtype'], work, told)
    return table


def findings(plan: dict[str, Any]) -> list[str]:
    """Say what will break, wait or differ, each once.

    Args:
        plan (dict): The plan.
    """
    found: dict[str, None] = {}
    device = plan['device']
    for row in plan['rows']:
        name = f'{row["strategy"]}, {row["dtype"]}'
        if row['needs_values']:
            found[
                f'{name}: {row["needs_values"]} asks for numbers, and a '
                'branch or shape may depend on them: '
                + ('' if row['failed'] else 'rehearsed on real tensors')
            ] = None
        if row['failed']:
            continue
        found[f'autocast: {row["autocast"]["source"]}'] = None
        for x in row['autocast']['refused']:
            found[
                f'{row["dtype"]}: {x["operator"]} does not run under autocast '
                f'on {device} ({x["place"]})'
            ] = None
        for x in row['autocast']['differs']:
            found[
                f'{x["operator"]}: {x["there"] or "as it is given"} on '
                f'{device}, {x["here"] or "as it is given"} on the CPU'
            ] = None
        for x in row['waits']:
            found[f'{x["place"]} waits for the device'] = None
        if row.get('savings'):
            best = row['savings'][0]
            found[
                f'{name}: what frees the most is {best["what"]}: '
                f'{in_words(best["bytes"])}'
            ] = None
    if plan['left_out']:
        found[f'Not rehearsed: {", ".join(plan["left_out"])}'] = None
    return list(found)
