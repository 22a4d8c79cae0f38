"""Who trains when."""

from dataclasses import dataclass


@dataclass(frozen=True)
class UpdateSchedule:
    """The alternation of discriminator and generator.

    Every training iteration brings one discriminator micro-batch. A cycle is
    ``discriminator_steps`` updates of the discriminator, each of
    ``discriminator_counts`` micro-batches, and then
    ``generator_steps * generator_counts`` micro-batches of the generator, all
    in the cycle's last iteration. Where ``max_iters`` cuts the last cycle
    short, the generator's turn comes then, shortened in proportion.

    Args:
        discriminator_steps (int): Discriminator updates in a cycle.
        discriminator_counts (int): Its ``accumulative_counts``.
        generator_steps (int): Generator updates in a cycle.
        generator_counts (int): Its ``accumulative_counts``.
        max_iters (int): Iterations in the run; -1 if unknown.

    Examples:
        >>> schedule = UpdateSchedule(1, 8, 1, 8, max_iters=20)
        >>> [schedule.generator_turn(i) for i in (0, 7, 15, 19)]
        [0, 8, 8, 4]
    """

    discriminator_steps: int
    discriminator_counts: int
    generator_steps: int
    generator_counts: int
    max_iters: int = -1

    @property
    def cycle(self) -> int:
        """Return the number of iterations in a full cycle."""
        return self.discriminator_steps * self.discriminator_counts

    @property
    def full_turn(self) -> int:
        """Return the number of generator micro-batches in a full cycle."""
        return self.generator_steps * self.generator_counts

    def generator_turn(self, iteration: int) -> int:
        """Count the generator micro-batches at the end of an iteration.

        Args:
            iteration (int): The training iteration, from 0.
        """
        done = iteration % self.cycle + 1
        if done == self.cycle:
            return self.full_turn
        if iteration + 1 == self.max_iters:
            return -(-self.full_turn * done // self.cycle)
        return 0

    def generator_counts_before(self, iteration: int) -> int:
        """Count the generator micro-batches before an iteration of the run."""
        return iteration // self.cycle * self.full_turn

    @property
    def generator_max_counts(self) -> int:
        """Count the generator micro-batches in the run; -1 if unknown."""
        if self.max_iters < 0:
            return -1
        before = self.generator_counts_before(self.max_iters)
        if self.max_iters % self.cycle == 0:
            return before
        return before + self.generator_turn(self.max_iters - 1)
