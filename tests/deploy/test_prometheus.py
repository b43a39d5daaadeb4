"""Prometheus's and Alertmanager's own tools on what deploy/prometheus holds."""

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.metrics import MetricWrapperBase

from admin import admin_metrics, supervisor_metrics
from proxy_addons import egress_metrics

FOLDER = Path(__file__).parents[2] / "deploy" / "prometheus"
ALERTS = FOLDER / "towngate-alerts.yml"
RECORDINGS = FOLDER / "towngate-rules.yml"
RECORDING_TESTS = Path(__file__).with_name("recording_rules.test.yml")
ALERT_TESTS = Path(__file__).with_name("alert_rules.test.yml")

type Alert = dict[str, Any]


def alerts() -> list[Alert]:
    """Return every alert rule."""
    return [rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]


def recordings() -> Mapping[str, str]:
    """Return what Prometheus computes beforehand: its names and expressions, in their order."""
    groups = yaml.safe_load(RECORDINGS.read_text())["groups"]
    return {rule["record"]: rule["expr"] for group in groups for rule in group["rules"]}


def spelled_out(text: str) -> str:
    """Return a text with the expression in place of each name of what is computed beforehand."""
    for name, expression in reversed(recordings().items()):
        text = text.replace(name, f"({expression})")
    return text


def metric_names() -> set[str]:
    """Return the name of every series that a worker, the supervisor or admin exposes."""
    values = [
        value.histogram if isinstance(value, egress_metrics.TimingTally) else value
        for value in vars(egress_metrics).values()
    ]
    wrappers = [value for value in values if isinstance(value, MetricWrapperBase)]
    suffixes = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_sum", "_count")}
    of_workers = {
        metric.name + suffix
        for wrapper in wrappers
        for metric in wrapper.collect()
        for suffix in suffixes[metric.type]
    }
    of_admin = {
        value[0]
        for module in (admin_metrics, supervisor_metrics)
        for name, value in vars(module).items()
        if name.isupper() and name[0] != "_"
    }
    return of_workers | of_admin


@pytest.mark.needs("promtool")
def test_prometheus_takes_the_configuration_and_finds_the_rules() -> None:
    checked = _run("promtool", "check", "config", "--lint-fatal", FOLDER / "prometheus.yml")
    assert "2 rule files found" in checked
    assert f"SUCCESS: {len(recordings())} rules found" in checked
    assert f"SUCCESS: {len(alerts())} rules found" in checked


@pytest.mark.needs("amtool")
def test_alertmanager_takes_the_configuration() -> None:
    _run("amtool", "check-config", FOLDER / "alertmanager.yml")


@pytest.mark.needs("promtool")
def test_every_alert_fires_when_it_should_and_only_then() -> None:
    _run("promtool", "test", "rules", ALERT_TESTS.name)
    tested = ALERT_TESTS.read_text()
    assert not [rule["alert"] for rule in alerts() if rule["alert"] not in tested]


@pytest.mark.needs("promtool")
def test_what_is_computed_beforehand_is_what_its_name_says() -> None:
    _run("promtool", "test", "rules", RECORDING_TESTS.name)
    tested = RECORDING_TESTS.read_text()
    assert not [name for name in recordings() if f"expr: {name}\n" not in tested]


@pytest.mark.parametrize(("name", "expression"), recordings().items(), ids=recordings())
def test_what_is_computed_beforehand_is_so_of_metrics_that_are_there_and_used(
    name: str, expression: str
) -> None:
    level, metric, _ = name.split(":")
    by = re.search(r"by \((.+?)\)", expression)
    assert by is not None
    assert by[1].split(", ") == ["job", *level.split("_")]
    found = set(re.findall(r"\b(?:egress|towngate)_\w+", spelled_out(expression)))
    assert found <= metric_names() and all(one.startswith(metric) for one in found)
    users = [ALERTS, RECORDINGS, *(FOLDER.parent / "grafana").glob("*.json")]
    assert sum(path.read_text().count(name) for path in users) > 1


@pytest.mark.parametrize("rule", alerts(), ids=lambda rule: rule["alert"])
def test_alert_says_what_is_the_matter_what_happens_now_and_what_to_do(rule: Alert) -> None:
    assert rule["labels"]["severity"] in ("critical", "warning")
    sentences = re.split(r"(?<=\.) (?=[A-Z`])", rule["annotations"]["summary"])
    assert len(sentences) >= 3, sentences


@pytest.mark.parametrize("rule", alerts(), ids=lambda rule: rule["alert"])
def test_alert_watches_metrics_that_are_there(rule: Alert) -> None:
    found = re.findall(r"\b(?:egress|towngate)_\w+", spelled_out(rule["expr"]))
    assert set(found) <= metric_names()


def test_every_metric_is_described() -> None:
    described = set()
    for package in ("proxy_addons", "admin"):
        readme = (FOLDER.parents[1] / package / "README.md").read_text()
        table = readme.partition("## Metrics\n")[2].partition("\n## ")[0]
        described |= set(re.findall(r"^\| `(\w+)`", table, re.MULTILINE))
    # A histogram by its own name.
    told = {re.sub(r"(_seconds)_(?:bucket|sum|count)$", r"\1", name) for name in metric_names()}
    assert described == told


def _run(*words: str | Path) -> str:
    done = subprocess.run(words, cwd=ALERT_TESTS.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
