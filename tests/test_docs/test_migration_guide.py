"""The guide to the migration: each pair is what the tool does."""

import re
from pathlib import Path

import pytest

from mmamp.migration.code import migrate_code
from mmamp.migration.config import migrate_config

DOCS = Path(__file__).resolve().parents[2] / 'docs'
PAIR = re.compile(
    r'<!-- migrate: (config|code) -->\n'
    r'```python\n(.*?)```\n```python\n(.*?)```',
    re.S,
)


def pairs(language):
    text = (DOCS / language / 'migration.md').read_text()
    assert text.count('<!-- migrate:') == len(PAIR.findall(text))
    return PAIR.findall(text)


@pytest.mark.parametrize(('kind', 'before', 'after'), pairs('en'))
def test_each_pair(tmp_path, kind, before, after):
    path = tmp_path / 'before.py'
    path.write_text(before)
    if kind == 'config':
        assert migrate_config(path).after == after
    else:
        assert migrate_code(before, path).after == after


def test_both_languages_have_the_same():
    assert pairs('zh_cn') == pairs('en')
    assert len(pairs('en')) >= 12
