"""Run the code cells of a notebook in order, without Jupyter; keep what they print.

python examples/run_notebook.py examples/tour.ipynb           # run it
python examples/run_notebook.py examples/tour.ipynb --write   # and store the outputs
"""

from __future__ import annotations

import ast
import contextlib
import io
import json
import sys
from pathlib import Path
from typing import Any


def run(notebook: dict[str, Any]) -> list[str]:
    """Execute the code cells in one namespace and return what each of them printed.

    As in Jupyter, the value of an expression that ends a cell is shown. Whatever a cell raises is
    raised here.
    """
    namespace: dict[str, Any] = {"__name__": "__main__"}
    return [_execute("".join(cell["source"]), namespace) for cell in code_cells(notebook)]


def code_cells(notebook: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the cells that hold code."""
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def _execute(source: str, namespace: dict[str, Any]) -> str:
    body = ast.parse(source).body
    shown = body.pop() if body and isinstance(body[-1], ast.Expr) else None
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(ast.Module(body, []), "<cell>", "exec"), namespace)
        if isinstance(shown, ast.Expr):
            value = eval(compile(ast.Expression(shown.value), "<cell>", "eval"), namespace)
            if value is not None:
                print(repr(value))
    return printed.getvalue()


def store(notebook: dict[str, Any], outputs: list[str]) -> None:
    """Put outputs into the notebook."""
    for count, (cell, text) in enumerate(zip(code_cells(notebook), outputs, strict=True), 1):
        stream = {"name": "stdout", "output_type": "stream", "text": text.splitlines(True)}
        cell["execution_count"], cell["outputs"] = count, [stream] if text else []


if __name__ == "__main__":
    path = Path(sys.argv[1])
    opened = json.loads(path.read_text("utf-8"))
    found = run(opened)
    print("\n".join(found), end="")
    if "--write" in sys.argv[2:]:
        store(opened, found)
        path.write_text(json.dumps(opened, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
