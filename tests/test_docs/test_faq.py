"""The FAQ quotes messages that the package has."""

import ast
import re

import pytest
from doc_blocks import ROOT, pages

# What a message has in the place of a value.
VALUE = re.compile(r'<[^>]+>|\.\.\.')


def messages():
    """All texts in the package; a value in one is a line break."""
    for path in ROOT.glob('mmamp/**/*.py'):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value
            elif isinstance(node, ast.JoinedStr):
                yield ''.join(
                    part.value if isinstance(part, ast.Constant) else '\n'
                    for part in node.values
                )


def quoted(path):
    text = path.read_text()
    return re.findall(r'^## `(.*)`$', text, re.M)


@pytest.mark.parametrize('language', ['en', 'zh_cn'])
def test_each_message_is_in_the_source(language):
    found = list(messages())
    entries = quoted(pages(language)['faq.md'])
    assert len(entries) >= 15
    for entry in entries:
        # All of it in one message, and in this order.
        parts = map(re.escape, VALUE.split(entry))
        wanted = re.compile('\n'.join(parts))
        assert any(map(wanted.search, found)), entry


def test_both_languages_quote_the_same():
    assert quoted(pages('en')['faq.md']) == quoted(pages('zh_cn')['faq.md'])
