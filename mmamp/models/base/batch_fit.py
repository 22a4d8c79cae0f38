"""Whether a batch is what the networks of a GAN are made for."""

import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass
from traceback import walk_tb
from typing import Any

import torch
from torch import Tensor, nn

from mmamp.registry import MODELS
from mmamp.utils.modules import unwrap

Shape = tuple[int, ...]
"""Of an image: channels, height, width."""
ARGUMENTS = ('in_channels', 'out_channels', 'image_size', 'scale')
"""By which networks say, in the field's words, what they are made for."""
_OF_SHAPES = ('size', 'shape', 'channels')
"""Words of torch's errors that are about those of tensors."""


@dataclass(frozen=True)
class Passage:
    """An image on its way into a network, or out of it.

    Args:
        network (str): Its name in the model.
        source (tuple[int, ...], optional): Shape (C, H, W) of what it gets.
            Defaults to None: no image.
        result (tuple[int, ...], optional): Shape that what it makes should
            have. Defaults to None: no image.
    """

    network: str
    source: Shape | None = None
    result: Shape | None = None

    def arguments(self) -> dict[str, Any]:
        """Return the arguments of a network that this image fits.

        Of a network that makes images of images its scale is known, and not
        what its ``image_size`` would be.

        Returns:
            dict[str, Any]: Values by name.
        """
        found: dict[str, Any] = {}
        if self.source is not None:
            found['in_channels'] = self.source[0]
        if self.result is not None:
            found['out_channels'] = self.result[0]
        if self.source is not None and self.result is not None:
            scale, rest = divmod(self.result[1], self.source[1])
            if not rest and self.result[2] == scale * self.source[2]:
                found['scale'] = scale
        elif image := self.source or self.result:
            _, height, width = image
            # No network has two; the images are refused.
            is_square = height == width
            found['image_size'] = height if is_square else (height, width)
        return found


@dataclass(frozen=True)
class Made:
    """What the networks of a role are made for.

    Args:
        role (str): What the config calls them.
        cfg (dict, optional): Their config; None if a module was given.
        arguments (dict): Those of :data:`ARGUMENTS` that are known, and
            ``num_classes``.
    """

    role: str
    cfg: Mapping[str, Any] | None
    arguments: dict[str, Any]

    @classmethod
    def of(cls, role: str, given: Any, network: nn.Module) -> 'Made':
        """Look at a network.

        Args:
            role (str): What the config calls it.
            given (dict or nn.Module): What the user gave.
            network (nn.Module): What was built of it.
        """
        names = (*ARGUMENTS, 'num_classes')
        if not isinstance(given, dict):
            found = {name: getattr(network, name, None) for name in names}
            return cls(role, None, found)
        defaults = inspect.signature(type(network)).parameters
        found = {
            # A signature that hands arguments on does not name them.
            name: given[name] if name in given else defaults[name].default
            for name in names
            if name in given or name in defaults
        }
        return cls(role, given, found)

    def refuses(self, changes: dict[str, Any]) -> str:
        """Say why there is no such network with other arguments, if so."""
        if isinstance(changes.get('image_size'), tuple):
            return 'image_size is of squares'
        if self.cfg is None:
            return ''
        try:
            # The run ends here: what is made has only to be possible.
            with torch.device('meta'):
                MODELS.build(dict(self.cfg, **changes))
        except ValueError as error:
            return ' '.join(str(error).split())
        except Exception:
            return ''  # of a network that cannot be made there
        return ''


def misfit(
    passages: list[Passage], made: dict[str, Made], images: dict[str, Shape]
) -> str | None:
    """Say what of networks is made for other images, and what to change.

    Args:
        passages (list[Passage]): Where the images of a batch go.
        made (dict[str, Made]): By the names of the networks.
        images (dict[str, tuple[int, ...]]): The images, by their keys.

    Returns:
        str or None: One line; None if all fits, as far as it is known.
    """
    changes: dict[str, tuple[Made, dict[str, Any]]] = {}
    for passage in passages:
        network = made[passage.network]
        for name, value in passage.arguments().items():
            now = network.arguments.get(name)
            if isinstance(now, int) and now != value:
                role = changes.setdefault(network.role, (network, {}))
                role[1][name] = value
    if not changes:
        return None
    keys = [
        f'model.{role}.{name}={value} (now {network.arguments[name]})'
        for role, (network, found) in changes.items()
        for name, value in found.items()
    ]
    advice = f'set {", ".join(keys)}'
    for network, found in changes.values():
        reason = network.refuses(found)
        if re.match(rf'(\w+: )?({"|".join(found)})\b', reason):
            advice = f'no network is made for these ({reason})'
            break
        if reason:
            advice += f', and what goes with it ({reason})'
    shapes = ' and '.join(_described(k, x) for k, x in images.items())
    return (
        f'the data do not fit the networks: {shapes}. Either {advice}, or '
        f'have the pipelines of the data make other images'
        f'{_transforms(changes)}'
    )


def _described(key: str, shape: Shape) -> str:
    channels, height, width = shape
    return (
        f'`{key}` are of {channels} channel{"s" * (channels != 1)} and '
        f'{height}x{width} pixels'
    )


def _transforms(changes: dict[str, tuple[Made, dict[str, Any]]]) -> str:
    """Name transforms by which the data would fit, where all want the same."""
    wanted: dict[str, set[Any]] = {}
    for network, found in changes.values():
        for name in found:
            kind = 'channels' if name.endswith('channels') else name
            wanted.setdefault(kind, set()).add(network.arguments[name])
    named = []
    channels, sizes = wanted.get('channels'), wanted.get('image_size')
    if channels in ({1}, {3}):
        color = 'grayscale' if channels == {1} else 'color'
        named.append(f"dict(type='LoadImage', color_type={color!r})")
    if sizes and len(sizes) == 1:
        (size,) = sizes
        named.append(f"dict(type='Resize', scale=({size}, {size}))")
    return f': {", ".join(named)}' if named else ''


def network_error(
    error: BaseException, networks: dict[str, nn.Module]
) -> str | None:
    """Say which network could not take a tensor of which shape.

    Args:
        error (BaseException): What training has raised.
        networks (dict[str, nn.Module]): By their names, maybe in model
            wrappers.

    Returns:
        str or None: One line; None if the error is about something else.
    """
    text = ' '.join(str(error).split())
    if type(error) is not RuntimeError or not any(
        word in text.lower() for word in _OF_SHAPES
    ):
        return None
    names = {id(unwrap(network)): name for name, network in networks.items()}
    for frame, _ in walk_tb(error.__traceback__):
        network, args = map(frame.f_locals.get, ('self', 'args'))
        # That of torch's which calls `forward`, where nothing has changed.
        if id(network) in names and isinstance(args, tuple):
            shapes = [tuple(x.shape) for x in args if isinstance(x, Tensor)]
            return (
                f'{names[id(network)]} ({type(network).__name__}) cannot take '
                f'what it is given, of shape '
                f'{" and ".join(map(str, shapes))}: {text}. Change the '
                'network, or what the pipelines of the data make'
            )
    return None
