"""Configuration: the only reader of the environment and of configuration files. Every value knows its origin.

Precedence, value by value: flag, `XCOMCTL_*`, profile, the file's top level, Airflow's own settings, default.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

from xcomctl.airflow.settings import NO_DATABASE_SCHEME, AirflowSettings, AirflowValue
from xcomctl.config.file import ConfigFile, Section, read_config_file
from xcomctl.config.masking import mask_url
from xcomctl.errors import UsageError
from xcomctl.models import Root
from xcomctl.units import parse_size

if TYPE_CHECKING:
    from xcomctl.dialects.configured import DialectRule
    from xcomctl.inventory.workspace import Resources

T_co = TypeVar("T_co", covariant=True)

_LEAST_MEMORY = 64 << 20
_MOST_THREADS = 256

_HERE = Path("xcomctl.toml")
_HINT_DATABASE = "xcomctl ls --db postgresql://user@host/airflow, or set XCOMCTL_DB"


@dataclass(frozen=True, slots=True)
class Flags:
    """What the command line says. None, or no store, is "not given"."""

    db: str | None = None
    db_schema: str | None = None
    ignore_places: str | None = None
    stores: tuple[str, ...] = ()
    profile: str | None = None
    config: Path | None = None
    endpoint_url: str | None = None
    region: str | None = None
    aws_profile: str | None = None
    memory: str | None = None
    threads: str | None = None
    tmp: str | None = None
    log_format: str | None = None

    def load(self) -> Configuration:
        """These flags over the environment of the process and the configuration file."""
        return Configuration(self)


@dataclass(frozen=True, slots=True)
class Setting(Generic[T_co]):
    """A value and where it comes from: `--db`, `XCOMCTL_DB`, `profile prod in FILE`, ..., `default`."""

    value: T_co
    origin: str
    is_found: bool = field(default=False, compare=False)
    """Whether it is of a file in the current folder that nobody named."""


class Configuration:
    """The settings of one run. Each is looked up when asked for: what is not needed is not required."""

    def __init__(self, flags: Flags, environ: Mapping[str, str] | None = None) -> None:
        self._flags = flags
        self.environ = os.environ if environ is None else environ
        self.airflow = AirflowSettings(self.environ)

    def database(self) -> Setting[str]:
        """URL of the metadata database. May run the command of an Airflow `_CMD` setting.

        Raises UsageError where there is none, saying why.
        """
        own = self._own("db")
        if own is not None:
            if not own.value.startswith(NO_DATABASE_SCHEME):
                return own
            raise _no_database(f"{own.origin} says that this process has no database")
        airflow = self._airflow_database
        if airflow is None:
            raise _no_database("no metadata database is given, and Airflow's settings name none")
        if airflow.value.startswith(NO_DATABASE_SCHEME):
            raise _no_database(
                f"no metadata database is given, and {airflow.origin} is {NO_DATABASE_SCHEME}///, "
                "which Airflow 3 sets where tasks run"
            )
        return Setting(airflow.value, airflow.origin)

    def db_schema(self) -> Setting[str | None]:
        """Schema in which Airflow's tables are; None for the connection's own."""
        own = self._own("db_schema")
        if own is not None:
            return own
        # Airflow's schema describes Airflow's database, not one that was named otherwise.
        if self._own("db") is None:
            airflow = self.airflow.get("database", "sql_alchemy_schema", deprecated=("core",))
            if airflow is not None:
                return Setting(airflow.value, airflow.origin)
        return Setting(None, "default")

    def ignore_places(self) -> Setting[tuple[str, ...]]:
        """Tables beside those of XComs that are not looked through for what they mention."""
        own = self._own("ignore_places")
        if own is None:
            return Setting((), "default")
        return Setting(tuple(name.strip() for name in own.value.split(",") if name.strip()), own.origin)

    def stores(self) -> Setting[tuple[Root, ...]]:
        """Roots under which XCom objects are ours, maybe none. Raises UsageError for a bad address."""
        named = self._named_stores()
        return Setting(_roots(named.value, named.origin), named.origin)

    def endpoint_url(self) -> Setting[str | None]:
        """S3 endpoint; None leaves it to botocore (its configuration and `AWS_ENDPOINT_URL`)."""
        setting = self._of_store("endpoint_url")
        if setting.value is not None and not re.match(r"https?://[^/\s]", setting.value):
            raise UsageError(
                f"{mask_url(setting.value)} ({setting.origin}) is not an endpoint URL",
                hint="write http://host:port or https://host",
            )
        return setting

    def region(self) -> Setting[str | None]:
        """AWS region; None leaves it to botocore."""
        return self._of_store("region")

    def aws_profile(self) -> Setting[str | None]:
        """Profile of the AWS configuration; None leaves it to botocore."""
        return self._own("aws_profile") or Setting(None, "default")

    def airflow_backend(self) -> Setting[str | None]:
        """Class of the XCom backend that Airflow's own settings name; None where they name none. Raises UsageError."""
        found = self.airflow.get("core", "xcom_backend")
        return Setting(None, "default") if found is None else Setting(found.value, found.origin)

    def memory(self) -> Setting[int]:
        """Bytes that an inventory may hold before it spills to disk. Raises UsageError for a bad or too small size."""
        given = self._own("memory")
        if given is None:
            from xcomctl.inventory.workspace import DEFAULT_MEMORY

            return Setting(DEFAULT_MEMORY, "default")
        try:
            memory = parse_size(given.value)
        except UsageError as error:
            raise UsageError(f"{error} ({given.origin})", hint="--memory 1GiB") from None
        if memory < _LEAST_MEMORY:
            raise UsageError(
                f"memory of {given.value} ({given.origin}) is less than an inventory needs",
                hint=f"at least --memory {_LEAST_MEMORY >> 20}MiB",
            )
        return Setting(memory, given.origin)

    def threads(self) -> Setting[int | None]:
        """Threads that judge an inventory; None is one per core. Raises UsageError for what is no such number."""
        given = self._own("threads")
        if given is None:
            return Setting(None, "default")
        if not re.fullmatch(r"[0-9]{1,4}", given.value) or not 1 <= int(given.value) <= _MOST_THREADS:
            raise UsageError(
                f"threads {given.value!r} ({given.origin}) is not a number from 1 to {_MOST_THREADS}",
                hint="--threads 4",
            )
        return Setting(int(given.value), given.origin)

    def tmp(self) -> Setting[Path | None]:
        """Folder to which an inventory spills; None is the system's. Raises UsageError for one that does not take files."""
        given = self._own("tmp")
        if given is None:
            return Setting(None, "default")
        folder = Path(given.value).expanduser()
        if not folder.is_dir():
            raise UsageError(
                f"{given.value} ({given.origin}) is not a folder", hint=f"mkdir -p {given.value}"
            )
        if not os.access(folder, os.W_OK | os.X_OK):
            raise UsageError(
                f"{given.value} ({given.origin}) takes no files from you",
                hint="name another folder with --tmp",
            )
        return Setting(folder, given.origin)

    def resources(self) -> Resources:
        """The three above, as an inventory takes them. Raises UsageError."""
        from xcomctl.inventory.workspace import Resources

        return Resources(memory=self.memory().value, threads=self.threads().value, tmp=self.tmp().value)

    def log_format(self) -> Setting[str]:
        """How stderr is spoken to: `text` or `json`. Raises UsageError for anything else."""
        given = self._own("log_format") or Setting("text", "default")
        if given.value not in ("text", "json"):
            raise UsageError(
                f"log format {given.value!r} ({given.origin}) is none of text, json", hint="--log-format json"
            )
        return given

    def says(self, name: str) -> bool:
        """Whether the command line or a variable says something of this setting, right or wrong."""
        return getattr(self._flags, name) is not None or bool(self.environ.get(f"XCOMCTL_{name.upper()}"))

    def profile(self) -> Setting[str | None]:
        """Name of the profile in use. Raises UsageError if the configuration file has none of that name."""
        setting: Setting[str]
        if self._flags.profile is not None:
            setting = Setting(self._flags.profile, "--profile")
        elif name := self.environ.get("XCOMCTL_PROFILE"):
            setting = Setting(name, "XCOMCTL_PROFILE")
        else:
            return Setting(None, "default")
        file = self.file
        if file is None:
            raise UsageError(
                f"profile {setting.value!r} ({setting.origin}) needs a configuration file, and there is none",
                hint=f"--config FILE, or write [profile.{setting.value}] into ./xcomctl.toml",
            )
        if setting.value not in file.profiles:
            known = ", ".join(sorted(file.profiles)) or "none"
            raise UsageError(
                f"profile {setting.value!r} ({setting.origin}) is not in {file.path}",
                hint=f"profiles there: {known}",
            )
        return setting

    def dialect_rules(self) -> tuple[DialectRule, ...]:
        """Dialects that the configuration file describes, in its order."""
        return self.file.dialects if self.file is not None else ()

    def actor(self) -> str:
        """Who runs this, for the record: `user@host`."""
        import getpass
        import socket

        try:
            user = getpass.getuser()
        except (KeyError, OSError):
            # A container may run as a number that has no name.
            user = str(os.getuid())
        return f"{user}@{socket.gethostname()}"

    def cache_folder(self) -> Path:
        """Where the user keeps what can be had again. It need not exist."""
        import platformdirs

        return platformdirs.user_cache_path("xcomctl", appauthor=False)

    @cached_property
    def file(self) -> ConfigFile | None:
        """The configuration file, read and checked; None where there is none. Raises UsageError."""
        if self._flags.config is not None:
            return read_config_file(self._flags.config)
        if named := self.environ.get("XCOMCTL_CONFIG"):
            return read_config_file(Path(named))
        return next((read_config_file(path) for path in (_HERE, _users_file()) if path.is_file()), None)

    @cached_property
    def _file_is_found(self) -> bool:
        """Whether a file was found in the current folder, named by nobody, and not the user's own as well."""
        if self._flags.config is not None or self.environ.get("XCOMCTL_CONFIG") or not _HERE.is_file():
            return False
        return not (_users_file().is_file() and _HERE.samefile(_users_file()))

    def _own(self, name: str) -> Setting[str] | None:
        """A text from everything but Airflow and the default."""
        option = "--" + name.replace("_", "-")
        flag = getattr(self._flags, name)
        if flag is not None:
            if not flag:
                raise UsageError(f"{option} is empty", hint=f"give it a value, or leave {option} out")
            return Setting(flag, option)
        variable = f"XCOMCTL_{name.upper()}"
        if value := self.environ.get(variable):
            return Setting(value, variable)
        for section, origin in self._sections():
            value = getattr(section, name)
            if value is not None and value != "":
                return Setting(str(value), origin, self._file_is_found)
        return None

    def _of_store(self, name: str) -> Setting[str | None]:
        own = self._own(name)
        # How the backend reaches its store says nothing of a store that was named otherwise.
        if own is None and self._own_stores() is None:
            airflow = self.airflow.get("xcomctl_backend", name)
            if airflow is not None:
                return Setting(airflow.value, airflow.origin)
        return own or Setting(None, "default")

    def _sections(self) -> Iterator[tuple[Section, str]]:
        """Parts of the configuration file that apply, each with its origin, the strongest first."""
        profile = self.profile().value
        if self.file is not None:
            if profile is not None:
                yield self.file.profiles[profile], f"profile {profile} in {self.file.path}"
            yield self.file.top, str(self.file.path)

    @cached_property
    def _airflow_database(self) -> AirflowValue | None:
        found = self.airflow.get("database", "sql_alchemy_conn", deprecated=("core",))
        return found or self.airflow.default_database()

    def _own_stores(self) -> Setting[tuple[str, ...]] | None:
        """The roots from everything but Airflow."""
        if self._flags.stores:
            return Setting(self._flags.stores, "--store")
        if named := self.environ.get("XCOMCTL_STORE"):
            return Setting(tuple(re.split(r"[,\s]+", named.strip(", \t\n"))), "XCOMCTL_STORE")
        for section, origin in self._sections():
            if section.stores:
                return Setting(section.stores, origin)
        return None

    def _named_stores(self) -> Setting[tuple[str, ...]]:
        own = self._own_stores()
        if own is not None:
            return own
        found = [self.airflow.get(*place) for place in _AIRFLOW_STORES]
        # Airflow may keep XComs elsewhere too (file://, gs://): that is no mistake, and not ours.
        ours = [setting for setting in found if setting is not None and _S3.match(setting.value)]
        origin = " and ".join(setting.origin for setting in ours) or "default"
        return Setting(tuple(setting.value for setting in ours), origin)


def _users_file() -> Path:
    import platformdirs

    return platformdirs.user_config_path("xcomctl", appauthor=False) / _HERE.name


_S3 = re.compile(r"s3[an]?://", re.IGNORECASE)

_AIRFLOW_STORES = (("xcomctl_backend", "path"), ("common.io", "xcom_objectstorage_path"))
"""Section and option under which the backends that we know keep their root."""


def _roots(named: tuple[str, ...], origin: str) -> tuple[Root, ...]:
    roots: list[Root] = []
    for uri in named:
        try:
            root = Root.parse(uri)
        except UsageError as error:
            raise UsageError(f"{error} ({origin})", hint=error.hint) from None
        if root not in roots:
            roots.append(root)
    return tuple(roots)


def _no_database(cause: str) -> UsageError:
    return UsageError(cause, hint=_HINT_DATABASE)
