"""Write docs/reference.md from the docstrings of everything in `kgrec.__all__`.

    python docs/make_reference.py           # write it
    python docs/make_reference.py --check   # exit with 1 where it is out of date

The source is parsed, not imported, so that the page is the same on every machine.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "reference.md"

GROUPS: dict[str, tuple[str, ...]] = {
    "Settings and graph": ("load_settings", "Settings", "open_graph", "GraphStore"),
    "Schema": ("load_schema", "Schema"),
    "Pipelines": ("load_pipeline", "run_pipeline", "Pipeline", "Source", "TrainConfig"),
    "Data": (
        "read_dataset",
        "read_folder",
        "read_whole",
        "hold_out",
        "Dataset",
        "Interactions",
        "Facts",
        "Links",
        "LinkType",
        "Column",
        "Vocabulary",
        "Selection",
        "SplitDataset",
        "ProtocolConfig",
    ),
    "Learning": ("fit_team", "TeamConfig", "Agent", "AgentConfig", "FitContext"),
    "Models": ("Team", "Kernel", "Histories", "save_model", "save_team", "load_team", "publish"),
    "Recommending": (
        "Recommender",
        "RecommenderConfig",
        "RecommendationList",
        "Recommendation",
        "recommend_all",
        "write_recommended",
    ),
    "Explaining": ("Explainer", "Explanation"),
    "Evaluating": (
        "evaluate",
        "EvaluateConfig",
        "EvaluationResult",
        "measure",
        "HeldOutQueries",
        "Measurement",
    ),
    "Exporting": ("to_hetero", "save_hetero", "load_hetero", "to_networkx", "write_parquet"),
    "Errors": (
        "KGRecError",
        "ConfigError",
        "DataError",
        "GraphError",
        "ModelError",
        "NotFoundError",
    ),
}

_HEAD = """# API reference

Everything that `import kgrec` offers, made from the docstrings by `python docs/make_reference.py`.
These names are public: what changes in them is in [CHANGELOG.md](../CHANGELOG.md). Modules below
the package are internal. Shapes are in brackets: U users, I items, B rows of a batch, H items of a
history, C candidates, A agents, D dimensions. Row indices are int64; times are milliseconds since
1970 in UTC.
"""

_SECTION = re.compile(r"(Args|Attributes|Returns|Raises|Yields):$")
_ENTRY = re.compile(r"(\*{0,2}[\w, ]+): (.*)")


def page() -> str:
    """Return the page as Markdown."""
    origin = _origins()
    parts = [_HEAD]
    links = ", ".join(f"[{title}](#{title.lower().replace(' ', '-')})" for title in GROUPS)
    parts.append(f"{links}.\n")
    for title, names in GROUPS.items():
        parts.append(f"## {title}\n")
        parts += [entry for name in names for entry in _entry(name, origin[name])]
    return "\n".join(parts)


def _origins() -> dict[str, str]:
    """Return the module of each public name, as the package names it."""
    tree = ast.parse((ROOT / "kgrec" / "__init__.py").read_text("utf-8"))
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "_PUBLIC":
            modules: dict[str, tuple[str, ...]] = ast.literal_eval(node.value)
            return {name: module for module, names in modules.items() for name in names}
    raise LookupError("kgrec/__init__.py has no table of public names")


def _entry(name: str, module: str) -> Iterator[str]:
    node = _definition(module, name)
    yield f"### {name}\n"
    if isinstance(node, ast.ClassDef):
        yield from _class(node, module)
    else:
        yield f"```python\nfrom kgrec import {name}\n\n{_signature(node)}\n```\n"
        yield _described(ast.get_docstring(node) or "")


def _definition(module: str, name: str) -> ast.ClassDef | ast.FunctionDef:
    """Return where a module defines a name."""
    path = ROOT.joinpath(*module.split("."))
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    for node in ast.parse(path.read_text("utf-8")).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == name:
            return node
    raise LookupError(f"{module} does not define {name}")


def _class(node: ast.ClassDef, module: str) -> Iterator[str]:
    bases = ", ".join(ast.unparse(base) for base in node.bases)
    lines = [f"from kgrec import {node.name}", "", f"class {node.name}({bases})"]
    methods = [item for item in node.body if isinstance(item, ast.FunctionDef)]
    fields = [item for item in node.body if isinstance(item, ast.AnnAssign)]
    shown = (field for field in fields if not ast.unparse(field.target).startswith("_"))
    lines += [f"    {_shortened(ast.unparse(field))}" for field in shown]
    own = next((method for method in methods if method.name == "__init__"), None)
    if own is not None:
        lines = [*lines[:2], _signature(own, node.name).removeprefix("def ")]
    yield "```python\n" + "\n".join(lines).replace(f"class {node.name}()", f"class {node.name}")
    yield "```\n"
    yield _described(ast.get_docstring(node) or "")
    for method in methods:
        if method.name.startswith("_"):
            continue
        decorators = {ast.unparse(decorator) for decorator in method.decorator_list}
        if decorators & {"property", "cached_property"}:
            returns = ast.unparse(method.returns) if method.returns else "object"
            yield f"#### {node.name}.{method.name}: `{returns}`\n"
        else:
            yield f"#### {node.name}.{method.name}\n"
            yield f"```python\n{_signature(method)}\n```\n"
        yield _described(ast.get_docstring(method) or "")


def _signature(node: ast.FunctionDef, name: str | None = None) -> str:
    """Return a signature, an argument a line where it is long; `self` and `cls` left out."""
    arguments = node.args
    bound = arguments.args and arguments.args[0].arg in ("self", "cls")
    given: list[str] = []
    positional = arguments.args[1:] if bound else arguments.args
    defaults = [None] * (len(positional) - len(arguments.defaults)) + list(arguments.defaults)
    for argument, default in zip(positional, defaults, strict=True):
        given.append(_argument(argument, default))
    if arguments.vararg:
        given.append("*" + _argument(arguments.vararg, None))
    elif arguments.kwonlyargs:
        given.append("*")
    for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        given.append(_argument(argument, default))
    if arguments.kwarg:
        given.append("**" + _argument(arguments.kwarg, None))
    returns = f" -> {ast.unparse(node.returns)}" if node.returns and name is None else ""
    line = f"{name or node.name}({', '.join(given)}){returns}"
    if len(line) <= 90:
        return line
    return f"{name or node.name}(\n" + "".join(f"    {each},\n" for each in given) + f"){returns}"


def _argument(argument: ast.arg, default: ast.expr | None) -> str:
    kind = f": {ast.unparse(argument.annotation)}" if argument.annotation else ""
    if default is None:
        return f"{argument.arg}{kind}"
    return f"{argument.arg}{kind} = {ast.unparse(default)}"


def _shortened(line: str, limit: int = 100) -> str:
    return line if len(line) <= limit else line[: limit - 1] + "…"


def _described(docstring: str) -> str:
    """Return a docstring as Markdown: its sections become lists."""
    out: list[str] = []
    listing = False
    for line in docstring.splitlines():
        section = _SECTION.match(line)
        if section:
            listing = True
            out += [f"**{section[1]}**", ""]
        elif not listing or not line.strip():
            listing = listing and (not line.strip() or line.startswith(" "))
            out.append(line)
        elif not line.startswith(" "):
            listing = False
            out.append(line)
        else:
            text = line[4:]
            entry = _ENTRY.match(text)
            if entry:
                names = ", ".join(f"`{name.strip()}`" for name in entry[1].split(","))
                out.append(f"- {names}: {entry[2]}")
            elif text.startswith(" "):
                out.append(f"  {text.strip()}")
            else:
                out.append(text)
    return "\n".join(out).rstrip() + "\n"


if __name__ == "__main__":
    if "--check" in sys.argv[1:]:
        sys.exit(PAGE.read_text("utf-8") != page())
    PAGE.write_text(page(), encoding="utf-8")
