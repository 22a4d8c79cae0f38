"""The config files of a run: each read once, converted, and written anew."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from mmamp.migration.config.rules.runner import is_loop
from mmamp.migration.findings import (
    COMMENTS,
    MARK,
    Finding,
    Outcome,
    Result,
    UnreadableSource,
)
from mmamp.migration.project import Project
from mmamp.migration.sources import check_source, read_source

from .context import Context, Unreadable
from .inheritance import NEW_NAMES, OLD_NAMES, on_top
from .layout import Layout, Part
from .own_settings import (
    base_to_write,
    has_early_imports,
    keep_what_cannot_be_written,
    name_lost_references,
    name_taken_variables,
    what_to_say,
)
from .reading import BASE, Source, read
from .rules import RULES
from .values import Value, mapping, merge
from .writing import write

OPTIMIZERS = ('optimizer', 'optimizers', 'optim_wrapper')


class Files:
    """The files of a run, and the bases of each.

    Args:
        project (Project): What is known beside the files.
    """

    def __init__(self, project: Project) -> None:
        self.project = project
        self.sources: dict[Path, Source] = {}
        self.texts: dict[Path, str] = {}
        self.seen: dict[Path, _Whole] = {}
        self.layout = Layout({})

    def source(self, path: Path) -> Source:
        """Read a file, once.

        Args:
            path (Path): Of the file.

        Raises:
            UnreadableSource: If it is not there or is no Python.
        """
        path = path.resolve()
        if path not in self.sources:
            text = read_source(path)
            self.texts[path] = text
            self.sources[path] = read(path, text)
        return self.sources[path]

    def whole(self, path: Path) -> _Whole:
        """Return what a file and its bases give, as they are and will be."""
        path = path.resolve()
        if path not in self.seen:
            source = self.source(path)
            # A file that is its own base, by whatever way.
            self.seen[path] = _Whole(source, mapping(), Context(path, {}))
            old, new = mapping(), mapping()
            missing = {}
            for name in source.bases:
                try:
                    base = self.whole(path.parent / name)
                except UnreadableSource as error:
                    missing[name] = error.reason
                    continue
                old = merge(old, base.old_inherited)
                new = merge(new, base.new_inherited)
            own = mapping(**source.values).without(BASE)
            mine = on_top(old, new, own)
            context = _convert(source, mine, self.project)
            self.seen[path] = _Whole(source, mine, context, old, missing)
        return self.seen[path]

    def parts(self, written: Iterable[Path]) -> dict[Path, Part]:
        """Return what the layout has to know of files and their bases.

        Args:
            written (Iterable[Path]): The files that are written.
        """
        paths = {x.resolve() for x in written}
        for path in paths:
            self.whole(path)
        return {
            path: whole.part(path in paths)
            for path, whole in self.seen.items()
        }

    def given(self, path: Path) -> Value:
        """Return all that a file gives, with its bases, as it is laid out.

        Args:
            path (Path): Resolved.
        """
        part, whole = self.layout.parts[path], self.whole(path)
        items = {
            key: value
            for key, value in (whole.new.items or {}).items()
            if key not in part.given_up
        }
        for key, places in part.taken.items():
            for place in places:
                theirs = self.whole(place).new[key].inherited()
                items[key] = merge(theirs, items[key])
        return mapping(**items)

    def migrate(self, path: Path) -> Result:
        """Write a file anew, once it is laid out.

        Args:
            path (Path): Of the file.
        """
        whole = self.whole(path)
        source, context = whole.source, whole.context
        part = self.layout.parts[source.path]
        before = self.texts[source.path]
        result = Result(path, before, before)
        self._say_of_bases(whole, result)
        base = mapping()
        for place in part.bases:
            if place in self.layout.parts:
                base = merge(base, self.given(place).inherited())
        self._say_of_layout(source, result, context)
        context.values = dict(self.given(source.path).items or {})
        own = mapping(**source.values).without(BASE)
        changed, gone = what_to_say(own, whole.old, context, base)
        keep_what_cannot_be_written(source, context, changed, gone)
        name_lost_references(source, whole.old_base, base, context)
        name_taken_variables(source, context)
        new_base = base_to_write(source, context)
        if new_base is not None:
            changed = {BASE: new_base, **changed}
        is_early = has_early_imports(source, context)
        result.findings += context.findings
        if changed or gone or context.marks or is_early:
            result.after = _written(
                source, context, changed, gone, result, is_early
            )
        result.findings += _earlier_marks(before, result.findings)
        result.findings.sort(key=lambda x: x.line)
        return result

    def _say_of_bases(self, whole: _Whole, result: Result) -> None:
        source, context = whole.source, whole.context
        for name, reason in whole.missing.items():
            text = f'the base {name!r} cannot be read: {reason}'
            _say_of_bases(source, result, Outcome.TODO, text)
            context.mark(BASE, text)
        clashes: dict[tuple[Path, Path], list[str]] = {}
        for clash in self.layout.clashes(source.path):
            clashes.setdefault((clash.one, clash.other), []).append(clash.key)
        for pair, keys in clashes.items():
            one, other = (_relative(source, x) for x in pair)
            text = (
                f'{", ".join(sorted(keys))} of the base {other!r} is set by '
                f'{one!r} too, which MMEngine refuses: let one of them '
                'inherit the other, or migrate them in one run with this file'
            )
            _say_of_bases(source, result, Outcome.TODO, text)
            context.mark(BASE, text)
        if set(source.values) & OLD_NAMES and set(whole.old_base) & NEW_NAMES:
            reason = (
                'the bases are of 1.x already: what they had of 0.x is not '
                'known any more; a folder is best migrated at once'
            )
            _say_of_bases(source, result, Outcome.WARNED, reason)

    def _say_of_layout(
        self, source: Source, result: Result, context: Context
    ) -> None:
        part = self.layout.parts[source.path]
        for key in sorted(part.given_up):
            line = _line_of(source, context, key)
            if line:
                reason = (
                    f'{key} is said by the files that inherit this one, or by '
                    'another base of theirs: two bases may not both set it'
                )
                result.findings.append(
                    Finding(line, 'layout', Outcome.WARNED, reason)
                )
        for key, parts in part.taken.items():
            names = ', '.join(repr(_relative(source, x)) for x in parts)
            reason = f'{key} of {names} is here too: both have the same heirs'
            line = _line_of(source, context, key) or 1
            result.findings.append(
                Finding(line, 'layout', Outcome.CHANGED, reason)
            )


@dataclass
class _Whole:
    """What a file and its bases give."""

    source: Source
    old: Value
    context: Context
    old_base: Value = field(default_factory=mapping)
    missing: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.new = mapping(**self.context.values)

    def part(self, is_written: bool) -> Part:
        """Return what the layout has to know."""
        is_trained = any(x in self.old for x in OPTIMIZERS)
        is_base = '_base_' in self.source.path.parts
        return Part(
            self.bases,
            frozenset(self.old),
            frozenset(self.new),
            is_trained and 'model' in self.old and not is_base,
            is_written,
        )

    @cached_property
    def old_inherited(self) -> Value:
        return self.old.inherited()

    @cached_property
    def new_inherited(self) -> Value:
        return self.new.inherited()

    @cached_property
    def bases(self) -> list[Path]:
        folder = self.source.path.parent
        return [(folder / x).resolve() for x in self.source.bases]


def _earlier_marks(text: str, found: Iterable[Finding]) -> list[Finding]:
    """List the marks that a file has of an earlier run."""
    said = {x.reason for x in found}
    lines = text.splitlines()
    marks = []
    for number, line in enumerate(lines, 1):
        _, mark, reason = line.partition(f'# {MARK}: ')
        if not mark or line.split('#')[0].strip():
            continue
        for more in lines[number:]:
            if not more.strip().startswith('#   '):
                break
            reason += f' {more.strip()[1:].strip()}'
        if reason not in said:
            mark_of = Finding(number, 'earlier_marks', Outcome.TODO, reason)
            marks.append(mark_of)
    return marks


def _relative(source: Source, base: Path) -> str:
    return os.path.relpath(base, source.path.parent)


def _line_of(source: Source, context: Context, key: str) -> int:
    """Find the line of a key, or of what it is made of, in the file."""
    names = (key, *context.origins.get(key, []))
    lines = [source.values[x].line for x in names if x in source.values]
    return min(lines, default=0)


def _say_of_bases(
    source: Source, result: Result, outcome: Outcome, reason: str
) -> None:
    line = source.values[BASE].line
    result.findings.append(Finding(line, 'bases', outcome, reason))


def _convert(source: Source, old: Value, project: Project) -> Context:
    items = dict(old.items or {})
    context = Context(source.path, items, source.unclear, project)
    if _is_new(old):
        return context
    for rule in RULES:
        context.rule = rule.name
        values, origins = dict(context.values), dict(context.origins)
        try:
            rule.apply(context)
        except Unreadable as error:
            context.values, context.origins = values, origins
            context.todo(
                error.name,
                f'{error.name} cannot be read here, and {rule.name} would be '
                'part of it',
            )
    return context


def _is_new(config: Value) -> bool:
    """Tell whether a config is of 1.x and nothing else."""
    names = set(config)
    # MMEngine still heeds this one.
    if names & (OLD_NAMES - {'find_unused_parameters'}):
        return False
    for name in ('train_cfg', 'test_cfg'):
        loop = config.child(name)
        if loop is not None and loop.items and not is_loop(loop):
            return False
    return bool(names & NEW_NAMES)


def _written(
    source: Source,
    context: Context,
    changed: dict[str, Value],
    gone: set[str],
    result: Result,
    is_early: bool,
) -> str:
    origins = context.origins
    after, removed = write(
        source, changed, gone, origins, context.marks, is_early
    )
    for name, comments in removed.items():
        line = source.values[name].line if name in source.values else 1
        reason = f'{name} is gone with its comment: {" ".join(comments)}'
        finding = Finding(line, COMMENTS, Outcome.CHANGED, reason)
        result.findings.append(finding)
    try:
        check_source(source.path, after)
    except UnreadableSource as error:
        # A defect of ours, and no reason to break somebody's config.
        reason = f'what came out is no Python ({error.reason}); left as it was'
        result.findings.append(Finding(1, 'writing', Outcome.TODO, reason))
        return result.before
    return after
