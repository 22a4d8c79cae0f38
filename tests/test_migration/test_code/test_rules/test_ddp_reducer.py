from mmamp.migration.code.rules import ddp_reducer as rule


def test_calls_and_their_import_go(becomes):
    becomes(
        rule,
        """
        import torch
        from torch.nn.parallel.distributed import _find_tensors

        def step(loss, ddp_reducer=None):
            # prepare for backward
            if ddp_reducer is not None:
                ddp_reducer.prepare_for_backward(_find_tensors(loss))
            loss.backward()
        """,
        """
        import torch

        def step(loss, ddp_reducer=None):
            # prepare for backward
            loss.backward()
        """,
    )


def test_other_uses_stay(stays):
    stays(
        rule,
        """
        if ddp_reducer is not None:
            ddp_reducer.prepare_for_backward(loss)
            print('prepared')
        """,
    )


def test_a_step_left_as_it_was_stays(stays):
    done = stays(
        rule,
        """
        class GAN(Base):
            # TODO(mmamp migrate): by hand
            def train_step(self, data, optimizer, ddp_reducer=None):
                if ddp_reducer is not None:
                    ddp_reducer.prepare_for_backward(data)
        """,
    )
    assert not done.findings
