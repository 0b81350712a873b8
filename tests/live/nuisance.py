"""What keeps a host's own services waiting, until its standard input ends. Says "ready" once it does.

usage (in a host): nuisance.py lock DATABASE        has the database locked, as somebody at a sqlite3 shell might
                   nuisance.py fill SOCKET          sends to it until it takes nothing any more
                   nuisance.py memory FILE MEGABYTES    takes so much memory and gives it back, again and again, and reads a file that
                                                    is larger than what is left
Given to Python as text, since a host does not see the files of its tests.
"""
import mmap
import os
import select
import socket
import sqlite3
import sys
import time


def over():
    return bool(select.select([sys.stdin], [], [], 0)[0])


def ready():
    print('ready', flush=True)


def lock(path):
    db = sqlite3.connect(path, timeout=10, isolation_level=None)
    db.execute('BEGIN EXCLUSIVE')
    ready()
    sys.stdin.read()


def fill(path):
    """The socket of syslog, which nobody reads any more, until it takes nothing."""
    s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    s.setblocking(False)
    s.connect(path)
    try:
        while True:
            s.send(b'<15>nuisance: nobody reads this')
    except BlockingIOError:
        ready()


def memory(path, megabytes):
    with open('/proc/self/oom_score_adj', 'w') as f:
        f.write('1000')                 # before anybody else of this host
    with open(path, 'rb', buffering=0) as f:
        ready()
        while not over():
            hog = mmap.mmap(-1, megabytes << 20)
            for page in range(0, megabytes << 20, 4096):
                hog[page] = 1
            f.seek(0)
            while f.read(1 << 20):
                pass
            hog.close()
            time.sleep(0)               # tidy: lets others go first, without a pause


if __name__ == '__main__':
    what, args = sys.argv[1], sys.argv[2:]
    {'lock': lock, 'fill': fill, 'memory': lambda path, size: memory(path, int(size))}[what](*args)
