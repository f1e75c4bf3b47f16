"""Measure the tree of modules: sizes, names that occur twice, import cycles, layers.

    python docs/make_tree.py                  # the table of this checkout
    python docs/make_tree.py OTHER/CHECKOUT   # beside that of another

Imports count wherever they stand: at the top, in a function, or for type checkers alone.
"""

from __future__ import annotations

import ast
import statistics
import subprocess
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

PACKAGE = "kgrec"


@dataclass(frozen=True)
class Tree:
    """What is measured of one checkout.

    Attributes:
        lines: of each module, by path below the package; one-line `__init__` files left out.
        inits: number of `__init__` files that hold a docstring at most.
        layers: packages of the import contract, an entry a layer.
        twice: public classes that several modules define, with the modules.
        families: folders with names of modules that begin alike.
        cycles: groups of modules that import each other.
        chains: the shortest import chain to torch from each package that serves.
    """

    lines: dict[str, int]
    inits: int
    layers: tuple[str, ...]
    twice: dict[str, list[str]]
    families: dict[str, list[str]]
    cycles: list[list[str]]
    chains: dict[str, tuple[str, ...]]

    @property
    def median(self) -> float:
        return statistics.median(self.lines.values())

    @property
    def largest(self) -> tuple[str, int]:
        return max(self.lines.items(), key=lambda entry: entry[1])


SERVING = ("serving", "explain", "retrieval", "model")
"""Packages of which a process that answers requests consists."""


def measure(root: Path) -> Tree:
    """Measure the checkout at `root`."""
    package = root / PACKAGE
    sources = {path: path.read_text("utf-8") for path in sorted(package.rglob("*.py"))}
    trees = {path: ast.parse(source) for path, source in sources.items()}
    trivial = {p for p, tree in trees.items() if p.name == "__init__.py" and len(tree.body) <= 1}
    kept = [path for path in sources if path not in trivial]
    cycles, chains = _imports(root)
    return Tree(
        lines={str(p.relative_to(package)): sources[p].count("\n") for p in kept},
        inits=len(trivial),
        layers=_layers(root),
        twice=_twice({str(p.relative_to(package)): trees[p] for p in kept}),
        families=_families(package, kept),
        cycles=cycles,
        chains=chains,
    )


def _twice(trees: dict[str, ast.Module]) -> dict[str, list[str]]:
    found = defaultdict(list)
    for name, tree in trees.items():
        for node in tree.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                found[node.name].append(name)
    return {name: where for name, where in sorted(found.items()) if len(where) > 1}


def _families(package: Path, paths: Iterable[Path]) -> dict[str, list[str]]:
    """Return folder/word → modules `word_*` and `word` of one folder, where there are several."""
    found = defaultdict(set)
    names = {(path.parent, path.stem) for path in paths if path.stem != "__init__"}
    for folder, name in names:
        word = name.split("_")[0]
        place = str((folder / word).relative_to(package))
        if "_" in name or any(other.startswith(f"{name}_") for at, other in names if at == folder):
            found[place].add(name)
    return {place: sorted(members) for place, members in sorted(found.items()) if len(members) > 1}


def _layers(root: Path) -> tuple[str, ...]:
    contracts = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]
    layers = next(c["layers"] for c in contracts["contracts"] if c["type"] == "layers")
    return tuple(layers)


_GRAPH = """
import json, sys
import grimp
graph = grimp.build_graph({package!r}, include_external_packages=True, cache_dir=None)
modules = sorted(m for m in graph.modules if m.split(".")[0] == {package!r})
imports = {{m: sorted(graph.find_modules_directly_imported_by(m)) for m in modules}}
print(json.dumps(imports))
"""


def _imports(root: Path) -> tuple[list[list[str]], dict[str, tuple[str, ...]]]:
    """Return the cycles, and the chains to torch; the graph is built in a process of its own."""
    import json
    import os

    done = subprocess.run(
        [sys.executable, "-c", _GRAPH.format(package=PACKAGE)],
        check=True,
        capture_output=True,
        text=True,
        cwd=root,
        env=os.environ | {"PYTHONPATH": str(root)},
    )
    imports: dict[str, list[str]] = json.loads(done.stdout)
    chains = {name: chain for name in SERVING if (chain := _chain(imports, f"{PACKAGE}.{name}"))}
    return cycles(imports), chains


def cycles(imports: dict[str, list[str]]) -> list[list[str]]:
    """Return the strongly connected components of several modules (Tarjan 1972)."""
    index: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(module: str) -> None:
        index[module] = lowest[module] = len(index)
        stack.append(module)
        for other in imports.get(module, ()):
            if other not in index:
                visit(other)
                lowest[module] = min(lowest[module], lowest[other])
            elif other in stack:
                lowest[module] = min(lowest[module], index[other])
        if lowest[module] == index[module]:
            position = stack.index(module)
            component = sorted(stack[position:])
            del stack[position:]
            if len(component) > 1:
                found.append(component)

    sys.setrecursionlimit(10_000)
    for module in imports:
        if module not in index:
            visit(module)
    return found


def _chain(imports: dict[str, list[str]], package: str) -> tuple[str, ...]:
    """Return the shortest chain of imports from a package to torch, empty where there is none."""
    origin = {m: "" for m in imports if m == package or m.startswith(f"{package}.")}
    frontier = list(origin)
    while frontier:
        following = []
        for module in frontier:
            for other in imports.get(module, ()):
                if other in origin:
                    continue
                origin[other] = module
                following.append(other)
                if other.split(".")[0] in ("torch", "torch_geometric"):
                    chain = [other]
                    while origin[chain[-1]]:
                        chain.append(origin[chain[-1]])
                    return tuple(reversed(chain))
        frontier = following
    return ()


def rows(tree: Tree) -> dict[str, str]:
    """Return what the table says of a tree, by line."""
    name, size = tree.largest
    return {
        "modules (without one-line `__init__`)": str(len(tree.lines)),
        "one-line `__init__`": str(tree.inits),
        "lines, median": f"{tree.median:g}",
        "lines, largest module": f"{size} (`{name}`)",
        "modules over 400 lines": str(sum(lines > 400 for lines in tree.lines.values())),
        "lines in all": f"{sum(tree.lines.values()):,}",
        "public class names defined twice": _listed(tree.twice),
        "families of file names": _listed(tree.families),
        "import cycles": str(len(tree.cycles)),
        "modules in the largest cycle": str(max(map(len, tree.cycles), default=0)),
        "layers of the import contract": str(len(tree.layers)),
        "serving packages that can reach torch": _listed(tree.chains),
    }


def _listed(found: dict[str, object] | dict[str, list[str]] | dict[str, tuple[str, ...]]) -> str:
    return f"{len(found)}: {', '.join(found)}" if found else "0"


def table(now: Tree, before: Tree | None = None) -> str:
    """Return the table in Markdown."""
    head = "| | now |\n|---|---|" if before is None else "| | before | now |\n|---|---|---|"
    mine, theirs = rows(now), {} if before is None else rows(before)
    lines = [
        f"| {name} | {theirs[name]} | {value} |" if theirs else f"| {name} | {value} |"
        for name, value in mine.items()
    ]
    return "\n".join([head, *lines]) + "\n"


if __name__ == "__main__":
    here = Path(__file__).parents[1]
    print(table(measure(here), measure(Path(sys.argv[1])) if len(sys.argv) > 1 else None), end="")
