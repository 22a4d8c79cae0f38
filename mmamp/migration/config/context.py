"""What a rule works on: a config with its bases, and what is to be said."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from mmamp.migration.findings import Findings, Outcome
from mmamp.migration.project import Project
from mmamp.migration.toolboxes import PACKAGES

from .values import Value, mapping, merge


class Unreadable(Exception):
    """A name whose value a rule would have to know, and does not.

    Args:
        name (str): At the top of the config.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


@dataclass
class Context(Findings[Value | int | str, str]):
    """A config on its way from 0.x to 1.x.

    A rule takes old keys out of ``values`` and puts new ones in. It sees the
    config whole, with what is inherited; what the file has to say itself is
    found out afterwards.

    Args:
        path (Path): Of the file.
        values (dict[str, Value]): Everything the config holds, by the names
            at its top.
        unclear (dict[str, int]): Names that are set in more than one place
            of the file or not at its top, so that they cannot be converted.
        project (Project): What is known beside the file. Defaults to nothing.
    """

    path: Path
    values: dict[str, Value]
    unclear: dict[str, int] = field(default_factory=dict)
    project: Project = field(default_factory=Project)
    marks: dict[str, list[str]] = field(default_factory=dict)
    """Reasons of what is left to do, by the name whose statement has it."""
    origins: dict[str, list[str]] = field(default_factory=dict)
    """The old names that a new one is made of."""
    is_float32: bool = False
    """Whether the config says that it is not in mixed precision."""

    def __post_init__(self) -> None:
        super().__init__()

    def __contains__(self, name: str) -> bool:
        return name in self.values

    def __getitem__(self, name: str) -> Value:
        return self.values[name]

    @property
    def is_part(self) -> bool:
        """Whether the file is one that configs are put together from."""
        return '_base_' in self.path.parts

    @property
    def target(self) -> str:
        """str: The toolbox that the config is for; '' if nothing tells."""
        if self.project.target:
            return self.project.target
        scope = self.get('default_scope')
        imports = self.get('custom_imports', 'imports')
        found = [x.plain for x in (scope, imports) if x is not None]
        names = [y for x in found for y in (x if isinstance(x, list) else [x])]
        packages = {str(x).partition('.')[0] for x in names}
        near = [x for x, package in PACKAGES.items() if package in packages]
        return near[0] if len(near) == 1 else ''

    def get(self, *keys: str) -> Value | None:
        """Return what is found at ``keys``, from the top inwards."""
        value = mapping(**self.values)
        for key in keys:
            if key not in value:
                return None
            value = value[key]
        return value

    def has(self, name: str) -> bool:
        """Tell whether a name is there and can be converted.

        One that is set in several places of the file is not: that is said.
        """
        if name not in self.values:
            return False
        if name in self.unclear:
            self.todo(
                name,
                f'{name} is set in more than one place, or not by an '
                'assignment at the top of the file',
            )
            return False
        return True

    def take(self, name: str, into: str | None = None) -> Value:
        """Take an old key out; ``into`` is the new one made of it."""
        if into is not None:
            self.origin(into, name)
        return self.values.pop(name)

    def origin(self, new: str, old: str) -> None:
        """Note that a new key is made of an old one."""
        names = self.origins.setdefault(new, [])
        if old not in names:
            names.append(old)

    def put(self, name: str, value: Value) -> None:
        """Set a new key; what it held already is kept beside.

        Where both say something, what the file at hand says goes before what
        is inherited.
        """
        there = self.values.get(name)
        if there is not None and there.is_unreadable:
            raise Unreadable(name)
        if there is None:
            self.values[name] = value
        elif there.is_own and not value.is_own:
            merged = merge(value, there)
            order = dict.fromkeys([*there, *merged])
            items = {key: merged[key] for key in order if key in merged}
            is_dict = merged.is_dict
            self.values[name] = (
                replace(merged, items=items) if is_dict else merged
            )
        else:
            self.values[name] = merge(there, value)

    def replace(self, name: str, value: Value) -> None:
        """Set a key, in place of what it held."""
        self.values[name] = value

    def line(self, place: Value | int | str) -> int | None:
        """Find the line of a place in the file at hand.

        Args:
            place (Value, int or str): A value, the line itself, or a name at
                the top of the config.

        Returns:
            int: From 1; None for what is inherited.
        """
        if isinstance(place, int):
            return place or None
        value = self.values.get(place) if isinstance(place, str) else place
        return None if value is None else first_line(value) or None

    def todo(
        self,
        statement: str,
        reason: str,
        where: Value | int | str | None = None,
    ) -> None:
        """Mark a statement as left to do, if it is in the file at hand.

        Args:
            statement (str): By the name at the top of the config that it
                sets.
            reason (str): Why, and what it might become.
            where (Value, int or str, optional): The very place in it. One
                that is inherited counts for nothing. Defaults to None.
        """
        own = self.line(statement)
        line = own if where is None else self.line(where) or own
        if line is None:
            return
        self.say(line, Outcome.TODO, reason)
        self.mark(statement, reason)

    def mark(self, name: str, reason: str) -> None:
        """Have a comment put over a statement."""
        reasons = self.marks.setdefault(name, [])
        if reason not in reasons:
            reasons.append(reason)


def first_line(value: Value) -> int:
    """Return the line where a value begins; 0 if the file has it not."""
    if value.line:
        return value.line
    lines = [line for x in value.children if (line := first_line(x))]
    return min(lines, default=0)
