from mmamp.migration.code.rules import repeated_registration as rule


def test_what_was_in_two_registries_is_in_once(becomes):
    becomes(
        rule,
        """
        from mmamp.registry import MODELS
        # again
        from mmamp.registry import MODELS

        @MODELS.register_module()
        # and as a plugin
        @MODELS.register_module()
        @MODELS.register_module('Other')
        class Net(nn.Module):
            pass
        """,
        """
        from mmamp.registry import MODELS
        # again

        @MODELS.register_module()
        @MODELS.register_module('Other')
        # and as a plugin
        class Net(nn.Module):
            pass
        """,
    )


def test_other_decorators_stay(stays):
    stays(
        rule,
        """
        from mmamp.registry import MODELS

        @twice
        @twice
        @MODELS.register_module()
        class Net(nn.Module):
            pass
        """,
    )
