"""Who may ask: the names under which the service is reached, other sites, and the token."""

import hmac
import ipaddress
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from rsfiqa.score.serve.limits import RefusalError

MIN_TOKEN = 16  # characters; `openssl rand -hex 16` makes 32
# Paths that hold nothing of a user: the page, its parts, the description of the interface.
PUBLIC = frozenset({"/", "/app.js", "/app.css", "/docs", "/docs.js", "/health", "/openapi.json"})
PUBLIC_FOLDER = "/swagger/"


@dataclass(frozen=True)
class Access:
    """Rules of access.

    Attributes:
        names: host names that a request may name, lower case.
        loopback: the service listens on a loopback address only.
        token: that requests must carry; None for none.
    """

    names: frozenset[str]
    loopback: bool
    token: str | None

    def check(self, path: str, headers: Mapping[str, str]) -> None:
        """Refuse a request that must not be answered.

        Args:
            path: of the request.
            headers: of the request, by lower case name.

        Raises:
            RefusalError: another host name, another site, or a wrong token.
        """
        self._check_host(headers.get("host", ""))
        self._check_site(headers)
        if self.token is not None and path not in PUBLIC and not path.startswith(PUBLIC_FOLDER):
            self._check_token(headers.get("authorization", ""))

    def _check_host(self, host: str) -> None:
        """Refuse names that are not ours: a page elsewhere may let its own name lead here."""
        name = host_name(host)
        if name in self.names or (_is_address(name) and self._is_own(name)):
            return
        raise RefusalError(
            421, f"Host: must be a name of this service, found {host[:80]!r}; add --allow-host NAME"
        )

    def _is_own(self, address: str) -> bool:
        """Whether an address may be ours; no name leads to it, so it needs no list."""
        return not self.loopback or ipaddress.ip_address(address).is_loopback

    def _check_site(self, headers: Mapping[str, str]) -> None:
        """Refuse requests that the pages of other sites make a browser send."""
        origin = headers.get("origin")
        if origin is not None and _netloc(origin) != headers.get("host", "").lower():
            raise RefusalError(
                403, f"Origin: must be this service, found {origin[:80]!r}; use its own page"
            )
        site = headers.get("sec-fetch-site", "none")
        if origin is None and site == "cross-site" and headers.get("sec-fetch-mode") != "navigate":
            raise RefusalError(403, "Sec-Fetch-Site: must not be cross-site; use the own page")

    def _check_token(self, authorization: str) -> None:
        scheme, _, given = authorization.partition(" ")
        expected = (self.token or "").encode()
        matches = hmac.compare_digest(given.strip().encode("latin-1", "replace"), expected)
        if not matches or scheme.lower() != "bearer":
            raise RefusalError(
                401, "Authorization: must be 'Bearer TOKEN' with the token of the service"
            )


def own_names(host: str, further: Iterable[str]) -> frozenset[str]:
    """Names of a service that listens on an address, lower case.

    Args:
        host: address that the service listens on.
        further: names that the user adds.
    """
    own = {"localhost", host_name(host), *map(host_name, further)}
    return frozenset(own if is_loopback(host) else own | {socket.gethostname().lower()})


def host_name(host: str) -> str:
    """The name of a Host header without its port and brackets, lower case; empty if it has none."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address or name."""
    if host.lower() == "localhost":
        return True
    return _is_address(host) and ipaddress.ip_address(host).is_loopback


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _netloc(origin: str) -> str:
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""
