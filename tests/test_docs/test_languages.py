"""English and Chinese hold the same pages."""

import re

import pytest
from doc_blocks import blocks, headings, pages, without_comments

EN, ZH = pages('en'), pages('zh_cn')


def test_the_same_pages():
    assert list(EN) == list(ZH)


@pytest.mark.parametrize('page', EN)
def test_the_same_headings(page):
    levels = [[level for level, _ in headings(x[page])] for x in (EN, ZH)]
    assert levels[0] == levels[1]


@pytest.mark.parametrize('page', EN)
def test_the_same_blocks(page):
    en, zh = (blocks(x[page]) for x in (EN, ZH))
    assert [(b.language, b.marker) for b in en] == [
        (b.language, b.marker) for b in zh
    ]
    for mine, theirs in zip(en, zh, strict=True):
        assert without_comments(mine) == without_comments(theirs)


@pytest.mark.parametrize('page', EN)
def test_each_is_in_its_language(page):
    """A page that was copied, not translated, would be found."""
    en, zh = (
        len(re.findall('[\u4e00-\u9fff]', x[page].read_text(encoding='utf-8')))
        for x in (EN, ZH)
    )
    # Links to the other language name it.
    assert en <= 4
    assert zh >= 2
