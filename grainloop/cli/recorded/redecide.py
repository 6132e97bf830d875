"""`grainloop replay --policy --model --budget`: a recorded run decided anew, compared with it as table or JSON."""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from grainloop.cli.folders import drawing, make_folder
from grainloop.cli.operate.progress import show_events
from grainloop.controller.journal import entries as of
from grainloop.controller.journal import read_journal
from grainloop.controller.plans import make_plan
from grainloop.controller.record import JOURNAL_NAME, SESSION_NAME
from grainloop.controller.recorded import Agreement, Apart, agreement, asked_by, compare, limits, recorded_run, redecide
from grainloop.evaluate.figures_of_merit import figures_of_merit
from grainloop.evaluate.model_here import ModelHere, model_named
from grainloop.evaluate.sections.known_map import KnownMap, known_map
from grainloop.model.acquire import POLICIES
from grainloop.protocols.errors import BadInput
from grainloop.protocols.messages import Reconstruction
from grainloop.protocols.plan import RunPlan
from grainloop.protocols.values import PointBlock


@dataclass(frozen=True)
class RedecideOptions:
    """What the command line says; None leaves a thing as it was in the recorded run.

    Attributes:
        policy: that proposes points.
        model: method, `classical`, or folder of weights.
        budget: share of the pixels.
        truth: map file or specimen that answers what was not recorded, and that both maps are scored by.
        out: folder for the new session and its figures.
    """

    policy: str | None = None
    model: str | None = None
    budget: float | None = None
    truth: str | None = None
    out: Path | None = None
    json: bool = False


@dataclass(frozen=True)
class Row:
    """One of the two runs in figures; nothing where it has none.

    Attributes:
        points: that it measured.
        decisions: made by the model, or instead of it.
        decided_points: asked for by these; the others are first pass and stop-gaps.
        predicted_wrong, error_mean_deg, error_over_5deg: of its last reconstruction.
        instrument_s: when it had measured all.
    """

    points: int
    decisions: int
    decided_points: int
    predicted_wrong: float | None
    error_mean_deg: float | None
    error_over_5deg: float | None
    instrument_s: float


@dataclass(frozen=True, eq=False)
class Compared:
    """Both runs side by side."""

    recorded: Row
    again: Row
    agreement: Agreement
    apart: Apart
    limits: tuple[str, ...]
    ended: str


def run_redecide(entries: Sequence[of.Item], options: RedecideOptions) -> None:
    """Decide anew, tell, and write what is wanted.

    Raises:
        BadInput: options that cannot be used.
    """
    recorded = recorded_run(entries)
    began = recorded.began
    method = model_named(began.plan.method if options.model is None else options.model, began.capabilities.phases)
    plan = changed_plan(began.plan, options, method.name)
    truth = None if options.truth is None else known_map(options.truth, recorded)
    with _folder(options.out) as folder:
        with show_events(quiet=options.json) as heard:
            model = ModelHere(method, began.capabilities.phases)
            beyond = None if truth is None else truth.measure
            found = redecide(recorded, plan, model, folder, beyond, heard)
        again = read_journal(folder / JOURNAL_NAME).entries
        first, second = asked_by(entries), asked_by(again)
        compared = Compared(
            _row(entries, recorded.replayed.decider.ledger.clock_s, truth),
            _row(again, found.finished.instrument_s, truth),
            agreement(first, second),
            compare(entries, again),
            limits(recorded, found, again, None if truth is None else truth.words),
            found.finished.detail,
        )
        if options.out is not None:
            _draw(folder, truth)
    if options.json:
        typer.echo(_text(compared, plan, options.out))
    else:
        _show(compared, options.out)


def changed_plan(plan: RunPlan, options: RedecideOptions, method: str) -> RunPlan:
    """The recorded plan with what is to be decided anew.

    Raises:
        BadInput: no such policy, or no such budget.
    """
    if options.policy is not None and options.policy not in POLICIES:
        message = f"There is no policy '{options.policy}'; known are {', '.join(POLICIES)}."
        raise BadInput(message, field="policy", value=options.policy)
    changed = plan.model_dump()
    if options.policy is not None:
        changed["policy"] = options.policy
    if options.model is not None:
        changed["method"] = method
    if options.budget is not None:
        changed["budget"] |= {"fraction": options.budget, "points": None}
    return make_plan(changed, "the command line")


@contextmanager
def _folder(out: Path | None) -> Generator[Path]:
    if out is None:
        with tempfile.TemporaryDirectory() as folder:
            yield Path(folder)
    else:
        make_folder(out)
        yield out


def _row(entries: Sequence[of.Item], instrument_s: float, truth: KnownMap | None) -> Row:
    measured = [entry.points for entry in entries if isinstance(entry, of.PointsStored)]
    final = next((entry.answer for entry in reversed(entries) if isinstance(entry, of.Reconstructed)), None)
    mean_deg, over_5deg = (None, None) if truth is None or final is None else _errors(final, truth, measured)
    decided = [
        len(entry.request.point_id)
        for entry in entries
        if isinstance(entry, of.Decided) and entry.when.get("question") is not None
    ]
    return Row(
        points=sum(len(block) for block in measured),
        decisions=len(decided),
        decided_points=sum(decided),
        predicted_wrong=None if final is None else final.predicted_wrong,
        error_mean_deg=mean_deg,
        error_over_5deg=over_5deg,
        instrument_s=instrument_s,
    )


def _errors(
    final: Reconstruction, truth: KnownMap, measured: Sequence[PointBlock]
) -> tuple[float | None, float | None]:
    mask = np.zeros(truth.map.shape_px, np.bool_)
    for block in measured:
        mask[tuple(block.position_px.T)] = True
    found = figures_of_merit(final, truth.map, mask)
    return _number(found.error_mean_deg), _number(found.error_over_5deg)


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value


def _draw(folder: Path, truth: KnownMap | None) -> None:
    from grainloop.controller.figures import write_figures
    from grainloop.controller.session import load_session

    session = folder / SESSION_NAME
    with drawing(folder, session):
        write_figures(load_session(session), folder, None if truth is None else truth.map)


def _text(compared: Compared, plan: RunPlan, out: Path | None) -> str:
    told = asdict(compared) | {"plan": plan.model_dump(mode="json", include={"policy", "method", "budget", "seed"})}
    return json.dumps(told | {"session": None if out is None else str(out / SESSION_NAME)}, indent=2)


def _show(compared: Compared, out: Path | None) -> None:
    console = Console(soft_wrap=True)
    table = Table("", "points", "decisions (points)", "predicted wrong", "mean error", "> 5° off", "time")
    for name, row in (("recorded", compared.recorded), ("decided anew", compared.again)):
        mean = "–" if row.error_mean_deg is None else f"{row.error_mean_deg:.2f}°"
        seconds = f"{row.instrument_s:.0f} s"
        wrong = _percent(row.predicted_wrong), mean, _percent(row.error_over_5deg)
        table.add_row(name, str(row.points), f"{row.decisions} ({row.decided_points})", *wrong, seconds)
    console.print(table)
    found, apart = compared.agreement, compared.apart
    lines = [
        "Other points are those of the first pass and stop-gaps while the model was thinking.",
        f"Of {found.points} points, {found.shared:.0%} were among as many of the recorded run; "
        f"of the first half {found.halfway:.0%}.",
    ]
    lines.append(" ".join([apart.words, *apart.lost, *(apart.why if apart.decision is not None else ())]))
    lines.append(f"It ended because {compared.ended.rstrip('.')}.")
    for line in (*lines, *compared.limits):
        console.print(line, highlight=False, markup=False)
    if out is not None:
        console.print(f"The session and its figures are in {out}.", highlight=False)


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{share:.1%}"
