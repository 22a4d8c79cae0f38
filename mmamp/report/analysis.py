"""All trials of a config, and what follows from them."""

import datetime
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mmamp.precision.devices import machine
from mmamp.version import __version__

from .damage import Damage, assess, leaves, lost_share, suspects
from .histograms import Sizes
from .mending import NoMoreTrials, rules_for, smallest
from .trials import TrialFailed, Trials
from .verdict import best, chosen, sentence, speed

MOST_SEARCH = 24
"""Trials that the search for rules may take."""


class Analysis:
    """Runs a config in each dtype, and compares.

    Args:
        trials (Trials): Runs them.
        cfg (Config): The user's.
        config (Path): Its path, for the report.

    Attributes:
        outputs (dict[str, str]): What dtypes that failed wrote to their
            standard error.
    """

    def __init__(self, trials: Trials, cfg: Config, config: Path) -> None:
        self.trials, self.cfg, self.config = trials, cfg, config
        self._searched = 0
        self.outputs: dict[str, str] = {}

    def run(self, dtypes: list[str]) -> dict[str, Any]:
        """Run the trials of all dtypes, and return the report.

        Args:
            dtypes (list[str]): That are compared with float32.

        Returns:
            dict: The report, as ``schema.json`` describes it.
        """
        reference = self._row('float32')
        if reference['failed']:
            verdict = f'float32 did not run: {reference["failed"]}.'
            return self._report([reference], verdict)
        noise = self._noise(reference)
        rows = [self._row(x) for x in dtypes if x != 'float32']
        for row in rows:
            if not row['failed']:
                self._compare(row, reference)
            row['verdict'] = sentence(row, reference, noise)
        report = self._report([reference, *rows], best(rows, reference, noise))
        report['noise'] = noise
        with_rules = [row for row in rows if row['rules']]
        if with_rules:
            row = chosen(with_rules, reference, noise) or with_rules[0]
            report['amp_rules'] = row['dtype']
        return report

    def _row(self, dtype: str) -> dict[str, Any]:
        row: dict[str, Any] = dict(
            dtype=dtype,
            failed=None,
            damage=[],
            rules=[],
            minimal=True,
            verdict=None,
        )
        try:
            row.update(self._timed(dtype, []))
            row.update(self.trials.run(dtype, 'numbers'))
        except TrialFailed as error:
            row['failed'] = str(error)
            self.outputs[dtype] = error.output
        return row

    def _timed(
        self, dtype: str, rules: list[dict[str, Any]]
    ) -> dict[str, Any]:
        trial = self.trials.run(dtype, 'speed', rules)
        return dict(
            seconds=speed(trial['seconds']), peak_memory=trial['peak_memory']
        )

    def _noise(self, reference: dict[str, Any]) -> float | None:
        """Return how much the times of two runs in float32 differ."""
        try:
            again = self._timed('float32', [])['seconds']['median']
        except TrialFailed:  # now and then out of memory
            return None
        ratio: float = again / reference['seconds']['median']
        return max(ratio, 1 / ratio)

    def _compare(self, row: dict[str, Any], reference: dict[str, Any]) -> None:
        """Find a dtype's damage, and the rules that remove it."""
        found = assess(row, reference)
        row['damage'] = [x.state() for x in found]
        for name, module in row['modules'].items():
            other = reference['modules'].get(name)
            for part in ('outputs', 'gradients'):
                sizes = Sizes.of(module[part])
                module[part]['underflow'] = lost_share(module, other, part)
                module[part]['overflow'] = sizes.nonfinite_share
        if not found:
            return
        modules = self._search(row, reference, found)
        if modules is None:
            return
        try:
            timed = self._timed(row['dtype'], rules_for(modules))
        except TrialFailed:
            return  # what does not run is no cure
        row['rules'] = rules_for(modules)
        row['with_rules'] = timed

    def _search(
        self,
        row: dict[str, Any],
        reference: dict[str, Any],
        found: list[Damage],
    ) -> list[str] | None:
        """Search for the smallest set of modules that has to be in float32."""
        began = self.trials.count

        def mends(modules: list[str]) -> bool:
            if self.trials.count - began >= MOST_SEARCH:
                row['minimal'] = False
                raise NoMoreTrials
            try:
                trial = self.trials.run(
                    row['dtype'], 'numbers', rules_for(modules)
                )
            except TrialFailed:
                return False
            return not assess(trial, reference)

        first = suspects(row, reference, found)
        rest = [x for x in leaves(row['modules']) if x not in first]
        modules = smallest(first, mends) or smallest([*first, *rest], mends)
        self._searched += self.trials.count - began
        return modules

    def _report(
        self, rows: list[dict[str, Any]], verdict: str
    ) -> dict[str, Any]:
        now = datetime.datetime.now(datetime.timezone.utc)
        return dict(
            version=1,
            mmamp=__version__,
            config=str(self.config),
            machine=machine(),
            date=now.isoformat(timespec='seconds'),
            iterations=self.trials.iters,
            trials=self.trials.count,
            search_trials=self._searched,
            noise=None,
            amp_rules=None,
            verdict=verdict,
            dtypes=rows,
        )
