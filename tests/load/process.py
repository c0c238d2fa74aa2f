"""Programs that are started, waited for, and ended."""

import contextlib
import socket
import subprocess
import time
from pathlib import Path

PATIENCE = 90.0


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on; held together, so that they differ."""
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for it in sockets:
            it.bind(("127.0.0.1", 0))
        return [it.getsockname()[1] for it in sockets]


def start(command: list[str], port: int, log: Path, **options) -> subprocess.Popen:
    """Starts it, and waits until it listens on `port`."""
    with log.open("ab") as out:
        running = subprocess.Popen(command, stdout=out, stderr=out, **options)
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return running
        if running.poll() is not None:
            break
        time.sleep(0.05)
    stop(running)
    raise RuntimeError(f"{command[0]} does not listen:\n{log.read_text()[-2000:]}")


def stop(running: subprocess.Popen) -> None:
    running.terminate()
    try:
        running.wait(10)
    except subprocess.TimeoutExpired:
        running.kill()
        running.wait()
