"""What a running process tells of itself: log lines that carry what they are about, and metrics.

Services use the two seams here, `get_logger` and `Metrics`. Where lines go is set up by `output`, once per process; the
page for Prometheus is served by `prometheus`.
"""

from grainloop.protocols.observability.logs import Seldom, about, bind, get_logger, in_context
from grainloop.protocols.observability.metrics import NO_METRICS, Metric, Metrics

__all__ = ["NO_METRICS", "Metric", "Metrics", "Seldom", "about", "bind", "get_logger", "in_context"]
