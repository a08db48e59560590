"""Builds the distributions as a release would, and finds interpreters to install them into."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email import message_from_bytes
from email.message import Message
from pathlib import Path, PurePosixPath

REPOSITORY = Path(__file__).parents[2]
_MARKERS = ("__pycache__", ".pyc")


@dataclass(frozen=True)
class Distribution:
    """One project of this repository: where its `pyproject.toml` is, and the package that it ships."""

    name: str
    project: Path
    package: Path

    def package_files(self) -> set[str]:
        """What the wheel must hold of the package, by path from the wheel's top."""
        found = (path for path in self.package.rglob("*") if path.is_file())
        inside = (path.relative_to(self.package.parent).as_posix() for path in found)
        return {path for path in inside if not any(marker in path for marker in _MARKERS)}


TOOL = Distribution("xcomctl", REPOSITORY, REPOSITORY / "xcomctl")
BACKEND = Distribution(
    "xcomctl-backend", REPOSITORY / "backend", REPOSITORY / "backend" / "src" / "xcomctl_backend"
)


@dataclass(frozen=True)
class Built:
    """A wheel and the source distribution, as files."""

    wheel: Path
    sdist: Path

    def wheel_files(self) -> dict[str, bytes]:
        """Path -> content of everything in the wheel."""
        with zipfile.ZipFile(self.wheel) as archive:
            return {name: archive.read(name) for name in archive.namelist()}

    def metadata(self) -> Message:
        """The wheel's METADATA."""
        [content] = [
            content
            for path, content in self.wheel_files().items()
            if PurePosixPath(path).match("*.dist-info/METADATA")
        ]
        return message_from_bytes(content)


def build(project: Path, target: Path) -> Built:
    """Build both distributions of a project into `target`, with the build backend that is installed here."""
    target.mkdir(parents=True)
    command = [sys.executable, "-m", "hatchling", "build", "--directory", str(target)]
    # The project may be a copy, which is not to be measured.
    run(command, cwd=project, env=_bare_environment())
    [wheel], [sdist] = target.glob("*.whl"), target.glob("*.tar.gz")
    return Built(wheel, sdist)


def unpack_sdist(sdist: Path, target: Path) -> Path:
    """Unpack a source distribution below `target`; its top folder."""
    with tarfile.open(sdist) as archive:
        archive.extractall(target)  # noqa: S202 - built by ourselves a moment ago
    return target / sdist.name.removesuffix(".tar.gz")


def run(command: list[str], *, cwd: Path, env: Mapping[str, str] | None = None) -> str:
    """Run a command to its end; its stdout. Fails the test, with all that it wrote, if the command fails."""
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@dataclass(frozen=True)
class Environment:
    """A virtual environment with nothing of this repository on its path but what was installed into it."""

    folder: Path

    @classmethod
    def create(cls, interpreter: Path, folder: Path) -> Environment:
        """A new, empty one."""
        run([str(interpreter), "-m", "venv", str(folder)], cwd=folder.parent, env=_bare_environment())
        return cls(folder)

    def install(self, *requirements: str) -> None:
        """Install as a user does."""
        self.python("-m", "pip", "install", "--quiet", "--disable-pip-version-check", *requirements)
        self.python("-m", "pip", "check")

    def python(self, *arguments: str) -> str:
        """Run its Python, far from the repository; stdout."""
        return self.run("python", *arguments)

    def run(self, program: str, *arguments: str) -> str:
        """Run one of its programs, far from the repository; stdout."""
        command = [str(self.folder / "bin" / program), *arguments]
        return run(command, cwd=self.folder, env=_bare_environment())


def _bare_environment() -> dict[str, str]:
    ours = ("PYTHON", "COVERAGE", "XCOMCTL_", "AIRFLOW", "VIRTUAL_ENV")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}


def find_python(version: str) -> Path | None:
    """The command of a CPython of that `major.minor` version: this one, one on PATH, or one that pyenv installed."""
    return next((found for found in _candidates(version) if _version_of(found) == version), None)


def _candidates(version: str) -> Iterator[Path]:
    yield Path(sys.executable)
    on_path = shutil.which(f"python{version}")
    if on_path is not None:
        yield Path(on_path)
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    yield from sorted(pyenv.glob(f"versions/{version}.*/bin/python"))


def _version_of(interpreter: Path) -> str | None:
    program = "import sys; print('%d.%d' % sys.version_info[:2])"
    done = subprocess.run([str(interpreter), "-c", program], capture_output=True, text=True, check=False)
    # pyenv's commands on PATH exist for versions, too, that are not switched on.
    return done.stdout.strip() if done.returncode == 0 else None
