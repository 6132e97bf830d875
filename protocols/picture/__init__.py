"""The picture of a run that updates tell of: the same for those who draw it and for those who tell it."""

from grainloop.protocols.picture.picture import RunPicture
from grainloop.protocols.picture.points import Points

__all__ = ["Points", "RunPicture"]
