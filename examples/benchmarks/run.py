"""Measure kgrec and its peers side by side: same splits, same machine, same yardstick, one table.

    python examples/benchmarks/run.py FOLDER [FOLDER ...] [--k 10 --k 20] [--systems kgrec,ease,als]

Each FOLDER holds atomic files (`NAME.train.inter`, `.valid.inter`, `.test.inter`, with knowledge
`NAME.kg`, `.link`, `.item`). Each system runs in a process of its own with the same number of
threads; all are ranked and judged by kgrec's own evaluation. A peer's settings are chosen on the
validation part by the metric that kgrec chooses by; none sees the test part before it is measured.
Systems: kgrec (its defaults), kgrec:AGENT, kgrec:none, kgrec:shuffled (other knowledge),
popularity, cosine, ease, als and bpr (`pip install implicit`), lightgcn, kgat and kgin
(`--peers-python`, see docs/benchmarks.md). What is not installed is left out, and said.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import get_args

from peers.base import Settings
from peers.registry import OURS, PEERS, is_ours, known
from results import Mask, Result, Results
from tables import report

BEGIN, END = "<!-- measured -->", "<!-- /measured -->"
MEASURE = Path(__file__).with_name("measure.py")
THREADS = ("OMP", "MKL", "OPENBLAS", "NUMEXPR", "VECLIB_MAXIMUM")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="*", type=Path, metavar="FOLDER")
    parser.add_argument("--k", type=int, action="append", help="length of the lists; repeat")
    parser.add_argument("--systems", default=",".join([OURS, *PEERS]), help="separated by commas")
    parser.add_argument(
        "--mask",
        choices=get_args(Mask),
        default="train+valid",
        help="parts whose items are not ranked, as of kgrec evaluate",
    )
    parser.add_argument("--threads", type=int, default=2, help="of every library")
    parser.add_argument("--cap", type=float, help="seconds after which a peer trains no further")
    parser.add_argument("--repeat", type=int, default=1, help="rounds A B A B, for times")
    parser.add_argument("--peers-python", type=Path, help="a Python that has hopwise")
    parser.add_argument("--team", type=Path, help="TOML of kgrec's team, in place of its defaults")
    parser.add_argument("--merge", type=Path, help="results of an earlier run to show as well")
    parser.add_argument(
        "--chosen", action="store_true", help="peers take the settings found in --merge"
    )
    parser.add_argument("--json", type=Path, help="keep the results, those of --merge as well")
    parser.add_argument(
        "--markdown", type=Path, help="put the tables into this page, between its marks"
    )
    parser.add_argument(
        "--quick", action="store_true", help="few epochs and no search in slow peers"
    )
    options = parser.parse_args()
    options.k = options.k or [10, 20]
    options.systems = [name.strip() for name in options.systems.split(",") if name.strip()]
    if options.chosen and not options.merge:
        parser.error("--chosen takes the settings from the results that --merge names")
    if not options.folders and not options.merge:
        parser.error('name folders of atomic files: make bench DATA="folder ..."')
    for name in options.systems:
        if not known(name):
            parser.error(f"there is no system {name}; there are {', '.join([OURS, *PEERS])}")
    return options


def measure_apart(
    folder: Path, system: str, fixed: Settings, options: argparse.Namespace
) -> Result | None:
    """Measure a system in a process of its own; None, with the reason printed, if it cannot be."""
    threads = {f"{name}_NUM_THREADS": str(options.threads) for name in THREADS}
    threads["OMP_WAIT_POLICY"] = "PASSIVE"  # threads that wait must not count as work
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / "result.json"
        command = [sys.executable, str(MEASURE), str(folder), system, str(out)]
        command += [f"--k={k}" for k in options.k] + [f"--threads={options.threads}"]
        command += [f"--mask={options.mask}", f"--fixed={json.dumps(fixed)}"]
        if options.cap is not None:
            command.append(f"--cap={options.cap}")
        if options.peers_python is not None:
            command.append(f"--peers-python={options.peers_python}")
        if options.team is not None:
            command.append(f"--team={options.team}")
        if options.quick:
            command.append("--quick")
        done = subprocess.run(
            command, env=os.environ | threads, stderr=subprocess.PIPE, text=True, check=False
        )
        if done.returncode:
            print(f"{system} is left out: {done.stderr.strip()[-3000:]}", file=sys.stderr)
            return None
        return Result.model_validate_json(out.read_text())


def name_of(folder: Path) -> str:
    """Return the name of the data set in a folder, as its results carry it."""
    found = sorted(folder.glob("*.train.inter"))
    return found[0].name.removesuffix(".train.inter") if found else folder.name


def measure_folder(folder: Path, earlier: Results, options: argparse.Namespace) -> Results:
    """Measure all systems on one data set, round after round."""
    before = {r.system: r.chosen for r in earlier.of(name_of(folder)) if not is_ours(r.system)}
    fixed = before if options.chosen else {}
    found: dict[str, Result] = {}
    for turn in range(options.repeat):
        for system in options.systems if turn == 0 else list(found):
            print(f"{folder.name}: {system} ...", file=sys.stderr, flush=True)
            result = measure_apart(folder, system, fixed.get(system, {}), options)
            if result is not None:
                found[system] = result if turn == 0 else found[system].repeated(result)
    return Results(results=tuple(found.values()))


def main() -> None:
    options = parse()
    kept = Results.read(options.merge) if options.merge else Results()
    for folder in options.folders:
        kept = kept.merged(measure_folder(folder, kept, options))
        if options.json:
            options.json.write_text(kept.model_dump_json(), encoding="utf-8")
    names = dict.fromkeys(each.data for each in kept.results)
    for markdown in (False, True):
        blocks = ["\n".join(report(kept.of(n), options.k, markdown=markdown)) for n in names]
        text = "\n\n".join(blocks)
        if not markdown:
            print(text)
        elif options.markdown:
            write_page(options.markdown, text)


def write_page(path: Path, text: str) -> None:
    """Put tables between the two marks of a page, or write a new page of nothing else."""
    before, after = "", ""
    if path.is_file():
        before, _, rest = path.read_text(encoding="utf-8").partition(BEGIN)
        _, end, after = rest.partition(END)
        after = after if end else rest  # a page that lost its second mark loses nothing more
    path.write_text(f"{before}{BEGIN}\n{text}\n{END}{after or chr(10)}", encoding="utf-8")


if __name__ == "__main__":
    main()
