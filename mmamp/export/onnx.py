"""ONNX: for onnxruntime, TensorRT, OpenVINO and others."""

from importlib.util import find_spec
from typing import Any, BinaryIO

import torch
from torch import Tensor

from mmamp.compat.torch import HAS_ONNX, sizes_of_one
from mmamp.errors import UsageError

from .format import Export, Format
from .inputs import Runner
from .libraries import library
from .metadata import Metadata, as_text
from .torch_export import program_of

OPSET = 18
"""The version of ONNX's operators: what torch's converter is written for."""


class ONNX(Format):
    """A graph of ONNX's operators."""

    suffix = '.onnx'

    def made(self, export: Export) -> Any:
        """Return the model.

        Raises:
            UsageError: If torch is too old, or a package is missing.
        """
        if not HAS_ONNX:
            raise UsageError(
                f'--format onnx needs torch >= 2.7, but {torch.__version__} '
                'is installed; torchscript and torch_export do without'
            )
        for name in ('onnx', 'onnxscript'):
            library(name)
        inputs = export.inputs
        program = program_of(export)
        with sizes_of_one():
            converted: Any = torch.onnx.export(
                program,
                input_names=list(inputs.names),
                output_names=[inputs.output],
                opset_version=OPSET,
                dynamo=True,
                verbose=False,
            )
        return converted.model_proto

    def save(self, made: Any, file: BinaryIO, metadata: Metadata) -> None:
        """Write the model, each item of metadata as JSON in its props."""
        _name_sides(made.graph, metadata)
        for key, value in metadata.items():
            made.metadata_props.add(key=key, value=as_text(value))
        file.write(made.SerializeToString())

    def loaded(self, file: BinaryIO, export: Export) -> Runner | None:
        """Return what onnxruntime makes of the file, if it is installed."""
        if find_spec('onnxruntime') is None:
            return None
        runtime = library('onnxruntime')
        options = runtime.SessionOptions()
        options.log_severity_level = 3  # errors
        session = runtime.InferenceSession(
            file.read(), options, providers=['CPUExecutionProvider']
        )

        def run(*tensors: Tensor) -> Tensor:
            names = export.inputs.names
            given = {
                name: tensor.numpy()
                for name, tensor in zip(names, tensors, strict=True)
            }
            (result,) = session.run([export.inputs.output], given)
            return torch.from_numpy(result)

        return run


def _name_sides(graph: Any, metadata: Metadata) -> None:
    """Call the open sides what the metadata call them, not ``s34``."""
    found = {x['name']: x['shape'] for x in metadata['inputs']}
    output = metadata['output']
    for value in (*graph.input, *graph.output):
        sides = value.type.tensor_type.shape.dim
        shape = found.get(value.name, output['shape'])
        for side, name in zip(sides, shape, strict=True):
            if isinstance(name, str):
                side.dim_param = name
    # Of tensors on the way, with the names that are gone.
    del graph.value_info[:]
