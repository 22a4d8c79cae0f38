"""Notebooks of ``demo/``: what they print is kept in them, and still true."""

import json
import re
from itertools import count

import pytest
from doc_blocks import ROOT

DEMO = ROOT / 'demo'
ENGLISH = [x for x in sorted(DEMO.glob('*.ipynb')) if '_zh-CN' not in x.stem]
ALL = sorted(DEMO.glob('*.ipynb'))
NUMBER = re.compile(r'(?<![\w.])-?\d[\d.,]*(e[+-]?\d+)?')
LINK = re.compile(r'\]\(([^)#]*)')


def cells_of(path):
    return json.loads(path.read_text())['cells']


def in_chinese(path):
    return path.with_stem(f'{path.stem}_zh-CN')


def kinds(cell):
    """What a cell says, whatever its numbers: lines, and kinds of pictures."""
    found = set()
    for output in cell['outputs']:
        text = ''.join(output.get('text', ''))
        found.update(
            NUMBER.sub('#', ' '.join(line.split()))
            for line in text.splitlines()
        )
        found.update(output.get('data', ()))
    return found


def code(cells):
    return [cell for cell in cells if cell['cell_type'] == 'code']


def prose(cells):
    return [''.join(x['source']) for x in cells if x['cell_type'] != 'code']


def headings(cells):
    return [len(x) for x in re.findall('^#+', '\n'.join(prose(cells)), re.M)]


@pytest.mark.parametrize('path', ENGLISH, ids=str)
def test_both_languages_show_the_same(path):
    en, zh = cells_of(path), cells_of(in_chinese(path))
    assert [x['cell_type'] for x in en] == [x['cell_type'] for x in zh]
    assert code(en) == code(zh)
    assert headings(en) == headings(zh)


@pytest.mark.parametrize('path', ALL, ids=str)
def test_each_is_in_its_language(path):
    for text in prose(cells_of(path)):
        chinese = len(re.findall('[\u4e00-\u9fff]', text))
        assert chinese >= 2 if '_zh-CN' in path.stem else chinese <= 4, text


@pytest.mark.parametrize('path', ALL, ids=str)
def test_links(path):
    found = [x for y in prose(cells_of(path)) for x in LINK.findall(y)]
    assert found
    assert not [x for x in found if not (path.parent / x).is_file()]


@pytest.mark.parametrize('path', ENGLISH, ids=str)
def test_outputs_are_those_of_one_run_on_any_machine(path):
    cells = code(cells_of(path))
    for cell, number in zip(cells, count(1)):
        assert cell['execution_count'] == number
        assert 'execution' not in cell['metadata']
        for output in cell['outputs']:
            assert output['output_type'] != 'error'
            text = ''.join(output.get('text', ''))
            assert not re.search(r'(^|[\s\'"(=])/\w', text), text
            assert '\x1b' not in text


@pytest.mark.parametrize('path', ENGLISH, ids=str)
def test_another_statement_is_of_another_kind(path):
    found = [
        cell
        for cell in code(cells_of(path))
        if 'discriminator.energy' in str(cell['outputs'])
    ]
    assert found
    for cell in found:
        text = json.dumps(cell)
        other = json.loads(text.replace('discriminator.energy', 'generator'))
        assert kinds(other) != kinds(cell)
        longer = json.loads(re.sub(r'\b\d\d windows', '777 windows', text))
        assert kinds(longer) == kinds(cell)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize('path', ENGLISH, ids=str)
def test_what_is_kept_still_holds(path, tmp_path):
    # Of the extra `demo`, which the other tests do without.
    import notebooks

    fresh = notebooks.code_cells(notebooks.execute(path, tmp_path))
    for kept, cell in zip(code(cells_of(path)), fresh, strict=True):
        if 'varies' not in kept['metadata'].get('tags', ()):
            assert kinds(cell) == kinds(kept), ''.join(kept['source'])
