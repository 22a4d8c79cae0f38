"""What a model, a wrapper, a hook or a loop may have, and who asks for it.

Each is asked by ``isinstance``, of anybody's class: a method, or an attribute
that costs nothing to look at.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol, runtime_checkable

from torch import Tensor, nn


class Record(Protocol):
    """What is counted of a wrapper's windows."""

    windows: int

    @property
    def skipped(self) -> int:
        """int: Windows skipped so far."""

    @property
    def stuck(self) -> int:
        """int: Skipped windows that no lower scale could mend."""

    @property
    def skips(self) -> int | Tensor:
        """int or Tensor: Windows skipped; a tensor if the device counts."""

    @property
    def last_skip(self) -> bool | Tensor:
        """bool or Tensor: Whether the last one was; likewise."""

    def forget_stuck(self) -> None:
        """Count stuck windows from zero."""


# ---- optimizer wrappers -----------------------------------------------------


@runtime_checkable
class Recording(Protocol):
    """Skips windows that are not finite and counts them; asked by hooks."""

    record: Record

    def amp_scalars(self) -> dict[str, float]:
        """Return what a log should show."""


@runtime_checkable
class Meets(Protocol):
    """Wants to know the model that is trained; asked by hooks."""

    def meet(self, model: nn.Module) -> None:
        """Learn it."""

    def initialize_count_status(
        self, model: nn.Module, init_counts: int, max_counts: int
    ) -> None:
        """Learn it, and where in the run it is."""


@runtime_checkable
class Judging(Protocol):
    """Knows what no step has judged yet; asked by hooks."""

    @property
    def is_in_window(self) -> bool:
        """bool: Whether there are gradients that no step has used yet."""

    def judged_buffers(self, others: Any) -> AbstractContextManager[None]:
        """Have buffers be as the last steps, others' too, left them."""


@runtime_checkable
class HasEvaluationWeights(Protocol):
    """May train on other weights than it evaluates; asked by hooks."""

    def evaluation_weights(self) -> AbstractContextManager[None]:
        """Have the model show those for evaluation."""


@runtime_checkable
class Scaling(Protocol):
    """Casts, and maybe scales, as MMEngine's own wrapper; asked by hooks."""

    loss_scaler: Any
    cast_dtype: Any


@runtime_checkable
class TrueGradients(Protocol):
    """Differentiates without the loss scale; asked by models."""

    def grad(self, *args: Any, **kwargs: Any) -> tuple[Tensor | None, ...]:
        """Return gradients as ``torch.autograd.grad`` does."""


# ---- wrappers and models ----------------------------------------------------


@runtime_checkable
class RankState(Protocol):
    """Has a state that ranks do not share; asked by the checkpoint hook."""

    def rank_state(self) -> Any:
        """Return it."""


# ---- data -------------------------------------------------------------------


@runtime_checkable
class DrawsByItself(Protocol):
    """Has a generator of its own; asked by datasets, of transforms."""

    def set_random_seed(self, seed: int) -> None:
        """Seed it."""


# ---- models -----------------------------------------------------------------


@runtime_checkable
class Panels(Protocol):
    """Shows a batch as pictures; asked by SampleHook and ``mmamp.sample``."""

    def panels(self, data: dict[str, Any]) -> dict[str, Tensor]:
        """Return pictures, by what they are."""


@runtime_checkable
class Samples(Protocol):
    """Makes pictures by itself; asked by SampleHook."""

    def sample(self, num: int, labels: Any = None) -> Tensor:
        """Return so many pictures."""


@runtime_checkable
class Generates(Protocol):
    """Makes pictures of given latents; asked by ``mmamp.sample``."""

    def generate(self, noise: Tensor, labels: Any = None) -> Tensor:
        """Return one picture for each."""


@runtime_checkable
class Translates(Protocol):
    """Makes pictures of pictures; asked by ``mmamp.sample``."""

    data_preprocessor: Any

    def translate(
        self, images: Tensor, use_ema: bool = True, direction: str = 'a2b'
    ) -> Tensor:
        """Return one picture for each."""


@runtime_checkable
class TakesAnySize(Protocol):
    """A network whose images may be of any size; asked by ``mmamp.export``.

    Attributes:
        size_multiple (int): What their sides are multiples of.
    """

    size_multiple: int


@runtime_checkable
class TruncatesItself(Protocol):
    """A generator whose keyword ``truncation`` is psi; asked by ImageGAN."""

    truncates_itself: bool


@runtime_checkable
class Evaluates(Protocol):
    """May compute the loss again in its step; asked by a GAN's loop."""

    evaluates: bool


@runtime_checkable
class CountsMicroBatches(Protocol):
    """Tells its optimizers itself where they are; asked by a hook."""

    counts_micro_batches: bool


@runtime_checkable
class HasOwnStatistics(Protocol):
    """Has averages with statistics of their own; asked by hooks."""

    def estimate_statistics(self) -> None:
        """Give them those of their weights."""

    def statistics_left_alone(self) -> AbstractContextManager[None]:
        """Have them be what they are for a while."""


@runtime_checkable
class ChecksData(Protocol):
    """Knows what its networks are made for; asked by SanityCheckHook."""

    data_preprocessor: Any

    def check_batch(self, inputs: Tensor, data_samples: Any) -> None:
        """Refuse a batch that they are not made for."""

    def needs_classes(self, num: int) -> bool:
        """Tell whether those of data with so many are to be looked at."""

    def check_classes(
        self, labels: Sequence[int], names: Sequence[str], trains: bool
    ) -> None:
        """Refuse classes that they are not made for."""


@runtime_checkable
class HigherOrder(Protocol):
    """Says which losses have gradients in them; asked by FSDP2Strategy."""

    higher_order_networks: tuple[str, ...]


@runtime_checkable
class NoSync(Protocol):
    """Keeps gradients on their rank, as DDP does; asked by wrappers."""

    def no_sync(self) -> Any:
        """Return a context."""


# ---- strategies, hooks, loops, samplers, datasets, metrics ------------------


@runtime_checkable
class ShardsInDtype(Protocol):
    """A strategy that gathers parameters in a dtype; asked by a hook."""

    param_dtype: str


@runtime_checkable
class GathersState(Protocol):
    """A strategy whose state dicts all ranks have to ask for together."""

    def in_parts(self) -> AbstractContextManager[None]:
        """Have them be what each rank has of them, which none waits for."""


@runtime_checkable
class SavesNow(Protocol):
    """Saves at any iteration; asked by PreemptionHook."""

    def save_now(self, runner: Any) -> str:
        """Return the checkpoint's path."""


@runtime_checkable
class WritesBeside(Protocol):
    """May write files beside training; asked by the launcher."""

    def finish_writing(self) -> None:
        """Wait until they are written, or have failed, which is logged."""


@runtime_checkable
class KeepsRng(Protocol):
    """Keeps training's random states while others have their own.

    Attributes:
        rng_before_val (dict, optional): They, while validation runs.
        rng_outside (Callable, optional): Returns them, while a hook of other
            people's runs.
    """

    rng_before_val: dict[str, Any] | None
    rng_outside: Callable[[], dict[str, Any]] | None


@runtime_checkable
class Iterates(Protocol):
    """A train loop without epochs, as ``IterBasedTrainLoop``."""

    dataloader_iterator: Any


@runtime_checkable
class SkipsTo(Protocol):
    """A sampler that leaves out what was taken."""

    def skip_to(self, samples: int) -> None:
        """Leave out so many samples of all ranks."""


@runtime_checkable
class HasEpochs(Protocol):
    """A sampler that orders each epoch anew, as torch's distributed one."""

    def set_epoch(self, epoch: int) -> None:
        """Say which comes next."""


@runtime_checkable
class LoadsLate(Protocol):
    """A dataset that may load its list later, as ``BaseDataset``."""

    def full_init(self) -> None:
        """Load it now."""


@runtime_checkable
class TellsInfo(Protocol):
    """A dataset that knows an item without loading it."""

    def get_data_info(self, index: int) -> dict[str, Any]:
        """Return what it knows."""


@runtime_checkable
class NeedsSamples(Protocol):
    """A metric that cannot be had of fewer samples.

    Asked by SanityCheckHook.
    """

    min_samples: int


def was_skipped(wrapper: Any) -> bool | Tensor:
    """Tell whether a wrapper's last window was skipped; False if unknown.

    Args:
        wrapper (OptimWrapper): Of any kind.

    Returns:
        bool or Tensor: A scalar boolean tensor if only the device knows.
    """
    return isinstance(wrapper, Recording) and wrapper.record.last_skip
