"""Sample a generator: ``python -m mmamp.sample CONFIG CHECKPOINT --out DIR``.

A model of mmamp's says by ``panels(data)`` what it shows of a batch; one that
makes images from latents has ``generate(noise, labels)`` besides.
"""

import argparse
import math
import sys
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.registry import init_default_scope
from PIL import Image
from torch import Tensor
from torch.utils.data import Subset

import mmamp  # noqa: F401  (registers everything)
from mmamp.checkpoint.safe_load import load_safely_only
from mmamp.launcher.arguments import build_sample_parser
from mmamp.launcher.edits import SAMPLE, read_config
from mmamp.launcher.mistakes import exit_code
from mmamp.launcher.new_pictures import batches_of
from mmamp.launcher.storage import storage_of
from mmamp.launcher.truncation import truncate
from mmamp.launcher.weights import find_checkpoint, load_weights
from mmamp.precision.predictions import in_float32
from mmamp.utils.consoles import tracked
from mmamp.utils.protocols import Generates, Panels, Translates
from mmamp.visualization import image_grid
from mmamp.visualization.shown_items import shown_items

from .errors import UsageError
from .registry import DATASETS, MODELS
from .visualization import panels_image

COMMAND = 'mmamp.sample'
NUM = 16
"""Pictures, unless it is said how many."""
BATCH = 64
FRAMES, LEGS = 16, 3
"""Of the interpolation: frames from one latent to the next, and how many of
them a picture goes through before it is back at its own."""


def main(argv: list[str] | None = None) -> int:
    """Sample.

    Args:
        argv (list[str], optional): The command line. Defaults to None:
            ``sys.argv``.

    Returns:
        int: Exit code: 0, 2 for a mistake of the user's, 130 after Ctrl-C.
    """
    args = build_sample_parser().parse_args(argv)
    load_safely_only()
    cfg = None
    try:
        cfg = read_config(args, SAMPLE)
        if args.input is None:
            args.num = args.num or NUM
            _check_out(Path(args.out), args.num)
        else:
            _check_apart(Path(args.input), Path(args.out))
        checkpoint = find_checkpoint(args.checkpoint, storage_of(cfg))
        model = build_model(cfg, checkpoint)
        torch.manual_seed(args.seed)
        if args.input is not None:
            translate_folder(model, cfg, args)
        elif args.direction is not None:
            raise UsageError('--direction goes with --input DIR')
        elif isinstance(model, Generates):
            sample_latents(model, args)
        else:
            sample_pictures(model, cfg, args)
    except BaseException as error:
        return exit_code(error, COMMAND, cfg, has_log=False)
    return 0


def _check_out(out: Path, num: int) -> None:
    """Refuse a folder where pictures of two calls would be mixed."""
    if out.is_file():
        raise UsageError(f'--out {str(out)!r} is a file')
    names = [path.stem for path in out.glob('*.png')]
    older = [x for x in names if x.isdecimal() and int(x) >= num]
    if older:
        raise UsageError(
            f'--out {str(out)!r} holds {len(older)} pictures of an earlier '
            f'call that would be left among these, such as {older[0]}.png: '
            'give another folder, or remove them'
        )


def _check_apart(folder: Path, out: Path) -> None:
    """Refuse results among the pictures that they are made of."""
    if out.is_file():
        raise UsageError(f'--out {str(out)!r} is a file')
    one, other = folder.resolve(), out.resolve()
    if one.is_relative_to(other) or other.is_relative_to(one):
        raise UsageError(
            f'--out {str(out)!r} and --input {str(folder)!r} are in each '
            'other: choose another folder'
        )


def build_model(cfg: Config, checkpoint: str) -> Any:
    """Build a model with its weights, on the device, for evaluation.

    Args:
        cfg (Config): The config.
        checkpoint (str): Path of the file.

    Raises:
        UsageError: If the weights are not the model's.
    """
    init_default_scope(cfg.get('default_scope', 'mmamp'))
    model = MODELS.build(cfg.model)
    load_weights(model, checkpoint, storage_of(cfg))
    return model.to(get_device()).eval()


def sample_latents(model: Any, args: argparse.Namespace) -> None:
    """Write pictures made from noise, and maybe from labels."""
    if args.truncation is not None:
        truncate(model, args.truncation)
    classes = _classes(model, args.label)
    # The pictures of a seed do not depend on how many there are.
    noise, _ = model.latents(args.num)
    labels = None
    if classes is not None:
        labels = torch.tensor(
            [classes[i % len(classes)] for i in range(args.num)],
            device=noise.device,
        )
    images = _generate(model, noise, labels, args)
    out = Path(args.out)
    _write(images, out)
    # One column a class, where there are some.
    columns = len(classes or ()) or math.ceil(math.sqrt(args.num))
    grid = Image.fromarray(image_grid(images.numpy(), columns))
    grid.save(out / 'grid.png')
    print(f'{args.num} pictures and grid.png are in {out}')
    if args.interpolate:
        _interpolate(model, noise, labels, columns, args)


def _classes(model: Any, wanted: list[int] | None) -> list[int] | None:
    """Return the classes to make, in turn."""
    num = model.num_classes
    if num is None:
        if wanted is not None:
            raise UsageError(
                f'--label {" ".join(map(str, wanted))}: the model is not '
                'conditional, leave it out'
            )
        return None
    for label in wanted or ():
        if not 0 <= label < num:
            raise UsageError(
                f'--label {label}: the model has the classes 0 to {num - 1}'
            )
    return wanted or list(range(num))


def _generate(
    model: Any,
    noise: Tensor,
    labels: Tensor | None,
    args: argparse.Namespace,
) -> Tensor:
    """Images of latents, in batches, on the CPU."""
    parts = []
    starts = range(0, len(noise), BATCH)
    for i in tracked(starts, 'Sampling'):
        part = None if labels is None else labels[i : i + BATCH]
        images = model.generate(
            noise[i : i + BATCH], part, use_ema=not args.raw
        )
        parts.append(in_float32(images).cpu())
    return torch.cat(parts)


def _interpolate(
    model: Any,
    noise: Tensor,
    labels: Tensor | None,
    columns: int,
    args: argparse.Namespace,
) -> None:
    """Write a grid whose pictures all go round, along great circles.

    Noise of many dimensions lies on a sphere; a straight line would lead
    through its inside, where the generator has never been. A picture keeps its
    class.
    """
    steps = torch.linspace(0, 1, FRAMES + 1, device=noise.device)[:-1, None]
    ends = [noise.roll(-i, 0) for i in range(min(LEGS, len(noise)))]
    legs = [
        torch.stack([_slerp(a, b, steps) for a, b in zip(*leg, strict=True)])
        for leg in zip(ends, ends[1:] + ends[:1], strict=True)
    ]
    # Of shape (frames, pictures, size).
    path = torch.cat(legs, 1).transpose(0, 1)
    if labels is not None:
        labels = labels.repeat(len(path))
    images = _generate(model, path.flatten(0, 1), labels, args)
    frames = images.unflatten(0, path.shape[:2]).numpy()
    pictures = [Image.fromarray(image_grid(x, columns)) for x in frames]
    file = Path(args.out) / 'interpolation.gif'
    # To compress it takes a while, in which no half of a file is to be found.
    content = BytesIO()
    pictures[0].save(
        content,
        'GIF',
        save_all=True,
        append_images=pictures[1:],
        duration=60,  # ms
        loop=0,
    )
    file.write_bytes(content.getvalue())
    print(f'{len(pictures)} frames: {file}')


def _slerp(a: Tensor, b: Tensor, steps: Tensor) -> Tensor:
    """Points between two vectors (Shoemake, 1985), of shape (steps, D)."""
    cosine = torch.cosine_similarity(a, b, dim=0).clamp(-1, 1)
    angle = cosine.acos()
    if angle.sin() < 1e-6:
        return torch.lerp(a, b, steps)
    first = ((1 - steps) * angle).sin() / angle.sin()
    return first * a + (steps * angle).sin() / angle.sin() * b


def sample_pictures(model: Any, cfg: Config, args: argparse.Namespace) -> None:
    """Write what a model makes of the first pictures of the test data."""
    _refuse_latents(model, args)
    if not isinstance(model, Panels):
        raise UsageError(
            f'{type(model).__name__} has neither generate(noise, labels) nor '
            'panels(data), so that there is nothing to sample'
        )
    modes = ('test', 'val', 'train')
    loader = next(
        (found for m in modes if (found := cfg.get(f'{m}_dataloader'))), None
    )
    if loader is None:
        raise UsageError(
            f'config {args.config!r} has no test_dataloader to take pictures '
            'from'
        )
    dataset = DATASETS.build(loader['dataset'])
    num = min(args.num, len(dataset))
    if num < args.num:
        print(f'The test data have {num} pictures, which are all made')
    batches = []
    for start in tracked(range(0, num, BATCH), 'Sampling'):
        part = Subset(dataset, range(start, min(start + BATCH, num)))
        panels = in_float32(model.panels(shown_items(part, len(part))))
        batches.append({name: x.cpu() for name, x in panels.items()})
    panels = {
        name: torch.cat([batch[name] for batch in batches])
        for name in batches[0]
    }
    out = Path(args.out)
    _write(panels[_made(panels, model, args.raw)], out)
    columns = math.ceil(math.sqrt(num))
    Image.fromarray(panels_image(panels, columns)).save(out / 'grid.png')
    print(f'{num} pictures and grid.png are in {out}')


def _refuse_latents(model: Any, args: argparse.Namespace) -> None:
    """Refuse options of a model that makes pictures of latents."""
    unused = dict(
        label=args.label,
        interpolate=args.interpolate,
        seed=args.seed,
        truncation=args.truncation is not None,
    )
    for name, is_given in unused.items():
        if is_given:
            raise UsageError(
                f'--{name}: {type(model).__name__} makes pictures of '
                'pictures, not of latents; leave it out'
            )


def translate_folder(
    model: Any, cfg: Config, args: argparse.Namespace
) -> None:
    """Write what a model makes of the pictures of a folder, by their names."""
    if not isinstance(model, Translates):
        raise UsageError(
            f'--input {args.input!r}: {type(model).__name__} makes no '
            'pictures of pictures; leave it out'
        )
    _refuse_latents(model, args)
    out, folder = Path(args.out), Path(args.input)
    direction = args.direction or 'a2b'
    written: dict[Path, Path] = {}
    pictures = islice(batches_of(cfg, folder, direction), args.num)
    for path, batch in tracked(pictures, 'Sampling'):
        target = out / path.with_suffix('.png')
        if target in written:
            raise UsageError(
                f'{str(written[target])!r} and {str(path)!r} would both '
                f'become {str(target)!r}: give one of them another name'
            )
        written[target] = path
        inputs = model.data_preprocessor(batch)['inputs']
        try:
            results = model.translate(inputs, not args.raw, direction)
        except ValueError as error:
            raise UsageError(f'{str(folder / path)!r}: {error}') from error
        target.parent.mkdir(parents=True, exist_ok=True)
        _picture(in_float32(results).cpu()[0]).save(target)
    print(f'{len(written)} pictures are in {out}')


def _made(panels: dict[str, Tensor], model: Any, raw: bool) -> str:
    """Return which of the panels is what the model makes."""
    wanted = ('output',) if raw else ('average', 'output')
    made = next((name for name in wanted if name in panels), None)
    if made is None:
        found = ', '.join(map(repr, panels))
        raise UsageError(
            f'{type(model).__name__}.panels(data) has {found}: what is '
            f'written is its {", or ".join(map(repr, wanted[::-1]))}'
        )
    return made


def _write(images: Tensor, out: Path) -> None:
    """One PNG each: 00000.png and so on."""
    out.mkdir(parents=True, exist_ok=True)
    for i, image in enumerate(tracked(images, 'Writing')):
        _picture(image).save(out / f'{i:05d}.png')


def _picture(image: Tensor) -> Image.Image:
    """From uint8 of shape (C, H, W), grey or RGB."""
    pixels = image.permute(1, 2, 0).numpy()
    return Image.fromarray(pixels[:, :, 0] if len(image) == 1 else pixels)


if __name__ == '__main__':
    sys.exit(main())
