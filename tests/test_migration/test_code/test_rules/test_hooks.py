from mmamp.migration.code.rules import hooks as rule


def test_methods_take_what_loops_hand_them(becomes):
    becomes(
        rule,
        """
        from mmcv.runner import HOOKS, Hook

        @HOOKS.register_module()
        class Mine(Hook):
            def before_run(self, runner):
                pass

            def before_train_iter(self, runner):
                pass

            def after_train_iter(self, runner):
                pass

            def after_val_epoch(self, trainer):
                pass
        """,
        """
        from mmcv.runner import HOOKS, Hook

        @HOOKS.register_module()
        class Mine(Hook):
            def before_run(self, runner):
                pass

            def before_train_iter(self, runner, batch_idx, data_batch=None):
                pass

            def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
                pass

            def after_val_epoch(self, trainer, metrics=None):
                pass
        """,
    )


def test_methods_that_are_not_called_any_more(convert):
    done = convert(
        rule,
        """
        import mmcv
        class Mine(mmcv.runner.Hook):
            def before_epoch(self, runner):
                pass

            def after_train_iter(self, runner):
                self.last = runner.outputs['loss']
                runner.optimizer.step()
        """,
    )
    first, second = (x for _, x in done.todo)
    assert first.startswith('MMEngine does not call before_epoch(runner)')
    assert 'outputs, which is the argument outputs' in second
    assert 'optimizer, which is runner.optim_wrapper' in second


def test_those_of_1x_and_other_classes_stay(stays):
    stays(
        rule,
        """
        from mmengine.hooks import Hook
        class Mine(Hook):
            def after_train_iter(self, runner, batch_idx, data_batch=None,
                                 outputs=None):
                pass
            def _before_epoch(self, runner, mode='train'):
                pass
        class Other:
            def before_epoch(self, runner):
                pass
        """,
    )
