"""`kgrec keys`: API keys, made, listed, rotated and revoked; only their hashes are stored."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from kgrec.cli.console import out, print_json
from kgrec.config import load_settings, seconds_of
from kgrec.errors import ConfigError

if TYPE_CHECKING:
    from kgrec.serving.keys import ApiKey, KeyFile

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    help="Create, list, rotate or revoke keys of the HTTP API.",
)

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
KeyId = Annotated[str, typer.Argument(help="Id of the key, as `kgrec keys list` shows it.")]


@app.command()
def create(
    role: Annotated[str, typer.Option(help="read, write, analyst or admin.")] = "read",
    name: Annotated[str, typer.Option(help="What it is for.")] = "",
    rate: Annotated[
        float, typer.Option(min=0, help="Requests a second it is good for; 0 for no limit.")
    ] = 100.0,
    as_json: AsJson = False,
) -> None:
    """Create a key and show it, this once; servers of this home accept it at once.

    Example: kgrec keys create --role write --name shop --rate 50
    """
    from kgrec.serving.security import Role

    known = {one.value: one for one in Role}
    if role not in known:
        raise ConfigError(
            "there is no such role", value=role, remedy=f"Choose one of {', '.join(known)}."
        )
    key, text = _file().create(known[role], name, rate or None)
    _show(key, text, as_json=as_json)


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """List the keys, those that were revoked included; none is shown itself.

    Example: kgrec keys list
    """
    keys = _file().keys()
    if as_json:
        print_json([_plain(key) for key in keys])
        return
    table = Table("id", "name", "role", "requests/s", "created", "state", box=None)
    for key in keys:
        rate = "no limit" if key.rate is None else f"{key.rate:g}"
        state = "in use" if key.revoked_at is None else f"revoked {_day(key.revoked_at)}"
        table.add_row(key.key_id, key.name, key.role.value, rate, _day(key.created_at), state)
    out.print(table if keys else "There are no keys yet; `kgrec keys create` makes one.")


@app.command()
def rotate(
    key_id: KeyId,
    grace: Annotated[
        str, typer.Option(help="How long the old key stays good, such as 10m or 24h.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Replace a key by a new one of the same id, role and rate.

    Example: kgrec keys rotate 3f9a01c2 --grace 1h
    """
    key, text = _file().rotate(key_id, seconds_of(grace) if grace else 0.0)
    _show(key, text, as_json=as_json)


@app.command()
def revoke(key_id: KeyId, as_json: AsJson = False) -> None:
    """Refuse a key from now on, by servers that run as well.

    Example: kgrec keys revoke 3f9a01c2
    """
    key = _file().revoke(key_id)
    if as_json:
        print_json(_plain(key))
    else:
        out.print(f"Key {key.key_id} is revoked.", highlight=False)


def _file() -> KeyFile:
    from kgrec.serving.keys import KeyFile

    return KeyFile(load_settings().home)


def _show(key: ApiKey, text: str, *, as_json: bool) -> None:
    if as_json:
        print_json({**_plain(key), "key": text})
        return
    out.print(text, markup=False, highlight=False, soft_wrap=True)
    out.print(f"Role {key.role.value}, id {key.key_id}. It is not shown again.", highlight=False)


def _plain(key: ApiKey) -> dict[str, Any]:
    hidden = {"digest", "old_digest"}
    values: dict[str, Any] = key.model_dump(mode="json", exclude=hidden)
    return values


def _day(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d}"
