"""The values of a config, each with the source that it was written in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import libcst as cst


class _Unknown:
    """A value that only running the config would tell."""

    def __repr__(self) -> str:
        return 'UNKNOWN'


UNKNOWN = _Unknown()


@dataclass(eq=False)
class Value:
    """A value of a config: what it is, and where it is written.

    Args:
        value (Any): What it evaluates to; ``UNKNOWN`` where that cannot be
            told. Of no meaning where there are ``items`` or ``elements``.
        items (dict[str, Value], optional): Of a dict.
        elements (list[Value], optional): Of a list or tuple.
        source (cst.BaseExpression, optional): As it is written in the file
            at hand; ``None`` for what is new or inherited.
        line (int): In the file at hand, from 1; 0 for what is not in it.
        names (frozenset[str]): Of the variables that the source refers to.
        written (dict or list, optional): The items or elements that the
            source has.
    """

    value: Any = UNKNOWN
    items: dict[str, Value] | None = None
    elements: list[Value] | None = None
    source: cst.BaseExpression | None = None
    line: int = 0
    names: frozenset[str] = frozenset()
    written: dict[str, Value] | list[Value] | None = None

    @property
    def is_dict(self) -> bool:
        """Whether it has items."""
        return self.items is not None

    @property
    def is_unreadable(self) -> bool:
        """Whether not even its kind is known."""
        is_written = self.is_dict or self.elements is not None
        return not is_written and self.value is UNKNOWN

    @property
    def is_own(self) -> bool:
        """Whether any of it is written in the file at hand."""
        return bool(self.line) or any(x.is_own for x in self.children)

    @property
    def children(self) -> list[Value]:
        """Its items' or elements' values."""
        if self.items is not None:
            return list(self.items.values())
        return self.elements or []

    @property
    def is_verbatim(self) -> bool:
        """Whether its source says what it is."""
        if self.source is None:
            return False
        if isinstance(self.written, dict):
            items = self.items or {}
            return list(items) == list(self.written) and all(
                _is_kept(items[k], v) for k, v in self.written.items()
            )
        if isinstance(self.written, list):
            elements = self.elements or []
            return len(elements) == len(self.written) and all(
                map(_is_kept, elements, self.written)
            )
        return True

    @property
    def plain(self) -> Any:
        """As Python would have it; ``UNKNOWN`` where that cannot be told."""
        if self.items is not None:
            return {key: item.plain for key, item in self.items.items()}
        if self.elements is not None:
            return [x.plain for x in self.elements]
        return self.value

    @property
    def is_known(self) -> bool:
        """Whether nothing of it is unknown."""
        return is_known(self.plain)

    @property
    def all_names(self) -> frozenset[str]:
        """The variables that it refers to, as it would be written."""
        if self.is_verbatim:
            return self.names
        return frozenset().union(*(x.all_names for x in self.children))

    def __contains__(self, key: str) -> bool:
        return self.items is not None and key in self.items

    def __getitem__(self, key: str) -> Value:
        return (self.items or {})[key]

    def get(self, key: str, default: Any = None) -> Any:
        """Return the plain value of an item."""
        return self[key].plain if key in self else default

    def __iter__(self) -> Iterator[str]:
        """Iterate over the keys of its items."""
        return iter(self.items or {})

    def child(self, key: str) -> Value | None:
        """Return an item, if it is there."""
        return (self.items or {}).get(key)

    def without(self, *keys: str) -> Value:
        """Return the same dict, less these keys."""
        items = {k: v for k, v in (self.items or {}).items() if k not in keys}
        return replace(self, items=items)

    def with_items(self, **items: Value) -> Value:
        """Return the same dict, with these added or put in place."""
        return replace(self, items={**(self.items or {}), **items})

    def with_elements(self, elements: list[Value]) -> Value:
        """Return the same list, of these elements."""
        return replace(self, elements=elements)

    def renamed(self, **names: str) -> Value:
        """Return the same dict with other keys, in the same order."""
        items = {names.get(k, k): v for k, v in (self.items or {}).items()}
        return replace(self, items=items)

    def inherited(self) -> Value:
        """Return the same, seen from a file that has it from a base."""
        if self.items is not None:
            items = {k: v.inherited() for k, v in self.items.items()}
            return Value(items=items)
        if self.elements is not None:
            return Value(elements=[x.inherited() for x in self.elements])
        return Value(self.value)


def _is_kept(now: Value, written: Value) -> bool:
    if now is written:
        return now.source is None or now.is_verbatim
    return now.source is written.source and now.is_verbatim


def is_known(plain: Any) -> bool:
    """Tell whether no part of a plain value is unknown."""
    if plain is UNKNOWN:
        return False
    if isinstance(plain, dict):
        return all(is_known(x) for x in plain.values())
    if isinstance(plain, (list, tuple)):
        return all(is_known(x) for x in plain)
    return True


def literal(value: Any) -> Value:
    """Make a value that is in no file yet."""
    if isinstance(value, dict) and all(
        isinstance(k, str) and k.isidentifier() for k in value
    ):
        return Value(items={k: literal(v) for k, v in value.items()})
    if isinstance(value, list):
        return Value(elements=[literal(x) for x in value])
    return Value(value)


def listing(*elements: Value) -> Value:
    """Make a list that is in no file yet, of values that may be."""
    return Value(elements=list(elements))


def mapping(**items: Value) -> Value:
    """Make a dict that is in no file yet, of values that may be."""
    return Value(items=items)


def derived(value: Value, template: str, plain: Any) -> Value:
    """Make a value that is computed from another one.

    Args:
        value (Value): What it is computed from.
        template (str): The expression, with ``{}`` where the other's source
            goes. What is a mere number is computed instead.
        plain (Any): What it evaluates to.
    """
    source = value.source
    if source is None or isinstance(source, cst.BaseNumber):
        return Value(plain, line=value.line)
    code = cst.Module([]).code_for_node(source)
    if not isinstance(source, (cst.Name, cst.Call)):
        code = f'({code})'
    return Value(
        plain,
        source=cst.parse_expression(template.format(code)),
        line=value.line,
        names=value.names,
    )


def merge(base: Value, own: Value) -> Value:
    """Return what a config holds that inherits ``base``, says ``own``.

    As MMCV and MMEngine do it: dicts are merged, ``_delete_=True`` puts the
    new in place of the old, all else is replaced.
    """
    if own.get('_delete_'):
        return own.without('_delete_')
    if not base.is_dict or not own.is_dict:
        return own
    items = dict(base.items or {})
    for key, item in (own.items or {}).items():
        items[key] = merge(items[key], item) if key in items else item
    # Whichever is written in the file keeps its form and comments.
    form = base if own.source is None and base.source is not None else own
    return replace(form, items=items)


def difference(base: Value | None, new: Value) -> Value | None:
    """Find what makes ``new`` of ``base`` if it is said; None: nothing."""
    if base is None:
        return new
    if not base.is_dict or not new.is_dict:
        # What is inherited and not known can only be what the base has.
        if new.is_own:
            # What a file says again it may go on saying.
            return new
        return None if not new.is_known or same(base, new) else new
    if any(key not in new for key in base):
        return new.with_items(_delete_=literal(True))
    items = {}
    for key, item in (new.items or {}).items():
        part = difference(base.child(key), item)
        if part is not None:
            items[key] = part
    if not items:
        return None
    return replace(new, items=items)


def same(a: Value, b: Value) -> bool:
    """Tell whether two values are known to be the same."""
    one, other = a.plain, b.plain
    return a is b or (is_known(one) and is_known(other) and _equal(one, other))


def _equal(one: Any, other: Any) -> bool:
    # True == 1, but a config does not mean the same by them.
    return one == other and repr(one) == repr(other)
