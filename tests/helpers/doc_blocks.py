"""Fenced blocks of the README and the docs, and how a test takes each.

A comment in the line above a block says what differs:

- ``<!-- test: file NAME -->``: it is that file's content;
- ``<!-- test: build -->``: a config that is built key by key, not trained;
- ``<!-- test: parse -->``: code that is compiled, or commands that are parsed;
- ``<!-- test: slow -->``: commands that the slow test runs;
- ``<!-- test: recipe PACKAGE [BASE] -->``: a config that the slow test trains,
  beside a package that others need not have, upon a reference config;
- ``<!-- migrate: ... -->``: before and after, which another test compares.
"""

import ast
import re
import shlex
import tokenize
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / 'docs'
LANGUAGES = ('en', 'zh_cn')
READMES = dict(en=ROOT / 'README.md', zh_cn=ROOT / 'README_zh-CN.md')
FENCE = re.compile(r'( *)```(\S*)(.*)')
MARKER = re.compile(r' *<!-- (test|migrate): (.*?) -->')


@dataclass(frozen=True)
class Block:
    """One fenced block."""

    line: int
    language: str
    marker: str
    text: str

    @property
    def file(self) -> str | None:
        return self.marker[5:] if self.marker.startswith('file ') else None

    @property
    def is_config(self) -> bool:
        """Whether it sets keys, and does nothing else."""
        return all(
            isinstance(x, ast.Assign) for x in ast.parse(self.text).body
        )

    def commands(self) -> list[list[str]]:
        """The words of each command, without variables in front."""
        lines = self.text.replace('\\\n', ' ').splitlines()
        parts = [part for line in lines for part in line.split(' && ')]
        split = [shlex.split(part, comments=True) for part in parts]
        return [words for words in split if words]


def pages(language: str) -> dict[str, Path]:
    """The README and every page in a language, by their names in English."""
    folder = DOCS / language
    found = {
        str(path.relative_to(folder)): path for path in folder.rglob('*.md')
    }
    return {'README.md': READMES[language], **dict(sorted(found.items()))}


def config_readmes(language: str) -> dict[str, Path]:
    """READMEs beside the configs in a language, by their names in English."""
    name = READMES[language].name
    return {
        f'{path.parent.relative_to(ROOT)}/README.md': path
        for path in sorted(ROOT.glob(f'configs/*/{name}'))
    }


def blocks(path: Path) -> list[Block]:
    """The fenced blocks of a page."""
    found = []
    lines = path.read_text().splitlines()
    start = None
    for i, line in enumerate(lines):
        match = FENCE.fullmatch(line)
        if not match:
            continue
        if start is None:
            start = i
            continue
        above = MARKER.fullmatch(lines[start - 1])
        if above and above[1] == 'migrate':
            marker = 'migrate'
        else:
            marker = above[2] if above else ''
        opening = FENCE.fullmatch(lines[start])
        indent = len(opening[1])
        text = ''.join(x[indent:] + '\n' for x in lines[start + 1 : i])
        # The second of a pair has no marker of its own.
        is_second = lines[start - 1].strip() == '```'
        if is_second and found[-1].marker == 'migrate':
            marker = 'migrate'
        found.append(Block(start + 1, opening[2], marker, text))
        start = None
    assert start is None, f'{path}: the block at line {start} has no end'
    return found


def without_comments(block: Block) -> str:
    """A block as both languages have it."""
    if block.language == 'python':
        kept = [
            token
            for token in tokenize.generate_tokens(
                StringIO(block.text).readline
            )
            if token.type not in (tokenize.COMMENT, tokenize.NL)
        ]
        return ' '.join(token.string for token in kept)
    if block.language == 'bash':
        return '\n'.join(map(' '.join, block.commands()))
    if block.language == '{toctree}':
        return re.sub('^:caption:.*$', '', block.text, flags=re.M)
    return block.text


def tables(path: Path) -> list[list[list[str]]]:
    """Rows of cells of each table of a page."""
    text = re.sub(r'^ *```.*?^ *```$', '', path.read_text(), flags=re.M | re.S)
    return [
        [re.split(r'(?<!\\)\|', row)[1:-1] for row in found.splitlines()]
        for found in re.findall(r'(?:^\|.*\n?)+', text, re.M)
    ]


def headings(path: Path) -> list[tuple[int, str]]:
    """Level and text of the headings of a page."""
    text = re.sub(r'^ *```.*?^ *```$', '', path.read_text(), flags=re.M | re.S)
    found = re.findall(r'^(#+) (.*)$', text, re.M)
    return [(len(marks), title) for marks, title in found]
