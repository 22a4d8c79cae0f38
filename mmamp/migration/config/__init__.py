"""Configs from 0.x to 1.x.

A config is read without being run (``reading``) into values that know where
they are written (``values``); rules turn the whole of it, bases included,
into what it is in 1.x (``rules``, one a file); and of that the file is made
to say what its bases do not (``writing``).
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from mmamp.migration.config.rules.runner import is_loop
from mmamp.migration.findings import Finding, Outcome, Result, UnreadableSource
from mmamp.migration.sources import parse_source, read_source

from .context import Context, Unreadable
from .inheritance import NEW_NAMES, OLD_NAMES, on_top
from .own_settings import (
    keep_what_cannot_be_written,
    name_early_imports,
    name_lost_references,
    what_to_say,
)
from .reading import BASE, Source, read
from .rules import RULES
from .values import Value, mapping, merge
from .writing import write

__all__ = [
    'UnreadableSource',
    'migrate_config',
    'migrate_configs',
    'with_bases',
]


def migrate_config(path: Path) -> Result:
    """Convert one config file.

    Its bases are read and not written: each is to be migrated too, before or
    after, and what the file has to say is found on the ground that they are.

    Args:
        path (Path): Of the file, which is not touched.

    Returns:
        Result: The new text, and what is to say.

    Raises:
        UnreadableSource: If the file is not there or is no Python.
    """
    return _Files().migrate(path)


def migrate_configs(paths: Iterable[Path]) -> list[Result]:
    """Convert config files, each on the ground that its bases are converted.

    Args:
        paths (Iterable[Path]): Of the files, none of which is touched.

    Returns:
        list[Result]: One a file, in order. One that cannot be read says so in
        ``unreadable``.
    """
    files = _Files()
    results = []
    for path in paths:
        try:
            results.append(files.migrate(path))
        except UnreadableSource as error:
            results.append(Result(path, '', '', unreadable=error.reason))
    return results


def with_bases(path: Path) -> list[Path]:
    """Find all that a config file inherits from.

    Args:
        path (Path): Of the file.

    Returns:
        list[Path]: Resolved, the file first; without what cannot be read.
    """
    files, found, left = _Files(), [], [path.resolve()]
    while left:
        path = left.pop()
        if path in found:
            continue
        try:
            source = files.source(path)
        except UnreadableSource:
            continue
        found.append(path)
        left += [(path.parent / name).resolve() for name in source.bases]
    return found


class _Files:
    """The files that one config is made of, each read once."""

    def __init__(self) -> None:
        self.sources: dict[Path, Source] = {}
        self.texts: dict[Path, str] = {}
        self.seen: dict[Path, tuple[Value, Value]] = {}

    def source(self, path: Path) -> Source:
        path = path.resolve()
        if path not in self.sources:
            text = read_source(path)
            self.texts[path] = text
            self.sources[path] = read(path, text)
        return self.sources[path]

    def migrate(self, path: Path) -> Result:
        source = self.source(path)
        before = self.texts[path.resolve()]
        result = Result(path, before, before)
        old_base, new_base = self._bases(source, result)
        missing = [x.reason for x in result.findings]
        if set(source.values) & OLD_NAMES and set(old_base) & NEW_NAMES:
            reason = (
                'the bases are of 1.x already: what they had of 0.x is not '
                'known any more; a folder is best migrated at once'
            )
            _say_of_bases(source, result, Outcome.WARNED, reason)
        own = mapping(**source.values).without(BASE)
        old = on_top(old_base, new_base, own)
        context = _convert(source, old)
        changed, gone = what_to_say(own, old, context, new_base)
        keep_what_cannot_be_written(source, context, changed, gone)
        name_lost_references(source, old_base, new_base, context)
        name_early_imports(source, context)
        result.findings += context.findings
        for reason in missing:
            context.mark(BASE, reason)
        if changed or gone or context.marks:
            result.after = _written(source, context, changed, gone, result)
        result.findings.sort(key=lambda x: x.line)
        return result

    def _bases(self, source: Source, result: Result) -> tuple[Value, Value]:
        """Return all that a file inherits, as it is and as it will be."""
        old, new = mapping(), mapping()
        for name in source.bases:
            try:
                theirs = self._effective(source.path.parent / name)
            except UnreadableSource as error:
                reason = f'the base {name!r} cannot be read: {error.reason}'
                _say_of_bases(source, result, Outcome.TODO, reason)
                continue
            self._find_clash(source, name, (old, new), theirs, result)
            old, new = merge(old, theirs[0]), merge(new, theirs[1])
        return old, new

    def _find_clash(
        self,
        source: Source,
        name: str,
        others: tuple[Value, Value],
        theirs: tuple[Value, Value],
        result: Result,
    ) -> None:
        """Say what two bases both set now: MMEngine refuses that."""
        before = set(others[0]) & set(theirs[0])
        now = set(others[1]) & set(theirs[1])
        if now - before:
            reason = (
                f'{", ".join(sorted(now - before))} of the base {name!r} is '
                'set by another base too now, which MMEngine refuses: let '
                'one of them inherit the other'
            )
            _say_of_bases(source, result, Outcome.TODO, reason)

    def _effective(self, path: Path) -> tuple[Value, Value]:
        """Return what a file and its bases give, as they are and will be."""
        path = path.resolve()
        if path not in self.seen:
            # A file that is its own base, by whatever way.
            self.seen[path] = mapping(), mapping()
            source = self.source(path)
            bases = self._bases(source, Result(path, '', ''))
            own = mapping(**source.values).without(BASE)
            old = on_top(*bases, own)
            new = mapping(**_convert(source, old).values)
            self.seen[path] = old.inherited(), new.inherited()
        return self.seen[path]


def _say_of_bases(
    source: Source, result: Result, outcome: Outcome, reason: str
) -> None:
    line = source.values[BASE].line
    result.findings.append(Finding(line, 'bases', outcome, reason))


def _convert(source: Source, old: Value) -> Context:
    context = Context(source.path, dict(old.items or {}), source.unclear)
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
) -> str:
    origins = context.origins
    after = write(source, changed, gone, origins, context.marks)
    try:
        parse_source(source.path, after)
    except UnreadableSource as error:
        # A defect of ours, and no reason to break somebody's config.
        reason = f'what came out is no Python ({error.reason}); left as it was'
        result.findings.append(Finding(1, 'writing', Outcome.TODO, reason))
        return result.before
    return after
