"""Convolutions that begin as torch's do."""

from mmcv.cnn import ConvModule


class Convolution(ConvModule):
    """mmcv's ``ConvModule``, with torch's initial weights.

    mmcv's are of the fan-out, with a gain for each activation; the codes that
    super-resolution is known by leave torch's as they are.
    """

    def init_weights(self) -> None:
        """Initialise it, also where MMEngine does so again."""
        self.conv.reset_parameters()
