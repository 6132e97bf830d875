"""A driver that may raise what it likes: it becomes `DeviceFailed`, in one sentence, and never ends the service.

Vendor libraries call `sys.exit()`, raise `KeyboardInterrupt`, and say what is wrong in texts that are no UTF-8. What
ends the process itself, such as `os._exit` or a fault in compiled code, is beyond Python; the spool is for that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, Final, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from grainloop.protocols.capabilities import Capabilities
from grainloop.protocols.driver import InstrumentDriver
from grainloop.protocols.errors import Cancelled, DeviceFailed, GrainloopError
from grainloop.protocols.messages import ScanRequest
from grainloop.protocols.observability import get_logger
from grainloop.protocols.sentences import said
from grainloop.protocols.values import PointBlock

T = TypeVar("T")
_END: Final = object()


class GuardedDriver:
    """A driver whose every step either returns or raises a `GrainloopError`.

    Args:
        driver: that was found to be one.

    Attributes:
        name: of the instrument, as it was declared last.
    """

    def __init__(self, driver: InstrumentDriver) -> None:
        self._driver = driver
        self.name = type(driver).__name__
        self.name = self.capabilities.name

    @property
    def capabilities(self) -> Capabilities:
        """What the driver declares now.

        Raises:
            GrainloopError: it declares nothing.
        """
        declared = self.guard("capabilities", lambda: self._driver.capabilities)
        if not isinstance(declared, Capabilities):  # pyright: ignore[reportUnnecessaryIsInstance]  # others' code
            kind = type(declared).__name__
            raise DeviceFailed(f"{self.name} declares {kind} as its capabilities.", field="capabilities", value=kind)
        self.name = declared.name
        return declared

    def scan(self, request: ScanRequest) -> Blocks:
        """Begin a scan.

        Raises:
            GrainloopError: the driver failed.
        """
        return Blocks(self, self.guard("scan", lambda: iter(self._driver.scan(request))))

    def light(self, section: int, angles_deg: tuple[float, ...]) -> NDArray[np.float32]:
        """PL images as the driver gives them.

        Raises:
            GrainloopError: the driver failed.
        """
        return self.guard("light", lambda: np.asarray(self._driver.light(section, angles_deg)))

    def park(self) -> None:
        """Blank the beam.

        Raises:
            GrainloopError: the driver failed.
        """
        self.guard("park", self._driver.park)

    def guard(self, step: str, work: Callable[[], T]) -> T:
        """Run a step of the driver; whatever it raises becomes a sentence that names instrument and step.

        Raises:
            GrainloopError: the step failed.
        """
        try:
            return work()
        except BaseException as error:  # noqa: BLE001  # it is the driver's, in a thread that nobody interrupts
            raise self._failed(step, error) from None

    def _failed(self, step: str, error: BaseException) -> GrainloopError:
        if isinstance(error, GrainloopError) and not isinstance(error, Cancelled) and "message" in vars(error):
            return error  # but who withdraws a request is not the driver
        with suppress(BaseException):  # to tell of an exception is to run its code
            get_logger(service="instrument").error("driver failed", step=step, exc_info=error)
        told = said(error)
        return DeviceFailed(f"{self.name} failed in {step}: {told.rstrip('.')}.", field=step, value=told)


class Blocks:
    """The blocks of one scan, each looked at whether it is one.

    Args:
        driver: that measures them.
        blocks: as it yields them.
    """

    def __init__(self, driver: GuardedDriver, blocks: Iterator[Any]) -> None:
        self._driver, self._blocks = driver, blocks

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> PointBlock:
        """The next block.

        Raises:
            StopIteration: the scan is over.
            GrainloopError: the driver failed, or yielded something else.
        """
        block = self._driver.guard("scan", lambda: _block(next(self._blocks, _END)))
        if block is None:
            raise StopIteration
        return block

    def close(self) -> None:
        """Let the driver leave its scan.

        Raises:
            GrainloopError: it does not.
        """
        close = self._driver.guard("scan", lambda: getattr(self._blocks, "close", None))
        if close is not None:
            self._driver.guard("scan", close)


def _block(item: object) -> PointBlock | None:
    if item is _END:
        return None
    if not isinstance(item, PointBlock):
        raise TypeError(f"scan yielded {type(item).__name__} where a PointBlock was expected")
    return PointBlock.model_validate(vars(item))  # its columns may have been put there unseen
