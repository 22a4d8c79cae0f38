"""Links between the pages, and from the READMEs, lead somewhere."""

import re

import pytest
from doc_blocks import pages

LINK = re.compile(r'\]\(([^)#\s]+)(?:#[^)]*)?\)')
PATHS = [path for x in ('en', 'zh_cn') for path in pages(x).values()]


@pytest.mark.parametrize('path', PATHS, ids=str)
def test_links(path):
    text = re.sub(r'^ *```.*?^ *```$', '', path.read_text(), flags=re.M | re.S)
    for target in LINK.findall(text):
        if not target.startswith('http'):
            assert (path.parent / target).is_file(), target
