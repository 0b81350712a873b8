"""How late this machine itself is: wakes every MS milliseconds with the real-time priority and the locked memory of mailpaird, and does
nothing else. What even that is late no program can be blamed for.

usage: metronome.py MS SECONDS     prints {"p99_ms", "max_ms"} of how late it woke
"""
import ctypes
import gc
import json
import os
import sys
import time

MCL_CURRENT, MCL_FUTURE = 1, 2


def main():
    every, end = float(sys.argv[1]) / 1e3, time.monotonic() + float(sys.argv[2])
    late = [0.0] * int(float(sys.argv[2]) / every + 10)
    ctypes.CDLL(None).mlockall(MCL_CURRENT | MCL_FUTURE)
    os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(20))
    gc.disable()
    n, due = 0, time.monotonic() + every
    while due < end and n < len(late):
        time.sleep(max(0, due - time.monotonic()))      # tidy: that is what is measured
        late[n] = time.monotonic() - due
        n += 1
        due += every * max(1, -(-late[n - 1] // every))
    late = sorted(late[:n])
    print(json.dumps({'p99_ms': late[n * 99 // 100] * 1e3, 'max_ms': late[-1] * 1e3}))


main()
