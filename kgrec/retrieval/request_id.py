"""The request id of a list: an opaque token from which the very query can be made again.

It is URL-safe base64 over compact JSON and a checksum. It holds no id of a user and no item of a
history, only hashes of them; so an explanation needs the user, or the history, beside it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from dataclasses import dataclass
from typing import Any, Literal

from kgrec.errors import ConfigError

Purpose = Literal["user", "history", "similar"]
MAX_LENGTH = 8_000
"""Characters that a token may have."""

_VERSION = 1
_CHECK = 6
_KEYS: dict[str, tuple[str, type]] = {
    # attribute: key in the token, type
    "model_id": ("m", str),
    "query_time": ("t", int),
    "k": ("k", int),
    "filters": ("f", list),
    "diversity": ("d", float),
    "purpose": ("p", str),
    "user": ("u", str),
    "history": ("h", str),
    "length": ("n", int),
    "catalogue": ("c", str),
    "declared": ("pr", str),
    "diversity_by": ("db", str),
    "novelty": ("nv", float),
    "calibration": ("cf", float),
    "calibrate_by": ("cb", str),
    "exclude": ("x", list),
    "repeats": ("r", bool),
    "quota": ("q", list),
    "floor": ("fl", list),
    "offset": ("o", int),
    "device": ("dv", str),
    "scenario": ("sc", str),
}
_LATER: dict[str, Any] = {
    "declared": "",
    "diversity_by": "model",
    "novelty": 0.0,
    "calibration": 0.0,
    "calibrate_by": "",
    "exclude": [],
    "repeats": False,
    "quota": [],
    "floor": [],
    "offset": 0,
    "device": "",
    "scenario": "",
}
"""What tokens of earlier versions lack, and what that means."""


@dataclass(frozen=True)
class RequestId:
    """What a query depended on.

    Attributes:
        model_id: the model that answered.
        query_time: the query time, milliseconds since 1970.
        k, filters, diversity: as requested.
        diversity_by, novelty, calibration, calibrate_by, exclude, repeats, quota, floor, offset,
            device, scenario: as requested; see `Knobs`.
        purpose: for a user of the graph, for a history without a name, or items like one.
        user: `user_hash` of the user's id; empty where there is none.
        history: fingerprint of the history.
        length: how many items the history had.
        catalogue: fingerprint of the items that the graph had; empty where candidates came from
            the graph.
        declared: fingerprint of what the user declares; empty where a history was scored.
    """

    model_id: str
    query_time: int
    k: int
    filters: tuple[str, ...]
    diversity: float
    purpose: Purpose
    user: str
    history: str
    length: int
    catalogue: str
    declared: str = ""
    diversity_by: str = "model"
    novelty: float = 0.0
    calibration: float = 0.0
    calibrate_by: str = ""
    exclude: tuple[str, ...] = ()
    repeats: bool = False
    quota: tuple[str, ...] = ()
    floor: tuple[str, ...] = ()
    offset: int = 0
    device: str = ""
    scenario: str = ""

    def encode(self) -> str:
        """Return the token."""
        values: dict[str, Any] = {"v": _VERSION}
        for name, (key, kind) in _KEYS.items():
            value = kind(getattr(self, name))
            if name not in _LATER or value != _LATER[name]:
                values[key] = value
        text = json.dumps(values, ensure_ascii=False, separators=(",", ":")).encode()
        return base64.urlsafe_b64encode(_checksum(text) + text).decode().rstrip("=")

    @classmethod
    def decode(cls, token: str) -> RequestId:
        """Read a token.

        Raises:
            ConfigError: it is broken, or another version of kgrec made it.
        """
        try:
            if len(token) > MAX_LENGTH:
                raise ValueError("too long")
            data = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
            check, text = data[:_CHECK], data[_CHECK:]
            if check != _checksum(text):
                raise ValueError("checksum")
            values = json.loads(text)
            version = values["v"]
        except (ValueError, KeyError, TypeError, RecursionError, binascii.Error):
            raise _broken(token) from None
        if version != _VERSION:
            raise ConfigError(
                "the request id was made by another version of kgrec",
                value=_shortened(token),
                remedy="Ask for the list again and use the request id of the new one.",
            )
        found = {name: values.get(key, _LATER.get(name)) for name, (key, _) in _KEYS.items()}
        fits = all(type(found[name]) is kind for name, (_, kind) in _KEYS.items())
        lists = {name: tuple(each) for name, each in found.items() if type(each) is list}
        if not fits or not all(type(each) is str for some in lists.values() for each in some):
            raise _broken(token)
        return cls(**{**found, **lists})


def user_hash(user_id: str) -> str:
    """Return sixteen hexadecimal digits by which a token knows its user again."""
    return hashlib.sha256(b"user\0" + user_id.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _checksum(text: bytes) -> bytes:
    return hashlib.sha256(text).digest()[:_CHECK]


def _broken(token: str) -> ConfigError:
    return ConfigError(
        "this is not a request id",
        value=_shortened(token),
        remedy="Give `request_id` of a list as it came, or leave it out.",
    )


def _shortened(token: str) -> str:
    return token if len(token) <= 40 else f"{token[:40]}…"
