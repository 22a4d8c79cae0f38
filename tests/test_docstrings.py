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
        if name != 'self' and x.kind not in kinds
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


@pytest.mark.parametrize('name', DOCUMENTED)
class TestDocstrings:
    def test_there_is_one(self, name):
        assert DOCUMENTED[name].__doc__

    def test_arguments_are_those_of_the_signature(self, name):
        said = entries(sections(DOCUMENTED[name]).get('Args', ''))
        said = [x for x in said if not x.startswith('*')]
        assert said == list(parameters(DOCUMENTED[name]))

    def test_defaults_are_told(self, name):
        said = entries(sections(DOCUMENTED[name]).get('Args', ''))
        for key, parameter in parameters(DOCUMENTED[name]).items():
            default = parameter.default
            has_default = default is not parameter.empty
            found = re.findall(r'Defaults to (.+)', said[key].text)
            assert len(found) == has_default, key
            if isinstance(default, bool | int | float | str | None):
                assert _is_told(default, found[0]) if found else True, key

    def test_tensors_have_shapes(self, name):
        said = sections(DOCUMENTED[name])
        for key, entry in entries(said.get('Args', '')).items():
            if re.search(r'Tensor|ndarray', entry.type):
                assert re.search(r'[Ss]hape|[Ss]calar', entry.text), key
        returned = said.get('Returns', '')
        if re.match(r'(Tensor|np\.ndarray|tuple\[Tensor)', returned):
            assert re.search(r'[Ss]hape|[Ss]calar', returned)

    def test_returns_are_told(self, name):
        if inspect.isclass(DOCUMENTED[name]) or name in PROPERTIES:
            return
        returned = ast.unparse(definition(DOCUMENTED[name]).returns)
        returns = returned not in ('None', 'Iterator[None]')
        assert ('Returns' in sections(DOCUMENTED[name])) == returns

    def test_errors_are_told(self, name):
        node = definition(DOCUMENTED[name])
        if node is None:
            return
        said = sections(DOCUMENTED[name]).get('Raises', '')
        named = set(re.findall(r'^(\w+): ', said, re.MULTILINE))
        assert set(raised(node)) - {'NotImplementedError'} <= named
        assert named or not checks_arguments(node)


def _is_told(default, text):
    """Whether a text begins with a value."""
    text = re.split(r'[,:;]|\.(?!\d)', text.replace('`', ''))[0]
    with contextlib.suppress(SyntaxError, ValueError):
        return ast.literal_eval(text) == default
    return False
