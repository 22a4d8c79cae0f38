"""Consoles that print a user's text as it is."""

import ast
import io
import re
from pathlib import Path

import pytest
from rich.table import Table
from terminals import Terminal

from mmamp.utils.consoles import new_console, tracked

ROOT = Path(__file__).parents[2]
TEXTS = [
    'model.py:100: [bold]x[/bold] :smile: [/] 1.5 None',
    'generator\\.(a|b)[0-9]',
    'x' * 500,
    ' '.join(['word'] * 200),
]


@pytest.mark.parametrize('text', TEXTS)
def test_text_stays_as_it_is(text):
    out = io.StringIO()
    new_console(file=out).print(text)
    assert out.getvalue() == f'{text}\n'


@pytest.mark.parametrize('text', TEXTS)
def test_so_does_it_in_a_table(text):
    out = io.StringIO()
    table = Table(box=None, pad_edge=False)
    table.add_column('a')
    table.add_column('b')
    table.add_row(text, text)
    new_console(file=out).print(table)
    assert f'{text}  {text}' in out.getvalue()


def test_a_terminal_is_as_wide_as_it_is():
    out = io.StringIO()
    console = new_console(file=out, force_terminal=True, width=40)
    console.print(TEXTS[3])
    assert max(map(len, out.getvalue().splitlines())) <= 40


def test_no_other_console_is_made():
    """In any command: each would read markup in a user's text."""
    for folder in ('mmamp', 'tools', 'benchmarks'):
        for path in (ROOT / folder).rglob('*.py'):
            if path.name == 'consoles.py' or '.mim' in path.parts:
                continue
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call):
                    name = ast.unparse(node.func).rpartition('.')[2]
                    assert name != 'Console', f'{path}:{node.lineno}'
                    if name == 'TextColumn':
                        given = {x.arg for x in node.keywords}
                        assert 'markup' in given, f'{path}:{node.lineno}'


SCRIPT = """
import time
from mmamp.utils.consoles import tracked
items = (time.sleep(0.2) or x for x in range(8))
print(sum(tracked(items, 'Counting', 8)))
"""


def test_progress_on_a_terminal(tmp_path, python):
    terminal = Terminal([python, '-c', SCRIPT], tmp_path)
    assert terminal.end() == 0, terminal.text
    assert re.search(r'Counting.*\d+%', terminal.text)
    # The line is gone, and the cursor there.
    assert terminal.text.endswith('\x1b[2K28\r\n')
    assert terminal.text.rfind('\x1b[?25h') > terminal.text.rfind('\x1b[?25l')


def test_no_progress_in_a_pipe(capfd):
    assert list(tracked([1, 2], 'Counting')) == [1, 2]
    assert capfd.readouterr() == ('', '')
