"""How the runs inside an app ended, asked for over HTTP: the app may be in another process.

What lives here: `Reporting`, which keeps the outcomes, and `told`, which asks for them. What must not: assertions.
"""

from __future__ import annotations

import asyncio
import json

from starlette.responses import JSONResponse
from starlette.routing import Route

from streamflow.places import memory
from tests.web import servers


class Reporting:
    """Keeps what runs returned or raised; its `route` tells them, and what is in a bucket of `memory://`."""

    def __init__(self, bucket="uploads"):
        self._outcomes = []
        self._bucket = bucket
        self.route = Route("/told/outcomes", self._tell)

    async def run(self, pipeline):
        """Run it, and keep how it ended."""
        try:
            value = await pipeline
        except BaseException as error:
            self.note(type(error).__name__)
            raise
        self.note(value)
        return value

    def note(self, outcome):
        self._outcomes.append(outcome)

    async def _tell(self, _request):
        store = memory.bucket(self._bucket)
        return JSONResponse([self._outcomes, store.keys(), store.uploads])


async def told(url, count=1, *, within=10):
    """Return the outcomes, once there are so many, the keys in the store, and how many uploads are open there."""
    async with asyncio.timeout(within):
        while True:
            outcomes, keys, uploads = json.loads((await servers.fetch(f"{url}/told/outcomes")).body)
            if len(outcomes) >= count:
                return outcomes, keys, uploads
            await asyncio.sleep(0.01)
