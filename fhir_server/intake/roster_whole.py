"""A roster that is the whole list of a province or a facility: the cards it does not hold any more are ended.

A card is ended by the end of its period, as a Coverage and as an identifier of its Patient, and never deleted.
https://hl7.org/fhir/R4/coverage.html
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from fhir_server.access.context import AccessContext
from fhir_server.errors import Conflict, PreconditionFailed
from fhir_server.intake.rejections import RejectionFile
from fhir_server.intake.roster_order import RosterOrder
from fhir_server.repository import Repository
from fhir_server.resource import exact
from mappings.numbers import parse_bhyt_number
from mappings.problems import UnreadableInput
from mappings.resend import replacement
from mappings.systems import BHYT_CARD

Resource = dict[str, Any]

MOST_ENDED_PERCENT = 5
_PAGE = 500
_HEADER = ("Số thẻ (card)", "Coverage", "Nơi đăng ký (facility)", "Hết hạn (period end)")


class TooManyEnded(UnreadableInput):
    """So many cards are missing that the file is probably not the whole list; none of them was ended."""


@dataclass(frozen=True, slots=True)
class Whole:
    """Of what the file is the whole list: `of` a province (2 digits) or a facility (5 digits), `as_of` its day.

    `confirmed`: end the vanished cards even when they are more than MOST_ENDED_PERCENT of all. `listed` is the file that
    names the cards that were ended.
    """

    of: str
    as_of: datetime.date
    confirmed: bool = False
    listed: Path | None = None
    size: int = field(default=_PAGE, repr=False)

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[0-9]{2}|[0-9A-Z]{5}", self.of):
            raise UnreadableInput(
                "Danh sách đầy đủ của: mã tỉnh 2 chữ số hoặc mã cơ sở KCB 5 ký tự",
                "a whole list is of a province (2 digits) or a facility (5 characters)",
            )

    def end_vanished(self, repository: Repository, ctx: AccessContext, order: RosterOrder) -> int:
        """End the cards the file does not hold, and return how many. Raises TooManyEnded."""
        everybody = vanished = 0
        for coverage in self._current(repository, ctx):
            everybody += 1
            vanished += not order.has(_names(coverage))
        if vanished * 100 > everybody * MOST_ENDED_PERCENT and not self.confirmed:
            raise TooManyEnded(
                f"{vanished} trong {everybody} thẻ của {self.of} không có trong tệp, quá {MOST_ENDED_PERCENT}%; "
                "chưa kết thúc thẻ nào. Nếu đúng là danh sách đầy đủ, chạy lại với --yes",
                f"{vanished} of the {everybody} cards of {self.of} are not in the file, more than "
                f"{MOST_ENDED_PERCENT}%; none was ended. If the list is really whole, run it again with --yes",
            )
        ended = 0
        with RejectionFile(self.listed if vanished else None, header=_HEADER) as listed:
            gone = (each for each in self._current(repository, ctx) if not order.has(_names(each)))
            while some := list(islice(gone, self.size)):
                for coverage in self._end(repository, ctx, some):
                    ended += 1
                    identifier = coverage["identifier"][0]["value"]
                    listed.line((identifier, coverage["id"], coverage.get("network", ""), self._last_day))
        return ended

    @property
    def _last_day(self) -> str:
        return (self.as_of - datetime.timedelta(days=1)).isoformat()

    def _current(self, repository: Repository, ctx: AccessContext) -> Iterator[Resource]:
        """The cards of the province or facility that run beyond the last day, and had begun by then."""
        query = [("status", "active"), ("_count", str(self.size)), ("_sort", "_id")]
        while query:
            page = repository.search(ctx, "Coverage", query)
            for _, stored in page.entries:
                coverage = exact.parse(stored.json or b"")
                period = coverage.get("period", {})
                if (
                    self._covers(coverage)
                    and period.get("end", "~") > self._last_day
                    and period.get("start", "") <= self._last_day
                ):
                    yield coverage
            query = page.next or []

    def _covers(self, coverage: Resource) -> bool:
        """Whether a card is registered there; of one without a facility the province on the card tells."""
        facility = coverage.get("network", "")
        if len(self.of) > 2 or facility:
            return bool(facility[: len(self.of)] == self.of)
        return any(name[3:5] == self.of for name in _names(coverage) if len(name) == 15)

    def _end(self, repository: Repository, ctx: AccessContext, coverages: list[Resource]) -> Iterator[Resource]:
        """End these cards; one that somebody changes at this moment is told by its new version, and left."""
        ended = [{**each, "period": {**each.get("period", {}), "end": self._last_day}} for each in coverages]
        entries = [replacement(was, becomes) for was, becomes in zip(coverages, ended, strict=True)]
        entries += self._told_of(repository, ctx, coverages)
        try:
            repository.transaction(ctx, {"resourceType": "Bundle", "type": "transaction", "entry": entries})
        except (Conflict, PreconditionFailed):
            if len(coverages) > 1:
                for each in coverages:
                    yield from self._end(repository, ctx, [each])
            return
        yield from ended

    def _told_of(self, repository: Repository, ctx: AccessContext, coverages: list[Resource]) -> list[Resource]:
        """The entries by which the people of these cards have them end, too, as identifiers."""
        numbers = {identifier["value"] for each in coverages for identifier in each.get("identifier", ())}
        holders = {each.get("beneficiary", {}).get("reference", "").removeprefix("Patient/") for each in coverages}
        query = [("_id", ",".join(sorted(holders - {""}))), ("_count", str(self.size))]
        entries = []
        for _, stored in repository.search(ctx, "Patient", query).entries if holders - {""} else ():
            patient = exact.parse(stored.json or b"")
            held = patient.get("identifier", [])
            told = [self._ended(each) if each.get("value") in numbers else each for each in held]
            if told != held:
                entries.append(replacement(patient, {**patient, "identifier": told}))
        return entries

    def _ended(self, identifier: Resource) -> Resource:
        period = identifier.get("period", {})
        runs = period.get("start", "") <= self._last_day < period.get("end", "~")
        if not runs or identifier.get("system") != BHYT_CARD:
            return identifier
        return {**identifier, "period": {**period, "end": self._last_day}}


def _names(coverage: Resource) -> list[str]:
    """The numbers of a card, as a roster's rows name them (mappings.roster.names_of)."""
    names = []
    for identifier in coverage.get("identifier", ()):
        number = parse_bhyt_number(identifier.get("value", ""))
        if number is not None:
            names.append(number.value.lstrip("0") or number.value)
    return names
