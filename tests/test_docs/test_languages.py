"""English and Chinese hold the same pages."""

import re

import pytest
from doc_blocks import (
    LANGUAGES,
    ROOT,
    blocks,
    config_readmes,
    headings,
    pages,
    tables,
    without_comments,
)

from benchmarks.results.chinese import in_chinese

EN, ZH = ({**pages(x), **config_readmes(x)} for x in LANGUAGES)
# One word for one thing: that of the field, and what stood in its place.
GLOSSARY = {
    '微批次': ['小批次', '小批量', '微批量'],  # micro-batch
    '批大小': ['批量大小', '批次大小', '批尺寸'],
    '判别器': ['鉴别器', '辨别器'],
    '损失缩放': ['损失放缩', '损失比例', '损失标度'],
    '梯度累积': ['梯度累计', '梯度积累'],
    '滑动平均': ['移动平均'],
    '隐变量': ['潜变量', '潜在变量'],
    '谱归一化': ['光谱归一化', '频谱归一化'],
    '评测': ['评估'],
    '检查点': ['存档点', '快照文件'],
    '封装': ['包装器'],  # wrapper
    '钩子': ['挂钩'],
    '注册器': ['注册表'],
    '算法库': ['工具箱'],
    'traceback': ['回溯'],
    '你': ['您'],
}
CHINESE = [
    *ZH.values(),
    *ROOT.glob('demo/*_zh-CN.ipynb'),
]


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
def test_the_same_tables(page):
    """Of as many rows and columns."""
    en, zh = (tables(x[page]) for x in (EN, ZH))
    shapes = [[[len(row) for row in table] for table in x] for x in (en, zh)]
    assert shapes[0] == shapes[1]


@pytest.mark.parametrize('page', config_readmes('en'))
def test_the_same_results(page):
    """`tools/results.py` writes them; what each says in English is known."""
    sections = [
        re.findall(
            r'(<!-- results of \S+: begin -->)\n\n(.*?)\n\n(<!-- .*: end -->)',
            x[page].read_text(),
            re.S,
        )
        for x in (EN, ZH)
    ]
    translated = [(a, in_chinese(text), b) for a, text, b in sections[0]]
    assert translated == sections[1]


@pytest.mark.parametrize('page', config_readmes('en'))
def test_each_names_the_other(page):
    line = '[English](README.md) | [简体中文](README_zh-CN.md)'
    for x in (EN, ZH):
        assert x[page].read_text().splitlines()[2] == line


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


@pytest.mark.parametrize('path', CHINESE, ids=str)
def test_one_word_for_one_thing(path):
    text = path.read_text(encoding='utf-8')
    # A word may be wrapped.
    text = re.sub(r'(?<=[\u4e00-\u9fff])\n\s*(?=[\u4e00-\u9fff])', '', text)
    found = {
        other: word
        for word, others in GLOSSARY.items()
        for other in others
        if other in text
    }
    assert not found
