"""PL images from a folder: one image per stage angle, or a single colour image.

The stage angle in degrees is the last number in a file name (`pl_010.png`); a minus sign counts after `_` or `=` only.
Images are taken to be linear; whole numbers are divided by their full scale.
"""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grainloop.protocols.errors import BadInput
from grainloop.protocols.files import NotRegular, require_regular
from grainloop.protocols.values import Grid, LightImages, LightKind

SUFFIXES = (".png", ".tif", ".tiff", ".jpg", ".jpeg", ".bmp")
MOST_VALUES = 2**27
"""Of an image, over all channels: 11,000 × 11,000 grey pixels."""
_ANGLE = re.compile(r"((?<=[_=])-)?\d+(\.\d+)?(?=\D*$)")


def load_light(folder: Path, grid: Grid, pixel_um: float | None) -> LightImages:
    """PL images of a folder.

    Args:
        folder: holds the images, and may hold other files.
        grid: of the map.
        pixel_um: edge of a PL pixel; by default the images are as wide as the map.

    Raises:
        BadInput: one sentence on what is wrong with the folder or one of its files.
    """
    paths = _images(folder)
    if pixel_um is not None and not pixel_um > 0:
        raise BadInput(f"--pl-pixel {pixel_um:g} cannot be used: give µm above 0.", field="pl_pixel", value=pixel_um)
    pictures = [_read(path) for path in paths]
    size = pixel_um or grid.shape_px[1] * grid.step_um / pictures[0].shape[1]
    if len(paths) == 1:
        return _one_colour_image(paths[0], pictures[0], size)
    angles = tuple(_angle(path) for path in paths)
    _check_stack(folder, paths, pictures, angles)
    order = np.argsort(angles)
    stack = np.stack([_grey(pictures[i]) for i in order])
    turned = tuple(angles[i] for i in order)
    return LightImages(kind=LightKind.ROTATION_STACK, angles_deg=turned, images=stack, pixel_um=size)


def describe(light: LightImages) -> str:
    """What was read, as a sentence."""
    height, width = light.images.shape[1:]
    size = f"{height}×{width} px of {light.pixel_um:.4g} µm"
    if light.kind is LightKind.RGB:
        return f"PL: one RGB image of {size}."
    shown = ", ".join(f"{angle:g}" for angle in light.angles_deg)
    return f"PL: {len(light.angles_deg)} images of {size} at the stage angles {shown} degrees."


def _images(folder: Path) -> list[Path]:
    if not folder.is_dir():
        message = f"There is no folder {folder}; --pl takes simulate, none or a folder of images."
        raise BadInput(message, field="pl", value=folder)
    named = (path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    found = sorted(path for path in named if not path.is_dir())
    if not found:
        raise BadInput(f"The folder {folder} holds no image ({', '.join(SUFFIXES)}).", field="pl", value=folder)
    return found


def _read(path: Path) -> NDArray[np.float32]:
    """(h, w) or (h, w, 3) float32."""
    raw = _decoded(path)
    if raw.ndim == 3 and raw.shape[2] in (2, 4):
        raw = raw[..., :-1].squeeze()  # transparency
    if raw.ndim != 2 and (raw.ndim != 3 or raw.shape[2] != 3):
        shape = "×".join(map(str, raw.shape))
        raise BadInput(f"The PL image {path} is an array of {shape}, not one image.", field="pl", value=path)
    full = np.iinfo(raw.dtype).max if raw.dtype.kind in "iu" else 1
    with np.errstate(over="ignore"):  # infinite then
        picture = (raw / np.float64(full)).astype(np.float32)
    if not np.isfinite(picture).all():
        raise BadInput(f"The PL image {path} holds values that are no numbers.", field="pl", value=path)
    return picture


def _decoded(path: Path) -> NDArray[Any]:
    """The pixels of an image, whose size is looked at before any is decoded."""
    from imageio.v3 import improps
    from skimage.io import imread

    try:
        require_regular(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the size, which is judged here, and of tags
            size = math.prod(improps(path).shape)
            return np.asarray(imread(path)) if size <= MOST_VALUES else _too_large(path, size)
    except BadInput:
        raise
    except NotRegular as error:
        raise BadInput(f"The PL image {path} cannot be read: {error.strerror}.", field="pl", value=path) from error
    except Exception as error:  # every format has errors of its own
        raise BadInput(f"The PL image {path} cannot be read as an image.", field="pl", value=path) from error


def _too_large(path: Path, size: int) -> NDArray[Any]:
    message = f"The PL image {path} declares {size} values; at most {MOST_VALUES} are read."
    raise BadInput(message, field="pl", value=path)


def _one_colour_image(path: Path, picture: NDArray[np.float32], pixel_um: float) -> LightImages:
    if picture.ndim == 2:
        message = f"The only PL image {path} is grey: a stack of stage angles or one RGB image is needed."
        raise BadInput(message, field="pl", value=path)
    channels = np.ascontiguousarray(np.moveaxis(picture, -1, 0))
    return LightImages(kind=LightKind.RGB, angles_deg=(), images=channels, pixel_um=pixel_um)


def _angle(path: Path) -> float:
    found = _ANGLE.search(path.stem)
    if found is None:
        message = f"The name of the PL image {path} holds no stage angle, such as pl_010{path.suffix}."
        raise BadInput(message, field="pl", value=path)
    return float(found.group())


def _check_stack(
    folder: Path, paths: Sequence[Path], pictures: Sequence[NDArray[np.float32]], angles: Sequence[float]
) -> None:
    for path, angle, picture in zip(paths, angles, pictures, strict=True):
        first = paths[angles.index(angle)]
        if first != path:
            message = f"{first.name} and {path.name} in {folder} are both of the stage angle {angle:g}°."
            raise BadInput(message, field="pl", value=path)
        have, want = picture.shape[:2], pictures[0].shape[:2]
        if have != want:
            size = f"{have[0]}×{have[1]} px, {paths[0].name} has {want[0]}×{want[1]}"
            raise BadInput(f"The PL image {path} has {size}.", field="pl", value=path)


def _grey(picture: NDArray[np.float32]) -> NDArray[np.float32]:
    """A stack is of one channel: the mean of three, which are alike where a grey camera saves in colour."""
    return picture if picture.ndim == 2 else picture.mean(axis=2, dtype=np.float32)
