"""Run a command and print the most memory it held, in KiB, and its processor time, in seconds.

What lives here: a process as small as Python gets, between the one that asks and the one that is measured. What must
not: imports of anything large. When a process starts another, Linux counts the memory of the parent as a peak of the
child, so a large parent would hide what the child takes.
"""

import os
import sys


def main() -> int:
    """Run the command given as arguments; its output goes to stderr."""
    to_stderr = [(os.POSIX_SPAWN_DUP2, 2, 1)]
    process = os.posix_spawn(sys.argv[1], sys.argv[1:], dict(os.environ), file_actions=to_stderr)
    _, status, usage = os.wait4(process, 0)
    kib = usage.ru_maxrss // 1024 if sys.platform == "darwin" else usage.ru_maxrss
    print(kib, usage.ru_utime + usage.ru_stime)
    return os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    sys.exit(main())
