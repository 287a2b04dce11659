"""The profiles, tags and security labels of one resource, of a type, of everything; and adding or removing some.

https://hl7.org/fhir/R4/resource-operation-meta.html, https://hl7.org/fhir/R4/resource-operation-meta-add.html and
https://hl7.org/fhir/R4/resource-operation-meta-delete.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from ..access.context import AccessContext
from ..errors import BadRequest, Conflict, Forbidden, PreconditionFailed
from ..repository import Repository, Stored
from ..resource import exact
from ..search.clauses import escape

Meta = dict[str, Any]

MAX_CODES = 500  # different labels of one kind that are looked for in a type
_LOOKED_AT = 50  # records of each label that are looked at for its system and display
_TRIES = 20  # a change of labels, against other writers of the same resource
_PARTS = ("profile", "security", "tag")


def meta_of(repository: Repository, ctx: AccessContext, type: str, id: str) -> Meta:
    """The meta of a resource. Raises NotFound, Gone."""
    return _meta(repository.read(ctx, type, id))


def meta_of_version(repository: Repository, ctx: AccessContext, type: str, id: str, version: str) -> Meta:
    """The meta that a version of a resource had. Raises NotFound, Gone."""
    return _meta(repository.vread(ctx, type, id, version))


def meta_of_types(repository: Repository, ctx: AccessContext, types: Iterable[str]) -> Meta:
    """The profiles, security labels and tags that records of these types have. Raises Forbidden for a bound caller."""
    if ctx.patient is not None:
        raise Forbidden("The labels of all records are not open to this caller: ask for those of one resource.")
    made: Meta = {}
    held = set(repository.types())
    for type in sorted(held.intersection(types)):
        for part in _PARTS:
            for code in repository.codes(ctx, type, f"_{part}", MAX_CODES):
                pairs = [(f"_{part}", escape(code)), ("_count", str(_LOOKED_AT)), ("_total", "none")]
                for _, stored in repository.search(ctx, type, pairs).entries:
                    several = _meta(stored).get(part, [])
                    made = united(made, {part: [each for each in several if _label(each) == code]})
    return {part: sorted(made[part], key=_identity) for part in _PARTS if part in made}


def add(repository: Repository, ctx: AccessContext, type: str, id: str, given: Meta) -> Meta:
    """The meta once the labels are there. Raises NotFound, Gone, Forbidden, Conflict."""
    return _changed(repository, ctx, type, id, lambda meta: united(meta, given))


def delete(repository: Repository, ctx: AccessContext, type: str, id: str, given: Meta) -> Meta:
    """The meta once the labels are gone; those that were not there are no error. Raises as `add` does."""
    return _changed(repository, ctx, type, id, lambda meta: without(meta, given))


def united(meta: Meta, given: Meta) -> Meta:
    """`meta` with the labels of `given` behind its own. Labels are sets: one that is there stays as it is."""
    made = dict(meta)
    for part in _PARTS:
        known = list(made.get(part, ()))
        for each in given.get(part, ()):
            if _identity(each) not in map(_identity, known):
                known.append(each)
        if known:
            made[part] = known
    return made


def without(meta: Meta, given: Meta) -> Meta:
    """`meta` without the labels of `given`. A label is known by its system and code."""
    made = dict(meta)
    for part in _PARTS:
        gone = {_identity(each) for each in given.get(part, ())}
        kept = [each for each in made.get(part, ()) if _identity(each) not in gone]
        made.pop(part, None)
        if kept:
            made[part] = kept
    return made


def checked(given: Meta) -> Meta:
    """The labels in a Meta that was sent. Raises BadRequest when there is none, or something else is meant."""
    other = sorted(set(given) - set(_PARTS))
    if other:
        raise BadRequest(
            f"Profiles, tags and security labels can be added and deleted, not '{other[0][:40]}'.", expression=["Meta"]
        )
    if not any(given.get(part) for part in _PARTS):
        raise BadRequest("The Meta holds no profile, tag or security label.", code="required", expression=["Meta"])
    for part in _PARTS:
        several = given.get(part, [])
        wanted = str if part == "profile" else dict
        if not isinstance(several, list) or not all(isinstance(each, wanted) for each in several):
            raise BadRequest(f"Meta.{part} must be a list of its kind.", code="structure", expression=[f"Meta.{part}"])
    return given


def _changed(repository: Repository, ctx: AccessContext, type: str, id: str, change: Callable[[Meta], Meta]) -> Meta:
    """Read, change, and write only what was read: what somebody else writes meanwhile is read again, and not lost."""
    for _ in range(_TRIES):
        stored = repository.read(ctx, type, id)
        resource = exact.parse(stored.json or b"{}")
        meta = change(resource.get("meta", {}))
        if meta == resource.get("meta", {}):
            return meta
        try:
            written = repository.update(ctx, type, id, {**resource, "meta": meta}, if_match=stored.version)
        except (PreconditionFailed, Conflict):
            continue
        return _meta(written.stored)
    raise Conflict(f"{type}/{id} is being written by many others; try again.")


def _meta(stored: Stored) -> Meta:
    meta: Meta = exact.parse(stored.json or b"{}").get("meta", {})
    return meta


def _identity(label: Any) -> tuple[str, str]:
    """https://hl7.org/fhir/R4/resource-operation-meta-add.html: version and display do not count."""
    return ("", label) if isinstance(label, str) else (label.get("system", ""), label.get("code", ""))


def _label(label: Any) -> str:
    return _identity(label)[1]
