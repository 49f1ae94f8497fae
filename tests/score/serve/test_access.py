"""Host names, origins and tokens."""

import pytest

from rsfiqa.score.serve.access import Access, host_name, is_loopback, own_names
from rsfiqa.score.serve.limits import RefusalError

TOKEN = "0123456789abcdef"


def status(access: Access, path: str = "/score", **headers: str) -> int:
    """The status of a request, 200 if it passes."""
    named = {"host": "localhost:8000"} | {k.replace("_", "-"): v for k, v in headers.items()}
    try:
        access.check(path, named)
    except RefusalError as error:
        return error.status
    return 200


def test_names_of_a_service_on_loopback():
    access = Access(own_names("127.0.0.1", ["Photos.example"]), loopback=True, token=None)
    for host in ("localhost", "LOCALHOST:1", "127.0.0.1:8000", "127.1.2.3", "[::1]:80"):
        assert status(access, host=host) == 200
    assert status(access, host="photos.EXAMPLE:443") == 200
    for host in (
        "",
        "evil.example",
        "localhost.evil.example",
        "10.0.0.1",
        "[fe80::1]",
        "[::1",
        "x@y",
    ):
        assert status(access, host=host) == 421


def test_an_address_of_a_network_needs_no_list():
    """A page elsewhere reaches a service by a name only, and these are no names."""
    access = Access(own_names("0.0.0.0", []), loopback=False, token=TOKEN)
    given = {"authorization": f"Bearer {TOKEN}"}
    assert status(access, host="192.168.1.5:8000", **given) == 200
    assert status(access, host="[fe80::1]", **given) == 200
    assert status(access, host="evil.example", **given) == 421


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"origin": "http://localhost:8000"}, 200),
        ({"origin": "http://localhost:8001"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://[::1"}, 403),
        ({"origin": "http://evil.example", "sec_fetch_site": "same-origin"}, 403),
        ({"sec_fetch_site": "same-origin"}, 200),
        ({"sec_fetch_site": "cross-site", "sec_fetch_mode": "no-cors"}, 403),
        ({"sec_fetch_site": "cross-site", "sec_fetch_mode": "navigate"}, 200),  # a link
    ],
)
def test_requests_of_other_sites(headers, expected):
    assert status(Access(own_names("127.0.0.1", []), True, None), **headers) == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (f"Bearer {TOKEN}", 200),
        (f"bearer  {TOKEN} ", 200),
        ("", 401),
        (TOKEN, 401),
        (f"Bearer {TOKEN[:-1]}", 401),
        (f"Bearer {TOKEN}\xe9", 401),
        (f"Basic {TOKEN}", 401),
    ],
)
def test_the_token(given, expected):
    access = Access(own_names("127.0.0.1", []), True, TOKEN)
    assert status(access, authorization=given) == expected
    assert status(access, "/metrics", authorization=given) == expected
    assert status(access, "/health", authorization=given) == 200


def test_loopback():
    for host in ("127.0.0.1", "127.9.9.9", "::1", "localhost", "LocalHost"):
        assert is_loopback(host)
    for host in ("0.0.0.0", "::", "10.0.0.1", "localhost.example", "127.0.0.1.example", ""):
        assert not is_loopback(host)
    assert host_name("a.Example:80") == "a.example"
    assert host_name("[::1]:80") == "::1"
    assert host_name("[") == ""
