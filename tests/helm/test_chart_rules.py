"""Alert rules and dashboards as the chart installs them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

CHART = Path(__file__).resolve().parents[2] / "helm"
RULES = sorted((CHART / "files" / "alerts").glob("*.yaml"))


@pytest.fixture(scope="session")
def promtool(require: Any) -> str:
    """Prometheus' own checker."""
    found = shutil.which("promtool")
    require(found, "promtool (Debian package prometheus) is not installed")
    return str(found)


def checked(promtool: str, spec: Any, folder: Path) -> subprocess.CompletedProcess[str]:
    """What promtool says about the groups of a PrometheusRule."""
    path = folder / "rules.yaml"
    path.write_text(yaml.safe_dump({"groups": spec["groups"]}))
    return subprocess.run([promtool, "check", "rules", str(path)], capture_output=True, text=True, timeout=60)


def rules(chart: Any) -> list[dict[str, Any]]:
    """Rendered PrometheusRules."""
    return [one for one in chart.render() if one["kind"] == "PrometheusRule"]


def anchors(markdown: str) -> set[str]:
    """Anchors of the headings of a document, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", markdown, re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def test_every_rule_file_is_installed_and_prometheus_accepts_it(chart: Any, promtool: str, tmp_path: Path) -> None:
    rendered = rules(chart)
    files = [path for path in RULES if "groups" in yaml.safe_load(path.read_text())]
    assert len(rendered) == len(files)
    for rule in rendered:
        done = checked(promtool, rule["spec"], tmp_path)
        assert done.returncode == 0, done.stderr


def test_label_templates_survive_rendering(chart: Any) -> None:
    given = [yaml.safe_load(path.read_text())["groups"] for path in RULES]
    assert [rule["spec"]["groups"] for rule in rules(chart)] == given


def test_promtool_notices_a_broken_rule(promtool: str, tmp_path: Path) -> None:
    broken = {"groups": [{"name": "g", "rules": [{"alert": "A", "expr": "sum(rate(x[5m])) by"}]}]}
    assert checked(promtool, broken, tmp_path).returncode != 0


def test_every_alert_points_to_a_heading_of_the_runbook(chart: Any) -> None:
    known = anchors((CHART / "README.md").read_text())
    alerts = [
        one for rule in rules(chart) for group in rule["spec"]["groups"] for one in group["rules"] if "alert" in one
    ]
    for alert in alerts:
        target = alert["annotations"]["runbook_url"]
        assert target.rpartition("#")[2] in known, alert["alert"]


def test_every_dashboard_arrives_whole(chart: Any) -> None:
    given = {path.name: json.loads(path.read_text()) for path in (CHART / "files" / "dashboards").glob("*.json")}
    installed = {}
    for one in chart.render():
        if one["kind"] == "ConfigMap" and one["metadata"]["labels"].get("grafana_dashboard") == "1":
            installed.update({name: json.loads(text) for name, text in one["data"].items()})
    assert installed == given
