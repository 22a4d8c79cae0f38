import copy
import pickle

import pytest
from mmengine.logging import MessageHub

from mmamp.randomness.progress import Progress, run_info


def hub(name=None, **info):
    """The current message hub, after a Runner wrote into it."""
    if name is not None:
        MessageHub.get_instance(name)
    found = MessageHub.get_current_instance()
    found.update_info_dict(info)
    return found


def iterations(progress, num=3, begins=True):
    found = []
    for i in range(num):
        progress.advance(begins and i == 0)
        found.append(progress.iteration)
    return found


class TestRunInfo:
    def test_of_a_run(self):
        hub('run', experiment_name='run', loop_stage='train', iter=3)
        assert run_info()['iter'] == 3

    def test_of_one_that_is_over(self):
        hub('run', experiment_name='run', loop_stage='train', iter=3)
        hub().pop_info('loop_stage')
        assert not run_info()


class TestAdvance:
    def test_counts_without_a_runner(self):
        progress = Progress()
        assert iterations(progress) == [0, 1, 2]
        assert iterations(progress, begins=False) == [3, 4, 5]
        assert iterations(progress) == [0, 1, 2]
        assert progress.max_iters == -1

    def test_is_told(self):
        progress = Progress()
        hub('run', iter=7, max_iters=9)
        progress.advance(begins=True)
        assert (progress.iteration, progress.max_iters) == (7, 9)
        hub(iter=8)
        progress.advance()
        assert (progress.iteration, progress.max_iters) == (8, 9)

    @pytest.mark.parametrize('stage', [None, 'train'])
    def test_what_another_run_left_is_not_believed(self, stage):
        """One that ended, or one that raised."""
        hub('run', experiment_name='run', iter=4, max_iters=5, cfg='...')
        if stage:
            hub(loop_stage=stage)
        progress = Progress()
        assert iterations(progress) == [0, 1, 2]
        assert progress.max_iters == -1

    def test_nor_what_a_run_left_that_came_after_the_model(self):
        progress = Progress()
        hub('run', experiment_name='run', iter=4, max_iters=5)
        assert iterations(progress) == [0, 1, 2]

    def test_a_loop_after_the_run_counts_on(self):
        progress = Progress()
        hub('run', experiment_name='run', loop_stage='train', iter=4)
        assert iterations(progress, 1) == [4]
        hub().pop_info('loop_stage')
        assert iterations(progress, 2, begins=False) == [5, 6]

    def test_a_run_after_the_run_is_believed(self):
        """Of the same name and place, with a config of its own."""
        first, second = ('x' * 1000 for _ in range(2))
        hub('run', iter=4, max_iters=5, cfg=first)
        progress = Progress()
        hub('run', iter=4, max_iters=5, cfg=second + '\n')
        assert iterations(progress, 1) == [4]


class TestKept:
    def test_is_resumed_in_a_run(self):
        progress = Progress()
        hub('run', iter=4, place=[1, 2])
        progress.advance(begins=True)
        assert progress.kept('place') == [1, 2]
        progress.keep('place', [3])
        assert hub().get_info('place') == [3]

    def test_is_its_own_elsewhere(self):
        hub('run', iter=4, place=[1, 2])
        progress = Progress()
        progress.advance(begins=True)
        assert progress.kept('place') is None
        progress.keep('place', [3])
        assert progress.kept('place') == [3]
        assert hub().get_info('place') == [1, 2]

    def test_is_not_told_to_another_run(self):
        progress = Progress()
        mine = hub('run', iter=4)
        progress.advance(begins=True)
        other = hub('another run')
        progress.keep('place', [3])
        assert mine.get_info('place') == [3]
        assert other.get_info('place') is None

    def test_ends_with_the_optimizers(self):
        progress = Progress()
        progress.advance(begins=True)
        progress.keep('place', [3])
        progress.advance(begins=True)
        assert progress.kept('place') is None


@pytest.mark.parametrize(
    'copied', [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))]
)
def test_a_copy_is_in_no_run(copied):
    progress = Progress()
    hub('run', iter=4)
    progress.advance(begins=True)
    assert iterations(copied(progress)) == [0, 1, 2]
