"""The three services as processes, observed: lines that belong together, figures, `grainloop logs` and `check`."""

from __future__ import annotations

import json
import signal
import urllib.request
from collections.abc import Generator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from grainloop.cli.serve.processes import free_endpoints
from grainloop.controller.session.reader import load_session
from grainloop.protocols.endpoints import port_of
from tests.integration.processes import Grainloop, cropped, grainloop, written

PLAN = "batches = 2\nfill_in = false\n[budget]\nfraction = 0.15\n"
NAMES = ("instrument", "model", "controller")


@dataclass(frozen=True)
class Lab:
    """Three services that are observed, after one run."""

    folder: Path
    at: dict[str, str]
    pages: dict[str, str]
    running: dict[str, Grainloop]

    def lines(self, *options: str) -> list[dict[str, Any]]:
        """What `grainloop logs` shows."""
        files = [f"{name}.jsonl" for name in NAMES]
        with grainloop("logs", "out", *files, "--json", *options, cwd=self.folder) as logs:
            code, out, err = logs.finish()
        assert (code, err) == (0, "")
        return [json.loads(line) for line in out.splitlines()]

    def figures(self, name: str) -> dict[str, float]:
        """Every figure of a service."""
        with urllib.request.urlopen(self.pages[name], timeout=30) as answer:  # noqa: S310  # a page of this test
            families = text_string_to_metric_families(answer.read().decode())
        return {one.name: one.value for family in families for one in family.samples if "bucket" not in one.name}

    def check(self, *options: str) -> tuple[int, dict[str, dict[str, str]]]:
        """Exit code and rows of `grainloop check`, each the worst of its name."""
        at = [word for name in NAMES for word in (f"--{name}", self.at[name])]
        with grainloop("check", "--json", *at, *options, cwd=self.folder) as check:
            code, out, err = check.finish()
        assert err == ""
        rows: dict[str, dict[str, str]] = {}
        for row in json.loads(out)["findings"]:
            if row["what"] not in rows or row["state"] == "fail":
                rows[row["what"]] = row
        return code, rows


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Generator[Lab]:
    folder = tmp_path_factory.mktemp("lab")
    (folder / "plan.toml").write_text(PLAN)
    written(cropped(), folder / "crop.ang")
    *places, page_i, page_m, page_c = free_endpoints(6)
    at = dict(zip(NAMES, places, strict=True))
    ports = dict(zip(NAMES, map(port_of, (page_i, page_m, page_c)), strict=True))
    own = {
        "instrument": ["--map", "crop.ang"],
        "model": [],
        "controller": ["--instrument", at["instrument"], "--model", at["model"]],
    }
    with ExitStack() as stack:
        running = {
            name: stack.enter_context(
                grainloop(
                    *("serve", name, "--endpoint", at[name], "--metrics", ports[name]),
                    *("--log-file", f"{name}.jsonl", *own[name]),
                    cwd=folder,
                )
            )
            for name in NAMES
        }
        for name, one in running.items():
            one.wait_for(f"ready {name}", "stdout")
        with grainloop(
            "run", "--plan", "plan.toml", "--out", "out", "--controller", at["controller"], cwd=folder
        ) as run:
            code, _, stderr = run.finish()
            assert code == 0, stderr
        yield Lab(folder, at, {name: f"http://127.0.0.1:{port}/metrics" for name, port in ports.items()}, running)


def test_lines_of_three_services_belong_together(lab: Lab) -> None:
    lines = lab.lines("--level", "info")
    assert {line["service"] for line in lines} == set(NAMES)
    started = {line["service"]: line for line in lines if line["event"] == "service started"}
    assert {name: started[name]["endpoint"] for name in NAMES} == lab.at
    (run,) = {line["run"] for line in lines if "run" in line}
    asked = [line for line in lines if line.get("kind") == "scan_request"]
    measured = {line["request"]: line for line in lines if line["event"] == "batch measured"}
    assert {line["request"] for line in asked} == set(measured)
    for line in asked:
        assert (line["run"], line["section"], line["session"]) == (run, 0, "out")
        assert measured[line["request"]]["batch"] == line["batch"]
        assert isinstance(line["round"], int)
    points = len(load_session(lab.folder / "out" / "session.h5").points)
    assert sum(line["points"] for line in measured.values()) == points
    (finished,) = [line for line in lines if line["event"] == "run finished"]
    assert (finished["reason"], finished["points_measured"]) == ("completed", points)


def test_a_round_is_told_by_all_three(lab: Lab) -> None:
    lines = lab.lines("--round", "1", "--level", "info")
    told = {(line["service"], line["event"]) for line in lines}
    assert told >= {("model", "question answered"), ("controller", "batch decided"), ("instrument", "batch measured")}
    asked = next(line for line in lines if line.get("kind") == "reconstruct_request")
    answered = lab.lines("--request", asked["request"])
    assert {line["service"] for line in answered} == {"model", "controller"}


def test_a_session_holds_the_log_of_its_run(lab: Lab) -> None:
    kept = [json.loads(line) for line in (lab.folder / "out" / "service.log.jsonl").read_text().splitlines()]
    assert {line["service"] for line in kept} == {"controller"}
    assert {line["session"] for line in kept} == {"out"}
    assert kept[-1]["event"] == "run finished"


def test_figures_agree_with_the_session(lab: Lab) -> None:
    controller, instrument, model = lab.figures("controller"), lab.figures("instrument"), lab.figures("model")
    points = len(load_session(lab.folder / "out" / "session.h5").points)
    assert controller["grainloop_points_acknowledged_total"] == instrument["grainloop_points_exposed_total"] == points
    (finished,) = [line for line in lab.lines() if line["event"] == "run finished"]
    assert controller["grainloop_rounds_total"] == finished["rounds"] == 2
    assert controller["grainloop_budget_left_points"] == controller["grainloop_batches_out"] == 0
    assert controller["grainloop_journal_sync_seconds_count"] > 10
    assert model["grainloop_model_seconds_count"] > controller["grainloop_model_seconds_count"] > 0  # the last map too
    assert {one["grainloop_open_requests"] for one in (controller, instrument, model)} == {0}


def test_check_finds_all_well_and_then_what_died(lab: Lab) -> None:
    code, rows = lab.check("--session", "out", "--map", "crop.ang")
    assert [row for row in rows.values() if row["state"] == "fail"] == []
    assert code == 0
    assert rows["instrument service"]["found"].startswith(f"answers at {lab.at['instrument']}, protocol version")
    assert "345 points, completed" in rows["journal of out"]["found"]
    assert rows["reconstruction"]["state"] == rows["run"]["state"] == "ok"
    lab.running["model"].process.send_signal(signal.SIGKILL)
    lab.running["model"].process.wait()
    code, rows = lab.check("--session", "nowhere")
    assert code == 1
    assert [what for what, row in rows.items() if row["state"] == "fail"] == [
        "model service",
        "journal of nowhere",
        "session file nowhere/session.h5",
    ]


@pytest.mark.parametrize("name", NAMES)
def test_no_other_machine_can_see_figures(name: str, tmp_path: Path) -> None:
    (endpoint,) = free_endpoints(1)
    with grainloop("serve", name, "--endpoint", endpoint, "--metrics", "0.0.0.0:9464", cwd=tmp_path) as service:
        code, out, err = service.finish()
    assert (code, out) == (1, "")
    assert err.startswith("grainloop: --metrics refuses to listen on 0.0.0.0: the page asks nobody for a key")
    assert err.count("\n") == 1
