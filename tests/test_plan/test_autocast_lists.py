"""The lists of the documentation, and the kernels."""

import pytest
import torch

from mmamp.compat.torch import autocast_knows
from mmamp.plan.autocast_kernels import asked, can_be_asked
from mmamp.plan.autocast_lists import AS_OUTPUT, CPU, CUDA, FULL, LOW, WIDEST

HALF = dict(dtype=torch.float16)
VECTOR, MATRIX = torch.ones(4, **HALF), torch.ones(4, 4, **HALF)
BATCH, IMAGE = torch.ones(2, 4, 4, **HALF), torch.ones(1, 4, 8, 8, **HALF)
ROW = torch.ones(1, 4, 8, **HALF)
VOLUME = torch.ones(1, 4, 8, 8, 8, **HALF)
LABELS = torch.zeros(4, dtype=torch.long)
ONE = {
    'conv1d': (ROW, torch.ones(4, 4, 3, **HALF)),
    'conv2d': (IMAGE, torch.ones(4, 4, 3, 3, **HALF)),
    'conv3d': (VOLUME, torch.ones(4, 4, 3, 3, 3, **HALF)),
    'conv_transpose1d': (ROW, torch.ones(4, 4, 3, **HALF)),
    'conv_transpose2d.input': (IMAGE, torch.ones(4, 4, 3, 3, **HALF)),
    'addmm': (MATRIX, MATRIX, MATRIX),
    'matmul': (MATRIX, MATRIX),
    'mm': (MATRIX, MATRIX),
    'linear': (MATRIX, MATRIX),
    'baddbmm': (BATCH, BATCH, BATCH),
    'bmm': (BATCH, BATCH),
    'prelu': (MATRIX, VECTOR),
    'mv': (MATRIX, VECTOR),
    'addmv': (VECTOR, MATRIX, VECTOR),
    'addr': (MATRIX, VECTOR, VECTOR),
    'einsum': ('ij,jk->ik', [MATRIX, MATRIX]),
    'scaled_dot_product_attention': (BATCH, BATCH, BATCH),
    **dict.fromkeys(
        (
            *('acos', 'asin', 'cosh', 'erfinv', 'exp', 'expm1', 'log'),
            *('log10', 'log2', 'log1p', 'reciprocal', 'rsqrt', 'sinh', 'tan'),
            *('softplus', 'prod', 'sum', 'linalg_vector_norm', 'norm.Scalar'),
        ),
        (MATRIX,),
    ),
    'pow.Tensor_Scalar': (MATRIX, 2),
    'pow.Tensor_Tensor': (MATRIX, MATRIX),
    'pow.Scalar': (2, MATRIX),
    'layer_norm': (MATRIX, [4]),
    'group_norm': (IMAGE, 2),
    'cosine_similarity': (MATRIX, MATRIX),
    'cdist': (MATRIX, MATRIX),
    'logsumexp': (MATRIX, [1]),
    **dict.fromkeys(
        (
            *('l1_loss', 'smooth_l1_loss', 'huber_loss', 'mse_loss', 'kl_div'),
            *('soft_margin_loss', 'binary_cross_entropy_with_logits'),
            'binary_cross_entropy',
        ),
        (MATRIX, MATRIX),
    ),
    'nll_loss': (MATRIX, LABELS),
    'upsample_nearest1d': (ROW, [16]),
    'upsample_nearest2d': (IMAGE, [16, 16]),
    'upsample_bilinear2d': (IMAGE, [16, 16], False),
    'upsample_bicubic2d': (IMAGE, [16, 16], False),
    'softmax.int': (MATRIX, 1),
    'log_softmax.int': (MATRIX, 1),
    'cumsum': (MATRIX, 1),
    'cumprod': (MATRIX, 1),
    'sum.dim_IntList': (MATRIX, [1]),
    'prod.dim_int': (MATRIX, 1),
    'norm.ScalarOpt_dim': (MATRIX, 2, [1]),
    'addcmul': (MATRIX, MATRIX.float(), MATRIX),
    'addcdiv': (MATRIX, MATRIX.float(), MATRIX),
    'atan2': (MATRIX, MATRIX.float()),
    'dot': (VECTOR, VECTOR.float()),
    'tensordot': (MATRIX, MATRIX.float(), [1], [0]),
    'grid_sampler': (IMAGE, torch.ones(1, 4, 4, 2), 0, 0, False),
    # In no list of CUDA's.
    'relu': (MATRIX,),
    'add.Tensor': (MATRIX, MATRIX),
    'sigmoid': (MATRIX,),
    'mean': (MATRIX,),
    'cat': ([MATRIX, MATRIX],),
    'reflection_pad2d': (IMAGE, [1, 1, 1, 1]),
    'avg_pool2d': (IMAGE, [2, 2]),
}
"""A call of each operator, in float16."""


def called(name, kind):
    base, _, overload = name.partition('.')
    op = getattr(getattr(torch.ops.aten, base), overload or 'default')
    args = ONE[name]
    if kind == LOW:  # what is low already need not be cast
        args = torch.utils._pytree.tree_map(
            lambda x: x.float() if isinstance(x, torch.Tensor) else x, args
        )
    return op, args


@pytest.mark.skipif(not can_be_asked(), reason='no kernel answers here')
class TestKernels:
    @pytest.mark.parametrize('name', ONE)
    def test_cuda(self, name):
        kind = CUDA.get(name)
        assert asked(*called(name, kind)) == kind

    @pytest.mark.parametrize(
        'name',
        [x for x in ONE if CPU.get(x) != WIDEST != CUDA.get(x)],
    )
    def test_cpu(self, name):
        kind = CPU.get(name)
        assert asked(*called(name, kind), device='cpu') == kind


def test_every_operator_of_cuda_is_in_the_list():
    """Those that are made of others, or are CUDA's own names for them."""
    inner = {
        *('_convolution', '_convolution.deprecated', 'convolution'),
        *('cudnn_convolution', 'cudnn_convolution_transpose'),
        *('_thnn_fused_gru_cell', '_thnn_fused_lstm_cell'),
        '_scaled_dot_product_flash_attention',
    }
    assert set(autocast_knows('CUDA')) - set(CUDA) <= inner


def test_kinds_of_the_samples():
    """The test above sees each kind."""
    kinds = {CUDA.get(x) for x in ONE}
    assert kinds == {LOW, FULL, AS_OUTPUT, WIDEST, 'refused', None}
