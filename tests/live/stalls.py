"""The statements about what a host's own services keep waiting for: a journal that is locked or spoilt, syslog, names, memory.
A part of engine.Engine, in a file of its own; the bench "stalls" uses it, too.

The object that it is mixed into has world and host(name).
"""
import os
import signal
import subprocess
import time

from freezer import STATE_DIR
from world import ENV, HERE, WorldError, run

JOURNAL_DB = STATE_DIR + '/journal.db'
NOBODY = '192.0.2.99'                   # has the address of no host
HOG_MB, LIMIT_MB, FILE_MB = 24, 64, 128

# How a journal is spoilt, by a shell in the host. What stands in the write-ahead log would mend the database, so that goes, too.
SPOIL = {
    'garbage': 'yes garbage | head -c 8192 >{0}; yes garbage | head -c 4096 >{0}-wal',
    'cut': 'python3 -c \'import sqlite3; sqlite3.connect("{0}").execute("PRAGMA wal_checkpoint(TRUNCATE)")\'; truncate -s 6000 {0}',
    'empty': ': >{0}',
    'foreign': 'python3 -c \'import sqlite3; sqlite3.connect("{0}", timeout=5).execute("DROP TABLE event")\'',
    'directory': 'rm -f {0} {0}-wal {0}-shm; mkdir {0}',
}


class MemoryGroup:
    """A memory cgroup (version 1 or 2) with so much for everything in it."""

    def __init__(self, name, megabytes):
        top = '/sys/fs/cgroup'
        self.v2 = os.path.exists(top + '/cgroup.controllers')
        self.home = top if self.v2 else top + '/memory'
        self.path = '%s/%s' % (self.home, name)
        if self.v2:
            self.put(self.home + '/cgroup.subtree_control', '+memory')
        os.mkdir(self.path)
        self.put(self.path + ('/memory.max' if self.v2 else '/memory.limit_in_bytes'), str(megabytes << 20))

    @staticmethod
    def put(path, text):
        with open(path, 'w') as f:
            f.write(text)

    def enter(self, pid=0):
        self.put(self.path + '/cgroup.procs', str(pid))

    def short(self):
        """How often something in it had to wait until memory was found."""
        with open(self.path + ('/memory.events' if self.v2 else '/memory.failcnt')) as f:
            text = f.read()
        return int(dict(line.split() for line in text.splitlines())['max']) if self.v2 else int(text)

    def leave(self):
        with open(self.path + '/cgroup.procs') as f:
            for pid in f.read().split():
                try:
                    self.put(self.home + '/cgroup.procs', pid)
                except OSError:         # it has ended
                    pass
        for _ in range(100):
            try:
                os.rmdir(self.path)
                return
            except OSError:
                time.sleep(0.02)        # tidy: who was killed in it is still going, and the kernel has no event for that


class Stalls:
    def __init__(self):
        self.nuisances = {}             # (what, name): process
        self.short = {}                 # name: its memory group
        self.deaf = set()               # names of hosts whose syslog reads nothing

    def end_stalls(self):
        for what, name in list(self.nuisances):
            self.release(what, name)
        for name in list(self.short):
            self.end_memory(name)
        for name in list(self.deaf):
            self.do_syslog_works(None, name)

    def nuisance(self, what, name, args, group=None):
        """In the host, or in its memory group."""
        with open(HERE + '/nuisance.py') as f:
            args = ['python3', '-c', f.read(), what] + [str(a) for a in args]
        proc = subprocess.Popen(args if group else self.host(name).enter(args), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                env=ENV, text=True, preexec_fn=group.enter if group else None)
        self.nuisances[what, name] = proc
        if proc.stdout.readline().strip() != 'ready':
            raise WorldError('%s: the nuisance "%s" does not begin' % (name, what))

    def release(self, what, name):
        proc = self.nuisances.pop((what, name))
        proc.communicate(timeout=30)

    # ---- the journal
    def do_spoil_journal(self, step, name, how):
        if how not in SPOIL:
            raise WorldError('%s: a journal can become %s' % (step.where, ', '.join(SPOIL)))
        self.must(name, SPOIL[how].format(JOURNAL_DB))

    def do_lock_journal(self, step, name):
        self.nuisance('lock', name, [JOURNAL_DB])

    def do_unlock_journal(self, step, name):
        self.release('lock', name)

    # ---- its disk
    def must(self, name, command):
        code, said = self.host(name).x(command)
        if code != 0:
            raise WorldError('%s: "%s" ends with %s: %s' % (name, command, code, said.strip()))

    def do_fill_state(self, step, name):
        self.must(name, 'dd if=/dev/zero of=%s/filler bs=64k 2>/dev/null; dd if=/dev/zero of=%s/filler2 bs=4k 2>/dev/null; true' %
                  (STATE_DIR, STATE_DIR))

    def do_free_state(self, step, name):
        self.must(name, 'rm %s/filler %s/filler2' % (STATE_DIR, STATE_DIR))

    def do_seal_state(self, step, name):
        """Who has files open for writing would keep it from that."""
        for _ in range(50):
            if self.host(name).x('mount -o remount,ro ' + STATE_DIR)[0] == 0:
                return
            time.sleep(0.2)             # tidy: the journal is closed after some seconds without an entry; nothing tells
        raise WorldError('the state disk of %s cannot be made read-only' % name)

    def do_unseal_state(self, step, name):
        self.must(name, 'mount -o remount,rw ' + STATE_DIR)

    # ---- syslog, names
    def do_syslog_hangs(self, step, name):
        """Its first process, which reads what is said to syslog, stops, and what the socket can hold is in it."""
        os.kill(self.host(name).pid, signal.SIGSTOP)
        self.deaf.add(name)
        self.nuisance('fill', name, ['/dev/log'])
        self.release('fill', name)

    def do_syslog_works(self, step, name):
        os.kill(self.host(name).pid, signal.SIGCONT)
        self.deaf.discard(name)

    def do_names_silent(self, step, name):
        """Questions about names go to somebody who is not there, and nothing says so."""
        host = self.host(name)
        run(['ip', '-n', host.netns, 'neigh', 'replace', NOBODY, 'lladdr', '02:00:00:00:00:63', 'nud', 'permanent', 'dev', 'eth0'])
        host.write('/etc/resolv.conf', 'nameserver %s\noptions timeout:10 attempts:3\n' % NOBODY)
        if host.x(['timeout', '0.5', 'getent', 'hosts', 'mail.example.net'])[0] != 124:
            raise WorldError('%s: names are answered, or refused at once' % name)

    def do_names_answered(self, step, name):
        self.host(name).write('/etc/resolv.conf', '')

    def do_curious_hooks(self, step, name):
        """Its hooks ask about a name."""
        self.host(name).x('mkdir -p /etc/mailpair/hooks.d')
        self.host(name).write('/etc/mailpair/hooks.d/10-ask', '#!/bin/sh\nexec getent hosts mail.example.net\n', 0o755)

    def do_noting_hooks(self, step, name):
        """Each event and its text, a line in /var/log/hooks."""
        self.host(name).x('mkdir -p /etc/mailpair/hooks.d')
        self.host(name).write('/etc/mailpair/hooks.d/20-note', '#!/bin/sh\necho "$MAILPAIR_EVENT $MAILPAIR_REASON" >>/var/log/hooks\n', 0o755)

    # ---- memory
    def do_memory_short(self, step, name):
        """Every process of the host shares a little memory with one that takes it, again and again."""
        self.short[name] = group = MemoryGroup('%s.%s' % (os.path.basename(self.world.dir), name), LIMIT_MB)
        for pid in self.host(name).pids():
            try:
                group.enter(pid)
            except OSError:             # it has ended
                pass
        with open(self.hog_file(name), 'wb') as f:
            f.truncate(FILE_MB << 20)
        self.hog(name)

    def hog(self, name):
        self.nuisance('memory', name, [self.hog_file(name), HOG_MB], self.short[name])

    def hog_again(self, name):
        """It is the first that the kernel ends where there is no memory at all."""
        if self.nuisances['memory', name].poll() is not None:
            self.release('memory', name)
            self.hog(name)

    def hog_file(self, name):
        return '%s.hog-%s' % (self.world.dir, name)     # beside the world, which is in memory itself

    def do_memory_free(self, step, name):
        times = self.short[name].short()
        self.end_memory(name)
        self.world.note('memory of %s was short %d times' % (name, times))
        if times < 100:
            raise WorldError('memory of %s was short only %d times' % (name, times))

    def end_memory(self, name):
        if ('memory', name) in self.nuisances:
            self.release('memory', name)
        os.unlink(self.hog_file(name))
        self.short.pop(name).leave()
