"""What can go wrong with a request to an S3 store, each as a fault for `fault_proxy`."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from itertools import count
from threading import Lock
from urllib.parse import quote
from xml.sax.saxutils import unescape

from tests.services.fault_proxy import Fault, Forward, changed
from tests.services.s3_requests import is_batch_deletion, is_listing, is_writing, lists_uploads
from tests.services.scripted_store import Answer, Asked


def only(when: Callable[[Asked], bool], fault: Fault, *, first: int = 1, times: int | None = None) -> Fault:
    """`fault` for the requests that `when` means, from the `first` of them on, so many `times` (None: all)."""
    lock, numbers = Lock(), count(1)

    def acting(asked: Asked, forward: Forward) -> Answer:
        if not when(asked):
            return forward(asked)
        with lock:
            number = next(numbers)
        wanted = first <= number and (times is None or number < first + times)
        return fault(asked, forward) if wanted else forward(asked)

    return acting


def error(status: int, code: str) -> Fault:
    """The store answers with an error, and does nothing."""

    def acting(asked: Asked, forward: Forward) -> Answer:
        return Answer(
            f"<Error><Code>{code}</Code><Message>injected</Message></Error>".encode(),
            status,
            (("Content-Type", "application/xml"),),
        )

    return acting


def hang_up(asked: Asked, forward: Forward) -> Answer:
    """The connection breaks before the store gets the request."""
    return Answer(hang_up=True)


def lost_answer(asked: Asked, forward: Forward) -> Answer:
    """The store does what it is asked, but the connection breaks before its answer."""
    forward(asked)
    return Answer(hang_up=True)


def truncated(asked: Asked, forward: Forward) -> Answer:
    """Half of the answer comes, and then the connection breaks."""
    answer = forward(asked)
    headers = (("Content-Length", str(len(answer.body))), ("Connection", "close"))
    return replace(answer, body=answer.body[: len(answer.body) // 2], headers=answer.headers + headers)


def half_a_document(asked: Asked, forward: Forward) -> Answer:
    """Half of the XML comes as if it were all of it."""
    answer = forward(asked)
    return replace(answer, body=answer.body[: len(answer.body) // 2])


def breaks_after(size: int) -> Fault:
    """The bodies of all GETs together have `size` bytes; from then on connections break in the middle of a body."""
    lock, remaining = Lock(), [size]

    def acting(asked: Asked, forward: Forward) -> Answer:
        answer = forward(asked)
        if asked.method != "GET":
            return answer
        with lock:
            sent = answer.body[: remaining[0]]
            remaining[0] -= len(sent)
        if len(sent) == len(answer.body):
            return answer
        announced = (("Content-Length", str(len(answer.body))), ("Connection", "close"))
        return replace(answer, body=sent, headers=answer.headers + announced)

    return acting


def denied(*buckets: str) -> Fault:
    """Whatever is asked of these buckets is answered by a 403."""
    refuse = error(403, "AccessDenied")
    return only(lambda asked: asked.path.split("/")[1] in buckets, refuse)


def small_pages(size: int) -> Fault:
    """The store gives `size` objects a page."""

    def acting(asked: Asked, forward: Forward) -> Answer:
        if is_listing(asked) and "max-keys" not in asked.query:
            return forward(changed(asked, target=f"{asked.target}&max-keys={size}"))
        return forward(asked)

    return acting


_NEXT = re.compile(rb"<NextContinuationToken>(.*?)</NextContinuationToken>", re.DOTALL)
_ENTRY = re.compile(rb"<Contents>.*?</Contents>", re.DOTALL)


def small_pages_of_uploads(size: int) -> Fault:
    """The store gives `size` unfinished uploads a page."""

    def acting(asked: Asked, forward: Forward) -> Answer:
        if lists_uploads(asked):
            return forward(changed(asked, target=f"{asked.target}&max-uploads={size}"))
        return forward(asked)

    return acting


def begun_earlier(age: timedelta, keys: Callable[[str], bool] = lambda _: True) -> Fault:
    """The store says that the unfinished uploads of these keys were begun `age` before they were."""

    def older(entry: re.Match[bytes]) -> bytes:
        key = re.search(rb"<Key>(.*?)</Key>", entry[0], re.DOTALL)
        assert key is not None
        if not keys(unescape(key[1].decode())):
            return entry[0]

        def earlier(found: re.Match[bytes]) -> bytes:
            at = datetime.fromisoformat(found[1].decode()[:19]).replace(tzinfo=timezone.utc) - age
            return f"<Initiated>{at:%Y-%m-%dT%H:%M:%S}.000Z</Initiated>".encode()

        return re.sub(rb"<Initiated>(.*?)</Initiated>", earlier, entry[0])

    def acting(asked: Asked, forward: Forward) -> Answer:
        answer = forward(asked)
        if not lists_uploads(asked):
            return answer
        return replace(answer, body=re.sub(rb"(?s)<Upload>.*?</Upload>", older, answer.body))

    return acting


def page_lost(asked: Asked, forward: Forward) -> Answer:
    """The store forgets a page, and gives the next one in its place."""
    following = _NEXT.search(forward(asked).body)
    if following is None:
        return Answer(b"<Error><Code>InternalError</Code></Error>", 500)
    target = re.sub("&?continuation-token=[^&]*", "", asked.target)
    return forward(
        changed(asked, target=f"{target}&continuation-token={quote(following[1].decode(), safe='')}")
    )


def page_repeated() -> Fault:
    """Every page is the first one."""
    pages: list[Answer] = []

    def acting(asked: Asked, forward: Forward) -> Answer:
        pages.append(forward(asked))
        return pages[0]

    return acting


def page_without_token(asked: Asked, forward: Forward) -> Answer:
    """A page says that there is more, and not where."""
    answer = forward(asked)
    return replace(answer, body=_NEXT.sub(b"", answer.body))


def page_out_of_order(asked: Asked, forward: Forward) -> Answer:
    """The objects of a page come in another order."""
    answer = forward(asked)
    entries = _ENTRY.findall(answer.body)
    backwards = iter(reversed(entries))
    return replace(answer, body=_ENTRY.sub(lambda _: next(backwards), answer.body))


def page_short(asked: Asked, forward: Forward) -> Answer:
    """A page announces more objects than it holds."""
    answer = forward(asked)
    return replace(answer, body=_ENTRY.sub(b"", answer.body, count=1))


def error_inside_success(code: str) -> Fault:
    """The status is 200, and the body an error."""

    def acting(asked: Asked, forward: Forward) -> Answer:
        body = f"<Error><Code>{code}</Code><Message>injected</Message></Error>".encode()
        return Answer(body, 200, (("Content-Type", "application/xml"),))

    return acting


def clock_shifted(seconds: float) -> Fault:
    """The store's clock is `seconds` ahead."""
    from email.utils import format_datetime, parsedate_to_datetime

    def acting(asked: Asked, forward: Forward) -> Answer:
        answer = forward(asked)
        headers = tuple(
            (name, format_datetime(parsedate_to_datetime(value) + timedelta(seconds=seconds), usegmt=True))
            if name.lower() == "date"
            else (name, value)
            for name, value in answer.headers
        )
        return replace(answer, headers=headers)

    return acting


def ignores_conditions(asked: Asked, forward: Forward) -> Answer:
    """The store does not know conditions on writes and deletions, and does what it is asked without them."""
    conditions = ("if-match", "if-none-match", "x-amz-copy-source-if-match")
    if is_batch_deletion(asked):
        return ignores_batch_conditions(asked, forward)
    if is_writing(asked) and any(name in asked.headers for name in conditions):
        return forward(changed(asked, without=conditions))
    return forward(asked)


def ignores_batch_conditions(asked: Asked, forward: Forward) -> Answer:
    """The store does not know conditions on the keys of a batch."""
    if is_batch_deletion(asked):
        return forward(changed(asked, body=re.sub(rb"<ETag>[^<]*</ETag>", b"", asked.body)))
    return forward(asked)


def hides_absence(asked: Asked, forward: Forward) -> Answer:
    """Without the right to list, an object that is not there is answered by a 403."""
    answer = forward(asked)
    if answer.status == 404 and asked.method in ("GET", "HEAD"):
        body = b"" if asked.method == "HEAD" else b"<Error><Code>AccessDenied</Code></Error>"
        return Answer(body, 403, (("Content-Type", "application/xml"),))
    return answer


def failing_keys(code: str, keys: Callable[[str], bool], *, silent: bool = False) -> Fault:
    """A batch deletion of these keys fails inside of a 200; `silent`: the answer does not mention them at all."""

    def acting(asked: Asked, forward: Forward) -> Answer:
        if not is_batch_deletion(asked):
            return forward(asked)
        entries = re.findall(rb"<Object>.*?</Object>", asked.body, re.DOTALL)
        failing = [entry for entry in entries if keys(_key_of(entry))]
        if not failing:
            return forward(asked)
        body = asked.body
        for entry in failing:
            body = body.replace(entry, b"")
        if len(failing) == len(entries):
            answer = Answer(b"<DeleteResult></DeleteResult>", 200, (("Content-Type", "application/xml"),))
        else:
            answer = forward(changed(asked, body=body))
        errors = b"".join(
            b"<Error><Key>%s</Key><Code>%s</Code></Error>"
            % (re.sub(rb"(?s).*<Key>(.*)</Key>.*", rb"\1", one), code.encode())
            for one in failing
        )
        if silent:
            return answer
        return replace(answer, body=answer.body.replace(b"</DeleteResult>", errors + b"</DeleteResult>"))

    return acting


def _key_of(entry: bytes) -> str:
    found = re.search(rb"<Key>(.*)</Key>", entry, re.DOTALL)
    return found[1].decode() if found else ""


def at(act: Callable[[], None], *, after: bool = False) -> Fault:
    """Something else happens right before a request reaches the store, or right after."""

    def acting(asked: Asked, forward: Forward) -> Answer:
        if after:
            answer = forward(asked)
            act()
            return answer
        act()
        return forward(asked)

    return acting
