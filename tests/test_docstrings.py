"""What the docstrings of public names have to say, and their examples."""

import ast
import contextlib
import inspect
import re
import textwrap
from dataclasses import dataclass

import pytest
from public_api import methods, public_objects

SECTIONS = ('Args', 'Attributes', 'Returns', 'Raises', 'Examples')


def _documented():
    """Public classes, functions, methods and properties, by name."""
    for name, value in public_objects().items():
        yield name, value
        if inspect.isclass(value):
            for key, method in methods(value).items():
                is_property = isinstance(method, property)
                yield f'{name}.{key}', method.fget if is_property else method


DOCUMENTED = dict(_documented())
PROPERTIES = {
    f'{name}.{key}'
    for name, value in public_objects().items()
    if inspect.isclass(value)
    for key, method in methods(value).items()
    if isinstance(method, property)
}


@dataclass
class Entry:
    type: str
    text: str


def sections(value):
    """The text of each section of a docstring."""
    found, name = {'': ''}, ''
    for line in (inspect.getdoc(value) or '').splitlines():
        if line.endswith(':') and line[:-1] in SECTIONS:
            name = line[:-1]
            found[name] = ''
            continue
        if name and line and not line.startswith(' '):
            name = ''
        found[name] += line + '\n'
    return {key: textwrap.dedent(text) for key, text in found.items()}


def entries(text):
    """What a section says of each argument."""
    found = re.split(r'^(\*{0,2}\w+) \((.+?)\): ', text, flags=re.MULTILINE)
    return {
        # A list in it is of the keys of a dict.
        name: Entry(kind, ' '.join(said.partition('- ``')[0].split()))
        for name, kind, said in zip(
            found[1::3], found[2::3], found[3::3], strict=True
        )
    }


def parameters(value):
    """Those to document, by name; a base may do it for its subclass."""
    if inspect.isclass(value):
        init = next(x for x in value.__mro__ if '__init__' in vars(x))
        said = sections(value).get('Args', '')
        if not _is_ours(init) or (init is not value and '*args' in said):
            return {}
    kinds = inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD
    return {
        name: x
        for name, x in inspect.signature(value).parameters.items()
        if name not in ('self', 'cls') and x.kind not in kinds
    }


def _is_ours(cls):
    return cls.__module__.partition('.')[0] == 'mmamp'


def definition(value):
    """The syntax of a function, or of a class's constructor, if there is."""
    if inspect.isclass(value):
        value = vars(value).get('__init__')
    try:
        source = inspect.getsource(inspect.unwrap(value))
    except (OSError, TypeError):
        return None
    return ast.parse(textwrap.dedent(source)).body[0]


def raised(node):
    """What a function raises itself."""
    for x in ast.walk(node):
        if isinstance(x, ast.Raise) and isinstance(x.exc, ast.Call):
            yield ast.unparse(x.exc.func)


def checks_arguments(node):
    """Whether a function calls one that refuses what is not valid."""
    return any(
        re.match(r'_?check(ed)?_', ast.unparse(x.func).rpartition('.')[2])
        for x in ast.walk(node)
        if isinstance(x, ast.Call)
    )


def is_there(name, value):
    assert value.__doc__


def arguments_are_those_of_the_signature(name, value):
    said = entries(sections(value).get('Args', ''))
    said = [x for x in said if not x.startswith('*')]
    assert said == list(parameters(value))


def defaults_are_told(name, value):
    said = entries(sections(value).get('Args', ''))
    for key, parameter in parameters(value).items():
        default = parameter.default
        has_default = default is not parameter.empty
        found = re.findall(r'Defaults to (.+)', said[key].text)
        assert len(found) == has_default, key
        if isinstance(default, bool | int | float | str | None):
            assert _is_told(default, found[0]) if found else True, key


def tensors_have_shapes(name, value):
    said = sections(value)
    for key, entry in entries(said.get('Args', '')).items():
        if re.search(r'Tensor|ndarray', entry.type):
            assert re.search(r'[Ss]hape|[Ss]calar', entry.text), key
    returned = said.get('Returns', '')
    if re.match(r'(Tensor|np\.ndarray|tuple\[Tensor)', returned):
        assert re.search(r'[Ss]hape|[Ss]calar', returned)


def returns_are_told(name, value):
    if inspect.isclass(value) or name in PROPERTIES:
        return
    returned = ast.unparse(definition(value).returns)
    returns = returned not in ('None', 'Iterator[None]')
    assert ('Returns' in sections(value)) == returns


def errors_are_told(name, value):
    node = definition(value)
    if node is None:
        return
    said = sections(value).get('Raises', '')
    named = set(re.findall(r'^(\w+): ', said, re.MULTILINE))
    assert set(raised(node)) - {'NotImplementedError'} <= named
    assert named or not checks_arguments(node)


CHECKS = (
    is_there,
    arguments_are_those_of_the_signature,
    defaults_are_told,
    tensors_have_shapes,
    returns_are_told,
    errors_are_told,
)


@pytest.mark.parametrize('check', CHECKS, ids=lambda check: check.__name__)
def test_all_that_is_public(check):
    """The message has each name that fails, and what it fails by."""
    assert DOCUMENTED
    failing = []
    for name, value in DOCUMENTED.items():
        try:
            check(name, value)
        except Exception as error:
            failing.append(f'{name}: {type(error).__name__}: {error}')
    assert not failing, '\n'.join(failing)


def _is_told(default, text):
    """Whether a text begins with a value."""
    text = re.split(r'[,:;]|\.(?!\d)', text.replace('`', ''))[0]
    with contextlib.suppress(SyntaxError, ValueError):
        return ast.literal_eval(text) == default
    return False
