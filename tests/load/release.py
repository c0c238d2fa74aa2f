#!/usr/bin/env python3
"""Builds the gateway as it is released: laid out by the compiler for the way that calls take.

    python3 tests/load/release.py

It builds the program once with counters in it, makes calls through that (`training.py`), and
builds it again by what was counted: what calls go through stands together, and what they do not is
out of the way. Outside the system's own work, a call then takes a third less time.

Needs `llvm-profdata` for the compiler's LLVM: `rustup component add llvm-tools`, or Debian's `llvm`
package of that version. Without it the program is built as `cargo build --release` builds it.

The program is put at `target/released/backstop`.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import training

WORKSPACE = Path(__file__).resolve().parents[2]


class Untrained(RuntimeError):
    """Nothing can be counted here."""


def main() -> int:
    directory = Path(json.loads(said("cargo", "metadata", "--format-version=1", "--no-deps"))["target_directory"], "released")
    about = said("rustc", "-vV")
    host = re.search(r"host: (\S+)", about)[1]
    try:
        program = trained(directory, host, llvm=re.search(r"LLVM version: (\d+)", about)[1])
    except Untrained as why:
        print(f"{why}: it is built as cargo builds it.", file=sys.stderr)
        program = build(directory, host, "")
    released = directory / "backstop"
    shutil.copy2(program, released)
    print(released)
    return 0


def trained(directory: Path, host: str, llvm: str) -> Path:
    profdata = profdata_of(llvm, host)
    if profdata is None:
        raise Untrained(f"there is no llvm-profdata for LLVM {llvm} (rustup component add llvm-tools)")
    counts, profile = directory / "counts", directory / "counts.profdata"
    shutil.rmtree(counts, ignore_errors=True)
    try:
        counting = build(directory, host, f"-Cprofile-generate={counts}")
    except subprocess.CalledProcessError as error:
        raise Untrained("no program with counters can be built (is there a profiler runtime for this target?)") from error
    training.train(counting)
    subprocess.run([profdata, "merge", "-o", profile, counts], check=True)
    return build(directory, host, f"-Cprofile-use={profile}")


def said(*command: str, check: bool = True) -> str:
    return subprocess.run(command, check=check, capture_output=True, text=True, cwd=WORKSPACE).stdout


def profdata_of(llvm: str, host: str) -> str | None:
    """The tool of the compiler's own version; an older one can't read what a newer has counted."""
    own = Path(said("rustc", "--print", "sysroot").strip(), "lib/rustlib", host, "bin/llvm-profdata")
    if own.exists():
        return str(own)
    for name in (f"llvm-profdata-{llvm}", "llvm-profdata"):
        found = shutil.which(name)
        # Not every version of it succeeds in saying which it is.
        if found and f"version {llvm}." in said(found, "--version", check=False):
            return found
    return None


def build(directory: Path, host: str, flags: str) -> Path:
    """Builds it for a named target, so that what only runs while building is built as ever."""
    flags = f"{os.environ.get('RUSTFLAGS', '')} {flags}".strip()
    command = ["cargo", "build", "--release", "--locked", "-p", "backstop-gateway", "--bin", "backstop"]
    command += ["--target", host, "--target-dir", directory]
    subprocess.run(command, check=True, cwd=WORKSPACE, env=os.environ | {"RUSTFLAGS": flags})
    return directory / host / "release/backstop"


if __name__ == "__main__":
    sys.exit(main())
