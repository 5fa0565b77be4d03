"""``python -m tests.faults.mortal SECONDS ARGUMENTS``: a command that has so long to live.

After so many seconds of processor time the system ends it, in whatever it is doing, as SIGKILL
would. A clock on the wall would count what other processes do as well. Prints the processor time
that the whole command has taken.
"""

from __future__ import annotations

import signal
import sys
import time

from makemore_bp.cli import main

if __name__ == "__main__":
    signal.setitimer(signal.ITIMER_PROF, float(sys.argv[1]))
    del sys.argv[1]
    try:
        main()
    finally:
        print(time.process_time())
