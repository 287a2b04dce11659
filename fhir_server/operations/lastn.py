"""The newest observations of each kind for one person.

https://hl7.org/fhir/R4/observation-operation-lastn.html
"""

from __future__ import annotations

from collections.abc import Iterable

from ..access.context import AccessContext
from ..repository import Repository, SearchPage
from ..resource.exact import Resource
from ..search.query import Pair
from .observations import read_newest, whose


def lastn(
    repository: Repository, ctx: AccessContext, pairs: list[Pair], maximum: int, *, lenient: bool = False
) -> SearchPage:
    """`maximum` observations of each code, the code that was observed last first, each newest first.

    `pairs` are search parameters of Observation, `subject` or `patient` among them. Raises BadRequest, NotFound.
    """
    named = [value for name, value in pairs if name in _WHO]
    person = whose(repository, ctx, ",".join(named) if named else None)
    page = SearchPage([], applied=[*pairs, ("max", str(maximum))])
    wanted = [person, *((name, value) for name, value in pairs if name not in _WHO)]
    observations = read_newest(repository, ctx, wanted, page.issues, lenient=lenient)
    for numbers in group(resource for _, resource in observations):
        page.entries.extend(("match", observations[number][0]) for number in numbers[:maximum])
    return page


_WHO = ("subject", "patient", "subject:Patient")


def group(observations: Iterable[Resource]) -> list[list[int]]:
    """The numbers of the observations that are of one kind, in the order in which each kind was met first.

    Observations that share any coding are of one kind, also when a third one with both codings tells that two are;
    without a coding the text tells.
    """
    groups: list[list[int]] = []
    of_key: dict[str, list[int]] = {}
    for number, observation in enumerate(observations):
        keys = _keys(observation)
        met = list({id(of_key[key]): of_key[key] for key in keys if key in of_key}.values())
        joined = met[0] if met else []
        for other in met[1:]:
            joined.extend(other)
            groups.remove(other)
            of_key.update({key: joined for key, held in of_key.items() if held is other})
        if not met:
            groups.append(joined)
        joined.append(number)
        of_key.update(dict.fromkeys(keys, joined))
    for each in groups:
        each.sort()
    return sorted(groups)


def _keys(observation: Resource) -> list[str]:
    code = observation.get("code", {})
    codings = [f"{each.get('system', '')}|{each['code']}" for each in code.get("coding", ()) if each.get("code")]
    return codings or [f"text {code.get('text', '')}"]
