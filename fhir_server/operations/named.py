"""The resources that others reference, a bounded number of them: https://hl7.org/fhir/R4/references.html"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from ..access.context import AccessContext
from ..errors import Issue
from ..repository import Repository, Stored

BESIDE_PATIENT = ("Device", "Location", "Medication", "Organization", "Practitioner", "PractitionerRole")
"""What a patient's record names that is in no patient's compartment."""


def named(
    repository: Repository,
    ctx: AccessContext,
    resources: Sequence[Stored],
    types: Iterable[str],
    limit: int,
    issues: list[Issue],
) -> list[Stored]:
    """What the resources reference of these types and are not themselves, by type and id; a warning when cut short."""
    references = _references(repository.base_url, resources, tuple(types))
    if len(references) > limit:
        text = f"{len(references)} further resources are named; {limit} of them are given, read the others."
        issues.append(Issue(text, "incomplete", "warning"))
    wanted: dict[str, list[str]] = {}
    for type, id in sorted(references[:limit]):
        wanted.setdefault(type, []).append(id)
    found: list[Stored] = []
    for type, ids in wanted.items():
        if not repository.may(ctx, "s", type):
            continue
        pairs = [("_id", ",".join(ids)), ("_count", str(limit)), ("_total", "none")]
        page = repository.search(ctx, type, pairs)
        found += sorted((stored for _, stored in page.entries), key=lambda stored: stored.id)
    return found


def _references(base_url: str, resources: Sequence[Stored], types: tuple[str, ...]) -> list[tuple[str, str]]:
    """(type, id) in the order they were met; found in the texts, since most of them name nothing and need no parsing."""
    if not types:
        return []
    pattern = re.compile(
        rb'"reference":"(?:%b/)?(%b)/([A-Za-z0-9\-.]{1,64})(?:/_history/[^"]*)?"'
        % (re.escape(base_url.encode()), "|".join(types).encode())
    )
    given = {(stored.type, stored.id) for stored in resources}
    met = {
        (type.decode(), id.decode()): None
        for stored in resources
        for type, id in pattern.findall(stored.json or b"")
        if (type.decode(), id.decode()) not in given
    }
    return list(met)
