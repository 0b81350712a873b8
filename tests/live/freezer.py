"""Holds a file system frozen (as fsfreeze does) until its standard input or the host ends, at most for SECONDS (40).

usage: freezer.py DIRECTORY PID [SECONDS]      PID: the host's first process
Says "frozen" when it is. A process of its own, so that whatever becomes of the test the file system thaws: who waits for a
frozen one cannot even be killed. thaw_left() is for what was frozen by a run that was killed as a whole.
"""
import errno
import fcntl
import glob
import os
import select
import sys

FREEZE, THAW, LIMIT = 0xC0045877, 0xC0045878, 40
STATE_DIR, SPOOL = '/var/lib/mailpair', '/srv/mail'


def hold(path, pid, seconds=LIMIT):
    host = os.pidfd_open(int(pid))
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    fcntl.ioctl(fd, FREEZE, 0)
    try:
        print('frozen', flush=True)
        select.select([sys.stdin, host], [], [], float(seconds))
    finally:
        try:
            fcntl.ioctl(fd, THAW, 0)
        except OSError as e:
            if e.errno != errno.EINVAL:     # thawed when the host lost its power
                raise


def is_killed(process):
    """SIGKILL waits for it."""
    with open(process + '/status') as f:
        pending = [int(line.split()[1], 16) for line in f if line.startswith(('SigPnd', 'ShdPnd'))]
    return any(bits >> 8 & 1 for bits in pending)


def thaw_left():
    """Disks of hosts that were killed: their processes cannot end before the disk takes what they write."""
    for process in glob.glob('/proc/[0-9]*'):
        try:
            if not is_killed(process):
                continue
            with open(process + '/mounts') as f:
                mounts = f.read()
            for place in (STATE_DIR, SPOOL):
                if ' %s ext4 ' % place in mounts:
                    thaw('%s/root%s' % (process, place))
        except OSError:                 # gone meanwhile
            pass


def thaw(path):
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.ioctl(fd, THAW, 0)
    except OSError:                     # not frozen at all
        pass
    finally:
        os.close(fd)


if __name__ == '__main__':
    hold(*sys.argv[1:])
