"""Where names of mmcv 1.x are to be found in MMEngine and mmamp.

A test imports every one of them from where this file says it is.
"""

CHECKPOINT = 'mmengine.runner.checkpoint'
WRAPPERS = 'mmengine.utils.dl_utils.parrots_wrapper'
INITS = 'mmengine.model.weight_init'
REGISTRY = 'mmamp.registry'
"""Stands for the registries of the toolbox that the migration is for."""

_SAME_NAME = {
    'mmengine.model': (
        'BaseModule ModuleDict ModuleList Sequential bias_init_with_prob '
        'caffe2_xavier_init constant_init initialize kaiming_init '
        'normal_init trunc_normal_init uniform_init update_init_info '
        'xavier_init Caffe2XavierInit ConstantInit KaimingInit NormalInit '
        'PretrainedInit TruncNormalInit UniformInit XavierInit '
        'MMDistributedDataParallel revert_sync_batchnorm'
    ),
    INITS: 'trunc_normal_',
    'mmengine.runner': (
        'CheckpointLoader Priority get_priority get_state_dict '
        'load_checkpoint load_state_dict save_checkpoint weights_to_cpu'
    ),
    CHECKPOINT: (
        '_load_checkpoint _load_checkpoint_with_prefix load_from_http '
        'load_from_local'
    ),
    'mmengine.dist': 'get_dist_info init_dist master_only',
    'mmengine.hooks': 'CheckpointHook DistSamplerSeedHook Hook IterTimerHook '
    'SyncBuffersHook',
    'mmengine.registry': 'MODELS Registry build_from_cfg build_model_from_cfg',
    'mmengine.config': 'Config ConfigDict DictAction',
    'mmengine.logging': 'print_log',
    'mmengine.fileio': (
        'FileClient dict_from_file dump list_from_file load register_handler'
    ),
    'mmengine.utils': (
        'ProgressBar Timer TimerError check_file_exist check_prerequisites '
        'check_time concat_list deprecated_api_warning digit_version fopen '
        'get_git_hash has_method import_modules_from_strings is_filepath '
        'is_list_of is_method_overridden is_seq_of is_str is_tuple_of '
        'iter_cast list_cast mkdir_or_exist requires_executable '
        'requires_package scandir slice_list symlink to_1tuple to_2tuple '
        'to_3tuple to_4tuple to_ntuple track_iter_progress '
        'track_parallel_progress track_progress tuple_cast'
    ),
    'mmengine.utils.dl_utils': 'TORCH_VERSION collect_env is_jit_tracing '
    'load_url torch_meshgrid',
    'mmengine.testing': 'assert_attrs_equal assert_dict_contains_subset '
    'assert_dict_has_keys assert_is_norm_layer assert_keys_equal '
    'assert_params_all_zeros check_python_script',
    WRAPPERS: (
        '_AdaptiveAvgPoolNd _AdaptiveMaxPoolNd _AvgPoolNd _BatchNorm _ConvNd '
        '_ConvTransposeMixin _InstanceNorm _MaxPoolNd SyncBatchNorm'
    ),
    REGISTRY: 'HOOKS OPTIMIZERS RUNNERS',
}

_OTHER_NAME = {
    'ACTIVATION_LAYERS': (REGISTRY, 'MODELS'),
    'ATTENTION': (REGISTRY, 'MODELS'),
    'CONV_LAYERS': (REGISTRY, 'MODELS'),
    'DROPOUT_LAYERS': (REGISTRY, 'MODELS'),
    'FEEDFORWARD_NETWORK': (REGISTRY, 'MODELS'),
    'NORM_LAYERS': (REGISTRY, 'MODELS'),
    'PADDING_LAYERS': (REGISTRY, 'MODELS'),
    'PLUGIN_LAYERS': (REGISTRY, 'MODELS'),
    'POSITIONAL_ENCODING': (REGISTRY, 'MODELS'),
    'TRANSFORMER_LAYER': (REGISTRY, 'MODELS'),
    'TRANSFORMER_LAYER_SEQUENCE': (REGISTRY, 'MODELS'),
    'UPSAMPLE_LAYERS': (REGISTRY, 'MODELS'),
    'MODULE_WRAPPERS': (REGISTRY, 'MODEL_WRAPPERS'),
    'OPTIMIZER_BUILDERS': (REGISTRY, 'OPTIM_WRAPPER_CONSTRUCTORS'),
    'DefaultOptimizerConstructor': (
        'mmengine.optim',
        'DefaultOptimWrapperConstructor',
    ),
    'allreduce_params': ('mmengine.dist', 'all_reduce_params'),
    'is_module_wrapper': ('mmengine.model', 'is_model_wrapper'),
}

MOVES: dict[str, tuple[str, str]] = {
    **{
        name: (module, name)
        for module, names in _SAME_NAME.items()
        for name in names.split()
    },
    **_OTHER_NAME,
}
"""Module and name now, for each name that has another one of them."""

FROM = ('', '.runner', '.parallel', '.utils', '.fileio', '.cnn')
"""Parts of mmcv 1.x, those below them included, whose names have moved."""

GONE = ('.runner', '.parallel', '.fileio', '.engine', '.onnx', '.tensorrt')
"""Parts of mmcv 1.x that mmcv 2 does not have."""

GONE_NAMES = {
    *('BuildExtension', 'CUDAExtension', 'CppExtension', 'DataLoader'),
    *('IS_IPU_AVAILABLE', 'PoolDataLoader', '_get_cuda_home'),
    *('get_build_config', 'get_logger', 'is_rocm_pytorch'),
    'worker_init_fn',
}
"""Names of ``mmcv.utils`` that mmcv 2 does not have there."""

REASONS = {
    'DataContainer': 'data samples take the place of DataContainer',
    'DC': 'data samples take the place of DataContainer',
    'EMAHook': 'mmengine.hooks.EMAHook, which has other arguments',
    'BaseRunner': 'mmengine.runner.Runner, with loops of its own',
    'LoggerHook': 'mmengine.hooks.LoggerHook, and backends of the visualizer',
    'EpochBasedRunner': 'mmengine.runner.Runner with train_cfg by epoch',
    'EvalHook': 'val_cfg, val_evaluator and val_dataloader do evaluation',
    'DistEvalHook': 'val_cfg, val_evaluator and val_dataloader do evaluation',
    'Fp16OptimizerHook': "optim_wrapper = dict(type='AmpOptimWrapper')",
    'IterBasedRunner': 'mmengine.runner.Runner with train_cfg by iteration',
    'LrUpdaterHook': 'parameter schedulers of mmengine.optim do this',
    'MMDataParallel': 'MMEngine has no DataParallel: the Runner puts the '
    'model on its device',
    'OptimizerHook': 'optimizer wrappers do what OptimizerHook did',
    'build_optimizer': 'mmengine.optim.build_optim_wrapper, or the Runner',
    'build_runner': 'mmengine.runner.Runner.from_cfg',
    'collate': 'mmengine.dataset.pseudo_collate, without DataContainer',
    'get_logger': 'mmengine.logging.MMLogger',
    'scatter': 'the data preprocessor moves data to the device',
    'set_random_seed': 'the randomness setting of the Runner',
}
"""What there is in the place of names that have no successor."""


def is_in(part: str, parent: str) -> bool:
    """Tell whether a part of mmcv is another one, or inside of it.

    Args:
        part (str): Such as ``.runner.hooks``; empty for mmcv itself.
        parent (str): The same.
    """
    if not parent:
        return not part
    return part == parent or part.startswith(f'{parent}.')


def is_gone(part: str) -> bool:
    """Tell whether mmcv 2 does not have a part of mmcv 1.x."""
    return any(is_in(part, x) for x in GONE)


def why_gone(source: str, names: list[str]) -> str:
    """Say which names are gone, and what there is in their place.

    Args:
        source (str): The module that had them.
        names (list[str]): The names.
    """
    known = [REASONS[x] for x in names if x in REASONS]
    said = f'{", ".join(names)} in {source}'
    return f'{said}: {"; ".join(dict.fromkeys(known))}' if known else said


_MODELS = """
    BACKBONES CLASSIFIERS COMPONENTS DETECTORS HEADS LOSSES MODELS MODULES
    NECKS ROI_EXTRACTORS SEGMENTORS SHARED_HEADS
"""
REGISTRIES = {
    **dict.fromkeys(_MODELS.split(), 'MODELS'),
    'DATASETS': 'DATASETS',
    'PIPELINES': 'TRANSFORMS',
    'HOOKS': 'HOOKS',
    'METRICS': 'METRICS',
}
"""Registries of 0.x, and those of mmamp that take their place."""

_BUILDERS = """
    build_backbone build_classifier build_component build_detector build_head
    build_loss build_model build_module build_neck build_roi_extractor
    build_segmentor build_shared_head
"""
BUILDERS = frozenset(_BUILDERS.split())
"""Functions of 0.x that built from those registries which are MODELS now."""
