"""Multipart uploads by S3's own requests: one that may not overwrite, and those that somebody left open.

What lives here: `S3Upload`, `open_uploads`, `abort`. What must not: how a request is signed and sent.

How it works. `POST ?uploads` gives an id, each `PUT ?partNumber=&uploadId=` an ETag, and the closing POST names them
all and may say `If-None-Match: *`. The server checks that at the commit, so of two writers one wins and the other hears
of it. If the answer is lost, the object's ETag decides: it follows from the parts'.
"""

from __future__ import annotations

import errno
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime
from xml.etree import ElementTree as ET

from streamflow.places.s3_requests import S3Requests
from streamflow.places.stores import Leftover, Stored, Terms

__all__ = ["S3Upload", "abort", "open_uploads"]


class S3Upload:
    """An upload that is committed only if there is no object yet.

    Args:
        requests: to the object's address.
        info: asks for the object as it is stored.
        lanes: how many parts may be under way.
    """

    cuts = False

    def __init__(self, requests: S3Requests, info: Callable[[], Awaitable[Stored]], lanes: int) -> None:
        """Send nothing yet."""
        self.lanes = lanes
        self._requests = requests
        self._info = info
        self._id = ""
        self._tags: dict[int, str] = {}
        self._size = 0

    async def begin(self, terms: Terms) -> None:
        """Begin it on the server. Never cancel this: the id would be lost with it."""
        query = {"uploads": ""} | {f"x-amz-meta-{name}": value for name, value in terms.metadata.items()}
        headers = {"content-type": terms.content_type or "application/octet-stream"}
        answer = await self._requests.send("POST", query, headers=headers)
        self._id = _text(answer, "UploadId")

    async def part(self, number: int, data: bytes) -> None:
        """Store one part."""
        tag = await self._requests.put({"partNumber": str(number), "uploadId": self._id}, data)
        if tag is None:
            raise OSError(errno.EIO, f"The store gave no ETag for part {number}", self._requests.url)
        self._tags[number] = tag
        self._size += len(data)

    async def complete(self) -> Stored:
        """Make the object. Raises `FileExistsError` if there is one that is not this one."""
        root = ET.Element("CompleteMultipartUpload")
        for number, tag in sorted(self._tags.items()):
            part = ET.SubElement(root, "Part")
            ET.SubElement(part, "PartNumber").text = str(number)
            ET.SubElement(part, "ETag").text = tag
        headers = {"if-none-match": "*", "content-type": "application/xml"}
        try:
            answer = await self._requests.send("POST", {"uploadId": self._id}, ET.tostring(root), headers)
            return Stored(self._size, _text(answer, "ETag"))
        except OSError:
            if (found := await self._committed()) is None:
                raise
            return found

    async def _committed(self) -> Stored | None:
        """Return the object if it is made of these parts."""
        try:
            found = await self._info()
        except OSError:
            return None
        return found if found.etag == self._tag() and found.size == self._size else None

    def _tag(self) -> str | None:
        """Return the ETag that S3 gives to an object of these parts, unless it encrypts it by a key of the user's."""
        try:
            digests = b"".join(bytes.fromhex(tag.strip('"')) for _, tag in sorted(self._tags.items()))
        except ValueError:
            return None
        return f'"{hashlib.md5(digests, usedforsecurity=False).hexdigest()}-{len(self._tags)}"'

    async def abort(self) -> None:
        """Remove what was uploaded."""
        await abort(self._requests, self._id)


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
