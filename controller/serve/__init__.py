"""The control service: starts runs, tells their events to whoever follows, passes the words of the operator on."""

from grainloop.controller.serve.followers import Followers
from grainloop.controller.serve.service import REQUEST_LIMITS, SERVICE, ControlService, serve_until
from grainloop.controller.serve.updates import RunTold

__all__ = [
    "REQUEST_LIMITS",
    "SERVICE",
    "ControlService",
    "Followers",
    "RunTold",
    "serve_until",
]
