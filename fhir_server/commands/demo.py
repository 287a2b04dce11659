"""The demonstration: invented people, their clinic visits and what they declared themselves, imported once."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from fhir_server.access import staff
from fhir_server.access.context import AccessContext
from fhir_server.commands import CommandFailed
from fhir_server.commands.database import open_store, repository_on
from fhir_server.commands.definitions import load_definitions
from fhir_server.commands.imports import import_roster, import_self_declared, import_visits
from fhir_server.config import Config

if TYPE_CHECKING:
    from fhir_server.repository import Repository

STAFF = "demo"
CARD_LIFETIME = timedelta(days=1)  # every start of the demonstration prints a new card


class Demo:
    """What `fhir-server demo` does before the port opens, and what it prints once it answers."""

    def __init__(self, console: Console, config: Config) -> None:
        self.console = console
        self.config = config
        self.card_link = ""
        self.card_pin = ""
        self.password = secrets.token_urlsafe(9)

    def prepare(self, uri: str) -> None:
        """Import the seed unless this database has it already, and issue the card to print. Raises CommandFailed."""
        from fhir_server.citizen.cards import issue_card
        from fhir_server.desk.start import sample_person

        load_definitions(self.config, uri)
        with closing(open_store(self.config, uri)) as store:
            repository = repository_on(store, self.config)
            imported = store.database["setup"]
            if imported.find_one({"_id": "demo"}) is None:
                self._import_seed(repository)
                imported.insert_one({"_id": "demo"})
            person = sample_person(repository)
            if person is None:
                raise CommandFailed("The demonstration's database holds no patient.")
            caller = AccessContext.unrestricted("demo")
            card = issue_card(repository, caller, person, public_url=self.config.public_url, lifetime=CARD_LIFETIME)
            self.card_link, self.card_pin = card.link, card.pin
            self._let_staff_in(store.database)

    def _let_staff_in(self, database: Any) -> None:
        """One account with every role, whose password every start prints anew."""
        if all(each.id != STAFF for each in staff.all_accounts(database)):
            staff.add_account(database, STAFF, self.password, roles=[*staff.ROLES], break_glass=True)
        else:
            staff.set_password(database, STAFF, self.password)

    def _import_seed(self, repository: Repository) -> None:
        """The seed has some rows with mistakes, as real files do; what is wrong with them goes to a file."""
        self.config.data.mkdir(parents=True, exist_ok=True, mode=0o700)
        rejected = self.config.data / "roster.rejected.csv"
        with seed_directory() as seed:
            import_roster(self.console, repository, seed / "roster.csv", rejected)
            import_visits(self.console, repository, sorted((seed / "visits").glob("*.xml")))
            import_self_declared(self.console, repository, seed / "self_declared.json")

    def ready(self) -> None:
        """Print the four things to try."""
        address = f"http://{self.config.authority}"
        lines = [
            "",
            "Máy chủ đã sẵn sàng. Bốn việc để thử / The server is ready. Four things to try:",
            "",
            "  1. Tìm người theo tên không dấu / search by name without diacritics:",
            f"     curl '{address}/fhir/Patient?name=nguyen&_count=5&_total=accurate'",
            "  2. Thẻ QR của một người, mở bằng trình duyệt / one person's QR card, in a browser:",
            f"     {self.card_link}",
            f"     Mã PIN / PIN: {self.card_pin}",
            "  3. Trang đầu / the start page:",
            f"     {address}/",
            "  4. Bàn làm việc của nhân viên / the staff desk:",
            f"     {address}/desk/   {STAFF} / {self.password}",
            "",
            "Ctrl-C để dừng / to stop.",
        ]
        self.console.print("\n".join(lines), markup=False, highlight=False, soft_wrap=True)


@contextlib.contextmanager
def seed_directory() -> Iterator[Path]:
    """The packaged seed files as a directory."""
    with as_file(files("seed")) as directory:
        yield directory
