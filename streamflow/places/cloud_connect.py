"""The store behind an `s3://`, `gs://` or `az://` URL, made from options and the environment.

What lives here: `connect`, and what it adds to obstore's own defaults. What must not: requests.

An `http://` endpoint is allowed because it was named. Parts of an upload to S3 carry a SHA-256 that the server checks
and keeps, unless `checksum_algorithm=` says otherwise (`None` sends none, for a server that refuses it).

`client_options=` (`timeout`, `connect_timeout`, `proxy_url`, `root_certificate`, ...) and `retry_config=`
(`max_retries`, `retry_timeout`, `backoff` with `init_backoff`, `max_backoff` and `base`) are obstore's own, spelled as
it does; the requests that we send by ourselves keep to them too (`s3_requests.py`).
"""

from __future__ import annotations

import os
import re
from typing import Any

from streamflow.errors import UsageError
from streamflow.places.cloud import CloudStore
from streamflow.places.obstore_library import obstore, text_of
from streamflow.places.urls import Location, secrets_in

__all__ = ["connect"]

_CLASSES = {"s3": "S3Store", "gs": "GCSStore", "az": "AzureStore"}
_ADDRESSES = {
    "s3": ("endpoint", "endpoint_url", "aws_endpoint", "aws_endpoint_url"),
    "gs": ("base_url", "google_base_url"),
    "az": ("endpoint", "azure_endpoint", "azure_storage_endpoint"),
}
_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
_OF_CLIENT = re.compile(
    "allow_|http[12]_|pool_|proxy_|randomize_|default_(headers|content_type)$|.*timeout$|root_certificate$|user_agent$"
)
_OF_RETRIES = re.compile("max_retries$|backoff$|retry_timeout$|(init|max)_backoff$")
_SLOWEST = 256 * 1024  # bytes per second at which a part must still get through


def connect(location: Location, config: dict[str, Any], part_size: int) -> CloudStore:
    """Return the store that holds the location, configured by `config` and, where it is silent, by the environment.

    Large parts get more time than obstore's 30 s for a request.

    Raises `MissingExtra` without obstore, `UsageError` for an option that does not exist.
    """
    library = obstore(str(location))
    config = dict(config)
    client = dict(config.pop("client_options", None) or {})
    for name in config:
        # obstore takes some of them here and then fails by a panic.
        for pattern, home in ((_OF_RETRIES, "retry_config"), (_OF_CLIENT, "client_options")):
            if pattern.match(name):
                raise UsageError(f"{location}: {name} belongs into {home}={{...}}, as obstore has it")
    if location.scheme == "s3":
        _s3(config)
    if any(str(config.get(name, "")).startswith("http://") for name in _ADDRESSES[location.scheme]):
        client.setdefault("allow_http", True)
    client.setdefault("timeout", f"{max(30, part_size // _SLOWEST)}s")
    cloudy = {name: value for name, value in os.environ.items() if name.startswith(("AWS_", "AZURE_", "GOOGLE_"))}
    secrets = secrets_in(config) + secrets_in(dict(cloudy))
    try:
        store = getattr(library.store, _CLASSES[location.scheme])(location.bucket, client_options=client, **config)
    except (library.exceptions.BaseError, TypeError, ValueError) as error:
        wrong = UsageError(f"{location}: {text_of(error, secrets)}")
    else:
        return CloudStore(store, secrets)
    raise wrong


def _s3(config: dict[str, Any]) -> None:
    """Fill in the endpoint from the environment, in the order of AWS's own tools, and the checksum."""
    endpoint = next((os.environ[name] for name in _ENDPOINTS if os.environ.get(name)), None)
    if endpoint is not None and not any(name in config for name in _ADDRESSES["s3"]):
        config["endpoint"] = endpoint
    if (
        not {"checksum_algorithm", "aws_checksum_algorithm"} & config.keys()
        and "AWS_CHECKSUM_ALGORITHM" not in os.environ
    ):
        config["checksum_algorithm"] = "SHA256"
    elif config.get("checksum_algorithm", "") is None:
        del config["checksum_algorithm"]
