"""Figures: names as Prometheus wants them, a page for this machine alone, and services that tell them."""

from __future__ import annotations

import re
import sys
import urllib.request
from threading import Thread

import pytest
from prometheus_client.parser import text_string_to_metric_families

from grainloop.protocols.errors import BadInput, NotPermitted, Unavailable
from grainloop.protocols.observability.metrics import (
    ALL,
    BATCH,
    BUDGET,
    FAILED,
    MODEL,
    NO_METRICS,
    POINTS,
    REFUSED,
    Metric,
    Shape,
)
from grainloop.protocols.observability.prometheus import PrometheusMetrics, page, parse_address


def shown(at: str) -> dict[str, float]:
    """Every sample of a page: name and labels → value."""
    with urllib.request.urlopen(at, timeout=10) as answer:  # noqa: S310  # a page of this test
        families = text_string_to_metric_families(answer.read().decode())
    return {
        one.name + "".join(f" {name}={value}" for name, value in one.labels.items()): one.value
        for family in families
        for one in family.samples
    }


def test_what_is_told_is_on_the_page() -> None:
    metrics = PrometheusMetrics("controller")
    with page(metrics, ("127.0.0.1", 0)) as at:
        metrics.add(POINTS, 60)
        metrics.add(POINTS, 4)
        metrics.set(BUDGET, 12)
        metrics.observe(BATCH, 2.0)
        metrics.add(REFUSED, 1, "busy")
        found = shown(at)
    assert found["grainloop_points_acknowledged_total"] == 64
    assert found["grainloop_budget_left_points"] == 12
    assert (found["grainloop_batch_seconds_count"], found["grainloop_batch_seconds_sum"]) == (1, 2.0)
    assert (found["grainloop_batch_seconds_bucket le=1.0"], found["grainloop_batch_seconds_bucket le=3.0"]) == (0, 1)
    assert found["grainloop_refused_messages_total reason=busy"] == 1
    assert any(name.startswith("grainloop_info service=controller version=") for name in found)
    with pytest.raises(OSError, match="refused"):
        shown(at)


def test_figures_add_up_from_all_threads_by_label_and_by_bucket() -> None:
    metrics = PrometheusMetrics("controller")

    def tell() -> None:
        for seconds in (0.3, 0.30001, 5000.0):
            metrics.observe(MODEL, seconds)
            metrics.add(REFUSED, 2, "busy")
            metrics.add(FAILED, 1, f"{seconds:.0f}")

    threads = [Thread(target=tell) for _ in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    with page(metrics, ("127.0.0.1", 0)) as at:
        found = shown(at)
    buckets = [found[f"grainloop_model_seconds_bucket le={bound}"] for bound in (*MODEL.buckets, "+Inf")]
    assert buckets == [0 if bound < 0.3 else 8 if bound == 0.3 else 16 for bound in MODEL.buckets] + [24]
    assert found["grainloop_model_seconds_sum"] == pytest.approx(8 * 5000.60001)
    assert found["grainloop_refused_messages_total reason=busy"] == 48
    assert [found[f"grainloop_failed_requests_total reason={one}"] for one in ("0", "5000")] == [16, 8]


def test_a_service_shows_its_own_figures_alone() -> None:
    metrics = PrometheusMetrics("model")
    metrics.add(POINTS, 1)
    metrics.observe(MODEL, 1.0)
    metrics.set(BUDGET, 1)
    with page(metrics, ("127.0.0.1", 0)) as at:
        found = shown(at)
    assert found["grainloop_model_seconds_count"] == 1
    assert not [name for name in found if "points" in name]


@pytest.mark.parametrize("metric", ALL, ids=lambda metric: metric.name)
def test_names_end_in_their_unit(metric: Metric) -> None:
    assert re.fullmatch(r"grainloop_[a-z_]+", metric.name)
    assert metric.name.endswith("_total") is (metric.shape is Shape.COUNTER)
    assert metric.name.endswith("_seconds") is (metric.shape is Shape.HISTOGRAM)
    assert bool(metric.buckets) is (metric.shape is Shape.HISTOGRAM)
    assert set(metric.told_by) <= {"instrument", "model", "controller"}
    assert metric.words.endswith(".")


@pytest.mark.parametrize("text", ["0.0.0.0:9464", "192.168.0.7:9464", "example.org:9464", "[::]:9464", ":9464"])
def test_no_other_machine_can_reach_the_page(text: str) -> None:
    with pytest.raises(NotPermitted, match=r"only 127\.0\.0\.1 is allowed"):
        parse_address(text)


@pytest.mark.parametrize("text", ["", "x", "70000", "127.0.0.1:", "-1", "９"])
def test_what_is_no_port_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match=r"--metrics .* cannot be used"):
        parse_address(text)


@pytest.mark.parametrize(
    ("text", "address"),
    [("9464", ("127.0.0.1", 9464)), ("127.0.0.1:1", ("127.0.0.1", 1)), ("localhost:0", ("127.0.0.1", 0))],
)
def test_a_port_of_this_machine_is_taken(text: str, address: tuple[str, int]) -> None:
    assert parse_address(text) == address


def test_a_port_in_use_is_told() -> None:
    with page(PrometheusMetrics("model"), ("127.0.0.1", 0)) as at:
        port = int(at.split(":")[2].split("/")[0])
        with (
            pytest.raises(Unavailable, match=f"cannot be shown on 127.0.0.1:{port}"),
            page(PrometheusMetrics("model"), ("127.0.0.1", port)),
        ):
            pass


def test_without_the_package_a_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with pytest.raises(BadInput, match="pip install prometheus-client"):
        PrometheusMetrics("instrument")


def test_nobody_has_to_listen() -> None:
    NO_METRICS.add(FAILED, 1, "busy")
    NO_METRICS.set(BUDGET, 1)
    NO_METRICS.observe(BATCH, 1)
