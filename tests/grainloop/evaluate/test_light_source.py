"""PL images from a folder: names, kinds, and one sentence for a folder that cannot be used."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from skimage.io import imsave

from grainloop.evaluate.sections.light_source import load_light
from grainloop.evaluate.sections.scenes import Setting, make_scene
from grainloop.protocols.errors import BadInput
from grainloop.protocols.values import Grid
from tests.grainloop.cli.commands import refused, told
from tests.grainloop.small_maps import chessboard

GRID = Grid(shape_px=(30, 40), step_um=0.5)


def save(path: Path, values: NDArray[Any]) -> None:
    imsave(path, values, check_contrast=False)


def test_a_folder_of_images_is_as_good_as_the_camera(
    specimen: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    light = make_scene(chessboard(), Setting()).light
    assert light is not None
    (tmp_path / "notes.txt").write_text("not an image")
    for angle, image in zip(light.angles_deg, light.images, strict=True):
        save(tmp_path / f"ti_PL-2024_{angle:03.0f}deg.tif", (image * 65535).round().astype(np.uint16))
    read = load_light(tmp_path, Grid(shape_px=(48, 60), step_um=0.5), None)
    assert read.angles_deg == light.angles_deg
    assert read.pixel_um == light.pixel_um
    np.testing.assert_allclose(read.images, light.images, atol=1e-5)
    by_folder = told(capsys, "reconstruct", specimen, "--points", "grid:0.1", "--pl", str(tmp_path))
    by_camera = told(capsys, "reconstruct", specimen, "--points", "grid:0.1")
    assert by_folder["pl_used"]
    assert by_folder["notes"][0].startswith("PL: 18 images of 48×60 px of 0.5 µm at the stage angles 0, 10, 20,")
    assert by_folder["error_over_5deg"] == pytest.approx(by_camera["error_over_5deg"], abs=0.01)


def test_names_and_kinds_of_images(tmp_path: Path) -> None:
    image = np.arange(1200, dtype=np.uint8).reshape(30, 40)
    names = {"pl_010.png": 10, "pl-020.png": 20, "pl_-30.png": -30, "a=45.5°.png": 45.5, "n_3_70deg.png": 70}
    for name in names:
        save(tmp_path / name, np.stack([image] * 4, axis=-1))  # a grey camera that saves in colour, opaque
    read = load_light(tmp_path, GRID, 0.25)
    assert read.angles_deg == tuple(sorted(names.values()))
    assert read.pixel_um == 0.25
    np.testing.assert_allclose(read.images[0], image / 255, atol=1e-6)


def test_one_colour_image(tmp_path: Path) -> None:
    image = np.zeros((15, 20, 3), np.uint8)
    image[..., 1] = 51
    save(tmp_path / "colour.png", image)
    read = load_light(tmp_path, GRID, None)
    assert (read.kind, read.pixel_um) == ("rgb", 1.0)
    assert np.unique(read.images[1]) == pytest.approx([0.2])
    assert not read.images[[0, 2]].any()


GREY = np.zeros((5, 6), np.uint8)
BAD_FOLDERS: list[tuple[dict[str, Any], str]] = [
    ({}, "The folder {0} holds no image (.png"),
    ({"a_1.png": GREY}, "The only PL image {0}/a_1.png is grey: a stack of stage angles or one RGB image is needed."),
    ({"a.png": GREY, "b_1.png": GREY}, "The name of the PL image {0}/a.png holds no stage angle, such as pl_010.png."),
    ({"a_0.png": GREY, "b_0.png": GREY}, "a_0.png and b_0.png in {0} are both of the stage angle 0°."),
    ({"a_0.png": GREY, "b_9.png": GREY[1:]}, "The PL image {0}/b_9.png has 4×6 px, a_0.png has 5×6."),
    ({"a_0.png": b"nonsense"}, "The PL image {0}/a_0.png cannot be read as an image."),
    ({"a_0.tif": np.zeros((7, 5, 6), np.uint8)}, "The PL image {0}/a_0.tif is an array of 7×5×6, not one image."),
]


@pytest.mark.parametrize(("files", "sentence"), BAD_FOLDERS)
def test_a_bad_folder_is_one_sentence(files: dict[str, Any], sentence: str, tmp_path: Path) -> None:
    for name, content in files.items():
        if isinstance(content, bytes):
            (tmp_path / name).write_bytes(content)
        else:
            save(tmp_path / name, content)
    with pytest.raises(BadInput) as caught:
        load_light(tmp_path, GRID, None)
    assert str(caught.value).startswith(sentence.format(tmp_path))


def test_angles_that_tell_nothing_are_refused(
    specimen: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for angle in (0, 90):
        save(tmp_path / f"pl_{angle}.png", np.full((48, 60), 9, np.uint8))
    error = refused(capsys, "reconstruct", specimen, "--pl", str(tmp_path))
    assert error.startswith(f"grainloop: The folder {tmp_path} cannot be used. PL is not used: PL cannot be fitted")


def png_that_declares(width: int, height: int) -> bytes:
    """A header alone: 8 bits, grey."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")


@pytest.mark.parametrize("edge", [12_000, 65_535, 2**31 - 1])
def test_an_image_beyond_reason_is_refused_before_it_is_decoded(tmp_path: Path, edge: int) -> None:
    (tmp_path / "pl_000.png").write_bytes(png_that_declares(edge, edge))
    with pytest.raises(BadInput, match=r"pl_000\.png (declares [0-9]+ values; at most|cannot be read as an image)"):
        load_light(tmp_path, GRID, None)


def test_values_beyond_float32_are_refused_without_a_warning(tmp_path: Path) -> None:
    for angle in (0, 90):
        save(tmp_path / f"pl_{angle}.tif", np.full((5, 6), 1e300))
    with pytest.raises(BadInput, match="holds values that are no numbers"):
        load_light(tmp_path, GRID, None)
