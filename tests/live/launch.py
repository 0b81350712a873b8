"""What run and demo share: starting a world, sweeping up after dead runners, being first in line.

Runs outside of the worlds and keeps nothing but a folder for each (below /var/tmp, named after our pid).
"""
import ctypes
import glob
import os
import shutil
import signal
import subprocess
import sys
import tempfile

import freezer

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
PREFIX = '/var/tmp/mailpair-live.'


def sweep():
    """Folders of runners that died. Their namespaces, mounts and processes went with them, but for those that a frozen disk holds."""
    freezer.thaw_left()
    for path in glob.glob(PREFIX + '*') + glob.glob('/sys/fs/cgroup/cpu/mailpair-live.*') + \
            glob.glob('/sys/fs/cgroup/memory/mailpair-live.*') + glob.glob('/sys/fs/cgroup/mailpair-live.*'):
        pid = os.path.basename(path).split('.')[1]
        if not pid.isdigit() or os.path.exists('/proc/' + pid):
            continue
        if path.startswith(PREFIX):
            shutil.rmtree(path) if os.path.isdir(path) else os.unlink(path)
        else:
            os.rmdir(path)


def tie_to_parent():
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGCHLD])
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)      # PR_SET_PDEATHSIG


class FirstInLine:
    """A cpu cgroup (version 1 or 2) with many shares; what we start from now on is in it."""

    def __init__(self):
        top, self.path = '/sys/fs/cgroup', None
        v2 = os.path.exists(top + '/cgroup.controllers')
        self.home = top if v2 else top + '/cpu'
        wishes = (('cpu.weight', '10000'),) if v2 else (('cpu.shares', '40000'), ('cpu.rt_runtime_us', '900000'))
        path = '%s/mailpair-live.%d' % (self.home, os.getpid())
        try:
            os.mkdir(path)
            for name, value in wishes:
                if os.path.exists('%s/%s' % (path, name)):
                    self.put('%s/%s' % (path, name), value)
            self.put(path + '/cgroup.procs', str(os.getpid()))
            self.path = path
        except OSError as e:
            print('not first in line: %s' % e)

    def put(self, path, value):
        with open(path, 'w') as f:
            f.write(value)

    def leave(self):
        """Once nothing else is left in it."""
        if self.path:
            self.put(self.home + '/cgroup.procs', str(os.getpid()))
            for _ in range(100):
                try:
                    os.rmdir(self.path)
                    return
                except OSError:         # the last process is still going
                    signal.sigtimedwait([], 0.02)


def cannot_run(build):
    """Why nothing can be run here, or None."""
    if os.geteuid() != 0:
        return 'root is needed for namespaces and loop devices'
    for program in ('ip', 'nft', 'nsenter', 'mke2fs', 'postfix'):
        if not shutil.which(program, path='/usr/sbin:/usr/bin:/sbin:/bin'):
            return 'the program %s is missing' % program
    for need in ('mailpaird', 'mailpair', 'tools/world', 'tools/host'):
        if not os.path.exists('%s/%s' % (build, need)):
            return '%s/%s is missing: run make first' % (build, need)
    return None


def start(build, script, args, **streams):
    """A script inside a world of its own: (process, its folder). Whoever ends the process ends the world."""
    folder = tempfile.mkdtemp(prefix='%s%d.' % (PREFIX, os.getpid()))
    proc = subprocess.Popen([build + '/tools/world', sys.executable, '%s/%s' % (HERE, script), '--dir', folder,
                             '--build', build] + args, start_new_session=True, preexec_fn=tie_to_parent, **streams)
    return proc, folder
