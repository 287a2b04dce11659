"""Read the observations of one person, newest first, for the operations that look at all of them.

https://hl7.org/fhir/R4/observation.html
"""

from __future__ import annotations

from ..access.context import AccessContext
from ..errors import BadRequest, Issue, NotFound
from ..repository import Repository, Stored
from ..resource import exact
from ..search.query import Pair

MAX_READ = 10_000  # observations of one person that an operation looks at
_PAGE = 500


def read_newest(
    repository: Repository, ctx: AccessContext, pairs: list[Pair], issues: list[Issue], *, lenient: bool = False
) -> list[tuple[Stored, exact.Resource]]:
    """Those that the search parameters name, newest first and undated last. Raises BadRequest.

    Those entered in error say nothing about the person and are left out, unless `status` is asked for.
    """
    by_status = any(name.partition(":")[0] == "status" for name, _ in pairs)
    query = [*pairs, ("_sort", "-date"), ("_count", str(_PAGE)), ("_total", "none")]
    found: list[tuple[Stored, exact.Resource]] = []
    while query and len(found) < MAX_READ:
        page = repository.search(ctx, "Observation", query, lenient=lenient)
        issues += [issue for issue in page.issues if issue not in issues]
        for _, stored in page.entries:
            resource = exact.parse(stored.json or b"{}")
            if by_status or resource.get("status") != "entered-in-error":
                found.append((stored, resource))
        query = page.next or []
    if query:
        text = f"Only the {MAX_READ} newest observations were looked at; narrow the search by date, code or category."
        issues.append(Issue(text, "incomplete", "warning"))
    return found


def whose(repository: Repository, ctx: AccessContext, reference: str | None) -> Pair:
    """The search parameter for one person: the given one, or the one the caller is bound to.

    Raises BadRequest when nobody is named, NotFound for another one than the caller's own.
    """
    if reference is None and ctx.patient is not None:
        return ("subject", f"Patient/{ctx.patient}")
    if not reference:
        raise BadRequest("Name one person: subject=Patient/<id>.", code="required")
    if "," in reference:
        raise BadRequest("Name one person, not several.", code="value")
    relative = reference.removeprefix(repository.base_url + "/")
    kind, slash, id = relative.rpartition("/")
    if ctx.patient is not None and (kind or "Patient", id) != ("Patient", ctx.patient):
        raise NotFound(f"There is no Patient with the id '{id[:64]}'.")
    return ("subject", relative if slash else f"Patient/{id}")
