"""Holds back every read of one block device by the processes of one host (block cgroup, one byte a second) until its standard
input or the host ends.

usage: choke.py MAJOR:MINOR PID      PID: the host's first process
Says "choked" when it is. A process of its own, so that whatever becomes of the test the reads come back: who waits for one cannot
even be killed. Needs the block controller of cgroup version 1 or 2.
"""
import os
import select
import sys

V1, V2 = '/sys/fs/cgroup/blkio', '/sys/fs/cgroup'


def put(path, text):
    with open(path, 'w') as f:
        f.write(text)


def place(name):
    """(the group's folder, its parent, file of the limit, its line without and with a limit)"""
    if os.path.exists(V1 + '/blkio.throttle.read_bps_device'):
        return V1 + '/' + name, V1, 'blkio.throttle.read_bps_device', '%s 0', '%s 1'
    with open(V2 + '/cgroup.controllers') as f:
        if 'io' not in f.read().split():
            raise OSError('there is no block controller in ' + V2)
    put(V2 + '/cgroup.subtree_control', '+io')
    return V2 + '/' + name, V2, 'io.max', '%s rbps=max', '%s rbps=1'


def processes(pid):
    """Of the host, by its pid namespace."""
    own = os.readlink('/proc/%d/ns/pid' % pid)
    for p in filter(str.isdigit, os.listdir('/proc')):
        try:
            if os.readlink('/proc/%s/ns/pid' % p) == own:
                yield p
        except OSError:                 # gone meanwhile
            pass


def move(pids, group):
    for p in pids:
        try:
            put(group + '/cgroup.procs', p)
        except OSError:                 # gone meanwhile
            pass


def hold(device, pid):
    host = os.pidfd_open(pid)
    group, parent, limit, off, on = place('mailpair-live.%d' % os.getpid())
    os.mkdir(group)
    try:
        put('%s/%s' % (group, limit), on % device)
        for _ in range(2):              # a fork may have slipped through the first time
            move(processes(pid), group)
        print('choked', flush=True)
        select.select([sys.stdin, host], [], [])
    finally:
        put('%s/%s' % (group, limit), off % device)
        while True:
            with open(group + '/cgroup.procs') as f:
                left = f.read().split()
            if not left:
                break
            move(left, parent)
        os.rmdir(group)


if __name__ == '__main__':
    hold(sys.argv[1], int(sys.argv[2]))
