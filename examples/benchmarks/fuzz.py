"""Send generated calls over the whole OpenAPI description to a server of its own.

    pip install 'kgrec[fuzz]'
    python examples/benchmarks/fuzz.py [--calls 20000] [--max-time 600] [--schemathesis PROGRAM]

Runs schemathesis against `kgrec serve` over a small graph with a live model: no answer may be a
server error, and every answer must be one that the description allows, by status, media type and
schema. Prints the summary of schemathesis and leaves with its exit code.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

from faults import Journal, Trial, prepare

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "unsupported_method",
)


def main() -> int:
    """Start a server, send the calls, and print what was found."""
    options = _options()
    program = options.schemathesis or shutil.which("schemathesis")
    if program is None:
        print("schemathesis is missing: pip install 'kgrec[fuzz]'", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="kgrec-fuzz-") as folder:
        home = Path(folder) / "home"
        prepare(Path(folder), home)
        trial = Trial(home, Journal(Path(folder)))
        trial.start()
        try:
            trial.first_answer()
            return _run(program, trial.url, options)
        finally:
            trial.stop()


def _run(program: str, url: str, options: argparse.Namespace) -> int:
    with urllib.request.urlopen(f"{url}/openapi.json") as answer:
        paths = json.load(answer)["paths"]
    operations = sum(len(path) for path in paths.values())
    command = [
        program,
        "run",
        f"{url}/openapi.json",
        "--phases=examples,coverage,fuzzing",
        f"--checks={','.join(CHECKS)}",
        f"--max-examples={max(1, options.calls // operations)}",
        f"--max-time={options.max_time}",
        f"--seed={options.seed}",
        f"--workers={options.workers}",
        "--continue-on-failure",
        "--request-timeout=30",
        "--generation-database=none",
        "--no-color",
    ]
    return subprocess.run(command, check=False).returncode


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--calls", type=int, default=20_000)
    parser.add_argument("--max-time", type=int, default=3600, help="seconds")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--schemathesis", help="the program, where it is not on the path")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
