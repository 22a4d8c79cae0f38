"""What autocast does with operators, by device, as torch's documentation says.

https://docs.pytorch.org/docs/stable/amp.html, "Autocast Op Reference". Names
are those of ``torch.ops.aten``; an operator that stands in no list of a device
computes in the dtype that it is given. ``tests/test_plan`` holds the lists of
CUDA against its kernels, and those of the CPU too.
"""

LOW, FULL, AS_OUTPUT, WIDEST, REFUSED = (
    'low precision',
    'float32',
    'float32 output',
    'widest input',
    'refused',
)
"""What an operator's inputs are cast to. With ``AS_OUTPUT`` they are not, and
the operator computes in float32 by its own argument ``dtype``."""

_CONVOLUTIONS = (
    *('conv1d', 'conv2d', 'conv3d', 'conv_tbc'),
    *('conv_transpose1d', 'conv_transpose2d.input'),
    'conv_transpose3d.input',
)
_PRODUCTS = (
    *('addmm', 'matmul', 'mm', 'linalg_vecdot', 'linear'),
    *('addbmm', 'baddbmm', 'bmm', 'scaled_dot_product_attention', 'prelu'),
)
_LOSSES = (
    *('poisson_nll_loss', 'cosine_embedding_loss', 'nll_loss', 'nll_loss2d'),
    *('hinge_embedding_loss', 'kl_div', 'l1_loss', 'smooth_l1_loss'),
    *('huber_loss', 'mse_loss', 'margin_ranking_loss'),
    *('multilabel_margin_loss', 'soft_margin_loss', 'triplet_margin_loss'),
    *('multi_margin_loss', 'binary_cross_entropy_with_logits'),
)
CUDA = {
    **dict.fromkeys((*_CONVOLUTIONS, *_PRODUCTS), LOW),
    **dict.fromkeys(
        (
            *('addmv', 'addr', 'mv', 'einsum', 'chain_matmul'),
            *('linalg_multi_dot', 'lstm_cell', 'gru_cell'),
            *('rnn_tanh_cell', 'rnn_relu_cell'),
        ),
        LOW,
    ),
    **dict.fromkeys(
        (
            *_LOSSES,
            *('acos', 'asin', 'cosh', 'erfinv', 'exp', 'expm1', 'log'),
            *('log10', 'log2', 'log1p', 'reciprocal', 'rsqrt', 'sinh', 'tan'),
            *('pow.Tensor_Scalar', 'pow.Tensor_Tensor', 'pow.Scalar'),
            *('softplus', 'layer_norm', 'native_layer_norm', 'group_norm'),
            *('rms_norm', 'frobenius_norm.dim', 'nuclear_norm'),
            *('nuclear_norm.dim', 'cosine_similarity', 'dist', 'pdist'),
            *('cdist', 'renorm', 'logsumexp'),
            *('upsample_nearest1d', 'upsample_nearest2d'),
            *('upsample_nearest3d', 'upsample_linear1d'),
            *('upsample_bilinear2d', 'upsample_trilinear3d'),
            *('upsample_bicubic2d', '_upsample_nearest_exact1d'),
            *('_upsample_nearest_exact2d', '_upsample_nearest_exact3d'),
            *('_upsample_bilinear2d_aa', '_upsample_bicubic2d_aa'),
        ),
        FULL,
    ),
    **dict.fromkeys(
        (
            *('prod', 'prod.dim_int', 'softmax.int', 'log_softmax.int'),
            *('cumprod', 'cumsum', 'linalg_vector_norm'),
            *('linalg_matrix_norm', 'linalg_matrix_norm.str_ord'),
            *('sum', 'sum.dim_IntList', 'norm.Scalar', 'norm.ScalarOpt_dim'),
        ),
        AS_OUTPUT,
    ),
    **dict.fromkeys(
        (
            *('addcdiv', 'addcmul', 'atan2', 'bilinear', 'cross', 'dot'),
            *('vdot', 'grid_sampler', 'index_put', 'tensordot'),
            'scatter_add',
        ),
        WIDEST,
    ),
    'binary_cross_entropy': REFUSED,
}
CPU = {
    **dict.fromkeys((*_CONVOLUTIONS, *_PRODUCTS), LOW),
    **dict.fromkeys(
        (
            *_LOSSES,
            *('avg_pool3d', 'binary_cross_entropy', 'grid_sampler', 'polar'),
            *('prod', 'prod.dim_int', 'quantile', 'quantile.scalar'),
            *('nanquantile', 'nanquantile.scalar', 'stft', 'stft.center'),
            *('cdist', 'trace', 'view_as_complex', 'cholesky', 'inverse'),
            *('pinverse', 'fft_fft', 'fft_ifft', 'fft_fft2', 'fft_ifft2'),
            *('fft_fftn', 'fft_ifftn', 'fft_rfft', 'fft_irfft', 'fft_rfft2'),
            *('fft_irfft2', 'fft_rfftn', 'fft_irfftn', 'fft_hfft'),
            *('fft_ihfft', 'linalg_cond', 'linalg_matrix_rank', 'linalg_inv'),
            *('linalg_solve', 'linalg_cholesky', 'linalg_svdvals'),
            *(
                'linalg_eigvals',
                'linalg_eigvalsh',
                'linalg_householder_product',
            ),
            *('linalg_tensorinv', 'linalg_tensorsolve', 'linalg_qr'),
            *('linalg_svd', 'linalg_eig', 'linalg_eigh', 'linalg_lstsq'),
            *('linalg_inv_ex', 'geqrf', 'svd', 'qr', 'orgqr', 'ormqr'),
            *('lu_solve', 'cholesky_inverse', 'cholesky_solve'),
            *('triangular_solve', 'reflection_pad1d', 'reflection_pad2d'),
            *('replication_pad1d', 'replication_pad2d', 'replication_pad3d'),
            *('max_unpool2d', 'max_unpool3d', 'adaptive_avg_pool3d'),
            *('adaptive_max_pool3d', 'fractional_max_pool2d'),
            *('fractional_max_pool3d', 'max_pool3d', 'ctc_loss.IntList'),
            *('ctc_loss.Tensor', 'cross_entropy_loss'),
        ),
        FULL,
    ),
    **dict.fromkeys(('cat', 'stack', 'index_copy'), WIDEST),
}
