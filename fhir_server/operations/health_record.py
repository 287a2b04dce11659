"""A person's record as the XML of QĐ 831: everything known of them, whoever told it. docs/mappings/qd831.md"""

from __future__ import annotations

from mappings.qd831.out_of import TYPES, record_of
from mappings.qd831.record import to_xml

from ..access.context import AccessContext
from ..repository import Repository
from ..resource import exact
from ..resource.exact import Resource

MAX_READ = 5_000  # resources of one type: more than anybody's record has


def health_record(
    repository: Repository, ctx: AccessContext, id: str, *, sender: str = "", day: str, request_id: str
) -> bytes:
    """The QĐ 831 document of Patient/`id`, sent by the facility `sender` on `day` (a FHIR date).

    Raises NotFound, Gone.
    """
    patient = exact.parse(repository.read(ctx, "Patient", id).json or b"{}")
    held = set(repository.types())
    resources = [each for kind in TYPES if kind in held for each in _known(repository, ctx, kind, id)]
    return to_xml(record_of(patient, resources, sender=sender, day=day, request_id=request_id))


def _known(repository: Repository, ctx: AccessContext, kind: str, id: str) -> list[Resource]:
    """What is known of one type, what was written last at the end."""
    query: list[tuple[str, str]] | None = [("patient", f"Patient/{id}"), ("_count", "500"), ("_total", "none")]
    found: list[Resource] = []
    while query and len(found) < MAX_READ:
        page = repository.search(ctx, kind, query)
        found += [exact.parse(stored.json or b"{}") for _, stored in page.entries]
        query = page.next
    # Within one writing, rows keep the order of their numbers.
    return sorted(found, key=lambda it: (it["meta"]["lastUpdated"], _row(it)))


def _row(resource: Resource) -> tuple[int, str]:
    value = next((it.get("value", "") for it in resource.get("identifier", ())), "")
    last = value.rpartition("/")[2]
    return int(last) if last.isdigit() and len(last) < 9 else 0, value
