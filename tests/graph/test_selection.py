"""What a selection keeps of what it was given."""

from __future__ import annotations

from pathlib import Path

import pytest

from kgrec.data.selection import Selection


def test_a_domain_file_is_found_from_another_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    selection = Selection(domain="boxes.toml")
    monkeypatch.chdir("/")
    assert selection.domain == str(tmp_path.resolve() / "boxes.toml")
    assert Selection.model_validate_json(selection.model_dump_json()) == selection
    assert Selection(domain="movies").domain == "movies"
    assert Selection().domain is None
