"""Entity tags and compression: nothing is sent twice, and no byte of an answer changes."""

from __future__ import annotations

import gzip

import httpx
import pytest
from planted import item_id, user_id

from kgrec.serving.transfer import MIN_BYTES

PLAIN = {"Accept-Encoding": "identity"}
TAGGED = [
    f"/v1/items/{item_id(3)}",
    "/v1/items?limit=50",
    "/v1/entities?limit=50",
    "/v1/queries",
    "/v1/model",
    "/openapi.json",
    "/",
    "/docs",
    "/static/app.js",
]


@pytest.mark.parametrize("path", TAGGED)
def test_what_is_known_is_not_sent_again(api: httpx.Client, path: str) -> None:
    first = api.get(path)
    assert first.status_code == 200
    tag = first.headers["etag"]
    again = api.get(path, headers={"If-None-Match": tag})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"].removeprefix("W/") == tag.removeprefix("W/")
    assert "no-cache" in again.headers["cache-control"]
    assert api.get(path, headers={"If-None-Match": f'"other", {tag}'}).status_code == 304
    other = api.get(path, headers={"If-None-Match": '"other"'})
    assert (other.status_code, other.content) == (200, first.content)


def test_a_change_changes_the_tag(api: httpx.Client) -> None:
    path = f"/v1/items/{item_id(7)}"
    before = api.get(path)
    assert api.patch(path, json={"year": 1901}).status_code == 200
    changed = api.get(path, headers={"If-None-Match": before.headers["etag"]})
    assert api.patch(path, json={"year": before.json()["properties"]["year"]}).status_code == 200
    assert changed.status_code == 200
    assert changed.headers["etag"] != before.headers["etag"]


@pytest.mark.parametrize(
    "path", [f"/v1/users/{user_id(1)}/recommendations", f"/v1/items/{item_id(3)}/similar"]
)
def test_lists_are_made_anew(api: httpx.Client, path: str) -> None:
    found = api.get(path)
    assert "etag" not in found.headers
    assert found.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("path", ["/v1/items?limit=100", "/openapi.json", "/static/app.js"])
def test_long_answers_are_compressed_and_the_same(api: httpx.Client, path: str) -> None:
    plain = api.get(path, headers=PLAIN)
    assert "content-encoding" not in plain.headers
    assert "accept-encoding" in plain.headers["vary"].lower()
    with api.stream("GET", path, headers={"Accept-Encoding": "gzip"}) as answer:
        raw = b"".join(answer.iter_raw())
    assert answer.headers["content-encoding"] == "gzip"
    assert int(answer.headers["content-length"]) == len(raw) < len(plain.content) / 2
    assert gzip.decompress(raw) == plain.content
    tags = {each.headers["etag"].removeprefix("W/") for each in (plain, answer)}
    assert len(tags) == 1


def test_short_answers_and_other_callers_get_them_as_they_are(api: httpx.Client) -> None:
    short = api.get("/healthz", headers={"Accept-Encoding": "gzip"})
    assert len(short.content) < MIN_BYTES
    assert "content-encoding" not in short.headers
    for accepted in ("", "gzip;q=0", "br", "gzip;q=nonsense"):
        found = api.get("/openapi.json", headers={"Accept-Encoding": accepted})
        assert "content-encoding" not in found.headers, accepted
    found = api.get("/openapi.json", headers={"Accept-Encoding": "*;q=0.5"})
    assert found.headers["content-encoding"] == "gzip"
