"""How much memory the gateway holds: idle, and for each stream that is open."""

import socket
import time
from pathlib import Path

from contestants import PATH, Backstop
from stand_in import StandIn
from wrk import chat

STREAMS = 500


def measure(program: str, stand_in: StandIn, scratch: Path) -> dict[str, float]:
    gateway = Backstop(program, stand_in, scratch)
    with gateway:
        process = gateway.running.pid
        idle = resident(process)
        # Streams that have begun, and then say no more.
        stand_in.break_primary({"preset": "stall", "after": 1})
        try:
            streams = [open_stream(gateway.port) for _ in range(STREAMS)]
        finally:
            stand_in.mend_primary()
        time.sleep(0.5)
        held = resident(process) - idle
        for stream in streams:
            stream.close()
    return {
        "resident memory idle, MB": idle / 1024,
        "resident memory for each open stream, KB": held / STREAMS,
    }


def resident(process: int) -> float:
    """The resident memory of a process, in KB."""
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return float(line.split()[1])
    raise RuntimeError(f"{process} has no memory")


def open_stream(port: int) -> socket.socket:
    """Asks for a stream, and waits for its first content."""
    body = chat("streamed")
    stream = socket.create_connection(("127.0.0.1", port), 30)
    head = f"POST {PATH} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    stream.sendall(head.encode() + body)
    seen = b""
    while b'"one' not in seen:
        piece = stream.recv(65536)
        if not piece:
            raise RuntimeError(f"the stream ended: {seen[:500]}")
        seen += piece
    return stream
