"""The statements about hostile input and stalls: garbage, forged and replayed beats, storms at the control socket, a state
disk that hangs, busy processors, keys that change. A part of engine.Engine, in a file of its own.
"""
import os
import signal
import subprocess
import sys
import time

import settings
from freezer import SPOOL, STATE_DIR
from judge import Failed
from world import ENV, HERE, OTHER, WorldError, loop_attach, now_ns, run

# Prints the sentences of a journal's entries from a time on.
JOURNAL = """import sqlite3, sys
db = sqlite3.connect('file:%s?mode=ro' % sys.argv[1], uri=True, timeout=1)
for row in db.execute('SELECT text FROM event WHERE wall_ms >= ? ORDER BY id', (int(sys.argv[2]),)):
    print(*row)
"""
THIRD = settings.lan('other')[0].split('/')[0]


def address(text):
    return text[0].split('/')[0]


class Hostile:
    def __init__(self):
        self.floods = []                # (process, since when)
        self.flooded = []               # datagrams a second, of those that ended
        self.busy = {}                  # name: processes
        self.disks = {}                 # name: (device, descriptor) of its state disk
        self.holders = {}               # (name, what hangs): process that will let it work again

    def calm(self):
        """Whatever still goes on ends, before the hosts are looked at or lose their power."""
        for key in list(self.holders):
            self.let_go(*key)
        for name in list(self.busy):
            self.do_idle(None, name)
        self.end_floods()

    # ---- garbage
    def flood(self, net, interface, of, per_second, source):
        proc = subprocess.Popen(
            ['nsenter', '--net=/run/netns/' + self.world.netns(net), self.world.tool('flood'), interface, of, source,
             str(per_second)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=ENV, text=True)
        if proc.stdout.readline().strip() != 'heard':
            raise WorldError('the flood in %s heard no beat that it could spoil' % net)
        self.floods.append((proc, now_ns()))

    def do_flood(self, step, link, per_second):
        if link in ('lan', 'all'):
            self.flood('other', 'eth0', address(settings.lan('mx1')), per_second, THIRD)
        if link in ('cross', 'all'):    # somebody on the cable, who is taken for the peer
            for name in settings.NODES:
                peer = address(settings.cross(name))
                self.flood(name, 'eth1', peer, per_second, peer)

    def end_floods(self):
        for proc, since in self.floods:
            out = proc.communicate(timeout=10)[0].split()
            self.flooded.append(int(out[1]) / (now_ns() - since) * 1e9)
            self.world.note('flood ended: %.0f datagrams a second' % self.flooded[-1])
        self.floods = []

    def do_flood_ends(self, step, per_second):
        self.end_floods()
        if min(self.flooded) < per_second:
            raise WorldError('this machine is too busy: only %.0f datagrams a second were sent' % min(self.flooded))

    # ---- beats of others
    def do_craft(self, step, count, pair, key, node):
        if self.beats('other', ['craft', THIRD, str(count), '50', pair, settings.key_of_somebody(key), node]).wait(20) != 0:
            raise WorldError('the beats could not be sent')

    def do_keys(self, step, name, numbers, sign):
        """Its keys are others from now on, and the daemon is told."""
        self.host(name).write('/etc/mailpair/authkeys', settings.authkeys_of(numbers, sign), 0o600)
        code, said = self.host(name).x(['/usr/local/sbin/mailpair', 'reload'])
        if code != 0:
            raise Failed('reload on %s: exit %s: %s' % (name, code, said.strip()))

    # ---- the control socket
    def do_storm(self, step, name, seconds):
        """Ends with the storm: meanwhile nobody else is sure to be answered."""
        self.storm(name, 'storm', str(seconds))

    def do_strangers(self, step, name):
        self.storm(name, 'strangers')

    def storm(self, name, *args):
        p = subprocess.run([sys.executable, HERE + '/storm.py', self.host(name).path('/run/mailpair')] + list(args),
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60, env=ENV)
        self.world.note('at the control socket of %s: %s' % (name, p.stdout.strip()))
        if p.returncode != 0:
            raise Failed('at the control socket of %s: %s' % (name, p.stdout.strip()))

    # ---- stalls
    def state_disk(self, name):
        """Mounted before the daemon first runs (see before()); the daemon may run now."""
        if name not in self.disks:
            image = '%s/state-%s.img' % (self.world.dir, name)
            with open(image, 'wb') as f:
                f.truncate(16 << 20)
            run(['mke2fs', '-q', '-F', '-t', 'ext4', '-E', 'nodiscard', image])
            self.disks[name] = loop_attach(image)
        host, device = self.host(name), os.stat(self.disks[name][0]).st_rdev
        os.mknod(host.path('/dev/state'), 0o60600, device)
        code, said = host.x('mount -t ext4 /dev/state ' + STATE_DIR)
        if code != 0:
            raise WorldError('the state disk of %s cannot be mounted: %s' % (name, said))
        os.unlink(host.path('/etc/daemon-off'))

    def hold(self, name, what, script, of, *more):
        proc = subprocess.Popen([sys.executable, '%s/%s' % (HERE, script), of, str(self.host(name).pid)] + list(more),
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=ENV, text=True)
        self.holders[name, what] = proc
        if proc.stdout.readline().strip() not in ('frozen', 'choked'):
            raise WorldError('the %s of %s cannot be made to hang' % (what, name))

    def let_go(self, name, what):
        proc = self.holders.pop((name, what))
        proc.communicate(timeout=20)
        if proc.returncode != 0:
            raise WorldError('the %s of %s cannot be made to work again' % (what, name))

    def do_freeze_state(self, step, name, seconds=40):
        self.hold(name, 'state disk', 'freezer.py', self.host(name).path(STATE_DIR), str(seconds))

    def do_thaw_state(self, step, name):
        self.let_go(name, 'state disk')

    def do_freeze_spool(self, step, name):
        self.hold(name, 'spool', 'freezer.py', self.host(name).path(SPOOL))

    def do_thaw_spool(self, step, name):
        self.let_go(name, 'spool')

    def do_choke(self, step, name):
        device = os.stat(self.world.loop[name][0]).st_rdev
        self.hold(name, 'way to the disk', 'choke.py', '%d:%d' % (os.major(device), os.minor(device)))

    def do_unchoke(self, step, name):
        self.let_go(name, 'way to the disk')

    def do_break_spool(self, step, name):
        """As when ext4 finds an error on it; errors=remount-ro in its options."""
        with open('/sys/fs/ext4/%s/trigger_fs_error' % os.path.basename(self.world.loop[name][0]), 'w') as f:
            f.write('made by the test\n')

    def do_busy(self, step, name):
        """As many processes as processors, which do nothing but run."""
        self.busy[name] = [subprocess.Popen(self.host(name).enter(['/bin/sh', '-c', 'while :; do :; done']),
                                            stdin=subprocess.DEVNULL, env=ENV, start_new_session=True)
                           for _ in range(os.cpu_count())]

    def do_idle(self, step, name):
        for proc in self.busy.pop(name):
            os.killpg(proc.pid, signal.SIGKILL)     # it and what it has entered the host with
            proc.wait()

    # ---- claims since the mark
    def is_journal(self, since, name, text):
        """Any entry since the mark, not only transitions; read in the host: SQLite would follow /proc/PID/root wrongly."""
        code, said = self.host(name).x(['python3', '-c', JOURNAL, STATE_DIR + '/journal.db', str(self.marked_wall_ms)])
        return code == 0 and text in said
