"""What tests of pictures share with those of the controller."""

from tests.controller.conftest import fonts_are_open

__all__ = ["fonts_are_open"]
