"""OpenStack Swift with its S3 face, whole, in one process: `python swift_server.py DIRECTORY` prints its URL.

It is a program of its own: Swift makes every socket of its process green (eventlet). Its four servers (accounts,
containers, objects, and the proxy in front that speaks S3) share the process; what they store is in DIRECTORY, so a
server that was killed finds its objects and its open uploads again. It ends when its standard input does.

The one user is `test:tester` with the key `c4n4ry/secret+key`.
"""

from __future__ import annotations

import os
import sys
import warnings

# What eventlet says about its own future is no concern of a test server; it has to be said before the import.
warnings.simplefilter("ignore")

import eventlet
import eventlet.tpool
import eventlet.wsgi

eventlet.monkey_patch()

# ruff: noqa: E402
from swift.common import utils
from swift.common.ring import RingBuilder
from swift.common.storage_policy import reload_storage_policies
from swift.common.wsgi import SwiftHttpProtocol, loadapp

_COMMON = """
[DEFAULT]
swift_dir = {root}
devices = {root}/devices
mount_check = false
disable_fallocate = true
workers = 0
log_name = swift
log_address = {root}/no-syslog
"""

_STORAGE = """
[pipeline:main]
pipeline = server
[app:server]
use = egg:swift#{kind}
"""

_PROXY = """
[pipeline:main]
pipeline = catch_errors cache listing_formats bulk s3api tempauth slo dlo versioned_writes symlink proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
allow_account_management = true
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:1
[filter:listing_formats]
use = egg:swift#listing_formats
[filter:bulk]
use = egg:swift#bulk
[filter:s3api]
use = egg:swift#s3api
location = us-east-1
dns_compliant_bucket_names = false
[filter:tempauth]
use = egg:swift#tempauth
user_test_tester = c4n4ry/secret+key .admin
[filter:slo]
use = egg:swift#slo
[filter:dlo]
use = egg:swift#dlo
[filter:versioned_writes]
use = egg:swift#versioned_writes
allow_versioned_writes = true
[filter:symlink]
use = egg:swift#symlink
"""


def _write(path: str, text: str) -> str:
    with open(path, "w") as file:
        file.write(text)
    return path


def _ring(root: str, name: str, port: int) -> None:
    """One replica on one device. The place of an object follows from its name, so the port may be another each time."""
    builder = RingBuilder(1, 1, 0)
    builder.add_dev({"id": 0, "region": 1, "zone": 1, "weight": 1, "ip": "127.0.0.1", "port": port, "device": "one"})
    builder.rebalance(seed=0)
    builder.get_ring().save(os.path.join(root, f"{name}.ring.gz"))


def _serve(listener: object, config: str) -> None:
    app = loadapp(config, global_conf={"log_name": "swift"})
    eventlet.spawn_n(
        eventlet.wsgi.server,
        listener,
        app,
        utils.NullLogger(),
        protocol=SwiftHttpProtocol,
        capitalize_response_headers=False,
        keepalive=True,
    )


def main(root: str) -> None:
    """Serve until the standard input ends."""
    os.makedirs(os.path.join(root, "devices", "one"), exist_ok=True)
    _write(
        os.path.join(root, "swift.conf"),
        "[swift-hash]\nswift_hash_path_suffix = s\nswift_hash_path_prefix = p\n"
        "[storage-policy:0]\nname = one\ndefault = yes\n",
    )
    utils.set_swift_dir(root)
    utils.validate_configuration()
    reload_storage_policies()
    common = _COMMON.format(root=root)
    for kind in ("account", "container", "object"):
        listener = eventlet.listen(("127.0.0.1", 0))
        _ring(root, kind, listener.getsockname()[1])
        _serve(listener, _write(os.path.join(root, f"{kind}.conf"), common + _STORAGE.format(kind=kind)))
    listener = eventlet.listen(("127.0.0.1", 0))
    _serve(listener, _write(os.path.join(root, "proxy.conf"), common + _PROXY))
    sys.stdout.write(f"http://127.0.0.1:{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    eventlet.tpool.execute(sys.stdin.read)
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1])
