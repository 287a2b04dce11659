"""Which MongoDB a command works on: the one of FHIR_MONGODB_URI, the one of a running server, or its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

from fhir_server.commands import CommandFailed
from fhir_server.config import Config
from fhir_server.store.mongod import Mongod, attach

if TYPE_CHECKING:
    from fhir_server.repository import Repository
    from fhir_server.store.records import Store


@contextmanager
def visiting_mongodb(config: Config) -> Iterator[str]:
    """The URI for a command that comes and goes. Raises MongoDBUnusable."""
    uri = config.mongodb_uri or attach(config.data)
    if uri is not None:
        yield uri
        return
    with Mongod(config.data, cache_mb=config.cache_mb, purpose="import") as mongod:
        yield mongod.uri


# The imports below wait until they are needed: `--help` and `config check` need not spend the time of the definitions.


def open_store(config: Config, uri: str) -> Store:
    """The configured database of a MongoDB. Raises MongoDBUnusable."""
    from fhir_server.store.records import Store

    return Store.open(uri, database=config.database)


@contextmanager
def visiting_store(config: Config) -> Iterator[Store]:
    """The store for a command that comes and goes. Raises MongoDBUnusable."""
    with visiting_mongodb(config) as uri, closing(open_store(config, uri)) as store:
        yield store


@contextmanager
def visiting_accounts(config: Config, refused: type[Exception]) -> Iterator[Any]:
    """The database that accounts are kept in; what its room refuses is told as CommandFailed."""
    try:
        with visiting_store(config) as store:
            yield store.database
    except refused as error:
        raise CommandFailed(str(error)) from error


def repository_on(store: Store, config: Config) -> Repository:
    """The repository as the configuration wants it."""
    from fhir_server.repository import Repository

    return Repository(
        store,
        base_url=config.base_url or f"{config.public_url}/fhir",
        default_count=config.default_count,
        max_count=config.max_count,
    )
