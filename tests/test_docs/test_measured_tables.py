"""What scripts put into pages is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [*ROOT.glob('docs/*/*.md'), *ROOT.glob('configs/*/*.md')]
MARKED = re.compile(r'<!-- (.*?)begin(.*?) -->(.*?)<!-- \1end\2 -->', re.S)


@pytest.mark.parametrize('page', PAGES, ids=lambda x: str(x.relative_to(ROOT)))
def test_nothing_is_empty(page):
    for *mark, text in MARKED.findall(page.read_text()):
        assert text.strip(), mark
