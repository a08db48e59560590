"""The XCom backends in use, as the newest rows show them, and whether the roots are where these write."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterator

from xcomctl.dialects import common_io, own
from xcomctl.doctor.context import CheckContext
from xcomctl.doctor.interface import CheckResult
from xcomctl.s3.interface import StoreErrorInfo
from xcomctl.units import quantity

_DIALECTS = {
    "XComObjectStorageBackend": (common_io.NAME, common_io.ATTEMPT),
    "S3XComBackend": (own.NAME,),
}
"""What the backends that we know write, by the name of their class."""

_OURS = ("xcomctl_backend.", "airflow.providers.common.io.")


def backend(context: CheckContext) -> Iterator[CheckResult]:
    """Which backends wrote the newest rows, and whether that is what Airflow's settings say."""
    sample = context.sample
    of = f"the newest {quantity(sample.rows, 'row')}"
    facts = {
        "rows": sample.rows,
        "references": sample.references,
        "dialects": dict(sample.dialects.most_common()),
        "unknown": len(sample.unknown),
        "elsewhere": dict(sample.elsewhere),
        "airflow_setting": context.setup.airflow_backend,
    }
    if sample.rows == 0:
        yield CheckResult("backend.references", "ok", "there is no XCom yet", facts=facts)
        return
    told = _shares(sample.dialects, sample.references + len(sample.unknown) + sample.elsewhere.total())
    seen = f"of {of}, {sample.references:,} hold a reference" + (f": {told}" if told else "")
    if sample.unknown:
        yield CheckResult(
            "backend.references",
            "warn",
            f"{seen}; {_number_like(len(sample.unknown))} of a backend that is not known",
            f"look at one, xcomctl show {shlex.quote(sample.unknown[0])}, and describe it in a [[dialect]] of xcomctl.toml",
            facts=facts,
        )
    elif sample.elsewhere:
        schemes = ", ".join(f"{scheme}://" for scheme in sample.elsewhere)
        yield CheckResult(
            "backend.references",
            "warn",
            f"{seen}; {quantity(sample.elsewhere.total(), 'object')} at {schemes}, of which xcomctl sees the rows alone",
            facts=facts,
        )
    else:
        yield CheckResult("backend.references", "ok", seen, facts=facts)
    yield from _compared(context)


def _number_like(number: int) -> str:
    return "1 looks like a reference" if number == 1 else f"{number:,} look like references"


def _shares(dialects: Counter[str], whole: int) -> str:
    """`97% common-io, 2% xcom-s3`."""
    return ", ".join(
        f"{max(1, round(100 * number / whole))}% {dialect}" for dialect, number in dialects.most_common(4)
    )


def _compared(context: CheckContext) -> Iterator[CheckResult]:
    setting, sample = context.setup.airflow_backend, context.sample
    if setting is None:
        yield CheckResult(
            "backend.setting",
            "skipped",
            "Airflow's settings are not seen from here, or name no backend",
        )
        return
    if setting.endswith(".BaseXCom") and sample.references:
        why = (
            "Airflow's settings, as they are seen from here, name its own backend, which writes no references"
        )
        yield CheckResult("backend.setting", "ok", why)
        return
    expected = _DIALECTS.get(setting.rpartition(".")[2]) if setting.startswith(_OURS) else None
    if expected is None:
        yield CheckResult("backend.setting", "ok", f"Airflow's own settings name {setting}")
        return
    if sample.references and not any(sample.dialects[name] for name in expected):
        yield CheckResult(
            "backend.setting",
            "warn",
            f"Airflow's settings name {setting}, which wrote none of the newest references: is this its database?",
            "xcomctl config show says where each setting comes from",
        )
        return
    yield CheckResult("backend.setting", "ok", f"the references are those of {setting}, as Airflow is set up")


def roots(context: CheckContext) -> Iterator[CheckResult]:
    """Whether roots are given, and the newest references lie below them."""
    sample = context.sample
    shown = [root.uri for root in sample.shown_roots()]
    options = " ".join(f"--store {shlex.quote(uri)}" for uri in shown[:5])
    if not context.setup.roots:
        if not sample.references:
            yield CheckResult(
                "roots.given", "ok", "no store is given, and the newest rows reference no object"
            )
            return
        counts = ", ".join(f"{number:,} below {uri}" for uri, number in sample.roots.most_common(5) if uri)
        nameless = sample.roots[""]
        more = f"{nameless:,} that name no bucket" if nameless else ""
        yield CheckResult(
            "roots.given",
            "warn",
            f"no store is given; the newest references are {' and '.join(filter(None, (counts, more)))}",
            f"add {options}, or begin with xcomctl doctor --suggest-config xcomctl.toml"
            if options
            else "add --store s3://BUCKET",
            facts={"proposed": shown},
        )
        return
    given = ", ".join(root.uri for root in context.setup.roots)
    if not sample.unreached:
        yield CheckResult(
            "roots.given", "ok", f"all newest references lie below {given}" if sample.references else given
        )
        return
    missed = [uri for uri, _ in sample.unreached.most_common() if uri]
    number = sample.unreached.total()
    all_of_them = "all" if number >= sample.references else f"{number:,}"
    where = f": {', '.join(missed[:5])}" if missed else ""
    yield CheckResult(
        "roots.given",
        "fail" if number >= sample.references else "warn",
        f"{all_of_them} of the newest references lie outside of {given}{where}",
        "add " + " ".join(f"--store {shlex.quote(uri)}" for uri in missed[:5])
        if missed
        else "check --store: these references name no bucket of their own",
        facts={"unreached": dict(sample.unreached)},
    )


def payloads(context: CheckContext) -> Iterator[CheckResult]:
    """Whether the objects of the newest references are there: asked for one by one, not listed."""
    name = "backend.objects"
    reached = [
        pair for pair in context.sample.addresses if any(root.contains(pair[1]) for root in context.reached)
    ]
    if not reached:
        yield CheckResult(name, "skipped", "no reference of the newest rows lies below a store that answers")
        return
    answers = context.store.stat_many([address for _, address in reached])
    denied = [answer for answer in answers if isinstance(answer, StoreErrorInfo)]
    missing = [ref for (ref, _), answer in zip(reached, answers, strict=True) if answer is None]
    facts = {"asked": len(reached), "missing": len(missing), "unreachable": len(denied)}
    of = f"of {quantity(len(reached), 'object')} that the newest rows reference"
    if denied:
        yield CheckResult(
            name,
            "fail",
            f"{of}, {len(denied):,} cannot be asked for: {denied[0].cause}",
            denied[0].hint,
            facts=facts,
        )
    elif missing:
        yield CheckResult(
            name,
            "fail" if len(missing) == len(reached) else "warn",
            f"{of}, {len(missing):,} are gone" if len(missing) > 1 else f"{of}, 1 is gone",
            f"xcomctl explain {shlex.quote(missing[0])}; xcomctl fsck finds all of them",
            facts=facts,
        )
    else:
        all_of_them = f"all {quantity(len(reached), 'object')}" if len(reached) > 1 else "the object"
        yield CheckResult(name, "ok", f"{all_of_them} that the newest rows reference are there", facts=facts)
