"""Datasets of an HDF5 file that grow or are replaced while a run goes on: columns of equal length, texts, maps.

Which there are is told in `controller.session.layout`; when they are flushed is the business of
`controller.session.writer`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import h5py
import numpy as np

from grainloop.controller.session.layout import Kinds

Node = Any
"""A file, group or dataset: h5py types them only in part."""

_ROWS_PER_CHUNK = 4096
_TEXTS_PER_CHUNK = 64
CHUNK_CACHE_BYTES = 2**17
"""Of each column, the chunk that grows and the one before; all chunks of all columns would be 20 MB in the end."""


class Columns:
    """Columns of equal length that grow together; written through h5py's low level, three times as fast as slices."""

    def __init__(self, group: Node, kinds: Kinds) -> None:
        self._datasets: dict[str, Node] = {
            name: group[name]
            if name in group
            else group.create_dataset(name, (0, *tail), dtype, maxshape=(None, *tail), chunks=(_ROWS_PER_CHUNK, *tail))
            for name, (dtype, tail) in kinds.items()
        }
        self._rows = len(next(iter(self._datasets.values())))

    def append(self, rows: Mapping[str, Any]) -> None:
        """Add rows, given column by column."""
        if (count := len(next(iter(rows.values())))) == 0:
            return
        for name, dataset in self._datasets.items():
            column = np.ascontiguousarray(rows[name], dataset.dtype)
            dataset.id.set_extent((self._rows + count, *column.shape[1:]))
            there = dataset.id.get_space()
            there.select_hyperslab((self._rows, *(0 for _ in column.shape[1:])), column.shape)
            dataset.id.write(h5py.h5s.create_simple(column.shape), there, column)
        self._rows += count


def new_texts(file: Node, name: str) -> Node:
    """Texts in a new dataset, none as yet."""
    return file.create_dataset(name, (0,), h5py.string_dtype(), maxshape=(None,), chunks=(_TEXTS_PER_CHUNK,))


def append_text(dataset: Node, text: str) -> None:
    """Add a text at the end."""
    dataset.resize(dataset.shape[0] + 1, axis=0)
    dataset[-1] = text


def replace(group: Node, name: str, value: Any) -> None:
    """Write in place where it fits, so that a reader of a broken file finds the old values or the new."""
    old = group.get(name)
    if old is not None and old.shape == np.shape(value):
        old[()] = value
        return
    if old is not None:
        del group[name]
    group.create_dataset(name, data=value)
