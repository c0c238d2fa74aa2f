#!/usr/bin/env python3
"""Every query of the Grafana dashboard, against a Prometheus that scrapes a gateway in an outage.

    python3 tests/dashboard/dashboard.py [--program target/debug/backstop] [--seconds 30]

It starts simulated providers whose faults are switched all the while, a gateway in front of them, a
Prometheus that scrapes it every second, and callers. Then it asks Prometheus what each panel would:
there must be figures, and each series must have the labels that its legend names.

Needs `prometheus`; where there is none it says so and is content. All of it stays on loopback.
"""

import argparse
import contextlib
import json
import re
import shutil
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "load"))

import process
from outage import Outage

DASHBOARD = Path("crates/backstop-gateway/assets/grafana-dashboard.json")
WINDOW = "10s"


def main() -> int:
    options = arguments()
    if not shutil.which("prometheus"):
        print("no prometheus is installed: the dashboard is not tried")
        return 0
    with tempfile.TemporaryDirectory() as scratch, contextlib.ExitStack() as running:
        outage = running.enter_context(Outage(options.program, Path(scratch)))
        prometheus = start(outage, Path(scratch), running)
        began = time.time()
        outage.run(options.seconds)
        wrong = [problem for query in queries() for problem in problems(prometheus, began, query)]
    for problem in wrong:
        print(f"wrong: {problem}", file=sys.stderr)
    print(f"{len(list(queries()))} queries, {len(wrong)} problems")
    return 1 if wrong else 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Tries the dashboard's queries.")
    parser.add_argument("--program", default="target/debug/backstop", help="the gateway")
    parser.add_argument("--seconds", type=int, default=30, help="of calls and faults")
    return parser.parse_args()


def start(outage: Outage, scratch: Path, running: contextlib.ExitStack) -> str:
    """A Prometheus that scrapes the gateway; where it is."""
    config = scratch / "prometheus.yml"
    job = {
        "job_name": "backstop",
        "authorization": {"credentials": outage.admin[0]},
        "static_configs": [{"targets": [f"127.0.0.1:{outage.port}"]}],
    }
    # What is JSON is YAML too.
    config.write_text(json.dumps({"global": {"scrape_interval": "1s"}, "scrape_configs": [job]}))
    (port,) = process.free_ports(1)
    command = [
        "prometheus",
        f"--config.file={config}",
        f"--storage.tsdb.path={scratch / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    started = process.start(command, port, scratch / "prometheus.log")
    running.callback(process.stop, started)
    return f"http://127.0.0.1:{port}"


def queries():
    """Each query, what it is called, and what its legend says."""
    dashboard = json.loads(DASHBOARD.read_text())
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            metric, label = re.fullmatch(r"label_values\((\w+), (\w+)\)", variable["definition"]).groups()
            yield f"variable {variable['name']}", f"group by ({label}) ({metric})", f"{{{{{label}}}}}"
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            yield panel["title"], target["expr"], target.get("legendFormat", "")


def problems(prometheus: str, began: float, query: tuple[str, str, str]):
    title, written, legend = query
    asked = written.replace("$__rate_interval", WINDOW)
    asked = re.sub(r"\$(model|candidate)\b", ".*", asked)
    try:
        found = ask(prometheus, asked, began)
    except urllib.error.HTTPError as error:
        yield f"{title}: {written}: {error.read().decode()}"
        return
    figures = [float(value) for series in found for _, value in series["values"]]
    if not any(figure == figure for figure in figures):
        yield f"{title}: {written}: {'no series' if not found else 'no figure that is one'}"
    for label in re.findall(r"\{\{(\w+)\}\}", legend):
        if any(not series["metric"].get(label) for series in found):
            yield f"{title}: {written}: a series without {label}"


def ask(prometheus: str, query: str, began: float) -> list:
    asked = {"query": query, "start": began, "end": time.time(), "step": "1s"}
    url = f"{prometheus}/api/v1/query_range?{urllib.parse.urlencode(asked)}"
    with urllib.request.urlopen(url, timeout=30) as answer:
        return json.load(answer)["data"]["result"]


if __name__ == "__main__":
    sys.exit(main())
