"""Two processes train one model, and one of them writes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.grainloop.cli.train.small import TINY

TWO_PROCESSES = """
import hashlib, json, os, signal, sys
from contextlib import contextmanager
import grainloop.cli.train.command as command
from grainloop.cli import main

class Watched(command.Trainer):
    def __init__(self, *arguments):
        super().__init__(*arguments)
        made.append(self)

@contextmanager
def stop_the_first_at_three(hours, quiet):
    yield lambda done: signal.raise_signal(signal.SIGINT) if done.step == 3 else None

made, rank = [], os.environ["RANK"]
command.Trainer, command.show_training = Watched, stop_the_first_at_three
code = main(["train", "--config", sys.argv[1], "--out", f"{sys.argv[2]}/{rank}", "--hours", "1", "--threads", "1"])
tensors = made[0].model.state_dict().values(), made[0].average.state_dict().values()
weights = hashlib.sha256(b"".join(t.numpy().tobytes() for group in tensors for t in group)).hexdigest()
with open(f"{sys.argv[2]}/said-{rank}.json", "w") as file:
    json.dump({"code": code, "steps": made[0].step, "weights": weights}, file)
"""


def test_two_processes_train_one_model_and_one_of_them_writes(config: Path, tmp_path: Path) -> None:
    config.write_text(TINY.replace("specimens = 1", "specimens = 0"))
    (tmp_path / "script.py").write_text(TWO_PROCESSES)
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run(
        [*launch, str(tmp_path / "script.py"), str(config), str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[4])},
    )
    assert done.returncode == 0, done.stderr
    first, second = (json.loads((tmp_path / f"said-{rank}.json").read_text()) for rank in "01")
    assert first["steps"] == second["steps"] == 4
    assert first["weights"] == second["weights"]
    assert (first["code"], second["code"]) == (130, 130)
    assert (tmp_path / "0" / "checkpoint.safetensors").is_file()
    assert json.loads((tmp_path / "0" / "card.json").read_text(encoding="utf-8"))["processes"] == 2
    assert list((tmp_path / "1").iterdir()) == []
