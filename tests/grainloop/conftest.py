"""What tests of commands share with those of the controller."""

from tests.controller.conftest import fonts_are_open, specimen

__all__ = ["fonts_are_open", "specimen"]
