"""Crystal geometry: orientations, symmetry, disorientation, grains, the isometric embedding, frames, scores.

Needs numpy, and numba once a map is computed; orix only for colours (`ipf`). Imports nothing else of grainloop.
"""

from grainloop.model.crystal.disorientation import (
    blocks,
    c_axis_error_deg,
    disorientation_deg,
    disorientation_of_pairs_deg,
    reduce_to_fundamental_zone,
    rotation_about_c_error_deg,
)
from grainloop.model.crystal.embedding import chord_for_degrees, decode, degrees_per_chord, embed, embedding_of
from grainloop.model.crystal.errors import (
    BadOrientation,
    CrystalError,
    ShapeMismatch,
    UnknownFrame,
    UnknownPointGroup,
    UnsupportedSymmetry,
)
from grainloop.model.crystal.frame_check import AmbiguousFrame, FrameCheck, Refusal, azimuth_features, check_frame
from grainloop.model.crystal.frames import (
    CANDIDATE_FRAMES,
    FRAME_PRESETS,
    AzimuthFrame,
    convert_hexagonal_axis,
    presets_that_fit,
    to_euler_frame,
    to_map_frame,
)
from grainloop.model.crystal.grains import segment_grains
from grainloop.model.crystal.ipf import add_ipf_key, ipf_colours, ipf_key_figure
from grainloop.model.crystal.neighbours import boundaries_between, boundary_map, neighbour_disorientation_deg
from grainloop.model.crystal.quaternions import (
    azimuth_deg,
    c_axis,
    check_orientations,
    conjugate,
    euler_from_quaternion,
    matrix_from_quaternion,
    multiply,
    normalise,
    quaternion_from_axis_angle,
    quaternion_from_euler,
    random_quaternions,
    rotate_vectors,
    tilt_deg,
)
from grainloop.model.crystal.score import (
    BoundaryScore,
    MapScore,
    NothingToScore,
    score_boundaries,
    score_map,
    split_boundaries,
)
from grainloop.model.crystal.symmetry import (
    LAUE_GROUP_NAMES,
    LaueGroup,
    laue_group,
    laue_group_from_ctf,
    laue_group_from_tsl,
)

__all__ = [
    "CANDIDATE_FRAMES",
    "FRAME_PRESETS",
    "LAUE_GROUP_NAMES",
    "AmbiguousFrame",
    "AzimuthFrame",
    "BadOrientation",
    "BoundaryScore",
    "CrystalError",
    "FrameCheck",
    "LaueGroup",
    "MapScore",
    "NothingToScore",
    "Refusal",
    "ShapeMismatch",
    "UnknownFrame",
    "UnknownPointGroup",
    "UnsupportedSymmetry",
    "add_ipf_key",
    "azimuth_deg",
    "azimuth_features",
    "blocks",
    "boundaries_between",
    "boundary_map",
    "c_axis",
    "c_axis_error_deg",
    "check_frame",
    "check_orientations",
    "chord_for_degrees",
    "conjugate",
    "convert_hexagonal_axis",
    "decode",
    "degrees_per_chord",
    "disorientation_deg",
    "disorientation_of_pairs_deg",
    "embed",
    "embedding_of",
    "euler_from_quaternion",
    "ipf_colours",
    "ipf_key_figure",
    "laue_group",
    "laue_group_from_ctf",
    "laue_group_from_tsl",
    "matrix_from_quaternion",
    "multiply",
    "neighbour_disorientation_deg",
    "normalise",
    "presets_that_fit",
    "quaternion_from_axis_angle",
    "quaternion_from_euler",
    "random_quaternions",
    "reduce_to_fundamental_zone",
    "rotate_vectors",
    "rotation_about_c_error_deg",
    "score_boundaries",
    "score_map",
    "segment_grains",
    "split_boundaries",
    "tilt_deg",
    "to_euler_frame",
    "to_map_frame",
]
