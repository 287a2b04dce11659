"""The configuration: environment variables FHIR_*, one table of them, and what each may hold."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, cast
from urllib.parse import urlsplit

Access = Literal["open", "smart"]
PREFIX = "FHIR_"


class ConfigError(ValueError):
    """A setting cannot be used; the message names it, what it may hold, and what it held."""


def _text(value: str) -> str:
    if not value.strip():
        raise ValueError("some text")
    return value.strip()


def _path(value: str) -> Path:
    return Path(_text(value))


def _between(low: int, high: int) -> Callable[[str], int]:
    def parse(value: str) -> int:
        if not value.strip().isascii() or not value.strip().isdigit() or not low <= int(value) <= high:
            raise ValueError(f"a whole number from {low} to {high}")
        return int(value)

    return parse


def _one_of(*choices: str) -> Callable[[str], str]:
    def parse(value: str) -> str:
        if value.strip().lower() not in choices:
            raise ValueError(f"one of {', '.join(choices)}")
        return value.strip().lower()

    return parse


def _yes_or_no(value: str) -> bool:
    return _one_of("yes", "no")(value) == "yes"


def _url(value: str) -> str:
    parts = urlsplit(value.strip())
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("an http or https address without query")
    return value.strip().rstrip("/")


def _origins(value: str) -> tuple[str, ...]:
    origins = tuple(part.strip() for part in value.split(",") if part.strip())
    for origin in origins:
        parts = urlsplit(origin)
        if origin != "*" and (parts.scheme not in {"http", "https"} or not parts.hostname or parts.path):
            raise ValueError("origins such as https://app.example.vn, separated by commas, or *")
    return origins


def _database(value: str) -> str:
    if not value or len(value) > 38 or not value.replace("_", "").replace("-", "").isalnum() or not value.isascii():
        raise ValueError("up to 38 letters, digits, _ or -")
    return value


def _mongodb_uri(value: str) -> str:
    if not value.startswith(("mongodb://", "mongodb+srv://")):
        raise ValueError("an address such as mongodb://host:27017/?replicaSet=rs0")
    return value


def _setting(parse: Callable[[str], Any], meaning: str, *, shown: str = "", secret: bool = False) -> dict[str, Any]:
    """What makes a field a setting. `shown` is its default in the documentation when that is not the value itself."""
    return {"parse": parse, "meaning": meaning, "shown": shown, "secret": secret}


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Every setting of the server, read and checked once."""

    host: str = field(default="127.0.0.1", metadata=_setting(_text, "Address the server listens on."))
    port: int = field(default=8080, metadata=_setting(_between(1, 65535), "Port the server listens on."))
    data: Path = field(
        default=Path("data"),
        metadata=_setting(_path, "Directory of the embedded MongoDB; made when it is missing."),
    )
    mongodb_uri: str | None = field(
        default=None,
        metadata=_setting(
            _mongodb_uri,
            "Another MongoDB, a replica set, in place of the embedded one.",
            shown="the embedded one",
            secret=True,
        ),
    )
    database: str = field(default="fhir", metadata=_setting(_database, "Name of the database in MongoDB."))
    mongod: str | None = field(
        default=None,
        metadata=_setting(
            _text,
            "The `mongod` program the embedded MongoDB runs.",
            shown="the one on `PATH`, else the packaged one",
        ),
    )
    cache_mb: int = field(
        default=1_024,
        metadata=_setting(_between(256, 1_000_000), "Memory for the embedded MongoDB's cache, in MB."),
    )
    access: Access = field(
        default="open",
        metadata=_setting(
            _one_of("open", "smart"),
            "Who may use the server: `open` is anybody, and is refused on any address but loopback. "
            "`smart` is whoever has an access token of SMART on FHIR ([docs/security.md](docs/security.md)).",
        ),
    )
    audit: bool | None = field(
        default=None,
        metadata=_setting(
            _yes_or_no,
            "Whether an AuditEvent is kept of every access, in MongoDB and until then below `FHIR_DATA`.",
            shown="`yes` with `smart`, else `no`",
        ),
    )
    client_limit: int = field(
        default=6_000,
        metadata=_setting(
            _between(10, 10_000_000),
            "With `smart`: weight of requests that a client may make in a minute (a read 1, a search 5).",
        ),
    )
    address_limit: int = field(
        default=12_000,
        metadata=_setting(_between(10, 10_000_000), "With `smart`: the same for a network address."),
    )
    proxies: int = field(
        default=0,
        metadata=_setting(
            _between(0, 5), "Proxies in front, whose X-Forwarded-For and X-Forwarded-Proto are believed."
        ),
    )
    workers: int = field(default=1, metadata=_setting(_between(1, 64), "Processes that answer requests."))
    threads: int = field(default=2, metadata=_setting(_between(1, 64), "Threads in each of these processes."))
    base_url: str | None = field(
        default=None,
        metadata=_setting(_url, "Address of the FHIR service as clients see it.", shown="what the request came to"),
    )
    public_url: str = field(
        default="",
        metadata=_setting(_url, "Address of the pages that QR cards link to.", shown="`http://` + host + port"),
    )
    hotline: str = field(
        default="1900 0000", metadata=_setting(_text, "Telephone number on every page that citizens see.")
    )
    max_body_bytes: int = field(
        default=50_000_000,
        metadata=_setting(_between(1_000, 200_000_000), "Largest request body, in bytes after decompression."),
    )
    default_count: int = field(
        default=50,
        metadata=_setting(_between(1, 10_000), "Entries on a search page when `_count` is not given."),
    )
    max_count: int = field(
        default=1_000,
        metadata=_setting(_between(1, 10_000), "Most entries on a search page, whatever `_count` asks."),
    )
    cors_origins: tuple[str, ...] = field(
        default=(),
        metadata=_setting(
            _origins, "Web origins whose pages may call the FHIR service, separated by commas.", shown="none"
        ),
    )
    log_level: str = field(
        default="info", metadata=_setting(_one_of("debug", "info", "warning", "error"), "How much is logged.")
    )
    access_log: bool = field(
        default=False,
        metadata=_setting(
            _yes_or_no, "Whether to log a line for each request; never its query, which names people.", shown="`no`"
        ),
    )

    def __post_init__(self) -> None:
        if not self.public_url:
            object.__setattr__(self, "public_url", f"http://{self.authority}")
        if self.audit is None:
            object.__setattr__(self, "audit", self.access == "smart")
        if self.default_count > self.max_count:
            raise ConfigError("FHIR_DEFAULT_COUNT must not be above FHIR_MAX_COUNT.")
        if self.access == "open" and not _is_loopback(self.host):
            raise ConfigError(
                f"Open access lets anybody read every record, so it is refused on {self.host}: "
                "only loopback addresses such as 127.0.0.1 are allowed (FHIR_HOST, --host)."
            )

    @property
    def authority(self) -> str:
        """Host and port as they stand in a URL."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def audit_spool(self) -> Path:
        """Where audit records wait until they are in MongoDB, and where their anchors are kept."""
        return self.data / "audit"

    def cautions(self) -> list[str]:
        """What the server would start with all the same, and nobody should have it serve with; each with what to do."""
        addresses = {"FHIR_PUBLIC_URL": self.public_url, "FHIR_BASE_URL": self.base_url or ""}
        return [
            f"{name} is {address}: with FHIR_ACCESS=smart, tokens and PINs would cross the network unencrypted, and cards "
            "and the desk are closed to other machines. Give the https address of the proxy that ends TLS."
            for name, address in addresses.items()
            if self.access == "smart" and address.startswith("http://") and not _is_loopback(_host(address))
        ]

    @classmethod
    def from_environment(cls, environment: Mapping[str, str], **overrides: Any) -> Config:
        """Read the settings; an override that is not None (a command-line option) wins. Raises ConfigError."""
        values = {}
        for setting in fields(cls):
            name = variable(setting)
            if (override := overrides.pop(setting.name, None)) is not None:
                values[setting.name] = _parsed(setting, f"--{setting.name}", str(override))
            elif environment.get(name, "") != "":
                values[setting.name] = _parsed(setting, name, environment[name])
        if overrides:
            raise TypeError(f"no such setting: {', '.join(overrides)}")
        return cls(**values)

    def to_environment(self) -> dict[str, str]:
        """The variables from which `from_environment` makes this configuration again."""
        values = {variable(setting): _written(getattr(self, setting.name)) for setting in fields(self)}
        return {name: value for name, value in values.items() if value}

    def shown(self) -> list[tuple[str, str]]:
        """Variable and value of each setting, for people: without a password."""
        rows = []
        for setting in fields(self):
            value = _written(getattr(self, setting.name))
            rows.append((variable(setting), _without_password(value) if setting.metadata["secret"] else value))
        return rows


def variable(setting: Field[Any]) -> str:
    """The environment variable of a setting."""
    return PREFIX + setting.name.upper()


def unknown_variables(environment: Mapping[str, str]) -> list[str]:
    """FHIR_* variables that are no setting: most often a slip of the pen."""
    known = {variable(setting) for setting in fields(Config)}
    return sorted(name for name in environment if name.startswith(PREFIX) and name not in known)


def documentation() -> str:
    """The table of settings in Markdown, as it stands in the README."""
    lines = ["| variable | default | meaning |", "|---|---|---|"]
    for setting in fields(Config):
        default = setting.metadata["shown"] or f"`{_written(setting.default)}`"
        lines.append(f"| `{variable(setting)}` | {default} | {setting.metadata['meaning']} |")
    return "\n".join(lines) + "\n"


def _parsed(setting: Field[Any], name: str, value: str) -> Any:
    parse = cast("Callable[[str], Any]", setting.metadata["parse"])
    try:
        return parse(value)
    except ValueError as error:
        held = "" if setting.metadata["secret"] else f", not {value!r}"
        raise ConfigError(f"{name} must be {error}{held}.") from None


def _written(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ",".join(value) if isinstance(value, tuple) else str(value)


def _without_password(uri: str) -> str:
    scheme, separator, rest = uri.partition("://")
    credentials, at, hosts = rest.rpartition("@")
    return f"{scheme}{separator}{credentials.partition(':')[0]}:***@{hosts}" if at else uri


def _host(url: str) -> str:
    return urlsplit(url).hostname or ""


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
