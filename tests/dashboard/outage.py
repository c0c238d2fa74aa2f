"""A gateway whose providers fail in one way after the other, and its callers."""

import contextlib
import itertools
import json
import os
import subprocess
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import process

CONFIG = """
listen = "127.0.0.1:{gateway}"

[providers.one]
dialect = "anthropic"
base_url = "http://127.0.0.1:{one}"

[providers.two]
dialect = "openai"
base_url = "http://127.0.0.1:{two}/v1"

[models.smart]
candidates = [
    {{ candidate = "one:large", resumes = "instruction" }},
    {{ candidate = "two:large", resumes = "instruction" }},
    {{ reply = "Later." }},
]
breaker = {{ failures = 3, open_for = "1s" }}
timeout = {{ first_token = "2s", answer = "2s", idle = "2s", total = "10s" }}
hedge = {{ first_token = "500ms", answer = "900ms" }}

[prices]
"one:large" = {{ input = 5.0, output = 25.0 }}
"two:large" = {{ input = 1.0, output = 4.0 }}

[keys.team]
sha256 = "{caller}"

[admin]
sha256 = "{admin}"
"""

# What befalls the first provider, and what the second.
FAULTS = [
    (None, None),
    ("overloaded", None),
    ("cut", None),
    ("slow", None),
    ("rate_limited", "unavailable"),
]
CALLERS = 4


class Outage:
    def __init__(self, program: str, scratch: Path):
        self.program, self.scratch = program, scratch
        self.port, self.one, self.two = process.free_ports(3)
        self.caller, self.admin = self.key(), self.key()
        self.over = threading.Event()

    def key(self) -> tuple[str, str]:
        """A key, and its hash."""
        made = subprocess.run([self.program, "key"], capture_output=True, text=True, check=True)
        words = made.stdout.replace('"', " ").split()
        (key,) = [it for it in words if it.startswith("bk-")]
        (digest,) = [it for it in words if len(it) == 64]
        return key, digest

    def __enter__(self) -> "Outage":
        with contextlib.ExitStack() as running:
            log = self.scratch / "gateway.log"
            for port, dialect in [(self.one, "anthropic"), (self.two, "openai")]:
                command = [self.program, "simulate", "--listen", f"127.0.0.1:{port}", dialect]
                running.callback(process.stop, process.start(command, port, log))
            config = self.scratch / "backstop.toml"
            config.write_text(self.config())
            environment = os.environ | {"RUST_LOG": "error"}
            command = [self.program, "--config", str(config)]
            gateway = process.start(command, self.port, log, env=environment)
            running.callback(process.stop, gateway)
            self.running = running.pop_all()
        return self

    def __exit__(self, *_) -> None:
        self.running.close()

    def config(self) -> str:
        return CONFIG.format(
            gateway=self.port,
            one=self.one,
            two=self.two,
            caller=self.caller[1],
            admin=self.admin[1],
        )

    def run(self, seconds: float) -> None:
        """Calls, and lets each fault have its turn, as often as there is time for."""
        callers = [threading.Thread(target=self.calls, args=[i]) for i in range(CALLERS)]
        for caller in callers:
            caller.start()
        turn = max(3.0, seconds / len(FAULTS))
        end = time.monotonic() + seconds
        for faults in itertools.cycle(FAULTS):
            for port, fault in zip((self.one, self.two), faults):
                self.fault(port, fault)
            with contextlib.suppress(urllib.error.HTTPError):
                self.send("/admin/reload", self.admin[0], b"")
            # Nobody's key: it is refused.
            self.ask("nobody", False)
            time.sleep(turn)
            if time.monotonic() >= end:
                break
        self.over.set()
        for caller in callers:
            caller.join()

    def calls(self, number: int) -> None:
        for streamed in itertools.cycle([True, False]):
            if self.over.wait(0.05 * (number + 1)):
                return
            self.ask(self.caller[0], streamed)

    def ask(self, key: str, streamed: bool) -> None:
        body = {"model": "smart", "stream": streamed}
        body["messages"] = [{"role": "user", "content": "Hello!"}]
        with contextlib.suppress(urllib.error.HTTPError):
            self.send("/v1/chat/completions", key, json.dumps(body).encode())

    def send(self, path: str, key: str, body: bytes) -> None:
        headers = {"content-type": "application/json", "authorization": f"Bearer {key}"}
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", body, headers)
        urllib.request.urlopen(request, timeout=30).read()

    def fault(self, port: int, fault: str | None) -> None:
        url = f"http://127.0.0.1:{port}/_/fault"
        method = "PUT" if fault else "DELETE"
        body = fault.encode() if fault else None
        urllib.request.urlopen(urllib.request.Request(url, body, method=method), timeout=5).read()
