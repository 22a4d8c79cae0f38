"""What ``KEY=VALUE`` on a command line means."""

from collections.abc import Iterator
from typing import Any

_PAIRS = {'(': ')', '[': ']'}
_QUOTES = '\'"'


def parse_value(text: str) -> Any:
    """Read a value, as MMEngine's ``DictAction`` does, and with its spaces.

    ``1,2``, ``[1, 2]`` and ``(1, 2)`` are lists and tuples, of any depth. What
    is in quotes is not split. A path with commas outside of brackets is one
    text.

    Args:
        text (str): What follows the ``=``.

    Returns:
        Any: int, float, bool, None, str, or a list or tuple of them.

    Raises:
        ValueError: If brackets or quotes do not match.
    """
    text = text.strip()
    if is_path_with_commas(text):
        return text
    return _value(text)


def is_path_with_commas(text: str) -> bool:
    """Tell whether a text could be a list, but is more likely a path.

    Args:
        text (str): A value, or what one is read from.
    """
    begins = text[:1] in (*_PAIRS, *_QUOTES)
    return ',' in text and not begins and ('/' in text or '\\' in text)


def split(text: str) -> list[Any]:
    """Read a value that is a list, without brackets around it.

    Args:
        text (str): Such as ``'a/b,c/d'``.

    Raises:
        ValueError: If brackets or quotes do not match.
    """
    items = [item.strip() for item in _items(text)]
    if items[-1] == '':
        items.pop()
    return [_value(item) for item in items]


def _value(text: str) -> Any:
    items = list(_items(text)) if ',' in text else [text]
    if len(items) > 1:
        return split(text)
    if text[:1] in _PAIRS and text[-1:] == _PAIRS[text[0]]:
        inside = split(text[1:-1])
        return tuple(inside) if text[0] == '(' else inside
    if len(text) > 1 and text[0] in _QUOTES and text[-1] == text[0]:
        text = text[1:-1]
    return _scalar(text)


def _items(text: str) -> Iterator[str]:
    """Split at the commas that are in no brackets and no quotes."""
    open_: list[str] = []  # what would close them, the innermost last
    start = 0
    before = ','
    for i, letter in enumerate(text):
        if open_ and letter == open_[-1]:
            open_.pop()
        elif open_ and open_[-1] in _QUOTES:
            continue
        elif letter in _PAIRS:
            open_.append(_PAIRS[letter])
        elif letter in _QUOTES and before in ',([':
            open_.append(letter)
        elif letter in _PAIRS.values():
            raise ValueError(f'{letter} closes nothing in {text!r}')
        elif letter == ',' and not open_:
            yield text[start:i]
            start = i + 1
        if letter != ' ':
            before = letter
    if open_:
        raise ValueError(f'there is no {open_[-1]} in {text!r}')
    yield text[start:]


def _scalar(text: str) -> Any:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    words = {'true': True, 'false': False}
    if text == 'None':
        return None
    return words.get(text.lower(), text)
