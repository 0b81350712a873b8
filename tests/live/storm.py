"""Clients that the control socket of mailpaird has to endure.

usage: storm.py DIRECTORY strangers            another user: refused, by the socket's mode and by the daemon
       storm.py DIRECTORY storm SECONDS        10,000 connections at once, again and again: silent ones, half requests, noise,
                                               and those that ask and never read
Says in one line what came of it. Exit status 1: something was answered that must not be, or nothing was.
"""
import errno
import os
import resource
import socket
import sys
import time

NOBODY, PATH = 65534, 'control.sock'
CONNECTIONS = 10000
SAY = [b'', b'stat', b'status json=yes\n', b'\0' * 100, b'A' * 5000, b'status json=yes\n' * 300, b'\n', b'services do=']


def ask():
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(5)
        s.connect(PATH)
        try:
            s.sendall(b'status json=yes\n')
        except BrokenPipeError:         # turned away already; why is still to be read
            pass
        got = b''
        while True:
            try:
                part = s.recv(65536)
            except ConnectionResetError:        # the same, a moment later
                part = b''
            if not part:
                return got
            got += part


def as_nobody():
    """What another user is told: (by a socket that only its group may open, by one that is open to all)."""
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)
    try:
        return ask().decode()
    except PermissionError:
        return 'EACCES'


def in_child(function):
    inside, outside = os.pipe()
    if os.fork() == 0:
        try:
            os.write(outside, function().encode())
        finally:
            os._exit(0)
    os.close(outside)
    os.wait()
    with os.fdopen(inside) as f:
        return f.read()


def strangers():
    first = in_child(as_nobody)
    os.chmod(PATH, 0o666)               # as a careless operator might
    second = in_child(as_nobody)
    os.chmod(PATH, 0o660)
    print('closed: %s; open: %s' % (first, second.strip()))
    return first == 'EACCES' and 'not permitted' in second and second.endswith('x 2\n') and b'"role"' in ask()


def one(number):
    """One more connection with its kind of nuisance; None when the queue of the socket is full."""
    s = socket.socket(socket.AF_UNIX)
    s.setblocking(False)
    try:
        s.connect(PATH)
        if SAY[number % len(SAY)]:
            s.send(SAY[number % len(SAY)])
    except BlockingIOError:
        s.close()
        return None
    except OSError as e:
        if e.errno not in (errno.EPIPE, errno.ECONNRESET):
            raise
    return s


def storm(seconds):
    resource.setrlimit(resource.RLIMIT_NOFILE, (CONNECTIONS + 100,) * 2)
    end, made, full, held, most = time.monotonic() + seconds, 0, 0, [], 0
    while time.monotonic() < end:
        s = one(made)
        if s is None:
            full += 1
            continue
        made += 1
        held.append(s)
        most = max(most, len(held))
        if len(held) == CONNECTIONS:
            for old in held[:CONNECTIONS // 2]:
                old.close()
            del held[:CONNECTIONS // 2]
    print('%d connections, %d at once, %d times the queue was full' % (made, most, full))
    return made > 0


if __name__ == '__main__':
    os.chdir(sys.argv[1])
    sys.exit(0 if (strangers() if sys.argv[2] == 'strangers' else storm(float(sys.argv[3]))) else 1)
