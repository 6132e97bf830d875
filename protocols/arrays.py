"""Numpy arrays as fields of messages: allow-listed dtype, declared shape, read-only.

An `ArraySpec` is the annotation of a message field; pydantic then checks dtype, number of axes and fixed axis
lengths, and the JSON Schema documents them. How an array travels (a frame of its own) is the codec's business.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

ALLOWED_DTYPES = frozenset({"bool", "uint8", "uint16", "int16", "int32", "int64", "float32", "float64"})
"""Everything an array on the wire may hold; little-endian."""


@dataclass(frozen=True)
class ArraySpec:
    """Dtype and shape of an array field; an axis is a fixed length or the name of a free one."""

    dtype: str
    shape: tuple[int | str, ...]

    def validate(self, value: Any) -> NDArray[Any]:
        """`value` as a read-only, C-contiguous array of this spec.

        Raises:
            ValueError: another dtype, another number of axes, or another length on a fixed axis.
        """
        array = np.asarray(value)
        if array.dtype != np.dtype(self.dtype):
            raise ValueError(f"expected an array of {self.dtype}, got {array.dtype}")
        free = all(isinstance(want, str) or want == have for want, have in zip(self.shape, array.shape, strict=False))
        if array.ndim != len(self.shape) or not free:
            raise ValueError(f"expected an array of shape {self.shape}, got {array.shape}")
        if array.flags.c_contiguous and not array.flags.writeable:
            return array
        frozen = np.ascontiguousarray(array).view()
        frozen.flags.writeable = False
        return frozen

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self.validate)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        axes = " × ".join(map(str, self.shape))
        return {
            "description": f"{axes} array of {self.dtype}, in a frame of its own",
            "x-array": {"dtype": self.dtype, "shape": list(self.shape)},
        }


PixelList = Annotated[NDArray[np.int32], ArraySpec("int32", ("n", 2))]
"""(N, 2) int32: row, column of the declared grid; (0, 0) is the top-left pixel, rows run down."""
QuaternionList = Annotated[NDArray[np.float32], ArraySpec("float32", ("n", 4))]
"""(N, 4) float32: unit quaternions (w, x, y, z), active rotation crystal → sample."""
QuaternionMap = Annotated[NDArray[np.float32], ArraySpec("float32", ("h", "w", 4))]
FloatList = Annotated[NDArray[np.float32], ArraySpec("float32", ("n",))]
TimeList = Annotated[NDArray[np.float64], ArraySpec("float64", ("n",))]
ByteList = Annotated[NDArray[np.uint8], ArraySpec("uint8", ("n",))]
IdList = Annotated[NDArray[np.int64], ArraySpec("int64", ("n",))]
FloatMap = Annotated[NDArray[np.float32], ArraySpec("float32", ("h", "w"))]
ByteMap = Annotated[NDArray[np.uint8], ArraySpec("uint8", ("h", "w"))]
LabelMap = Annotated[NDArray[np.int32], ArraySpec("int32", ("h", "w"))]
ImageStack = Annotated[NDArray[np.float32], ArraySpec("float32", ("k", "h", "w"))]
PieceList = Annotated[NDArray[np.int32], ArraySpec("int32", ("m", 10))]
"""(M, 10) int32: shapes of a scan, one per row; `protocols.shapes.Piece` says what the columns mean."""
