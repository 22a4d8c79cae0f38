"""Scores of the project."""

from mmengine.evaluator import BaseMetric

from minidet.registry import METRICS


@METRICS.register_module()
class TopOne(BaseMetric):
    """Share of right answers."""

    def process(self, data_batch, data_samples):
        self.results += [s['pred'] == s['gt'] for s in data_samples]

    def compute_metrics(self, results):
        return dict(top1=sum(results) / len(results))


@METRICS.register_module()
class Brightness(BaseMetric):
    """Mean of what a generator makes."""

    def process(self, data_batch, data_samples):
        self.results += [float(s['fake'].mean()) for s in data_samples]

    def compute_metrics(self, results):
        return dict(brightness=sum(results) / len(results))
