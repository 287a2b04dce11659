"""A facility with an account at the gateway, its client, and the sample visit to send."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from fhir_server.access import gateway_accounts
from fhir_server.intake.gateway import worker

SAMPLE = (Path(__file__).parents[2] / "mappings" / "data" / "giamdinhhs_visit.xml").read_bytes()
MA_LK = "79001_2611_000001"
PASSWORD = "mật khẩu của 79001"
VISITS = "/api/kham-chua-benh"


def edited(edit: Callable[[str], str], sample: bytes = SAMPLE) -> bytes:
    """The sample with the same edit made in each of its tables and around them."""

    def again(match: re.Match[str]) -> str:
        body = edit(base64.b64decode(match[1]).decode())
        return f"<NOIDUNGFILE>{base64.b64encode(body.encode()).decode()}</NOIDUNGFILE>"

    pieces = re.split(r"(<NOIDUNGFILE>.*?</NOIDUNGFILE>)", sample.decode(), flags=re.DOTALL)
    return "".join(
        re.sub(r"<NOIDUNGFILE>(.*?)</NOIDUNGFILE>", again, piece, flags=re.DOTALL)
        if piece.startswith("<NOIDUNGFILE>")
        else edit(piece)
        for piece in pieces
    ).encode()


def visit_called(ma_lk: str) -> bytes:
    """The sample as another visit."""
    return edited(lambda text: text.replace(MA_LK, ma_lk))


def without(name: str) -> bytes:
    """The sample without a field of XML1."""
    return edited(lambda text: re.sub(f"<{name}>.*?</{name}>", f"<{name}></{name}>", text, flags=re.DOTALL))


class Hospital:
    """A hospital system that speaks the province's calls."""

    def __init__(self, client: Any, repository: Any) -> None:
        self.client = client
        self.repository = repository
        self.headers: dict[str, str] = {}

    def log_in(self, username: str = "bv79001", password: str = PASSWORD) -> Any:
        answer = self.client.post("/api/xac-thuc/token", json={"username": username, "password": password})
        if answer.status_code == 200:
            self.headers = {"Authorization": f"Bearer {answer.json['data']['access_token']}"}
        return answer

    def send(self, xml: bytes = SAMPLE, path: str = f"{VISITS}/hoan-tat", **more: Any) -> Any:
        return self.client.post(path, data=xml, content_type="application/xml", headers=self.headers, **more)

    def get(self, path: str, **query: str) -> Any:
        return self.client.get(path, query_string=query, headers=self.headers)

    def post(self, path: str, **body: Any) -> Any:
        return self.client.post(path, json=body, headers=self.headers)

    def upload(self, path: str, **form: Any) -> Any:
        return self.client.post(path, data=form, content_type="multipart/form-data", headers=self.headers)

    def status(self, ma_lk: str = MA_LK) -> Any:
        return self.get(f"{VISITS}/ho-so/trang-thai", ma_lk=ma_lk).json["data"]

    def listed(self, path: str = f"{VISITS}/ho-so", **query: str) -> Any:
        day = datetime.now(UTC).date()
        window = {"from_date": str(day - timedelta(days=1)), "to_date": str(day + timedelta(days=1))}
        answer = self.get(path, **{**window, **query})
        assert answer.status_code == 200, answer.json
        return answer.json["data"]

    def work(self) -> None:
        """What the worker of a serving process does all the time."""
        worker.work_through(self.repository)


@pytest.fixture
def account(repository: Any) -> str:
    gateway_accounts.add_account(
        repository.store.database, "bv79001", PASSWORD, unit_code="79001", unit_name="Bệnh viện Thử Nghiệm"
    )
    return "bv79001"


@pytest.fixture
def hospital(client: Any, repository: Any, account: str) -> Hospital:
    """The hospital 79001, logged in."""
    logged_in = Hospital(client, repository)
    assert logged_in.log_in().status_code == 200
    return logged_in
