"""The configuration file: what may be in it, and the exact message for what may not."""

from __future__ import annotations

from pathlib import Path

import pytest

from xcomctl.config.file import Section, read_config_file
from xcomctl.errors import UsageError


def written(folder: Path, text: str) -> Path:
    """A configuration file with that text."""
    path = folder / "xcomctl.toml"
    path.write_text(text)
    return path


def test_settings_profiles_and_dialects_are_read(tmp_path: Path) -> None:
    """All parts of a file at once."""
    file = read_config_file(
        written(
            tmp_path,
            """
            db = "sqlite:////a.db"
            stores = ["s3://a"]
            [profile.prod]
            region = "eu-central-1"
            [[dialect]]
            name = "team-etl"
            reference = 'etl://(?P<key>.+)'
            bucket = "team"
            """,
        )
    )
    assert file.top == Section(db="sqlite:////a.db", stores=("s3://a",))
    assert dict(file.profiles) == {"prod": Section(region="eu-central-1")}
    assert [(rule.name, rule.bucket, rule.key) for rule in file.dialects] == [("team-etl", "team", None)]


@pytest.mark.parametrize(
    ("text", "cause", "hint"),
    [
        ("databse = 'x'", "unknown key databse", "keys here: db, db_schema"),
        ("store = ['s3://a']", "unknown key store", "did you mean stores?"),
        ("profiles = 3", "unknown key profiles", "did you mean profile?"),
        ("stores = 's3://a'", "stores: expected array, got str", "write"),
        ("stores = ['s3://a', 3]", "stores[1]: expected str, got int", "write"),
        ("db = 3", "db: expected str | null, got int", "write"),
        ("[profile.prod]\nregio = 'x'", "unknown key profile.prod.regio", "did you mean region?"),
        ("[profile.prod]\nregion = 1", "profile.prod.region: expected str | null, got int", "write"),
        ("profile = 'prod'", "profile is not a table of profiles", "write [profile.NAME]"),
        ("[profile]\nprod = 'x'", "profile is not a table of profiles", "write [profile.NAME]"),
        ("[dialect]\nname = 'x'", "dialect is not a list of tables", "write [[dialect]]"),
        ("[[dialect]]\nname = 'x'\nkeys = 'y'", "unknown key dialect[0].keys", "did you mean key?"),
        ("[[dialect]]\nkey = 'y'", "dialect[0]: object missing required field name", "write"),
        ("\ndb = \n", ":2: this is not TOML: invalid value", "write lines such as db ="),
    ],
)
def test_a_mistake_is_told_with_file_and_key(tmp_path: Path, text: str, cause: str, hint: str) -> None:
    """One line that says where, and what would be right."""
    path = written(tmp_path, text)
    with pytest.raises(UsageError) as caught:
        read_config_file(path)
    assert str(caught.value).startswith(str(path))
    assert cause in str(caught.value)
    assert (caught.value.hint or "").startswith(hint)


def test_a_file_that_is_not_there_is_a_usage_error(tmp_path: Path) -> None:
    """A file that was named must exist."""
    with pytest.raises(UsageError, match="cannot be read: No such file or directory"):
        read_config_file(tmp_path / "none.toml")


def test_a_file_that_is_not_utf_8_is_a_usage_error(tmp_path: Path) -> None:
    """TOML is UTF-8."""
    path = tmp_path / "xcomctl.toml"
    path.write_bytes(b'db = "\xff"')
    with pytest.raises(UsageError, match="is not TOML"):
        read_config_file(path)
