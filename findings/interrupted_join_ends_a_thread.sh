#!/usr/bin/env bash
# CPython 3.10 to 3.12, threading: where KeyboardInterrupt comes while
# Thread.join waits for a thread that is running, the thread counts as ended
# from then on: is_alive() is False, another join returns at once, and the
# interpreter does not wait for it at its end, though it goes on. Python 3.13
# has another implementation, in which it stays alive.
#
# Output seen with CPython 3.11:
#     before: alive
#     after the interrupted join: not alive, still running
#     a second join returned at once
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
cat > interrupted.py <<'P'
import os
import signal
import sys
import threading
import time

assert (3, 10) <= sys.version_info < (3, 13), sys.version
go, ended = threading.Event(), threading.Event()


def work():
    go.wait()
    ended.set()


thread = threading.Thread(target=work)
thread.start()
print('before:', 'alive' if thread.is_alive() else 'not alive')
threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
try:
    thread.join()
except KeyboardInterrupt:
    pass
alive = thread.is_alive()
print(
    'after the interrupted join:',
    'alive,' if alive else 'not alive,',
    'ended' if ended.is_set() else 'still running',
)
began = time.monotonic()
thread.join(5)
at_once = time.monotonic() - began < 1
print('a second join', 'returned at once' if at_once else 'waited')
go.set()
assert ended.wait(5)
sys.exit(alive or not at_once)
P
python=${PYTHON:-python3}
"$python" -c 'import signal; signal.signal(signal.SIGINT, signal.default_int_handler); exec(open("interrupted.py").read())'
