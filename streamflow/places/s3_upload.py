"""Multipart uploads by S3's own requests, and those that somebody left open.

What lives here: `S3Upload`, `open_uploads`, `abort`. What must not: how a request is signed and sent.

How it works. `POST ?uploads` gives an id, each `PUT ?partNumber=&uploadId=` an ETag, and the closing POST names them
all and may say `If-None-Match: *`. The server checks that at the commit, so of two writers one wins and the other hears
of it. If the answer is lost and the store keeps no marks, the object's ETag decides: it follows from the parts'. The
headers are those that obstore would send.
"""

from __future__ import annotations

import asyncio
import errno
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from urllib.parse import urlsplit
from xml.etree import ElementTree as ET

from streamflow.engine.shielding import until_done
from streamflow.places.outcomes import MARK
from streamflow.places.s3_requests import S3Requests
from streamflow.places.stores import Leftover, Stored, Terms

__all__ = ["S3Upload", "abort", "begun", "grows", "open_uploads"]

_CHECKSUM = "x-amz-checksum-sha256"
_PARTS_A_SHARE = 1000


class S3Upload:
    """An upload whose parts may differ in size, and which may be committed only if there is no object yet.

    Args:
        requests: to the object's address.
        info: asks for the object as it is stored.
        lanes: how many parts may be under way.
        part_size: of the first part, in bytes; larger ones get more time.
        equal_parts: whether the store wants all of one size.
    """

    cuts = False

    def __init__(
        self,
        requests: S3Requests,
        info: Callable[[], Awaitable[Stored]],
        lanes: int,
        part_size: int,
        *,
        equal_parts: bool = False,
    ) -> None:
        """Send nothing yet."""
        self.lanes = lanes
        self.equal_parts = equal_parts
        self._requests = requests
        self._info = info
        self._part_size = part_size
        self._overwrite = False
        self._begun: asyncio.Future[str] | None = None
        self._parts: dict[int, tuple[str, str | None]] = {}
        self._size = 0

    def begin(self, terms: Terms) -> None:
        """Begin it on the server, while the first part is prepared. How that ended shows at the parts."""
        self._overwrite = terms.overwrite
        headers = {f"x-amz-meta-{name}": value for name, value in terms.metadata.items()}
        if kind := terms.content_type or self._requests.options.content_type:
            headers["content-type"] = kind
        if self._requests.signs:
            headers |= self._requests.options.of_beginning()
        self._requests.keep()
        self._begun = asyncio.create_task(self._id_for(headers), name="streamflow:begin")

    async def _id_for(self, headers: Mapping[str, str]) -> str:
        return _text(await self._requests.send("POST", {"uploads": ""}, None, headers), "UploadId")

    async def _id(self) -> str:
        if self._begun is None:
            raise RuntimeError("an upload that was not begun")
        return await asyncio.shield(self._begun)  # cancelled, its id would be lost

    async def part(self, number: int, data: bytes) -> None:
        """Store one part."""
        await self.part_of(number, [memoryview(data)])

    async def part_of(self, number: int, views: Sequence[memoryview]) -> None:
        """Store one part that is in pieces."""
        size = sum(map(len, views))
        signs = self._requests.signs
        digest = await self._requests.digest(views) if signs else b""
        query = {"partNumber": str(number), "uploadId": await self._id()}
        headers = self._requests.options.of_part() if signs else {}
        told = await self._requests.put(query, views, digest, headers, max(1.0, size / self._part_size))
        if not (tag := told.get("etag")):
            raise OSError(errno.EIO, f"The store gave no ETag for part {number}", self._requests.url)
        self._parts[number] = tag, told.get(_CHECKSUM)
        self._size += size

    async def complete(self) -> Stored:
        """Make the object. Raises `FileExistsError` if there is one that is not this one."""
        try:
            return Stored(self._size, await self._completed())
        except OSError:
            if (found := await self._committed()) is None:
                raise
            return found
        finally:
            await self._requests.close()

    async def _completed(self) -> str:
        headers = {"content-type": "application/xml"} | ({} if self._overwrite else {"if-none-match": "*"})
        within = 1.0 + len(self._parts) / _PARTS_A_SHARE
        answer = await self._requests.send("POST", {"uploadId": await self._id()}, self._list(), headers, within)
        if not (tag := _text(answer, "ETag")):
            raise OSError(errno.EIO, "The store gave no ETag for the object", self._requests.url)
        return tag

    def _list(self) -> bytes:
        root = ET.Element("CompleteMultipartUpload", xmlns="http://s3.amazonaws.com/doc/2006-03-01/")
        for number, (tag, checksum) in sorted(self._parts.items()):
            part = ET.SubElement(root, "Part")
            ET.SubElement(part, "PartNumber").text = str(number)
            ET.SubElement(part, "ETag").text = tag
            if checksum:  # a store that keeps them wants them named
                ET.SubElement(part, "ChecksumSHA256").text = checksum
        return ET.tostring(root)

    async def _committed(self) -> Stored | None:
        """Return the object if it is made of these parts, where nothing else tells.

        A mark does, to those who set it; and what may be overwritten may have been there before, the same bytes.
        """
        try:
            found = await self._info()
        except OSError:
            return None
        if self._overwrite or MARK in (found.metadata or {}):
            return None
        return found if found.etag == self._tag() and found.size == self._size else None

    def _tag(self) -> str | None:
        """Return the ETag that S3 gives to an object of these parts, unless it encrypts it by a key of the user's."""
        try:
            digests = b"".join(bytes.fromhex(tag.strip('"')) for _, (tag, _) in sorted(self._parts.items()))
        except ValueError:
            return None
        return f'"{hashlib.md5(digests, usedforsecurity=False).hexdigest()}-{len(self._parts)}"'

    async def abort(self) -> None:
        """Remove what was uploaded."""
        try:
            if self._begun is not None:
                await until_done(self._begun)
            if self._begun is not None and not self._begun.cancelled() and self._begun.exception() is None:
                await abort(self._requests, self._begun.result())
        finally:
            await self._requests.close()


def grows(requests: S3Requests, terms: Terms) -> bool:
    """Return whether an upload may go by these requests, with parts that grow.

    It may not if the parts have to be equal: because the user says so, or because Cloudflare R2 does. Nor where the
    keys are not at hand, since each part would fetch credentials anew; where parts carry a checksum that Python has
    not; or where only obstore knows the way to the store (`Line.obeys`).
    """
    equal = terms.equal_parts or _wants_equal(requests)
    return not equal and requests.signs and requests.obeys and requests.options.checksum in {"", "SHA256"}


def _wants_equal(requests: S3Requests) -> bool:
    return (urlsplit(requests.address).hostname or "").endswith(".r2.cloudflarestorage.com")


def begun(
    requests: S3Requests, info: Callable[[], Awaitable[Stored]], part_size: int, lanes: int, terms: Terms
) -> S3Upload:
    """Return an upload that is being begun.

    Raises `OSError` where the encryption that the store was told cannot be asked for.
    """
    if requests.options.encrypts and not requests.signs:
        told = (
            "server_side_encryption goes with overwrite=False above one part only where the keys are given, as options"
        )
        raise OSError(errno.ENOTSUP, f"{told} or by credential_provider=", requests.url)
    upload = S3Upload(requests, info, lanes, part_size, equal_parts=terms.equal_parts or _wants_equal(requests))
    upload.begin(terms)
    return upload


async def abort(requests: S3Requests, number: str) -> None:
    """Abort an open upload to an object's address; one that has ended is no error."""
    try:
        await requests.send("DELETE", {"uploadId": number})
    except FileNotFoundError:
        return


async def open_uploads(requests: S3Requests, prefix: str) -> AsyncIterator[Leftover]:
    """Give the open uploads of a bucket to keys that begin with `prefix`, page by page."""
    query = {"uploads": "", "prefix": prefix}
    while True:
        page, now = await requests.ask(query)
        if page is None:
            return
        for found in page.iterfind("{*}Upload"):
            begun = datetime.fromisoformat(_text(found, "Initiated"))
            yield Leftover(_text(found, "Key"), _text(found, "UploadId"), begun, now)
        if _text(page, "IsTruncated") != "true":
            return
        query |= {"key-marker": _text(page, "NextKeyMarker"), "upload-id-marker": _text(page, "NextUploadIdMarker")}


def _text(element: ET.Element | None, name: str) -> str:
    return (element.findtext(f"{{*}}{name}") or "") if element is not None else ""
