"""$reindex: index the records for the server's own SearchParameter resources.

An operation of this server. POST begins, GET tells how far it is.
"""

from __future__ import annotations

from typing import Any

from ..call import Answer, Call, Service
from . import answers


def reindex(service: Service, call: Call) -> Answer:
    """The state of the last run; POST (with a body, empty Parameters do) starts one. Raises Conflict while one goes on."""
    repository, context = service.repository, call.context
    state = repository.reindex(context) if call.resource is not None else repository.reindex_state(context)
    results: list[dict[str, Any]] = [{"name": "state", "valueCode": state["state"]}]
    for name in ("done", "total"):
        if name in state:
            results.append({"name": name, "valueInteger": state[name]})
    for definition in state["definitions"]:
        part = [{"name": "url", "valueUri": definition["url"]}, {"name": "ready", "valueBoolean": definition["ready"]}]
        results.append({"name": "parameter", "part": part})
    results += [{"name": "problem", "valueString": each} for each in state.get("problems", ())]
    return answers.parameters(results)
