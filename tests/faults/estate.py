"""An estate: everything that must live while somebody plants files for the tool to find, and what may go."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator
from uuid import uuid4

from tests.faults.scene import OLD, Scene
from tests.services.deployment import NO_WAIT
from xcomctl.models import RESERVED_FOLDER

Place = tuple[str, str]
"""Bucket and key."""


class Estate:
    """A scene after its first collection, with all that an attacker might want to see deleted, moved or read.

    A plain collection takes `orphan`, and `expired` with its row; all else must be there afterwards, bit for bit.
    """

    def __init__(self, scene: Scene) -> None:
        here = scene.here
        self.scene = scene
        self.live = [scene.push(run=run) for run in ("a", "b", "c")]
        scene.upload(run="before")
        first = scene.gc()
        assert first.code == 0, first.stderr
        self.orphan = scene.upload()
        self.expired = scene.expired()
        self.other_bucket = f"{here.bucket}-other"
        here.client.create_bucket(Bucket=self.other_bucket)
        self.elsewhere = {
            "foreign": (here.bucket, f"{here.prefix}/README.txt"),
            "outside": (here.bucket, "finance/payroll.csv"),
            "sibling": (here.bucket, f"{here.prefix}-prod/etl/r1/load/{uuid4()}"),
            "another bucket": (self.other_bucket, f"{here.prefix}/etl/r1/load/{uuid4()}"),
            "record": (here.bucket, f"{here.prefix}/{RESERVED_FOLDER}owner.json"),
            "dots": (here.bucket, f"{here.prefix}/../etl/r1/load/{uuid4()}"),
        }
        """Objects that are nobody's to touch, by what they are."""
        for name, (bucket, key) in self.elsewhere.items():
            # SeaweedFS refuses segments of dots.
            if name not in ("record", "dots"):
                here.client.put_object(Bucket=bucket, Key=key, Body=name.encode())
        self._digests = self._read()
        self._rows = here.refs()

    @property
    def root(self) -> Place:
        """Bucket and prefix of the root."""
        return self.scene.here.bucket, f"{self.scene.here.prefix}/"

    def check(self) -> None:
        """Fail the test if anything but `orphan` and `expired` is gone or has other bytes, or anything came.

        Below the tool's own folder records may come.
        """
        self.check_objects(may_go={(self.root[0], self.orphan), (self.root[0], self.expired)})
        gone = self._rows - self.scene.here.refs()
        assert {ref.split("/")[1] for ref in gone} <= {"old"}
        self.scene.oracle.check()

    def check_objects(self, may_go: Collection[Place] = ()) -> None:
        """The same for objects alone, where a test took the rows away itself."""
        now = self._read()
        # Of the tool's own records only the owner marker is written again.
        again = self.elsewhere["record"]
        lost = {place for place, digest in self._digests.items() if now.get(place) != digest} - {
            again,
            *may_go,
        }
        new = {place for place in now.keys() - self._digests.keys() if not self._is_own(place)}
        assert (lost, new, again in now) == (set(), set(), True)

    def is_untouched(self) -> bool:
        """Whether nothing at all was deleted or written but below the tool's own folder."""

        def others(found: dict[Place, str]) -> dict[Place, str]:
            return {place: digest for place, digest in found.items() if not self._is_own(place)}

        return others(self._read()) == others(self._digests) and self.scene.here.refs() == self._rows

    def plant(self, name: str, body: bytes) -> None:
        """Put a file of that name below the tool's own folder, as whoever can write below the root can."""
        bucket, prefix = self.root
        self.scene.here.client.put_object(Bucket=bucket, Key=f"{prefix}{RESERVED_FOLDER}{name}", Body=body)

    def found(self, name: str) -> bytes:
        """What lies there."""
        bucket, prefix = self.root
        body: bytes = self.scene.here.client.get_object(
            Bucket=bucket, Key=f"{prefix}{RESERVED_FOLDER}{name}"
        )["Body"].read()
        return body

    def plan(self, path: str) -> None:
        """Save the plan of a plain collection."""
        done = self.scene.run("plan", *NO_WAIT, *OLD, "--out", path)
        assert done.code == 0, done.stderr

    def _is_own(self, place: Place) -> bool:
        return place[0] == self.root[0] and place[1].startswith(f"{self.root[1]}{RESERVED_FOLDER}")

    def _read(self) -> dict[Place, str]:
        return dict(self._all())

    def _all(self) -> Iterator[tuple[Place, str]]:
        client = self.scene.here.client
        for bucket in (self.scene.here.bucket, self.other_bucket):
            for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket):
                for item in page.get("Contents", []):
                    body = client.get_object(Bucket=bucket, Key=item["Key"])["Body"].read()
                    yield (bucket, item["Key"]), hashlib.sha256(body).hexdigest()
