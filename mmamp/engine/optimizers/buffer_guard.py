"""Running statistics and the like, kept safe from a skipped window."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

import torch
from torch import Tensor, nn

from mmamp.compat.torch import (
    buffers_of,
    foreach_copy_,
    non_persistent_buffers,
)

Slot = tuple[Mapping[str, Tensor | None], str]


class BufferGuard:
    """Remembers persistent buffers, and puts them back.

    All but those of modules that say, by ``keeps_itself_finite = True``, that
    nothing of a skipped window can harm them.

    A forward pass changes buffers (BatchNorm's running statistics, spectral
    norm's vectors) before anybody can know that its gradients will not be
    finite. The guard copies them when an accumulation window begins; if the
    window is skipped they are as if it had never been.

    Both directions stay on the device and take a handful of kernels for each
    dtype, however many buffers there are.
    """

    def __init__(self) -> None:
        self._roots: list[nn.Module] = []
        self._slots: list[Slot] = []
        self._saved: dict[tuple[torch.device, torch.dtype], Tensor] = {}

    def watch(self, module: nn.Module) -> bool:
        """Include a module's persistent buffers, those below it too.

        Args:
            module (nn.Module): Cheap if it is watched already.

        Returns:
            bool: Whether it is a new one.
        """
        if any(module is root for root in self._roots):
            return False
        self._roots.append(module)
        known = {(id(owner), name) for owner, name in self._slots}
        for child in module.modules():
            if getattr(child, 'keeps_itself_finite', False):
                continue
            buffers = buffers_of(child)
            passing = non_persistent_buffers(child)
            for name in buffers:
                slot = (id(buffers), name)
                if name in passing or slot in known:
                    continue
                known.add(slot)
                self._slots.append((buffers, name))
        return True

    def holds(self, params: Iterable[nn.Parameter]) -> bool:
        """Tell whether some of these are parameters of the modules now.

        Args:
            params (Iterable[nn.Parameter]): An optimizer's. Those that FSDP2
                shards are not the module's while it is gathered.
        """
        asked = {id(param) for param in params}
        return any(
            id(param) in asked
            for root in self._roots
            for param in root.parameters()
        )

    def save(self) -> None:
        """Copy the watched buffers as they are now."""
        with torch.no_grad():
            self._saved = {
                key: torch.cat([b.reshape(-1) for b in buffers])
                for key, buffers in self._groups()
            }

    def restore(self, skipped: Tensor | None = None) -> None:
        """Put the copy back.

        Args:
            skipped (Tensor, optional): A scalar boolean on the device that
                decides; None (default) means yes.
        """
        if not self._saved:
            return
        with torch.no_grad():
            for key, buffers in self._groups():
                saved = self._saved.get(key)
                if saved is None or saved.numel() != sum(
                    b.numel() for b in buffers
                ):
                    continue  # the module was rebuilt inside the window
                if skipped is not None:
                    now = torch.cat([b.reshape(-1) for b in buffers])
                    saved = torch.where(skipped.to(saved.device), saved, now)
                parts = saved.split([b.numel() for b in buffers])
                foreach_copy_(
                    buffers,
                    [
                        p.view_as(b)
                        for p, b in zip(parts, buffers, strict=True)
                    ],
                )

    def state(self) -> list[Tensor]:
        """Return the copy, in an order that a resumed run has too."""
        return list(self._saved.values())

    def load_state(self, saved: list[Tensor]) -> None:
        """Take a copy over from a checkpoint; the buffers are watched."""
        self._saved = {
            key: copy.to(key[0])
            for (key, _), copy in zip(self._groups(), saved, strict=False)
        }

    def _groups(
        self,
    ) -> Iterator[tuple[tuple[torch.device, torch.dtype], list[Tensor]]]:
        """Return the buffers that exist now, by device and dtype."""
        groups: dict[tuple[torch.device, torch.dtype], list[Tensor]] = (
            defaultdict(list)
        )
        for owner, name in self._slots:
            buffer = owner.get(name)
            if buffer is not None:
                groups[buffer.device, buffer.dtype].append(buffer)
        yield from groups.items()
