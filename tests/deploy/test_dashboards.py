"""The dashboards, and every expression in them and in the alerts, on a real town and Prometheus."""

import asyncio
import json
import math
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.deploy.running_prometheus import RunningPrometheus, running_prometheus
from tests.deploy.test_prometheus import Alert, alerts, metric_names, recordings, spelled_out
from tests.missing_parts import require
from tests.running_town import RunningTown, run_command, running_town

FOLDER = Path(__file__).parents[2] / "deploy" / "grafana"
DASHBOARDS = {path.stem: json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))}

VISITED = (
    *("http://library.example/", "https://library.example/", "http://cardroom.example/"),
    "http://malware.example/",
)
# What Grafana puts in place of its variables: everything, in the last minute.
VARIABLES = {
    "$__rate_interval": "1m",
    "$__range": "1m",
    "$instance": ".*",
    "$department": ".*",
}


EXPRESSIONS = [
    pytest.param(target["expr"], id=f"{name}: {panel['title']} {target['refId']}")
    for name, dashboard in DASHBOARDS.items()
    for panel in dashboard["panels"]
    for target in panel["targets"]
]
"""Every expression of every panel."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def prometheus(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningPrometheus]:
    """Return a Prometheus that has watched the demo town while people there browsed."""
    require("prometheus", "curl")
    folder = tmp_path_factory.mktemp("watched")
    async with (
        running_town(folder / "state", "--demo") as town,
        running_prometheus(folder, town.metrics) as watching,
    ):
        # A list beside the one that ships with Towngate, and never ages.
        (folder / "games.txt").write_text("play.example\n")
        code, _, errors = await town.command(
            "categories", "update", "--source", f"games={folder / 'games.txt'}"
        )
        assert code == 0, errors
        await watching.wait_for("towngate_source_good_timestamp_seconds")
        # What grows is seen between two scrapes: once before, once after.
        await _browse(town)
        await watching.wait_for("egress_visits_total")
        await _browse(town)
        await watching.wait_for('increase(egress_visits_total{action="block"}[1m]) > 0')
        await watching.wait_for('instance_action:egress_visits:rate10m{action="block"} > 0')
        await watching.wait_for("instance:egress_bytes:rate1m > 0")
        await watching.wait_for("towngate_source_refused")
        yield watching


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("expression", EXPRESSIONS)
async def test_panel_shows_data(expression: str, prometheus: RunningPrometheus) -> None:
    for variable, value in VARIABLES.items():
        expression = expression.replace(variable, value)
    assert "$" not in expression
    series = await prometheus.query(expression)
    assert series
    assert any(math.isfinite(float(one["value"][1])) for one in series), series


@pytest.mark.asyncio(loop_scope="module")
async def test_every_alert_is_evaluated_and_a_town_where_all_is_well_has_none(
    prometheus: RunningPrometheus,
) -> None:
    async with asyncio.timeout(60):
        while True:
            groups = (await prometheus.get("rules"))["groups"]
            rules = [rule for group in groups for rule in group["rules"]]
            if all(rule["health"] != "unknown" for rule in rules):
                break
            await asyncio.sleep(0.2)
    assert [rule["name"] for rule in rules] == [*(rule["alert"] for rule in alerts()), *recordings()]
    assert [rule for rule in rules if rule["health"] != "ok"] == []
    alerting = [rule for rule in rules if rule["type"] == "alerting"]
    told = [(rule["name"], alert["state"]) for rule in alerting for alert in rule["alerts"]]
    # How fast a decision is depends on what else the machine does just now; it would fire after minutes.
    assert set(told) <= {("TowngateDecidesSlowly", "pending")}


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(("name", "expression"), recordings().items(), ids=recordings())
async def test_what_is_computed_beforehand_is_what_its_expression_says(
    name: str, expression: str, prometheus: RunningPrometheus
) -> None:
    recorded = (await prometheus.get("query", query=f"{name}[2m]"))["result"]
    # The demo town has no limits that anything was over.
    assert recorded or "limited" in name
    for series in recorded:
        assert await _is_so_at_one_time(prometheus, expression, series)


async def _is_so_at_one_time(prometheus: RunningPrometheus, expression: str, series: Any) -> bool:
    """Whether what was recorded is what the expression says of that time, at one of the last times.

    At others a scrape of that very moment may have come in between the two.
    """
    labels = {key: value for key, value in series["metric"].items() if key != "__name__"}
    for at, recorded in reversed(series["values"]):
        then = (await prometheus.get("query", query=expression, time=at))["result"]
        said = [one["value"][1] for one in then if one["metric"] == labels]
        if said and math.isclose(float(said[0]), float(recorded)):
            return True
    return False


_SELECTOR = re.compile(r"\b(?:egress|towngate)_\w+(?:\{[^}]*\})?")


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("alert", alerts(), ids=lambda alert: alert["alert"])
async def test_alert_looks_at_what_a_running_town_has(alert: Alert, prometheus: RunningPrometheus) -> None:
    selectors = set(_SELECTOR.findall(spelled_out(alert["expr"])))
    assert selectors or "up" in alert["expr"]
    for selector in selectors:
        assert await prometheus.query(selector), f"{selector} can never fire: nothing is told so"


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", DASHBOARDS)
async def test_variables_and_annotations_can_be_filled_in(name: str, prometheus: RunningPrometheus) -> None:
    dashboard = DASHBOARDS[name]
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            asked = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["definition"])
            assert asked is not None, variable["definition"]
            assert await prometheus.get(f"label/{asked[2]}/values", **{"match[]": asked[1]})
    for annotation in dashboard["annotations"]["list"]:
        await prometheus.query(annotation["expr"])


@pytest.mark.parametrize("name", DASHBOARDS)
def test_every_panel_says_what_it_shows_and_has_a_place_of_its_own(name: str) -> None:
    taken: set[tuple[int, int]] = set()
    panels = DASHBOARDS[name]["panels"]
    for panel in panels:
        assert panel["title"] and panel["description"].endswith(".")
        assert panel["fieldConfig"]["defaults"]["unit"]
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells
    assert len({panel["id"] for panel in panels}) == len(panels)


def test_every_metric_is_on_a_dashboard() -> None:
    shown = spelled_out(" ".join(path.read_text() for path in FOLDER.glob("*.json")))
    # A histogram is shown by its buckets; its sum says nothing that they do not.
    told = {name for name in metric_names() if not name.endswith("_seconds_sum")}
    assert set(re.findall(r"\b(?:egress|towngate)_\w+", shown)) == told


def test_dashboards_name_no_data_source_of_their_own() -> None:
    for name, dashboard in DASHBOARDS.items():
        uids = set(re.findall(r'"uid": "(.+?)"', json.dumps(dashboard)))
        assert uids == {"${datasource}", dashboard["uid"]}, name


async def _browse(town: RunningTown) -> None:
    for url in VISITED * 3:
        code, output, errors = await run_command(
            *("curl", "--silent", "--show-error", "--insecure", "--max-time", "20"),
            *("--proxy", f"http://{town.proxy}", url),
        )
        assert code == 0, errors
        assert output
