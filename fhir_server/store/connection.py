"""A connection to MongoDB on which an acknowledged write is a durable one, and is what is read from then on."""

from __future__ import annotations

from typing import Any

from pymongo import MongoClient
from pymongo.errors import ConfigurationError, InvalidURI, OperationFailure, ServerSelectionTimeoutError

SELECTION_MS = 10_000  # a replica set elects a new primary well within this


class MongoDBUnusable(Exception):
    """There is no MongoDB to work with; the message says what to do. Not a FhirError: no request was made yet."""


class NotAReplicaSet(MongoDBUnusable):
    """The MongoDB at this URI is a standalone, which has no transactions."""


def connect(uri: str, *, timeout_ms: int = SELECTION_MS) -> MongoClient[dict[str, Any]]:
    """Connect with majority, journaled writes and reads from the primary. Raises MongoDBUnusable; the message never quotes the URI's password.

    https://www.mongodb.com/docs/manual/reference/write-concern/
    """
    no_uri = "FHIR_MONGODB_URI is not a MongoDB URI such as mongodb://host:27017/?replicaSet=rs0."
    if not uri.startswith(("mongodb://", "mongodb+srv://")):
        raise MongoDBUnusable(no_uri)
    try:
        client: MongoClient[dict[str, Any]] = MongoClient(
            uri,
            w="majority",
            journal=True,
            readPreference="primary",
            tz_aware=True,
            uuidRepresentation="standard",
            serverSelectionTimeoutMS=timeout_ms,
            appname="fhir-server",
        )
    except (InvalidURI, ConfigurationError, ValueError) as error:
        raise MongoDBUnusable(no_uri) from error
    try:
        hello = client.admin.command("hello")
    except ServerSelectionTimeoutError as error:
        client.close()
        raise MongoDBUnusable(
            f"No MongoDB answered within {timeout_ms / 1000:g} s. Check that it runs and that FHIR_MONGODB_URI "
            "names its hosts and replica set."
        ) from error
    except OperationFailure as error:
        client.close()
        raise MongoDBUnusable("MongoDB refused the log-in. Check user and password in FHIR_MONGODB_URI.") from error
    if "setName" not in hello and hello.get("msg") != "isdbgrid":
        client.close()
        raise NotAReplicaSet(
            "This MongoDB runs standalone, and transactions need a replica set. Start mongod with --replSet rs0, run "
            "rs.initiate() once, and add ?replicaSet=rs0 to FHIR_MONGODB_URI."
        )
    return client
