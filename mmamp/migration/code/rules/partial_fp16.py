"""StyleGAN2's float16 for some resolutions alone is ``PrecisionHook``'s.

``num_fp16_scales=4`` put the layers of the four highest resolutions into
float16. In 1.x autocast covers all of a network, and rules name what stays in
float32.
"""

from collections.abc import Sequence
from typing import Any

import libcst as cst

from mmamp.migration.code.blocks import replace
from mmamp.migration.code.names import code, dotted, of_type
from mmamp.migration.code.notes import Notes
from mmamp.migration.code.qualified import Names
from mmamp.migration.rule import Rule
from mmamp.migration.stylegan2 import Layers, in_float32

WORDS = ('num_fp16_scales', 'fp16_enabled')
USE = (
    'optim_context puts all of the network into low precision: name in '
    'PrecisionHook what num_fp16_scales left in float32, and take it out'
)
DEFINITION = (
    'PrecisionHook chooses the precision of modules by name: take out '
    'fp16_enabled, num_fp16_scales and the casts that depend on them'
)


def apply(module: cst.Module, notes: Notes) -> cst.Module:
    """Convert a file."""
    actions: dict[cst.CSTNode, Sequence[Any]] = {}
    names = notes.names(module)
    for line in of_type(module, cst.SimpleStatementLine):
        calls = [x for x in of_type(line, cst.Call) if _scales(x)]
        if calls:
            actions[line] = [notes.todo(line, USE)]
            notes.rules += [rule for x in calls for rule in _rules(x, names)]
    for function in of_type(module, cst.FunctionDef):
        taken = {x.name.value for x in function.params.params}
        if function.name.value == '__init__' and taken & set(WORDS):
            marked = notes.todo(replace(function, actions), DEFINITION)
            actions[function] = [marked]
    return replace(module, actions)


def _scales(call: cst.Call) -> int:
    return _number(_arguments(call).get('num_fp16_scales'))


def _arguments(call: cst.Call) -> dict[str, cst.BaseExpression]:
    return {x.keyword.value: x.value for x in call.args if x.keyword}


def _number(node: cst.CSTNode | None) -> int:
    return node.evaluated_value if isinstance(node, cst.Integer) else 0


def _rules(call: cst.Call, names: Names) -> list[str]:
    """Write the rule of what stays in float32, if the size is known."""
    given = _arguments(call)
    kind = names.last(call.func) or dotted(call.func)
    if 'type' in given:
        kind = code(given['type'])
    size = _number(given.get('out_size', given.get('in_size')))
    if not size and call.args and not call.args[0].keyword:
        size = _number(call.args[0].value)
    if size < 8:
        return []
    for network in ('generator', 'discriminator'):
        if network.capitalize() in kind:
            layers = in_float32(network, size, _scales(call))
            return [_rule(network, layers)]
    return []


def _rule(network: str, layers: Layers) -> str:
    names = []
    for name, numbers in layers:
        several = [f'{name}\\.{i}' for i in numbers or ()]
        names += [name] if numbers is None else several
    pattern = f'{network}\\.({"|".join(names)})'
    return f"dict(pattern=r'{pattern}', dtype='float32')"


RULE = Rule(
    'partial_fp16',
    'float16 for some resolutions of StyleGAN2 alone',
    apply,
    WORDS,
)
