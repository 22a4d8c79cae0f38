"""Which optimizer owns which parameters of a model.

Names here are those of the model as its author wrote it: model wrappers (DDP
around the whole model or around a child) leave no ``module.`` in them.
"""

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import nn
from torch.nn.parameter import is_lazy
from torch.optim import Optimizer

from mmamp.compat.torch import children_of
from mmamp.utils.modules import params_of, unwrap
from mmamp.utils.suggest import did_you_mean


@dataclass(frozen=True)
class Claim:
    """What one optimizer takes of the model.

    Args:
        modules (dict[str, nn.Module]): The outermost matched modules by their
            full names. The whole model is named ``''``. Empty for an
            optimizer that was built by the user.
        trainable (list[nn.Parameter]): The parameters to optimize, each once.
        frozen (list[nn.Parameter]): Parameters of ``modules`` that are left
            out, since ``requires_grad=False``. Defaults to ``()``.
    """

    modules: Mapping[str, nn.Module]
    trainable: Sequence[nn.Parameter]
    frozen: Sequence[nn.Parameter] = ()

    def __str__(self) -> str:
        names = [name or 'the whole model' for name in self.modules]
        count = sum(p.numel() for p in self.trainable if not is_lazy(p))
        return (
            f'{", ".join(names) or "what it was built with"}: '
            f'{len(self.trainable)} tensors, {count:,} parameters; '
            f'{len(self.frozen)} frozen tensors left out'
        )


class ParamMatcher:
    """Find parameters by the names of the modules they are in.

    Args:
        model (nn.Module): The model, inside of model wrappers or not.

    Example:
        >>> matcher = ParamMatcher(gan)
        >>> claims = dict(
        ...     gen=matcher.claim_modules(['generator'], 'gen'),
        ...     disc=matcher.claim_modules(['disc_.*'], 'disc'))
        >>> matcher.check_single_owner(claims)
        >>> matcher.unowned_names(claims)
        ['logit_scale']
    """

    def __init__(self, model: nn.Module) -> None:
        self.model = unwrap(model)
        self.modules = _named_modules(self.model)
        self.param_names: dict[nn.Parameter, str] = {}
        for prefix, module in {'': self.model, **self.modules}.items():
            for name, param in module.named_parameters(recurse=False):
                full_name = f'{prefix}.{name}' if prefix else name
                self.param_names.setdefault(param, full_name)

    def claim_model(self, label: str) -> Claim:
        """Claim the whole model.

        Args:
            label (str): Whose claim it is, for the error.

        Raises:
            ValueError: If it has no trainable parameter.
        """
        return _claim({'': self.model}, label)

    def claim_modules(self, patterns: object, label: str) -> Claim:
        """Claim all parameters of the modules that some patterns name.

        A pattern is tried as the exact (dotted) name of a sub-module first,
        then as a regular expression that has to match such a name in full.

        Args:
            patterns (str | list[str]): Names or regular expressions, as they
                stand in the config.
            label (str): Whose claim it is, for the errors.

        Raises:
            TypeError: If ``patterns`` are not strings.
            ValueError: If there is no pattern, if one is not valid or matches
                nothing, or if the matched modules hold no trainable
                parameter.
        """
        matched: dict[str, nn.Module] = {}
        for pattern in _read_patterns(patterns, label):
            for name in self._matching_names(pattern, label):
                matched[name] = self.modules[name]
        # The outer one of two matches brings all that is in the inner one.
        outermost = {
            name: module
            for name, module in matched.items()
            if not any(_is_inside(name, other) for other in matched)
        }
        return _claim(outermost, label)

    def claim_optimizer(self, optimizer: Optimizer, label: str) -> Claim:
        """Claim what an optimizer that the user built holds already.

        Args:
            optimizer (Optimizer): The optimizer.
            label (str): Whose claim it is, for the error.

        Raises:
            ValueError: If it holds no trainable parameter of the model.
        """
        ours = [
            p
            for p in params_of(optimizer)
            if p in self.param_names and p.requires_grad
        ]
        if not ours:
            raise ValueError(
                f'{label} is a built optimizer wrapper that holds no '
                "trainable parameter of this model. MMEngine's "
                '`build_optim_wrapper` deep-copies its config, and with a '
                'built wrapper the parameters too: write the entry as a dict '
                'with `optimizer`, or build all entries yourself and leave '
                '`constructor` out'
            )
        return Claim({}, ours)

    def check_single_owner(self, claims: Mapping[str, Claim]) -> None:
        """Check that no parameter is claimed by two optimizers.

        Args:
            claims (Mapping[str, Claim]): Claims by the optimizers' names.

        Raises:
            ValueError: If one is; it names the parameter and both optimizers.
        """
        owners: dict[nn.Parameter, str] = {}
        for owner, claim in claims.items():
            for param in claim.trainable:
                first = owners.setdefault(param, owner)
                if first != owner:
                    raise ValueError(
                        f'The parameter {self.param_names[param]!r} is '
                        f'claimed by two optimizers, {first!r} and {owner!r},'
                        ' but can have only one. '
                        + _advice(claims[first], claims[owner])
                    )

    def unowned_names(self, claims: Mapping[str, Claim]) -> list[str]:
        """Return the names of the trainable parameters that nobody claims.

        Args:
            claims (Mapping[str, Claim]): Claims by the optimizers' names.
        """
        owned = {p for claim in claims.values() for p in claim.trainable}
        return [
            name
            for param, name in self.param_names.items()
            if param.requires_grad and param not in owned
        ]

    def _matching_names(self, pattern: str, label: str) -> list[str]:
        if pattern in self.modules:
            return [pattern]
        names, invalid = [], ''
        try:
            names = [n for n in self.modules if re.fullmatch(pattern, n)]
        except re.error as error:
            invalid = f' (it is not a valid one: {error})'
        if not names:
            children = [name for name in self.modules if '.' not in name]
            raise ValueError(
                f'{label}: {pattern!r} is neither the name of a sub-module '
                'nor a regular expression that matches one in full'
                f'{invalid}. Sub-modules of {type(self.model).__name__}: '
                f'{", ".join(children) or "(none)"}.'
                + did_you_mean(pattern, self.modules)
            )
        return names


def _named_modules(
    parent: nn.Module, prefix: str = ''
) -> dict[str, nn.Module]:
    modules: dict[str, nn.Module] = {}
    # Not `named_children()`: it drops the second name of a module that has
    # two, and a config may use either.
    for name, child in children_of(parent).items():
        if child is not None:
            child = unwrap(child)
            modules[prefix + name] = child
            modules.update(_named_modules(child, f'{prefix}{name}.'))
    return modules


def _read_patterns(patterns: object, label: str) -> list[str]:
    given = [patterns] if isinstance(patterns, str) else patterns
    if not isinstance(given, (list, tuple)) or not all(
        isinstance(pattern, str) for pattern in given
    ):
        raise TypeError(
            f'{label}: `modules` must be a list of sub-module names or '
            f"regular expressions, such as ['unet', '.*encoder'], but got "
            f'{patterns!r}'
        )
    if not given:
        raise ValueError(
            f'{label}: `modules` is empty; name the sub-modules that this '
            'optimizer should train'
        )
    return list(given)


def _is_inside(name: str, other: str) -> bool:
    return name.startswith(f'{other}.')


def _claim(modules: Mapping[str, nn.Module], label: str) -> Claim:
    # A dictionary, since a tied parameter comes up wherever it is used.
    params = dict.fromkeys(
        param for module in modules.values() for param in module.parameters()
    )
    trainable = [param for param in params if param.requires_grad]
    if not trainable:
        why = 'it has none at all'
        if params:
            why = f'all {len(params)} are frozen (requires_grad=False)'
        where = ', '.join(name or 'the model' for name in modules)
        raise ValueError(
            f'{label}: no parameter of {where} can be trained: {why}'
        )
    frozen = [param for param in params if not param.requires_grad]
    return Claim(modules, trainable, frozen)


def _advice(first: Claim, second: Claim) -> str:
    names = [*first.modules, *second.modules]
    for outer, inner in itertools.permutations(names, 2):
        if _is_inside(inner, outer):
            return _advice_for_nested(outer, inner)
    return (
        'Narrow one of the two patterns; parameters that two networks share '
        'need one optimizer for both: modules=[...] in a single entry'
    )


def _advice_for_nested(outer: str, inner: str) -> str:
    advice = (
        f'{inner!r} lies inside {outer!r}: for a learning rate of its own '
        'give the outer entry paramwise_cfg=dict(custom_keys='
        f'{{{inner!r}: dict(lr_mult=0.1)}})'
    )
    rest = inner[len(outer) + 1 :]
    # Further down, the module between the two would bring the inner one back.
    if '.' not in rest:
        others = rf'{re.escape(outer)}\.(?!{re.escape(rest)}\b).+'
        advice += f", or have it leave that part out: modules=[r'{others}']"
    return advice
