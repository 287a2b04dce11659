"""The table of interactions: what the HTTP routes, the entries of a batch and the CapabilityStatement are made from.

https://hl7.org/fhir/R4/http.html#summary
"""

from __future__ import annotations

from .bundle import process_bundle
from .call import Interaction
from .capabilities import show_capabilities
from .create import create
from .delete import delete, delete_conditional
from .history import history
from .operations.dispatch import perform_get, perform_post
from .patch import patch_conditional, patch_resource
from .read import read
from .search import search, search_compartment, search_system
from .update import update, update_conditional
from .vread import vread

INTERACTIONS = (
    Interaction(("read",), "instance", "GET", "<type>/<id>", read),
    Interaction(("vread",), "instance", "GET", "<type>/<id>/_history/<version>", vread),
    Interaction(("update",), "instance", "PUT", "<type>/<id>", update, body="resource"),
    Interaction(("patch",), "instance", "PATCH", "<type>/<id>", patch_resource, body="patch"),
    Interaction(("delete",), "instance", "DELETE", "<type>/<id>", delete),
    Interaction(("history-instance",), "instance", "GET", "<type>/<id>/_history", history),
    Interaction(("create",), "type", "POST", "<type>", create, body="resource"),
    Interaction(("update",), "type", "PUT", "<type>", update_conditional, body="resource", conditional=True),
    Interaction(("patch",), "type", "PATCH", "<type>", patch_conditional, body="patch", conditional=True),
    Interaction(("delete",), "type", "DELETE", "<type>", delete_conditional, conditional=True),
    Interaction(("search-type",), "type", "GET", "<type>", search),
    Interaction(("search-type",), "type", "POST", "<type>/_search", search, body="form"),
    Interaction(("search-system",), "system", "GET", "", search_system),
    Interaction(("search-system",), "system", "POST", "_search", search_system, body="form"),
    Interaction((), "type", "GET", "<compartment>/<id>/*", search_compartment),
    Interaction((), "type", "GET", "<compartment>/<id>/<type>", search_compartment),
    Interaction((), "type", "POST", "<compartment>/<id>/<type>/_search", search_compartment, body="form"),
    Interaction(("history-type",), "type", "GET", "<type>/_history", history),
    Interaction(("history-system",), "system", "GET", "_history", history),
    Interaction(("batch", "transaction"), "system", "POST", "", process_bundle, body="resource"),
    Interaction(("capabilities",), "system", "GET", "metadata", show_capabilities),
    Interaction((), "system", "GET", "$<operation>", perform_get),
    Interaction((), "system", "POST", "$<operation>", perform_post, body="operation"),
    Interaction((), "type", "GET", "<type>/$<operation>", perform_get),
    Interaction((), "type", "POST", "<type>/$<operation>", perform_post, body="operation"),
    Interaction((), "instance", "GET", "<type>/<id>/$<operation>", perform_get),
    Interaction((), "instance", "GET", "<type>/<id>/_history/<version>/$<operation>", perform_get),
    Interaction((), "instance", "POST", "<type>/<id>/$<operation>", perform_post, body="operation"),
)
