"""Builds the documentation site from the pages of the repository: `python -m tests.docs.site FOLDER`.

The pages link to each other as files do, so that they can be read in the repository. The site is made from a copy of
them, in which the README is the front page.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
_LINKED = (
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "docs",
    "examples",
    "backend/README.md",
)
_FRONT = re.compile(r"\]\(((?:\.\./)*)README\.md")


def build(site: Path) -> None:
    """Write the site into a folder, which is made. Raises CalledProcessError where a link of a page leads nowhere."""
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        for linked in _LINKED:
            _copy(REPOSITORY / linked, work / "pages" / linked)
        (work / "pages" / "README.md").rename(work / "pages" / "index.md")
        for page in (work / "pages").rglob("*.md"):
            text = page.read_text(encoding="utf-8")
            page.write_text(_FRONT.sub(r"](\1index.md", text), encoding="utf-8")
        settings = (REPOSITORY / "docs" / "site.toml").read_text(encoding="utf-8")
        (work / "zensical.toml").write_text(settings, encoding="utf-8")
        subprocess.run(
            [sys.executable, "-m", "zensical", "build", "--clean", "--strict"],
            cwd=work,
            check=True,
            capture_output=True,
            text=True,
        )
        shutil.copytree(work / "site", site, dirs_exist_ok=True)


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy(source, target)


if __name__ == "__main__":
    try:
        build(Path(sys.argv[1]))
    except subprocess.CalledProcessError as error:
        sys.exit(f"{error.stdout}{error.stderr}")
