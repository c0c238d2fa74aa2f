"""One measurement: a chat, asked for again and again by `wrk`."""

import argparse
import json
import re
import subprocess
import tempfile
import urllib.request
from pathlib import Path
from typing import NamedTuple

from stand_in import CHUNKS

KINDS = ("plain", "streamed")
UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3}


class Unfit(RuntimeError):
    """Whoever is measured does not answer as it should."""


class Figures(NamedTuple):
    """Requests per second and latencies in ms; `alone` with one call at a time."""

    rate: float
    p50: float
    p99: float
    alone: float

    def __str__(self) -> str:
        return f"{self.rate:,.0f}/s, p50 {self.p50:.2f} ms, p99 {self.p99:.2f} ms, alone {self.alone:.3f} ms"


def chat(kind: str) -> bytes:
    """A chat of about 400 bytes."""
    prompt = "Compare the two plans below and say which one suits a small team better, and why. " * 3
    body = {"model": "smart", "messages": [
        {"role": "system", "content": "You are brief and exact."},
        {"role": "user", "content": prompt.strip()},
    ]}
    if kind == "streamed":
        body["stream"] = True
    return json.dumps(body).encode()


def load(url: str, kind: str, headers: dict[str, str], options: argparse.Namespace) -> Figures:
    check(url, kind, headers)
    with tempfile.TemporaryDirectory() as scratch:
        script = Path(scratch) / "chat.lua"
        script.write_text(lua(kind, headers))
        run(url, script, options.connections, 1)
        rate, p50, p99 = run(url, script, options.connections, options.seconds)
        _, alone, _ = run(url, script, 1, max(options.seconds // 2, 1))
    return Figures(rate, p50, p99, alone)


def lua(kind: str, headers: dict[str, str]) -> str:
    lines = ['wrk.method = "POST"', f"wrk.body = [==[{chat(kind).decode()}]==]"]
    for name, value in ({"content-type": "application/json"} | headers).items():
        lines.append(f"wrk.headers[{json.dumps(name)}] = [==[{value}]==]")
    return "\n".join(lines)


def run(url: str, script: Path, connections: int, seconds: int) -> tuple[float, float, float]:
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "--timeout", "10s", "-s", str(script), url]
    said = subprocess.run(command, check=True, capture_output=True, text=True, timeout=seconds + 60).stdout
    for trouble in ("Non-2xx", "Socket errors"):
        if trouble in said:
            raise Unfit(f"{url}:\n{said}")
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", said)[1])

    def percentile(which: str) -> float:
        value, unit = re.search(rf"{which}%\s+([\d.]+)(us|ms|s)", said).groups()
        return float(value) * UNITS[unit]

    return rate, percentile("50"), percentile("99")


def check(url: str, kind: str, headers: dict[str, str]) -> None:
    """Whether what is about to be measured is a whole answer."""
    request = urllib.request.Request(url, chat(kind), {"content-type": "application/json"} | headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            answer = response.read().decode()
    except OSError as error:
        raise Unfit(f"{url}: {error}") from error
    if kind == "plain":
        whole = "sixteen" in json.loads(answer)["choices"][0]["message"]["content"]
    else:
        events = [line[5:].strip() for line in answer.splitlines() if line.startswith("data:")]
        content = [it for it in events if '"content"' in it and '"content":""' not in it.replace(" ", "")]
        whole = events[-1] == "[DONE]" and len(content) >= CHUNKS
    if not whole:
        raise Unfit(f"{url} gives no whole answer: {answer[:500]}")
