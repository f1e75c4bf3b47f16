"""The container runs as a user of its own, and installs by hash what is tested here."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]


def pinned(text: str) -> dict[str, str]:
    found = re.findall(r"^([A-Za-z0-9_.-]+)==([^\s;\\]+)", text, re.MULTILINE)
    return {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in found}


def test_every_package_has_the_tested_version_and_a_hash() -> None:
    text = (ROOT / "requirements.lock").read_text()
    locked, tested = pinned(text), pinned((ROOT / "constraints.txt").read_text())
    assert {"fastapi", "uvicorn", "neo4j", "numpy", "scipy", "pydantic"} <= locked.keys()
    assert not {"torch", "transformers", "spacy"} & locked.keys()
    different = {n: v for n, v in locked.items() if n in tested and tested[n] != v}
    assert different == {}
    for entry in re.split(r"\n(?=[a-z])", text):
        assert entry.startswith("#") or "--hash=sha256:" in entry, entry


def test_the_container_gives_up_its_rights() -> None:
    docker, compose = ((ROOT / name).read_text() for name in ("Dockerfile", "compose.yaml"))
    user, command = docker.index("\nUSER kgrec"), docker.index("\nCMD")
    assert user < command
    assert "USER root" not in docker
    assert "--require-hashes" in docker
    for line in ("read_only: true", "cap_drop: [ALL]", "no-new-privileges:true"):
        assert line in compose
