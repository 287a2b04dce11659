"""A real server with SMART on, and what an attacker has: an HTTP client that can send anything, and browsers."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from html import unescape
from http.client import HTTPConnection
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from fhir_server.access.assertions import TYPE
from fhir_server.repository import Repository
from tests.abuse.crossed import SECRET, of_b
from tests.access.world import CALLBACK, PIN, App, assertion
from tests.server_process import Server

FORM = "application/x-www-form-urlencoded"
JSON = "application/fhir+json"
_FIELDS = re.compile(r'<input type="hidden" name="([^"]+)" value="([^"]*)"')
# What the server does besides, for every caller alike.
_ALONGSIDE = ("AuditEvent", "audit", "smart_spending", "system.", "jobs", "resident", "gateway_", "roster_uploads")


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)

    @property
    def ids(self) -> set[str]:
        """`Type/id` of every entry of a Bundle."""
        found = (each.get("resource", {}) for each in self.json.get("entry", ()))
        return {f"{each['resourceType']}/{each.get('id')}" for each in found if "resourceType" in each}

    @property
    def hidden(self) -> dict[str, str]:
        """The hidden fields of the forms on a page."""
        return {name: unescape(value) for name, value in _FIELDS.findall(self.text)}

    @property
    def essence(self) -> tuple[int, Any, set[str]]:
        """All that an answer tells but for the number and the moment of the request."""
        passing = {"x-request-id", "date", "ratelimit", "ratelimit-policy", "content-length"}
        body = json.loads(self.text) if self.text.startswith("{") else self.text
        return self.status, body, self.headers.keys() - passing


@dataclass
class Site:
    """The server, and the repository below it for what the tests prepare and look up."""

    server: Server
    repository: Repository
    token: str = ""
    """An access token of A's own, for patient/*.cruds."""
    clinic: str = ""
    """An access token of a clinic, for everything."""
    card: Any = None
    until: float = 0.0
    """Until when (time.monotonic()) both tokens are used before others are asked for."""

    @property
    def database(self) -> Any:
        return self.repository.store.database

    def send(
        self, method: str, path: str, body: Any = None, *, token: str | None = None, kind: str = JSON, **headers: str
    ) -> Answer:
        """One request. `body` is sent as it is when it is bytes or text, else as JSON."""
        content = body if isinstance(body, bytes | str | None) else json.dumps(body)
        content = content.encode() if isinstance(content, str) else content
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if content is not None:
            sent.setdefault("Content-Type", kind)
        if token:
            sent["Authorization"] = f"Bearer {token}"
        connection = HTTPConnection("127.0.0.1", self.server.port, timeout=60)
        try:
            # A body that is too large is not read to its end: the answer is there before it was sent.
            with suppress(BrokenPipeError, ConnectionResetError):
                connection.request(method, path, content, sent)
            response = connection.getresponse()
            text = response.read().decode("utf-8", "replace")
            return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, text)
        finally:
            connection.close()

    def form(self, path: str, fields: dict[str, str], **headers: str) -> Answer:
        """A form, as clients send it to the token endpoint."""
        return self.send("POST", path, urlencode(fields), kind=FORM, **headers)

    def a(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """A asks: whatever it is, nothing of B is in the answer and nothing went wrong inside."""
        answer = self.send(method, f"/fhir/{path}" if path else "/fhir", body, token=self.token, **headers)
        self.has_nothing_of_b(answer, path)
        return answer

    def has_nothing_of_b(self, answer: Answer, told: str = "") -> None:
        """Raises AssertionError when a body or header holds an id, value or record of B."""
        assert answer.status < 500, (told, answer.text[:300])
        whole = answer.text + str(answer.headers)
        assert SECRET not in whole.lower(), told
        assert "enFzZWNyZXQ" not in whole, told
        if answer.text.startswith("{"):
            assert [each for each in resources(answer.json) if of_b(each)] == [], told

    def client(self, client_id: str, scope: str, **claims: Any) -> Answer:
        """Ask for a token by a signed assertion."""
        sent = {"grant_type": "client_credentials", "scope": scope, **self.proof(client_id, **claims)}
        return self.form("/auth/token", sent)

    def proof(self, client_id: str, **claims: Any) -> dict[str, str]:
        return {"client_assertion_type": TYPE, "client_assertion": assertion(client_id, **claims)}

    def browser(self, address: str = "203.0.113.7") -> Browser:
        return Browser(self, address)

    @contextmanager
    def work(self) -> Iterator[Counter[str]]:
        """What MongoDB is asked meanwhile: how often each operation on each collection."""
        self.database.command("profile", 0)
        self.database.drop_collection("system.profile")
        self.database.command("profile", 2)
        done: Counter[str] = Counter()
        try:
            yield done
        finally:
            self.database.command("profile", 0)
            for each in self.database["system.profile"].find():
                collection = each["ns"].partition(".")[2]
                # The epoch is looked at every tenth of a second, whatever is asked.
                if not collection.startswith(_ALONGSIDE) and collection != "epochs":
                    done[f"{each['op']} {collection}"] += 1


@dataclass
class Browser:
    """Somebody's browser at a network address of its own; it keeps cookies as browsers do."""

    site: Site
    address: str
    cookies: dict[str, str] = field(default_factory=dict)

    def open(self, path: str, fields: dict[str, str] | None = None, **headers: str) -> Answer:
        """A page, or the answer to a form when there are fields."""
        sent = {"X_Forwarded_For": self.address, "X_Forwarded_Proto": "https", **headers}
        if self.cookies:
            sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        answer = self.site.send("GET", path, **sent) if fields is None else self.site.form(path, fields, **sent)
        for each in re.findall(r"(?:^|, )((?:__Host-)?[a-z]+)=([^;,]*)", answer.headers.get("set-cookie", "")):
            self.cookies[each[0]] = each[1]
        return answer

    def fill(self, path: str, **typed: str) -> Answer:
        """Open the form of a page and send it."""
        return self.open(path, {**self.open(path).hidden, **typed})

    def show(self, code: str, pin: str = PIN) -> Answer:
        """Show a card and type its PIN."""
        assert self.fill("/q", code=code).headers.get("location") == "/q/pin"
        return self.fill("/q/pin", pin=pin)

    def enter(self, code: str) -> Browser:
        """Come in by card and PIN."""
        assert self.show(code).headers["location"] == "/q/you"
        assert self.fill("/q/you", me="yes").headers["location"] == "/c/"
        if self.open("/c/").headers.get("location") == "/c/consent":
            assert self.fill("/c/consent", declare="yes").status == 303
        return self

    def launch(self, app: App, card: str, **changes: str | None) -> Answer:
        """Launch an app up to the way back to it."""
        first = self.open(f"/auth/authorize?{urlencode(app.request(**changes))}")
        consent = self.open("/auth/authorize", {**first.hidden, "card": card, "pin": PIN})
        return self.open("/auth/authorize", {**consent.hidden, "decision": "allow"})


def code_of(answer: Answer) -> str:
    """The code an app is given."""
    assert answer.status == 303, answer.text[:500]
    return parse_qs(urlsplit(answer.headers["location"]).query)["code"][0]


def redeem(site: Site, app: App, code: str, **changes: str) -> Answer:
    """Exchange a code for tokens."""
    sent = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK, "client_id": app.id}
    return site.form("/auth/token", {**sent, "code_verifier": app.verifier, **changes})


def tokens(site: Site, app: App, card: str, **changes: str | None) -> dict[str, Any]:
    """What an app is given at the end of a launch."""
    answer = redeem(site, app, code_of(site.browser().launch(app, card, **changes)))
    assert answer.status == 200, answer.text
    found: dict[str, Any] = answer.json
    return found


def resources(value: Any) -> Iterator[dict[str, Any]]:
    """Every resource in an answer."""
    if isinstance(value, dict):
        if "resourceType" in value:
            yield value
        for each in value.values():
            yield from resources(each)
    elif isinstance(value, list):
        for each in value:
            yield from resources(each)
