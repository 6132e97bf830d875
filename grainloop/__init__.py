"""Adaptive EBSD acquisition with polarized light: fewer scan points, honest uncertainty, nothing lost.

The one name of an installation. Below it:

    cli             the command `grainloop`: what a person types, at an instrument or at a desk
    evaluate        maps whose truth is known: runs played on them, reconstructions and figures of merit
    controller      one run, from plan to record
    model           orientations, maps, PL, reconstruction, acquisition, and the model service
    instrument_sim  an instrument to try everything with
    protocols       what crosses a process boundary, and what a driver has to do

In a checkout the last four stand beside this folder and are linked into it. Importing this package imports nothing
else.
"""

from pathlib import Path

_HERE = Path(__file__).resolve().parent
if not (_HERE / "model").is_dir():  # no symbolic links: git makes none on Windows, a source distribution has none
    __path__.append(str(_HERE.parent))
