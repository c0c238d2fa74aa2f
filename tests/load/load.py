#!/usr/bin/env python3
"""The gateway beside nginx and other gateways, on one machine, in one run.

    python3 tests/load/load.py [--program target/released/backstop] [--seconds 2] [--rounds 9]

The gateway is the program that `release.py` makes, or that of `cargo build --release` where that was
built later. This starts stand-ins for providers that answer at once, puts each contestant in front
of them in turn, and loads it with `wrk`: a chat of about 400 bytes, plain and streamed in 16 chunks.
A round measures every contestant once; the figures are the medians of the rounds, so that what else
the machine does falls on all alike. Few rounds tell little on a machine that is shared. Then it measures
the gateway's memory, idle and for each open stream.

Needs `wrk` and `nginx`. LiteLLM and Portkey take part where LITELLM names the `litellm` program
(`pip install 'litellm[proxy]'`), and PORTKEY the directory in which
`npm install @portkey-ai/gateway` was run. All of it stays on loopback.

It exits with an error where a goal is missed.
"""

import argparse
import sys
import tempfile
from pathlib import Path
from statistics import median

import contestants
import memory
from stand_in import StandIn
from wrk import KINDS, Figures, Unfit, load

# The gateway against nginx; the outage against the gateway in health.
GOALS = {
    "plain throughput, of nginx's": (">=", 0.75),
    "streamed throughput, of nginx's": (">=", 0.90),
    "plain added latency, of what nginx adds": ("<=", 1.5),
    "streamed added latency, of what nginx adds": ("<=", 1.5),
    "plain added latency of a call alone, of what nginx adds": ("<=", 1.5),
    "streamed added latency of a call alone, of what nginx adds": ("<=", 1.5),
    "plain throughput with the primary down": (">=", 0.8),
    "streamed throughput with the primary down": (">=", 0.8),
    "resident memory idle, MB": ("<=", 40.0),
    "resident memory for each open stream, KB": ("<=", 32.0),
}


def main() -> int:
    options = arguments()
    with tempfile.TemporaryDirectory() as scratch:
        with StandIn(options.program, Path(scratch)) as stand_in:
            field = contestants.all_of(options.program, stand_in, Path(scratch))
            rounds = [measure(field, options, number) for number in range(options.rounds)]
            held = memory.measure(options.program, stand_in, Path(scratch))
    figures = medians(rounds)
    show(figures)
    return judge(results(figures, rounds) | held)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Loads the gateway and others beside it.")
    parser.add_argument("--program", default=built(), help="the gateway")
    parser.add_argument("--seconds", type=int, default=2, help="for each measurement")
    parser.add_argument("--rounds", type=int, default=9, help="of all measurements")
    parser.add_argument("--connections", type=int, default=32)
    return parser.parse_args()


def built() -> str:
    programs = [Path("target/released/backstop"), Path("target/release/backstop")]
    return str(max((it for it in programs if it.exists()), key=lambda it: it.stat().st_mtime, default=programs[0]))


Round = dict[tuple[str, str], Figures]


def measure(field: list, options: argparse.Namespace, number: int) -> Round:
    measured: Round = {}
    for contestant in field:
        with contestant as url:
            for kind in KINDS:
                what = f"round {number + 1}: {contestant.name}, {kind}"
                try:
                    figures = load(url, kind, contestant.headers, options)
                except Unfit as error:
                    if not contestant.optional:
                        raise
                    print(f"{what}: left out, {error}", file=sys.stderr)
                    continue
                measured[contestant.name, kind] = figures
                print(f"{what}: {figures}", file=sys.stderr)
    return measured


def medians(rounds: list[Round]) -> Round:
    return {
        key: Figures(*(median(values) for values in zip(*(it[key] for it in rounds))))
        for key in rounds[0]
        if all(key in it for it in rounds)
    }


def show(figures: Round) -> None:
    print(f"{'':22}{'requests/s':>12}{'of direct':>11}{'of nginx':>10}{'p50 ms':>9}{'p99 ms':>9}{'p50 alone ms':>14}")
    for kind in KINDS:
        direct, nginx = (figures[name, kind].rate for name in ("direct", "nginx"))
        print(f"\n{kind}")
        for (name, of_kind), it in figures.items():
            if of_kind == kind:
                print(
                    f"  {name:20}{it.rate:>12,.0f}{it.rate / direct:>11.2f}{it.rate / nginx:>10.2f}"
                    f"{it.p50:>9.2f}{it.p99:>9.2f}{it.alone:>14.3f}"
                )


def results(figures: Round, rounds: list[Round]) -> dict[str, float]:
    """What the goals are about. Ratios are taken within a round, where the machine was the same."""
    found = {}
    for kind in KINDS:
        of_nginx = [it["backstop", kind].rate / it["nginx", kind].rate for it in rounds]
        down = [it["backstop, outage", kind].rate / it["backstop", kind].rate for it in rounds]
        found[f"{kind} throughput, of nginx's"] = median(of_nginx)
        found[f"{kind} throughput with the primary down"] = median(down)
        # At all connections it is the queue that counts, with one call at a time the way.
        found[f"{kind} added latency, of what nginx adds"] = median(added(it, kind, "p50") for it in rounds)
        found[f"{kind} added latency of a call alone, of what nginx adds"] = added(figures, kind, "alone")
    return found


def added(figures: Round, kind: str, which: str) -> float:
    """By how much the gateway makes a call longer, where nginx makes it longer by 1."""
    direct, nginx, backstop = (getattr(figures[name, kind], which) for name in ("direct", "nginx", "backstop"))
    return (backstop - direct) / (nginx - direct)


def judge(found: dict[str, float]) -> int:
    missed = 0
    print()
    for name, (relation, goal) in GOALS.items():
        value = found[name]
        met = value >= goal if relation == ">=" else value <= goal
        missed += not met
        print(f"  {'met   ' if met else 'MISSED'} {name}: {value:.2f} (goal {relation} {goal})")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
