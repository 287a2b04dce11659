"""Key sets behind URLs: fetched by https from public addresses only, and kept for a while."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import ssl
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from fhir_server.access import outbound
from fhir_server.access.keys import FetchedKeys
from fhir_server.access.outbound import MAX_BYTES, Network, NotFetched, fetch, is_public
from tests.access.world import JWKS, Backend, World, assertion

HOST = "keys.example.vn"


class Site:
    """An https server on loopback, under a certificate for HOST, that counts what it is asked."""

    def __init__(self, directory: Path) -> None:
        site = self
        self.answers: dict[str, tuple[int, dict[str, str], bytes]] = {}
        self.asked: list[str] = []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site.asked.append(self.path)
                if self.path.startswith("/trickling"):
                    self.trickle()
                    return
                status, headers, body = site.answers.get(self.path, (404, {}, b""))
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def trickle(self) -> None:
                """Send something every now and then, and never an end."""
                head = b"HTTP/1.1 200 OK\r\n" + (
                    b"Content-Length: 10000\r\n\r\n" if "body" in self.path else b"X-Long: "
                )
                with contextlib.suppress(OSError):
                    self.wfile.write(head)
                    for _ in range(200):
                        self.wfile.write(b"x")
                        self.wfile.flush()
                        time.sleep(0.05)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate = _certificate(directory)
        context.load_cert_chain(certificate)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.trust = ssl.create_default_context(cafile=str(certificate))
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"https://{HOST}:{self.server.server_address[1]}"

    def network(self, *addresses: str, open_to: set[str] | None = None) -> Network:
        allowed = {"127.0.0.1"} if open_to is None else open_to
        return Network(lambda *_: list(addresses or ("127.0.0.1",)), lambda address: address in allowed, self.trust)


def _certificate(directory: Path) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = directory / "certificate.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path)
    site.answers["/jwks"] = (200, {}, json.dumps(JWKS).encode())
    yield site
    site.server.shutdown()
    site.server.server_close()


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "127.8.8.8", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1"),
        *("0.0.0.0", "224.0.0.1", "255.255.255.255", "192.0.2.1", "198.18.0.1", "240.0.0.1", "::1", "::", "fe80::1"),
        *("fc00::1", "fd12::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "64:ff9b::7f00:1", "2002:7f00:1::"),
        *("2001:db8::1", "fe80::1%eth0"),
    ],
)
def test_an_address_of_the_own_network_is_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "203.162.4.191", "2606:4700:4700::1111"])
def test_an_address_of_the_internet_is_public(address: str) -> None:
    assert is_public(address)


def test_what_is_behind_a_public_address_is_fetched(site: Site) -> None:
    assert json.loads(fetch(f"{site.url}/jwks", site.network())) == JWKS


def test_a_name_is_resolved_once_and_the_address_that_was_checked_is_the_one_connected_to(site: Site) -> None:
    """DNS rebinding: a second answer of the resolver would lead elsewhere."""
    answers = iter([["127.0.0.1"], ["169.254.169.254"]])
    asked: list[str] = []

    def resolve(host: str, _: int) -> list[str]:
        asked.append(host)
        return next(answers)

    fetch(f"{site.url}/jwks", Network(resolve, lambda address: address == "127.0.0.1", site.trust))
    assert asked == [HOST]


def test_a_name_with_one_address_of_the_own_network_is_not_connected_to(site: Site) -> None:
    for addresses in (("127.0.0.1", "10.0.0.1"), ("10.0.0.1",)):
        with pytest.raises(NotFetched, match="not an address of the public Internet"):
            fetch(f"{site.url}/jwks", site.network(*addresses))
    assert site.asked == []


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "2130706433", "0x7f.1", "127.1"])
def test_every_spelling_of_this_machine_is_refused_before_a_connection(site: Site, host: str) -> None:
    port = site.server.server_address[1]
    with pytest.raises(NotFetched):
        fetch(f"https://{host}:{port}/jwks", Network(tls=site.trust))
    assert site.asked == []


def test_no_redirect_is_followed(site: Site) -> None:
    site.answers["/moved"] = (302, {"Location": f"{site.url}/jwks"}, b"")
    with pytest.raises(NotFetched, match="status 302"):
        fetch(f"{site.url}/moved", site.network())
    assert site.asked == ["/moved"]


def test_a_certificate_of_another_name_or_of_nobody_known_is_refused(site: Site) -> None:
    port = site.server.server_address[1]
    with pytest.raises(NotFetched, match="SSLCertVerificationError"):
        fetch(f"https://other.example.vn:{port}/jwks", site.network())
    untrusting = Network(lambda *_: ["127.0.0.1"], lambda _: True)
    with pytest.raises(NotFetched, match="SSLCertVerificationError"):
        fetch(f"{site.url}/jwks", untrusting)
    assert site.asked == []


def test_a_large_answer_is_left(site: Site) -> None:
    site.answers["/large"] = (200, {}, b"x" * (MAX_BYTES + 1))
    with pytest.raises(NotFetched, match="more than 65536 bytes"):
        fetch(f"{site.url}/large", site.network())
    site.answers["/whole"] = (200, {}, b"x" * MAX_BYTES)
    assert len(fetch(f"{site.url}/whole", site.network())) == MAX_BYTES


def test_an_answer_that_trickles_is_left(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbound, "SECONDS", 0.5)
    for part in ("body", "head"):
        with pytest.raises(NotFetched, match="TimeoutError"):
            fetch(f"{site.url}/trickling-{part}", site.network())


@pytest.mark.parametrize(
    "url", ["http://keys.example.vn/", "ftp://a/", "https://", "https://u:p@a/", "https://a/#x", "https://a/ b", "//a"]
)
def test_only_plain_https_addresses_are_fetched(url: str) -> None:
    with pytest.raises(NotFetched):
        fetch(url, Network(lambda *_: pytest.fail("it was resolved")))


class Clock:
    at = 1_000.0

    def __call__(self) -> float:
        return self.at


def test_a_key_set_is_kept_for_five_minutes_and_an_unknown_key_has_it_fetched_twice_a_minute_at_most(
    site: Site,
) -> None:
    clock = Clock()
    keys = FetchedKeys(site.network(), clock)
    url = f"{site.url}/jwks"
    for _ in range(3):
        assert len(keys.candidates(url, "ES384", "ec")) == 1
    assert len(site.asked) == 1
    for _ in range(3):
        assert keys.candidates(url, "ES384", "other") == []
    assert len(site.asked) == 1
    clock.at += 31
    for _ in range(3):
        assert keys.candidates(url, "ES384", "other") == []
    assert len(site.asked) == 2
    clock.at += 301
    assert len(keys.candidates(url, "RS384", "rsa")) == 1
    assert len(site.asked) == 3


def test_a_failure_in_between_keeps_the_known_keys_and_one_beyond_five_minutes_does_not(site: Site) -> None:
    clock = Clock()
    keys = FetchedKeys(site.network(), clock)
    url = f"{site.url}/jwks"
    assert keys.candidates(url, "ES384", "ec")
    site.answers["/jwks"] = (500, {}, b"")
    clock.at += 31
    assert keys.candidates(url, "ES384", "other") == []
    assert keys.candidates(url, "ES384", "ec")
    clock.at += 300
    assert keys.candidates(url, "ES384", "ec") == []
    site.answers["/jwks"] = (200, {}, json.dumps(JWKS).encode())
    assert keys.candidates(url, "ES384", "ec") == []
    clock.at += 31
    assert keys.candidates(url, "ES384", "ec")


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b'{"keys":1}', b'{"keys":[1]}', b"[" * 60_000, b"\xff"])
def test_what_is_no_key_set_holds_no_keys(site: Site, body: bytes) -> None:
    site.answers["/bad"] = (200, {}, body)
    assert FetchedKeys(site.network()).candidates(f"{site.url}/bad", "ES384", "ec") == []


def test_a_client_with_a_key_set_at_a_url_proves_itself_by_a_key_from_there(
    repository: Any, config: Any, site: Site
) -> None:
    from flask import Flask

    from fhir_server.access import smart
    from fhir_server.access.limits import Limit
    from fhir_server.citizen.card_login import CardHolders

    url = f"{site.url}/jwks"
    database = repository.store.database
    app = Flask(__name__)
    app.register_blueprint(
        smart.create_blueprint(
            database,
            config,
            CardHolders(repository),
            Limit(database, "address", 10_000),
            fetched=FetchedKeys(site.network()),
        )
    )
    world = World(app, repository, config)
    backend: Backend = world.backend("remote", ["system/*.rs"], jwks=None, jwks_url=url)
    assert backend.ask().status_code == 200
    assert backend.ask(client_assertion=assertion("remote", header={"jku": url})).status_code == 200
    assert backend.ask(client_assertion=assertion("remote", header={"jku": f"{url}2"})).status_code == 401
    assert site.asked == ["/jwks"]
