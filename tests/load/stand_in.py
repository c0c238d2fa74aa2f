"""Two providers that answer at once, and whose faults are switched while they run."""

import json
import subprocess
import urllib.request
from pathlib import Path

import process

WORDS = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen"
CHUNKS = 16


class StandIn:
    """A primary and a backup, both in OpenAI's dialect."""

    def __init__(self, program: str, scratch: Path):
        self.primary, self.backup = ports = process.free_ports(2)
        first = [program, "simulate", "--instant", "--listen", f"127.0.0.1:{ports[0]}", "openai"]
        second = [*first[:4], f"127.0.0.1:{ports[1]}", "openai"]
        self.commands = [first, second]
        self.log = scratch / "stand-in.log"
        self.running: list[subprocess.Popen] = []

    def __enter__(self) -> "StandIn":
        for command, port in zip(self.commands, (self.primary, self.backup)):
            self.running.append(process.start(command, port, self.log))
            control(port, "PUT", "reply", {"text": WORDS})
        return self

    def __exit__(self, *_) -> None:
        for running in self.running:
            process.stop(running)

    def break_primary(self, fault: dict) -> None:
        control(self.primary, "PUT", "fault", fault)

    def mend_primary(self) -> None:
        control(self.primary, "DELETE", "fault", None)


def control(port: int, method: str, what: str, body: dict | None) -> None:
    """Tells a stand-in what to do from here on."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/_/{what}",
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"content-type": "application/json"},
    )
    urllib.request.urlopen(request, timeout=5).read()
