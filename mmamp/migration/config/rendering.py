"""Source text of values, in the style that OpenMMLab's configs have."""

from __future__ import annotations

import ast
import io
import re
import textwrap
import tokenize
from typing import Any

import libcst as cst

from .reading import entries
from .values import UNKNOWN, Value

WIDTH = 79
STEP = 4


class CannotWrite(Exception):
    """A value that has no source and is not known."""


def render(value: Value, column: int = 0) -> str:
    """Write the source of a value.

    What the file at hand says itself is taken from it as it stands, comments
    and all.

    Args:
        value (Value): To write.
        column (int): Where its first line begins, for its length. Defaults
            to 0.

    Returns:
        str: An expression; lines after the first are indented as if the
        statement began at the left.

    Raises:
        CannotWrite: If it is not known what it is.
    """
    if value.is_verbatim:
        assert value.source is not None
        text = cst.Module([]).code_for_node(value.source)
        if not (value.written and _is_aligned(text)):
            return _dedent(text)
    if value.items is not None:
        return _dict(value, column)
    if value.elements is not None:
        return _list(value, column)
    return _plain(value.value)


def _is_aligned(text: str) -> bool:
    """Tell whether lines are aligned with a bracket that has moved."""
    first, *rest = text.split('\n')
    code = first.partition('#')[0].rstrip()
    is_long = _has_long_string(text)
    return bool(rest) and not is_long and code[-1:] not in ('(', '[', '{')


def comments_of(text: str) -> list[str]:
    """Return the comments in a piece of source, in order."""
    if '#' not in text:
        return []
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    try:
        return [x.string for x in tokens if x.type == tokenize.COMMENT]
    except (tokenize.TokenError, SyntaxError):
        return []


def _plain(value: Any) -> str:
    if value is UNKNOWN:
        raise CannotWrite
    if isinstance(value, dict):
        pairs = (f'{key!r}: {_plain(item)}' for key, item in value.items())
        return '{' + ', '.join(pairs) + '}'
    if isinstance(value, list):
        return '[' + ', '.join(map(_plain, value)) + ']'
    if isinstance(value, tuple):
        inner = ', '.join(map(_plain, value))
        return f'({inner},)' if len(value) == 1 else f'({inner})'
    text = repr(value)
    if isinstance(value, str) and '\\' in value and not value.endswith('\\'):
        raw = f"r'{value}'"
        # Regular expressions are written raw, where they can be.
        if "'" not in value and ast.literal_eval(raw) == value:
            return raw
    if isinstance(value, float) and text in ('inf', '-inf', 'nan'):
        return f"float('{text}')"
    if not isinstance(value, (str, bytes, int, float, type(None))):
        raise CannotWrite
    return text


def _dict(value: Value, column: int) -> str:
    items = value.items or {}
    is_call = all(x.isidentifier() for x in items) and not isinstance(
        value.source, cst.Dict
    )
    start, equals, end = ('dict(', '=', ')') if is_call else ('{', ': ', '}')
    around = _around(value)
    parts = []
    for key, item in items.items():
        name = key if is_call else repr(key)
        text = f'{name}{equals}{render(item, STEP + len(name) + 1)}'
        parts.append((text, *around.get(key, ([], ''))))
    return _layout(start, parts, end, column)


def _list(value: Value, column: int) -> str:
    around = _around(value)
    parts = [
        (render(x, STEP), *around.get(_key(x), ([], '')))
        for x in value.elements or []
    ]
    return _layout('[', parts, ']', column)


def _layout(
    start: str, parts: list[tuple[str, list[str], str]], end: str, column: int
) -> str:
    """Put the parts of a dict or list on one line, or on a line each."""
    texts = [text for text, _, _ in parts]
    flat = start + ', '.join(texts) + end
    is_plain = not any(above or behind for _, above, behind in parts)
    if is_plain and '\n' not in flat and column + len(flat) < WIDTH:
        return flat
    lines = [start]
    for index, (text, above, behind) in enumerate(parts):
        is_last = index == len(parts) - 1
        lines += [' ' * STEP + x for x in above]
        comma = '' if is_last and not behind else ','
        lines.append(
            textwrap.indent(text, ' ' * STEP, lambda x: True)
            if not _has_long_string(text)
            else ' ' * STEP + text
        )
        lines[-1] += comma + (f'  {behind}' if behind else '')
    if parts and parts[-1][2]:
        lines.append(end)
    else:
        lines[-1] += end
    return '\n'.join(lines)


def _key(value: Value) -> Any:
    return id(value.source) if value.source is not None else id(value)


def _around(value: Value) -> dict[Any, tuple[list[str], str]]:
    """Return the comments above and behind the parts of a value."""
    nodes: list[tuple[Any, cst.CSTNode]]
    if value.source is None:
        return {}
    if isinstance(value.source, cst.List):
        nodes = [(id(x.value), x) for x in value.source.elements]
        first: Any = value.source.lbracket.whitespace_after
    else:
        nodes = [(key, x) for key, _, x in entries(value.source) or []]
        first = (
            value.source.lbrace.whitespace_after
            if isinstance(value.source, cst.Dict)
            else getattr(value.source, 'whitespace_before_args', None)
        )
    found: dict[Any, tuple[list[str], str]] = {}
    above = _in_whitespace(first)
    for key, node in nodes:
        comma = getattr(node, 'comma', None)
        after = getattr(comma, 'whitespace_after', None)
        behind = ''
        if isinstance(after, cst.ParenthesizedWhitespace):
            comment = after.first_line.comment
            behind = comment.value if comment else ''
        if not behind:
            last = getattr(node, 'whitespace_after_arg', None)
            if isinstance(last, cst.ParenthesizedWhitespace):
                comment = last.first_line.comment
                behind = comment.value if comment else ''
        found[key] = (above, behind)
        above = _in_whitespace(after, is_first=False)
    return found


def _in_whitespace(node: Any, is_first: bool = True) -> list[str]:
    if not isinstance(node, cst.ParenthesizedWhitespace):
        return []
    lines = [x.comment for x in node.empty_lines]
    if is_first:
        lines.insert(0, node.first_line.comment)
    return [x.value for x in lines if x is not None]


def _has_long_string(text: str) -> bool:
    return bool(re.search('"""|\'\'\'', text)) and '\n' in text


def _dedent(text: str) -> str:
    """Shift all lines after the first so that they begin at STEP."""
    first, *rest = text.split('\n')
    filled = [len(x) - len(x.lstrip()) for x in rest if x.strip()]
    if not filled or _has_long_string(text):
        return text
    # A closing bracket on a line of its own belongs at the left.
    closing = rest[-1].strip() and rest[-1].strip()[0] in ')]}'
    least = min(filled) - (0 if closing else STEP)
    shifted = [x[least:] if least >= 0 else ' ' * -least + x for x in rest]
    return '\n'.join(
        [first, *(x.rstrip() if not x.strip() else x for x in shifted)]
    )
