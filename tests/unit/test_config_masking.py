"""Secrets in URLs are masked, whatever the URL looks like."""

from __future__ import annotations

import pytest

from xcomctl.config.masking import mask_url


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://u:hush@h:5432/a", "postgresql://u:***@h:5432/a"),
        (
            "postgresql+psycopg2://u:hu%40sh@h/a?sslmode=require",
            "postgresql+psycopg2://u:***@h/a?sslmode=require",
        ),
        ("postgresql://u@h/a?password=hush&x=1", "postgresql://u@h/a?password=***&x=1"),
        ("postgresql://u:hush@h/a?sslpassword=hush", "postgresql://u:***@h/a?sslpassword=***"),
        ("postgresql:///a?user=u&host=/run", "postgresql:///a?user=u&host=/run"),
        ("postgresql://u:hush@h/a?application_name=a@b", "postgresql://u:***@h/a?application_name=a@b"),
        ("postgresql://u:hu@sh@h/a", "postgresql://u:***@h/a"),
        ("postgresql://u:hu/sh@h/a", "postgresql://u:***@h/a"),
        ("postgresql://u:hu?sh@h/a", "postgresql://u:***@h/a"),
        ("postgresql://u:hu#sh@h/a", "postgresql://u:***@h/a"),
        ("postgresql://:hush@h/a", "postgresql://:***@h/a"),
        ("sqlite:////data/airflow.db", "sqlite:////data/airflow.db"),
        ("https://key:hush@s3.example:9000", "https://key:***@s3.example:9000"),
        ("http://localhost:8333", "http://localhost:8333"),
    ],
)
def test_a_password_never_shows(url: str, expected: str) -> None:
    """Passwords with unquoted special characters are masked too, at the price of more than they."""
    assert mask_url(url) == expected
