"""Measure how long `kgrec serve` takes from its start until `/readyz` answers 200.

    python examples/benchmarks/start.py [--repeats 5] [--workers 1] [--json]

On the graph of KGREC_HOME, with its embedded server up (`kgrec graph start` is run first) and then
with it down, so that it starts as well. Processor seconds are those of the API's process alone: on
a machine with other work they say what the wall time would be without.
"""

from __future__ import annotations

import argparse
import http.client
import json
import statistics
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import psutil

from kgrec.config import load_settings
from kgrec.graph.embedded import keep_running, stop

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))
from started import started


def start(workers: int) -> tuple[float, float]:
    """Start the server once; return seconds until it was ready, and processor seconds."""
    begun = time.perf_counter()
    with started("--workers", str(workers)) as (url, process):
        place = urlsplit(url)
        while True:
            connection = http.client.HTTPConnection(str(place.hostname), place.port, timeout=60)
            connection.request("GET", "/readyz")
            if connection.getresponse().status == 200:
                break
            time.sleep(0.02)
        wall = time.perf_counter() - begun
        used = psutil.Process(process.pid).cpu_times()
    return wall, used.user + used.system


def main() -> None:
    """Measure both ways and print the medians."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    home, rows = load_settings().home, {}
    for name in ("graph up", "graph down"):
        found = []
        for _ in range(options.repeats):
            if name == "graph up":
                keep_running(home)
            else:
                stop(home)
            found.append(start(options.workers))
        walls, used = zip(*found, strict=True)
        rows[name] = {
            "seconds": round(statistics.median(walls), 2),
            "most": round(max(walls), 2),
            "processor": round(statistics.median(used), 2),
        }
    if options.json:
        print(json.dumps(rows, indent=2))
        return
    for name, row in rows.items():
        print(
            f"{name:10} {row['seconds']:.2f} s in the middle, {row['most']:.2f} s at most; "
            f"{row['processor']:.2f} s of processor time"
        )


if __name__ == "__main__":
    main()
