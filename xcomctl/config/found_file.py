"""A configuration file in the current folder that nobody named: whoever made the folder may have put it there.

It may say where data is, as it always could. It may not say where passwords go that are not its own: those of the
environment, of the user's files and of AWS. As git does with folders of others, the user is asked to name it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from xcomctl.errors import UsageError

if TYPE_CHECKING:
    from xcomctl.config.settings import Configuration

_REDIRECTS = ("hostaddr", "service", "passfile")
"""Parameters of libpq by which a password is looked up for one server and sent to another, or taken from other files."""

_MYSQL_FILES = ("read_default_file", "read_default_group")

_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")


def require_own_password(configuration: Configuration) -> None:
    """Raise UsageError where such a file names a database that would get a password from elsewhere."""
    database, environ = configuration.database(), configuration.environ
    if not database.is_found:
        return
    from xcomctl.airflow.url import parse_url

    address = parse_url(database.value)
    query = address.url.query
    borrows = address.engine == "mysql" and any(name in query for name in _MYSQL_FILES)
    if address.engine == "postgresql" and not (address.url.password or query.get("password")):
        # What is for PGHOST goes there, as long as nothing is said of the way.
        theirs = bool(query) or not address.url.host or address.url.host != environ.get("PGHOST")
        borrows = any(name in query for name in _REDIRECTS) or bool(
            environ.get("PGSERVICE") or (environ.get("PGPASSWORD") and theirs)
        )
    if borrows:
        named = f"the database {address.label}, to which a password that is not in the file would go"
        raise _unnamed(database.origin, named)


def require_known_endpoint(configuration: Configuration) -> None:
    """Raise UsageError where such a file names the endpoint of the store, and neither AWS's settings nor Airflow's do."""
    endpoint = configuration.endpoint_url()
    if not endpoint.is_found or endpoint.value is None:
        return
    airflow = configuration.airflow.get("xcomctl_backend", "endpoint_url")
    known = {configuration.environ.get(name) for name in _ENDPOINTS} | {airflow.value if airflow else None}
    if endpoint.value.rstrip("/") not in {one.rstrip("/") for one in known if one}:
        raise _unnamed(endpoint.origin, "an endpoint of the store, to which your AWS credentials would go")


def _unnamed(origin: str, what: str) -> UsageError:
    return UsageError(
        f"{origin}, which lies in the current folder, names {what}",
        hint="--config xcomctl.toml, if the file is yours",
    )
