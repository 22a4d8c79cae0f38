"""The settings that a run was trained with, as its checkpoint tells them."""

import ast
from typing import Any, NamedTuple

TRAINING = (
    *('model', 'optim_wrapper', 'param_scheduler', 'auto_scale_lr'),
    *('train_cfg', 'train_dataloader'),
)
"""Keys of a config that decide what training computes."""
_SPEED = {
    'train_dataloader': (
        *('num_workers', 'persistent_workers', 'prefetch_factor'),
        *('pin_memory', 'pin_memory_device', 'timeout'),
    )
}
"""Settings below them that do not."""
_AROUND = {
    'mmamp.SeededDataset': 'dataset',
    'mmamp.SeededSampler': 'sampler',
}
"""What the launcher puts around a part of the user's."""


class Difference(NamedTuple):
    """A setting that is another than it was.

    Args:
        key (str): As ``--cfg-options`` takes it.
        saved (str): The value in the checkpoint's config, or ``'none'``.
        own (str): The value now.
        is_simple (bool): Whether a command line could give the saved one, and
            the run could go on with it.
    """

    key: str
    saved: str
    own: str
    is_simple: bool = False


def settings_of(text: Any) -> dict[str, Any]:
    """Read a config's text, and run nothing of it: it comes with a file.

    Args:
        text (str): ``pretty_text`` of a config.

    Returns:
        dict: Literals are what they mean, other expressions their text; empty
        if it is no config.
    """
    try:
        statements = ast.parse(str(text)).body
    except (SyntaxError, ValueError):
        return {}
    return {
        ast.unparse(statement.targets[0]): _value(statement.value)
        for statement in statements
        if isinstance(statement, ast.Assign)
    }


def differences(
    saved: dict[str, Any], own: dict[str, Any]
) -> list[Difference]:
    """Find the settings of training that are others than they were.

    Args:
        saved (dict): Of the checkpoint, by :func:`settings_of`.
        own (dict): Of the run that goes on from it, likewise.
    """
    found: list[Difference] = []
    for key in TRAINING:
        then, now = (_plain(x.get(key), key) for x in (saved, own))
        _compare(key, then, now, found)
    return found


def _value(node: ast.expr) -> Any:
    """Return what an expression means."""
    if isinstance(node, ast.Call) and ast.unparse(node.func) == 'dict':
        # One argument where a key is no name.
        given = [*map(_value, node.args)]
        if all(x.arg for x in node.keywords) and all(
            isinstance(x, dict) for x in given
        ):
            named = {x.arg: _value(x.value) for x in node.keywords}
            return {**(given[0] if given else {}), **named}
    elif isinstance(node, ast.Dict) and None not in node.keys:
        # Not by `_value`: a tuple may be a key, a list not.
        keys = (_literal(key) for key in node.keys if key is not None)
        return dict(zip(keys, map(_value, node.values), strict=True))
    elif isinstance(node, ast.List | ast.Tuple):
        # Which of the two a sequence is depends on who has written it.
        return [_value(item) for item in node.elts]
    return _literal(node)


def _literal(node: ast.expr) -> Any:
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError):
        return ast.unparse(node)


def _plain(value: Any, key: str = '') -> Any:
    """Take away what the launcher adds, and what changes the speed alone."""
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if not isinstance(value, dict):
        return value
    inner = _AROUND.get(str(value.get('type')))
    if inner in value:
        return _plain(value[inner])
    return {
        name: _plain(item)
        for name, item in value.items()
        if name not in _SPEED.get(key, ())
    }


def _compare(key: str, then: Any, now: Any, found: list[Difference]) -> None:
    if isinstance(then, dict) and isinstance(now, dict):
        for name in dict.fromkeys([*then, *now]):
            pair = then.get(name), now.get(name)
            _compare(f'{key}.{name}', *pair, found)
    elif _are_dicts(then) and _are_dicts(now) and len(then) == len(now):
        for i, pair in enumerate(zip(then, now, strict=True)):
            _compare(f'{key}.{i}', *pair, found)
    elif then != now:
        is_simple = isinstance(then, int | float | str)
        is_length = key in ('train_cfg.max_iters', 'train_cfg.max_epochs')
        texts = _text(then), _text(now)
        found.append(Difference(key, *texts, is_simple and not is_length))


def _are_dicts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(x, dict) for x in value)


def _text(value: Any) -> str:
    return 'none' if value is None else repr(value)
