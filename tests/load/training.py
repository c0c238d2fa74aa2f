"""Calls as callers make them, for the compiler to see what they go through.

    python3 tests/load/training.py PROGRAM [ROUNDS]
"""

import contextlib
import http.client
import itertools
import json
import os
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import process
from stand_in import control

PROVIDERS = ("openai", "anthropic", "gemini")
MODELS = {"openai": "gpt-5.5", "anthropic": "claude-opus-4-8", "gemini": "gemini-3.1-pro-preview"}
CALLERS = 8
ROUNDS = 40

PROMPTS = ("Say a sentence of about twenty words.", "Compare these plans, and say which one is better, and why. " * 8)
CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}

CONFIG = """
listen = "127.0.0.1:{port}"
"""

PROVIDER = """
[providers.{name}]
dialect = "{name}"
api_key = "key"
base_url = "http://127.0.0.1:{port}{base}"
"""

# Each model asks another provider first, and the next one when that fails.
MODEL = """
[models.{name}]
candidates = {candidates}
timeout = {{ first_token = "30s", idle = "120s", total = "300s" }}
"""


def train(program: Path, rounds: int = ROUNDS) -> None:
    """Makes calls in each dialect to each provider, while all is well and while it is not."""
    with tempfile.TemporaryDirectory() as scratch, contextlib.ExitStack() as running:
        port, *ports = process.free_ports(1 + len(PROVIDERS))
        providers = dict(zip(PROVIDERS, ports))
        config = Path(scratch, "backstop.toml")
        config.write_text(written(port, providers))

        def start(command: list, port: int, counts: dict[str, str]) -> None:
            log = Path(scratch, f"{port}.log")
            started = process.start([program, *command], port, log, env=os.environ | counts)
            running.callback(process.stop, started)

        for name, at in providers.items():
            # What the stand-ins go through is not counted.
            start(["simulate", "--instant", "--listen", f"127.0.0.1:{at}", name], at, {"LLVM_PROFILE_FILE": os.devnull})
        start(["--config", config], port, {})
        with ThreadPoolExecutor(CALLERS) as callers:
            calls_by_all(callers, port, rounds)
            # Its circuit opens, and the next one answers.
            control(providers["openai"], "PUT", "fault", {"preset": "unavailable"})
            calls_by_all(callers, port, max(rounds // 8, 1))


def written(port: int, providers: dict[str, int]) -> str:
    parts = [CONFIG.format(port=port)]
    for name, at in providers.items():
        parts.append(PROVIDER.format(name=name, port=at, base="/v1" if name == "openai" else ""))
    for first in PROVIDERS:
        others = [it for it in PROVIDERS if it != first]
        candidates = [f"{it}:{MODELS[it]}" for it in (first, *others)]
        parts.append(MODEL.format(name=first, candidates=json.dumps(candidates)))
    return "".join(parts)


def calls_by_all(callers: ThreadPoolExecutor, port: int, rounds: int) -> None:
    for done in [callers.submit(calls, port, rounds) for _ in range(CALLERS)]:
        done.result()


def calls(port: int, rounds: int) -> None:
    """One caller's, over one connection."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    with contextlib.closing(connection):
        for _ in range(rounds):
            for path, body in requests():
                connection.request("POST", path, json.dumps(body), {"content-type": "application/json"})
                answer = connection.getresponse()
                said = answer.read()
                if answer.status != 200:
                    raise RuntimeError(f"{path} is answered with {answer.status}: {said[:500]!r}")


def requests():
    """Each front, for each provider, plain and streamed, and with a tool to call."""
    for model, stream in itertools.product(PROVIDERS, (False, True)):
        common = {"model": model, "stream": stream}
        for prompt in PROMPTS:
            said = [{"role": "user", "content": prompt}]
            system = {"role": "system", "content": "You are brief and exact."}
            yield "/v1/chat/completions", common | {"messages": [system, *said]}
            yield "/v1/messages", common | {"messages": said, "max_tokens": 1000}
            yield "/v1/responses", common | {"input": prompt}
        function = {"type": "function", "function": {"name": "weather", "parameters": CITY}}
        yield "/v1/chat/completions", common | {"messages": said, "tools": [function], "tool_choice": "required"}
        tool = {"name": "weather", "input_schema": CITY}
        yield "/v1/messages", common | {"messages": said, "max_tokens": 1000, "tools": [tool], "tool_choice": {"type": "any"}}


if __name__ == "__main__":
    train(Path(sys.argv[1]), *map(int, sys.argv[2:]))
