"""Links between the pages, and from the READMEs, lead somewhere."""

import re

import pytest
from doc_blocks import LANGUAGES, config_readmes, headings, pages

LINK = re.compile(r'\]\(([^)#\s]*)(?:#([^)]*))?\)')
PATHS = [
    path
    for x in LANGUAGES
    for path in (*pages(x).values(), *config_readmes(x).values())
]


@pytest.mark.parametrize('path', PATHS, ids=str)
def test_links(path):
    text = re.sub(r'^ *```.*?^ *```$', '', path.read_text(), flags=re.M | re.S)
    for file, heading in LINK.findall(text):
        if not file.startswith('http'):
            target = path.parent / file if file else path
            assert target.is_file(), file
            assert not heading or heading in anchors(target), heading


def anchors(path):
    """What links call the headings of a page."""
    return [
        re.sub(r'[^\w -]', '', title).lower().replace(' ', '-')
        for _, title in headings(path)
    ]
