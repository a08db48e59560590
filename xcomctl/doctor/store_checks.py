"""The object store: does each root answer, what may we do there, and what does its bucket do by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from xcomctl.doctor.context import CheckContext
from xcomctl.doctor.interface import CheckResult, Status
from xcomctl.errors import RefusedError, StoreError, UsageError
from xcomctl.models import Root
from xcomctl.s3.interface import StoreErrorInfo, StoreRight
from xcomctl.units import CLOCKS_MAY_DIFFER, format_duration

_READING = ("s3:ListBucket", "s3:GetObject")

_IAM_HINT = "xcomctl doctor --iam gc prints a policy that is enough on AWS"


def each_root(
    name: str, look: Callable[[CheckContext, Root], Iterator[CheckResult]]
) -> Callable[[CheckContext], Iterator[CheckResult]]:
    """A check of every root that answers: an error at one is told, and the others are looked at all the same."""

    def run(context: CheckContext) -> Iterator[CheckResult]:
        for root in context.reached:
            try:
                yield from look(context, root)
            except (StoreError, RefusedError) as error:
                yield CheckResult(name, "fail", str(error), error.hint, subject=root.uri)

    return run


def reachable(context: CheckContext) -> Iterator[CheckResult]:
    """Whether the bucket of each root answers."""
    name = "store.reachable"
    if not context.roots:
        yield CheckResult(name, "skipped", "no store is given, and no reference shows one")
        return
    proposed = "" if context.setup.roots else ", which is not given but shown by references"
    for root in context.roots:
        try:
            context.store.now(root.bucket)
        except (StoreError, UsageError) as error:
            yield CheckResult(name, "fail", str(error), error.hint, subject=root.uri)
            continue
        context.reached.append(root)
        yield CheckResult(name, "ok", f"the bucket of {root.uri} answers{proposed}", subject=root.uri)


def rights(context: CheckContext, root: Root) -> Iterator[CheckResult]:
    """Whether objects may be listed, read, written and deleted, told without a trace."""
    found = context.store.rights(root)
    facts: dict[str, str] = {right.name: right.granted for right in found}
    refused = [right for right in found if right.granted == "no"]
    reading = [right for right in refused if right.name in _READING]
    if reading:
        yield _denied("fail", root, reading[0].cause or "", reading[0].hint, facts)
        return
    if refused:
        names = " and ".join(right.name for right in refused)
        why = f"objects can be read; gc, rm, undo, restore and trash cannot work: no {names}"
        yield _denied("warn", root, why, _IAM_HINT, facts)
        return
    granted = ", ".join(right.name for right in found if right.granted == "yes")
    open_ = "".join(_untold(right) for right in found if right.granted == "unknown")
    yield CheckResult(
        "store.rights", "ok", f"granted: {granted or 'none for sure'}{open_}", subject=root.uri, facts=facts
    )


def _denied(status: Status, root: Root, why: str, hint: str | None, facts: dict[str, str]) -> CheckResult:
    return CheckResult("store.rights", status, why, hint, subject=root.uri, facts=facts)


def _untold(right: StoreRight) -> str:
    return f"; {right.name} cannot be told: {right.cause}"


def clock(context: CheckContext) -> Iterator[CheckResult]:
    """Whether store, database and this machine agree about the time."""
    name = "store.clock"
    for bucket in context.buckets():
        here = context.clock()
        store_at = context.store.now(bucket)
        facts: dict[str, int] = {"to_this_machine_seconds": int((store_at - here).total_seconds())}
        if context.reads_database:
            skew = context.source.condition().clock_at - store_at
            facts["to_database_seconds"] = int(skew.total_seconds())
            if abs(skew) > CLOCKS_MAY_DIFFER:
                yield CheckResult(
                    name,
                    "fail",
                    f"the clocks of database and store differ by {format_duration(abs(skew))}: gc refuses",
                    "set the clock of the one that is wrong (timedatectl set-ntp true)",
                    subject=f"s3://{bucket}",
                    facts=facts,
                )
                continue
        apart = abs(store_at - here)
        if apart > CLOCKS_MAY_DIFFER:
            yield CheckResult(
                name,
                "warn",
                f"the clock of this machine is {format_duration(apart)} off that of the store, which may refuse requests",
                "set it: timedatectl set-ntp true",
                subject=f"s3://{bucket}",
                facts=facts,
            )
            continue
        yield CheckResult(name, "ok", "the clocks agree", subject=f"s3://{bucket}", facts=facts)


def settings(context: CheckContext) -> Iterator[CheckResult]:
    """What each bucket keeps of deleted objects, and how it encrypts."""
    for bucket in context.buckets():
        try:
            found = context.settings(bucket)
        except StoreError as error:
            yield CheckResult("store.versions", "fail", str(error), error.hint, subject=f"s3://{bucket}")
            continue
        yield from _versions(bucket, found.versioning, found.object_lock, found.mfa_delete)
        yield _encryption(bucket, found.encryption)


def _versions(
    bucket: str, versioning: str | StoreErrorInfo, locked: bool | StoreErrorInfo, mfa_delete: bool
) -> Iterator[CheckResult]:
    name, subject = "store.versions", f"s3://{bucket}"
    if isinstance(versioning, StoreErrorInfo):
        yield CheckResult(name, "warn", versioning.cause, versioning.hint, subject=subject)
        return
    facts = {
        "versioning": versioning,
        "object_lock": None if isinstance(locked, StoreErrorInfo) else locked,
        "mfa_delete": mfa_delete,
    }
    if mfa_delete:
        why = "versions go only with a second factor (MFA delete): xcomctl cannot purge its trash"
        hint = "empty it by hand, or collect with --no-trash"
        yield CheckResult(name, "warn", why, hint, subject=subject, facts=facts)
    elif locked is True:
        why = "objects may be locked (Object Lock): what is locked cannot be purged before its time"
        yield CheckResult(name, "warn", why, subject=subject, facts=facts)
    elif versioning == "suspended":
        why = "versioning is suspended: older versions stay, and what is written now keeps none"
        hint = f"aws s3api put-bucket-versioning --bucket {bucket} --versioning-configuration Status=Enabled"
        yield CheckResult(name, "warn", why, hint, subject=subject, facts=facts)
    else:
        why = (
            "the bucket keeps versions: what gc collects is hidden by a marker, and comes back by removing it"
            if versioning == "enabled"
            else "the bucket keeps no versions: what gc collects is copied to its trash first"
        )
        yield CheckResult(name, "ok", why, subject=subject, facts=facts)


def _encryption(bucket: str, encryption: str | StoreErrorInfo | None) -> CheckResult:
    name, subject = "store.encryption", f"s3://{bucket}"
    if isinstance(encryption, StoreErrorInfo):
        return CheckResult(name, "skipped", encryption.cause, encryption.hint, subject=subject)
    facts = {"encryption": encryption}
    if encryption is None:
        return CheckResult(
            name, "ok", "the bucket names no encryption of its own", subject=subject, facts=facts
        )
    needs = ": gc needs kms:Decrypt and kms:GenerateDataKey on its key" if "kms" in encryption else ""
    return CheckResult(
        name, "ok", f"objects are encrypted by {encryption}{needs}", subject=subject, facts=facts
    )
