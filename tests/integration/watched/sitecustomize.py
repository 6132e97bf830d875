"""Found by every Python whose path begins with this folder: writes down which kernels of ours are compiled there."""

from __future__ import annotations

import os
from typing import Any

from numba.core import event


class Compiling(event.Listener):
    """Adds a line to the file that `GRAINLOOP_TEST_COMPILED` names."""

    def on_start(self, event: Any) -> None:
        function = event.data["dispatcher"].py_func
        if function.__module__.startswith("grainloop."):
            with open(os.environ["GRAINLOOP_TEST_COMPILED"], "a", encoding="utf-8") as file:
                file.write(f"{function.__module__}.{function.__qualname__} {event.data['args']}\n")

    def on_end(self, event: Any) -> None:
        pass


event.register("numba:compile", Compiling())
