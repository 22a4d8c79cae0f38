"""Names of tensors with places in them, which are read and filled in."""

import re
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import NamedTuple

Numbers = Mapping[str, Mapping[str, str]]
"""By the name of a place: what stands there in their names, and in ours."""
Values = dict[str, str]
"""What stands in places, in their terms."""
_PLACE = re.compile(r'\{(\d*)([a-z]+)([+-]\d+)?\}')


class _Place(NamedTuple):
    name: str
    times: int
    plus: int


class Template:
    """A name such as ``'body.{i}.rdb{j}.conv{k}.{leaf}'``.

    Places of one letter are numbers; ``{2i+1}`` is those of the form 2i + 1.
    ``{leaf}`` is the last part of a name, whatever it is. Other places are of
    ``numbers``.

    Args:
        text (str): The name.
        numbers (Mapping): Of the places that are neither.
        ours (bool): Whether it is a name of mmamp's.
    """

    def __init__(self, text: str, numbers: Numbers, ours: bool) -> None:
        self.text = text
        self.numbers = {
            name: {v: k for k, v in known.items()} if ours else dict(known)
            for name, known in numbers.items()
        }
        self.ours = ours

    @cached_property
    def _parts(self) -> list[str | _Place]:
        parts: list[str | _Place] = []
        end = 0
        for found in _PLACE.finditer(self.text):
            times, name, plus = found.groups()
            parts.append(self.text[end : found.start()])
            parts.append(_Place(name, int(times or 1), int(plus or 0)))
            end = found.end()
        return [*parts, self.text[end:]]

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        pieces = []
        for part in self._parts:
            if isinstance(part, str):
                pieces.append(re.escape(part))
            elif part.name in self.numbers:
                # The longest first: one may begin like another.
                known = sorted(self.numbers[part.name], key=len, reverse=True)
                choices = '|'.join(map(re.escape, known))
                pieces.append(f'(?P<{part.name}>{choices})')
            elif part.name == 'leaf':
                pieces.append(r'(?P<leaf>[^.]+)')
            else:
                pieces.append(rf'(?P<{part.name}>\d+)')
        return re.compile(''.join(pieces))

    def match(self, name: str) -> Values | None:
        """Read what stands in the places of a name.

        Args:
            name (str): Of a tensor.

        Returns:
            dict[str, str] or None: By place, in their terms; None if it is
            another name.
        """
        found = self._pattern.fullmatch(name)
        if found is None:
            return None
        values = found.groupdict()
        for part in self._parts:
            if isinstance(part, str) or part.name == 'leaf':
                continue
            text = values[part.name]
            if part.name in self.numbers:
                if self.ours:
                    values[part.name] = self.numbers[part.name][text]
                continue
            number, rest = divmod(int(text) - part.plus, part.times)
            if rest or number < 0:
                return None
            values[part.name] = str(number)
        return values

    def fill(self, values: Values) -> str:
        """Write a name; the inverse of :meth:`match`.

        Args:
            values (dict[str, str]): By place.
        """
        return ''.join(
            part if isinstance(part, str) else self._text(part, values)
            for part in self._parts
        )

    def _text(self, part: _Place, values: Values) -> str:
        text = values[part.name]
        if part.name == 'leaf':
            return text
        if part.name in self.numbers:
            if not self.ours:
                return text
            ours = {v: k for k, v in self.numbers[part.name].items()}
            return ours[text]
        return str(part.times * int(text) + part.plus)


def in_one_list(
    blocks: Iterable[tuple[str | None, str | None]],
) -> dict[str, dict[str, str]]:
    """Return where blocks, and attention behind some, are in one list.

    Args:
        blocks (Iterable[tuple]): What a block, and its attention, are called
            here; None for what is not in the list.

    Returns:
        dict[str, dict[str, str]]: Numbers of the places ``{block}`` and
        ``{attention}``.
    """
    numbers: dict[str, dict[str, str]] = dict(block={}, attention={})
    place = 0
    for pair in blocks:
        for known, ours in zip(numbers.values(), pair, strict=True):
            if ours is not None:
                known[str(place)] = ours
                place += 1
    return numbers
