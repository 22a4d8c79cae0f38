"""What a converted network computes, beside the one it is of."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from mmengine.registry import DefaultScope, init_default_scope
from torch import Tensor, nn

from mmamp.registry import MODELS
from mmamp.weights.formats import FORMATS
from mmamp.weights.layouts import split
from mmamp.weights.reading import read
from mmamp.weights.rules import Table
from mmamp.weights.writing import describe, write

from .cases import Call, Case, Network
from .recipes import build, recipe_of
from .running import INPUT, gradients, own_call

DTYPES = (torch.float32, torch.float16, torch.bfloat16)
SMALL = 1e-3
"""Of the largest gradient: what is smaller is measured by that."""


SCOPES = {'mmagic': 'mmagic', 'mmgeneration': 'mmgen'}
"""Of registries, by repository."""


@dataclass(frozen=True)
class Row:
    """Figures of one network in one dtype.

    Args:
        dtype (str): Of autocast on both sides.
        output (float): Largest difference of outputs, relative to the largest
            output.
        gradient (float): Largest relative difference of the gradient of a
            parameter, or of the input, by their norms.
        ours (float): How far our gradient as a whole is from theirs in
            float32, relative to its norm.
        theirs (float): How far theirs is from that.
        cosine (float): Of our gradient and theirs in float32.
        ratio (float): Of their norms.
    """

    dtype: str
    output: float
    gradient: float
    ours: float
    theirs: float
    cosine: float
    ratio: float


def fill(network: nn.Module, seed: int) -> None:
    """Give a network weights and statistics as if it were trained.

    Args:
        network (nn.Module): Changed in place.
        seed (int): Of the weights.
    """
    network.load_state_dict(build(recipe_of(network), seed))


def prepare(case: Case) -> tuple[dict[str, nn.Module], Any, dict[str, Any]]:
    """Build both sides of a case; ours has theirs's weights.

    Args:
        case (Case): The case.

    Returns:
        tuple[dict, nn.Module, dict]: Their networks, our model, and the
        checkpoint of theirs as their code would save it.

    Raises:
        AssertionError: If writing it back does not give the same, bit for
            bit.
    """
    scope = SCOPES.get(case.repository, 'mmamp')
    with DefaultScope.overwrite_default_scope(scope):
        theirs = {name: net.build() for name, net in case.networks.items()}
    for seed, network in enumerate(theirs.values()):
        fill(network, seed)
        network.eval()
    checkpoint = lay_out(case, theirs)
    domains = ('one', 'two') if 'generator_ab' in theirs else None
    parts = split(checkpoint, domains)
    init_default_scope('mmamp')
    model: Any = MODELS.build(case.model)
    reading = read(model, case.model, parts)
    if reading.format.name != case.format:
        # Two formats may have the same names; their networks are the same.
        reading = read(model, case.model, parts, case.format)
    model.load_state_dict(reading.state)
    model.eval()
    details = describe(reading, parts, bgr=False)
    chosen = FORMATS[case.format]
    states = write(model, model.state_dict(), chosen, details)
    _check_same(chosen.join(states, details), checkpoint)
    return theirs, model, checkpoint


def lay_out(case: Case, theirs: dict[str, nn.Module]) -> dict[str, Any]:
    """Make the checkpoint that their code would save.

    Args:
        case (Case): The case.
        theirs (dict[str, nn.Module]): Networks by name.
    """
    states = {name: x.state_dict() for name, x in theirs.items()}
    if case.format == 'basicsr':
        # A file each; the second is given by --discriminator.
        return {'params': states['generator']}
    if case.format in ('biggan-pytorch', 'stylegan2-ada'):
        return {'G': states['generator'], 'D': states['discriminator']}
    names = {
        'generator_ab': 'generators.two',
        'generator_ba': 'generators.one',
        'discriminator_a': 'discriminators.one',
        'discriminator_b': 'discriminators.two',
    }
    if case.format == 'mmagic-pix2pix':
        names = {
            'generator': 'generators.photo',
            'discriminator': 'discriminators.photo',
        }
    return {
        'meta': {},
        'state_dict': {
            f'{names.get(name, name)}.{key}': x
            for name, state in states.items()
            for key, x in state.items()
        },
    }


def _check_same(made: Any, given: Any, where: str = '') -> None:
    if isinstance(given, dict):
        assert set(made) == set(given), (
            where,
            set(made) ^ set(given),
        )
        for key in given:
            _check_same(made[key], given[key], f'{where}.{key}')
        return
    assert (made.shape, made.dtype) == (given.shape, given.dtype), where
    assert torch.equal(made, given), where


def compare(case: Case) -> Iterator[tuple[str, Row]]:
    """Compare the networks of a case in each dtype.

    Args:
        case (Case): The case.

    Yields:
        tuple[str, Row]: Name of the network, and figures.
    """
    theirs, model, _ = prepare(case)
    for name, description in case.networks.items():
        if case.format == 'basicsr' and name == 'discriminator':
            model = _with_discriminator(case, theirs)
        inputs = description.inputs.make()
        ours = getattr(model, name)
        table = FORMATS[case.format].tables[type(ours)](ours)
        exact = None
        for dtype in _dtypes(case):
            sides = _Sides(
                description,
                theirs[name],
                ours,
                own_call(model, name),
                table,
                case.fixed_norms,
            )
            run = sides.run(inputs, dtype)
            exact = exact or run
            yield name, _row(str(dtype), run, exact)


def _dtypes(case: Case) -> tuple[torch.dtype, ...]:
    """Return what a case is compared in.

    Of many ReLUs some have an input of 0 up to rounding, and either
    derivative: in float64 these are few.
    """
    if case.low_too or not case.is_large:
        return DTYPES
    has_class = case.model.get('num_classes') is not None
    return (torch.float32, torch.float64) if has_class else (torch.float32,)


def _with_discriminator(case: Case, theirs: dict[str, nn.Module]) -> Any:
    """Convert a discriminator that has a file of its own."""
    parts = split({'params': theirs['discriminator'].state_dict()})
    parts.states['discriminator'] = parts.states.pop('generator')
    model: Any = MODELS.build(case.model)
    model.load_state_dict(read(model, case.model, parts, case.format).state)
    return model.eval()


Gradients = dict[str, Tensor]
Run = tuple[Tensor, Gradients, Tensor, Gradients]
"""Outputs and gradients of theirs, and of ours, under our names."""


@dataclass(frozen=True)
class _Sides:
    description: Network
    theirs: nn.Module
    ours: nn.Module
    own_call: Call
    table: Table
    fixed_norms: bool

    def run(self, inputs: tuple[Tensor, ...], dtype: torch.dtype) -> Run:
        """Run both, and name their gradients as ours are."""
        output, given = _run(self.theirs, self.description.call, inputs, dtype)
        own_output, own = _run(self.ours, self.own_call, inputs, dtype)
        expected = {INPUT: given.pop(INPUT)}
        none = {k: torch.zeros_like(x) for k, x in given.items()}
        found, shift = (
            self.table.read(
                {**self.theirs.state_dict(), **x}, bgr=False
            ).tensors
            for x in (given, none)
        )
        # What is added to a weight is no part of its gradient.
        expected |= {k: found[k] - shift[k] for k in own if k != INPUT}
        if self.fixed_norms:
            _let_norms_vary(expected, self.ours)
        return output, expected, own_output, own


def _let_norms_vary(gradients: Gradients, ours: nn.Module) -> None:
    """Add what theirs leaves out of the gradient of W / sigma(W)."""
    for name, x in gradients.items():
        prefix, found, _ = name.partition('.parametrizations.weight.original')
        if not found:
            continue
        norm: Any = ours.get_submodule(f'{prefix}.parametrizations.weight.0')
        weight = ours.get_parameter(name).detach()
        matrix = weight.flatten(1)
        u, v = norm._u, norm._v
        share = (x * weight).sum() / (u @ matrix @ v)
        gradients[name] = x - share * torch.outer(u, v).view_as(weight)


def _run(
    network: nn.Module,
    call: Any,
    inputs: tuple[Tensor, ...],
    dtype: torch.dtype,
) -> tuple[Tensor, Gradients]:
    low = dtype in (torch.float16, torch.bfloat16)
    own = torch.float32 if low else dtype
    network.to(own)
    first = inputs[0].to(own, copy=True).requires_grad_()
    with torch.autocast('cpu', dtype=dtype if low else None, enabled=low):
        output = call(network, (first, *inputs[1:])).to(own)
    return output.detach(), gradients(network, output, first)


def _row(dtype: str, run: Run, exact: Run) -> Row:
    output, theirs, own_output, ours = run
    floor = SMALL * max(float(x.norm()) for x in theirs.values())
    truth, given, own = (_vector(x, theirs) for x in (exact[1], theirs, ours))
    return Row(
        dtype.removeprefix('torch.'),
        float((own_output - output).abs().max() / output.abs().max()),
        max(
            float((ours[k] - x).norm() / (x.norm() + floor))
            for k, x in theirs.items()
        ),
        float((own - truth).norm() / truth.norm()),
        float((given - truth).norm() / truth.norm()),
        float(torch.cosine_similarity(own, truth, 0)),
        float(own.norm() / truth.norm()),
    )


def _vector(gradients: Gradients, names: Gradients) -> Tensor:
    return torch.cat([gradients[x].flatten().double() for x in names])
