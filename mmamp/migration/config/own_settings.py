"""What a file has to say itself, and what is to be said of it."""

from mmamp.migration.findings import Outcome

from .context import Context
from .inheritance import OLD_NAMES, TAKEN_BACK
from .reading import BASE, Source, is_import
from .rendering import CannotWrite, render
from .values import Value, difference, literal


def what_to_say(
    own: Value, old: Value, context: Context, base: Value
) -> tuple[dict[str, Value], set[str]]:
    """Find what a file says anew, and what it need not say any more."""
    new = context.values
    changed: dict[str, Value] = {}
    gone = {name for name in own if name not in new}
    for name in TAKEN_BACK:
        if name in base and name not in new and name not in own:
            # The file has the base's settings no more that made it.
            changed[name] = literal(None)
    for name, value in new.items():
        if name in old and value is old[name]:
            continue
        if name in OLD_NAMES and name not in own:
            # A base's, of which rules have taken what they need.
            continue
        part = difference(base.child(name), value)
        is_empty = value.plain == [] or (
            value.plain is None and name not in own
        )
        if part is None or (is_empty and name not in base):
            gone |= {name} & set(own)
        elif not (name in own and _stands(own[name], part)):
            changed[name] = part
    return changed, gone


def _stands(own: Value, part: Value) -> bool:
    """Tell whether a statement says already what is to be said."""
    return part.is_verbatim and part.source is own.source


def keep_what_cannot_be_written(
    source: Source,
    context: Context,
    changed: dict[str, Value],
    gone: set[str],
) -> None:
    """Leave what rules made of values that are not known."""
    context.rule = 'writing'
    for name, value in list(changed.items()):
        try:
            render(value)
        except CannotWrite:
            del changed[name]
            reason = f'{name} depends on values that are not known here'
            for old in context.origins.get(name, []):
                if old in source.values:
                    gone.discard(old)
                    context.say(source.values[old].line, Outcome.TODO, reason)
                    context.mark(old, reason)


def name_lost_references(
    source: Source, old: Value, new: Value, context: Context
) -> None:
    """Say what a file takes of its bases that they have no more."""
    context.rule = 'references'
    for name, keys in source.references:
        if _is_at(old, keys) and not _is_at(new, keys):
            reason = (
                f'_base_.{".".join(keys)} is where the migrated base has '
                'nothing'
            )
            context.say(source.values[name].line, Outcome.TODO, reason)
            context.mark(name, reason)


def name_taken_variables(source: Source, context: Context) -> None:
    """Say what refers to settings of the model whose name the loops have."""
    context.rule = 'references'
    for name in ('train_cfg', 'test_cfg'):
        if name not in context.origins.get('model', ()):
            continue
        for other, value in source.values.items():
            is_its_own = other in (name, 'model') or name not in value.names
            if is_its_own or name not in source.values:
                continue
            context.todo(
                other,
                f'{name}, which it refers to, is that of a loop in 1.x: take '
                f'a variable of another name, or model.{name}',
            )


def base_to_write(source: Source, context: Context) -> Value | None:
    """Return ``_base_`` as MMEngine reads it; None: it does already.

    It evaluates the one expression, without what stands above it.
    """
    base = source.values.get(BASE)
    if base is None or BASE in source.unclear or not source.bases:
        return None
    if not base.names or not isinstance(base.plain, (str, list, tuple)):
        return None
    context.changed(base, '_base_ is written out, as MMEngine wants it')
    return literal(
        base.plain if isinstance(base.plain, str) else list(base.plain)
    )


def has_early_imports(source: Source, context: Context) -> bool:
    """Tell whether MMEngine would take a file for one of its lazy configs."""
    if BASE not in source.statements or not context.origins:
        return False
    place = source.statements[BASE]
    is_early = any(is_import(x) for x in source.module.body[:place])
    if is_early:
        context.rule = 'imports'
        context.changed(
            source.values[BASE],
            '_base_ is first: an import before it makes MMEngine take a file '
            'for a lazy config',
        )
    return is_early


def _is_at(value: Value | None, keys: tuple[str, ...]) -> bool:
    for key in keys:
        value = value.child(key) if value is not None else None
    return value is not None
