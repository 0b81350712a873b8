"""Two real mailpair-config with a tree each: started, edited, cut off, killed, asked; their trees compared by compare.py."""
import ctypes
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

from compare import difference, rows, table

PATIENCE = 30
TREE = b'etc'
CLONE_NEWNET = 0x40000000
PORT = 9695

CONF = '''pair = "mail"
state-dir = "%(dir)s/state-%(node)s"
run-dir = "%(dir)s/run-%(node)s"
authkeys = "%(dir)s/authkeys"
group = "root"
hooks-dir = "%(dir)s/hooks"
log = "stderr"
node "mx1" {}
node "mx2" {}
heartbeat { keepalive = 200ms  deadtime = 1s  link "cross" { transport = "udp"  mx1 = "%(at1)s"  mx2 = "%(at2)s"  port = 694 } }
storage "spool" { type = "shared"  device = "/dev/null"  mountpoint = "/srv/mail"  fstype = "ext4" }
takeover { automatic = no }
mta "postfix" {}
config-sync { writers = "%(writers)s"  defaults = no  port = %(port)d  tree "/etc" { %(tree)s } %(more)s }
'''


class Broken(Exception):
    """A law does not hold."""


def run(*argv, **how):
    """What it prints on standard output; an error of its is ours."""
    r = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=PATIENCE, check=False, **how)
    if r.returncode != 0:
        raise Broken('%s: exit %d: %s' % (argv, r.returncode, r.stderr.decode(errors='replace')))
    return r.stdout


def pause(seconds):
    select.select([], [], [], seconds)


class Cable:
    """Two network namespaces that nobody else sees, joined by a veth pair."""
    at = ('10.77.0.1', '10.77.0.2')

    def __init__(self):
        self.end = [self.namespace(), self.namespace()]
        self.ip(0, 'link add cable type veth peer name cable netns ' + self.name(1), 'addr add %s/30 dev cable' % self.at[0], 'link set cable up')
        self.ip(1, 'addr add %s/30 dev cable' % self.at[1], 'link set cable up')

    @staticmethod
    def namespace():
        """A descriptor that keeps one. A thread of its own makes it, as no thread but that one is to be in it."""
        made = []

        def make():
            if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), 'no network namespace')
            made.append(os.open('/proc/thread-self/ns/net', os.O_RDONLY | os.O_CLOEXEC))
        t = threading.Thread(target=make)
        t.start()
        t.join()
        return made[0]

    def name(self, end):
        return '/proc/%d/fd/%d' % (os.getpid(), self.end[end])

    def enter(self, end):
        """What a command begins with that is to run there."""
        return ['nsenter', '--net=' + self.name(end), '--']

    def ip(self, end, *lines):
        subprocess.run(self.enter(end) + ['ip', '-batch', '-'], input='\n'.join(lines).encode(), check=True)

    def cut(self):
        self.ip(0, 'link set cable down')

    def join(self):
        self.ip(0, 'link set cable up')

    def received(self, end):
        """Bytes so far."""
        return json.loads(run(*self.enter(end), 'ip', '-json', '-statistics', 'link', 'show', 'dev', 'cable'))[0]['stats64']['rx']['bytes']

    def close(self):
        for fd in self.end:
            os.close(fd)


class Node:
    """One side. before: a command of the shell that is run in a mount namespace of this node's program alone, before it."""

    def __init__(self, pair, number):
        self.pair, self.number, self.name, self.process = pair, number, 'mx%d' % (number + 1), None
        self.root = os.path.join(pair.dir, self.name)
        self.role, self.tenure = 'standby', 1
        self.before, self.env = None, {}
        os.makedirs(os.path.join(self.root, 'etc'))
        self.state = os.path.join(pair.dir, 'state-' + self.name)
        os.mkdir(self.state, 0o700)
        os.mkdir(os.path.join(pair.dir, 'run-' + self.name), 0o700)
        self.conf = os.path.join(pair.dir, self.name + '.conf')
        with open(self.conf, 'w', encoding='utf-8') as f:
            f.write(CONF % {'dir': pair.dir, 'node': self.name, 'port': pair.port, 'writers': pair.writers, 'tree': pair.tree, 'more': pair.more,
                            'at1': pair.at[0], 'at2': pair.at[1]})

    # ------------------------------------------------------------ the program

    def inside(self, argv):
        """The same command, in this node's network and with what only this node has. It keeps its process id."""
        before = ['unshare', '--mount', 'sh', '-ec', self.before + '; exec "$@"', 'sh'] if self.before else []
        return (self.pair.cable.enter(self.number) if self.pair.cable else []) + before + list(argv)

    def start(self):
        self.log = open(os.path.join(self.pair.dir, 'log-' + self.name), 'ab')
        self.process = subprocess.Popen(self.inside([self.pair.build + '/mailpair-config', 'run', '--conf', self.conf, '--node', self.name, '--root', self.root]),
                                        stdin=subprocess.PIPE, stdout=self.log, stderr=self.log, env={**os.environ, **self.env})
        self.is_now(self.role, self.tenure)

    def is_now(self, role, tenure):
        self.role, self.tenure = role, tenure
        if self.process:
            try:
                self.process.stdin.write(b'role %s tenure %d\n' % (role.encode(), tenure))
                self.process.stdin.flush()
            except BrokenPipeError:     # killed a moment ago
                pass

    def stop(self, how=signal.SIGTERM):
        if self.process:
            self.process.send_signal(how)
            self.process.wait(PATIENCE)
            try:
                self.process.stdin.close()
            except BrokenPipeError:
                pass
            self.log.close()
            self.process = None

    def part(self, which):
        """Process id of "main", "network", "watch", or of a "worker"; None while there is none."""
        if which == 'main':
            return self.process.pid
        with open('/proc/%d/task/%d/children' % (self.process.pid, self.process.pid), encoding='ascii') as f:
            children = [int(pid) for pid in f.read().split()]
        for pid in children:
            try:
                with open('/proc/%d/cmdline' % pid, 'rb') as f:
                    network = b'net-child' in f.read()
                inotify = any('inotify' in os.readlink('/proc/%d/fd/%s' % (pid, fd)) for fd in os.listdir('/proc/%d/fd' % pid))
            except OSError:
                continue
            if {'network': network, 'watch': inotify, 'worker': not network and not inotify}[which]:
                return pid
        return None

    def call(self, *words):
        """(exit status, document)"""
        r = subprocess.run([self.pair.build + '/mailpair-config', *words, '--conf', self.conf, '--node', self.name, '--json'],
                           stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=PATIENCE, check=False)
        return r.returncode, json.loads(r.stdout) if r.stdout else {}

    def status(self):
        return self.call('status')[1]

    # ------------------------------------------------------------ its tree

    def path(self, rel):
        return os.path.join(self.root, 'etc', rel)

    def write(self, rel, data):
        os.makedirs(os.path.dirname(self.path(rel)), exist_ok=True)
        with open(self.path(rel), 'wb') as f:
            f.write(data)

    def read(self, rel):
        try:
            with open(self.path(rel), 'rb') as f:
                return f.read()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def rows(self):
        return {p: r for p, r in rows(os.fsencode(self.root), TREE, directory_times=False).items() if not self.pair.own(p)}


class Pair:
    """own: which paths are no matter of both nodes. cable: in two namespaces, else both on loopback."""

    def __init__(self, args, writers='active', tree='', more='', own=lambda path: False, cable=False, patience=PATIENCE):
        self.build, self.writers, self.tree, self.more, self.own = args.build, writers, tree, more, own
        self.patience = patience
        self.steps = getattr(args, 'steps', 0)
        self.skip, self.said, self.undo = '', '', []       # why it cannot be played; what to tell; what to do at the end
        self.dir = tempfile.mkdtemp(prefix='mailpair-pair.')
        self.cable, self.at, self.port = None, ('127.0.0.1', '127.0.0.2'), PORT
        if cable:
            self.cable = Cable()
            self.at = self.cable.at
        else:
            with socket.socket() as s:
                s.bind(('127.0.0.1', 0))
                self.port = s.getsockname()[1]
        os.mkdir(os.path.join(self.dir, 'hooks'))
        with open(os.open(os.path.join(self.dir, 'authkeys'), os.O_WRONLY | os.O_CREAT, 0o600), 'w', encoding='ascii') as f:
            f.write('auth 1\n1 sha256 %s\n' % os.urandom(24).hex())
        self.a, self.b = Node(self, 0), Node(self, 1)
        self.a.role = 'active'

    def begin(self):
        self.a.start()
        self.b.start()
        self.until('linked', lambda: self.a.status().get('link') == 'linked')
        if self.a.status().get('first') == 'yes' or self.a.status().get('first') is True:
            self.a.call('resync', '--from', 'mx1', '--apply')
        self.in_step('first', self.patience)
        return self

    def until(self, what, holds, patience=PATIENCE):
        end, wait = time.monotonic() + patience, 0.01
        while not holds():
            if time.monotonic() > end:
                raise Broken('not %s: mx1 %s; mx2 %s' % (what, self.a.process and self.a.status(), self.b.process and self.b.status()))
            wait = min(wait * 1.5, 0.3)       # who looks all the time takes the processor from what is looked at
            pause(wait)

    def same(self):
        try:
            return difference(self.a.rows(), self.b.rows()) is None
        except FileNotFoundError:       # while it was looked at
            return False

    def tables_same(self):
        """Those that both nodes have, which each has made itself."""
        own = [p for p in rows(os.fsencode(self.a.root), TREE) if p.endswith((b'.db', b'.cdb')) and self.own(p)]
        both = [[table(os.fsencode(n.root) + b'/' + p) for n in (self.a, self.b)] for p in own]
        return all(a == b for a, b in both if a is not None and b is not None)

    def in_step(self, what='', patience=PATIENCE):
        """The program says so, and it is true."""
        try:
            self.until('in step', lambda: self.a.status().get('in_step') is True and self.b.status().get('in_step') is True and self.same(), patience)
        except Broken as e:
            raise Broken('%s: %s; %s' % (what, difference(self.a.rows(), self.b.rows()), e)) from e

    def conflicts(self, *paths):
        """Exactly these are, on both nodes."""
        def they_are():
            return all(sorted(c['path'] for c in n.status().get('conflicts_at', [])) == sorted('/etc/' + p for p in paths) for n in (self.a, self.b))
        self.until('a conflict of %s on both' % (paths,), they_are)

    def problem(self, node, kind, text=''):
        return any(p['kind'] == kind and text in p['text'] for p in node.status().get('problems', []) + node.status().get('problems_there', []))

    def refused(self, what, kind='invalid', text=''):
        """Both nodes say it."""
        self.until('refused on both: ' + what, lambda: self.problem(self.a, kind, text) and self.problem(self.b, kind, text))

    def end(self):
        for n in (self.a, self.b):
            try:
                n.stop()
            except subprocess.TimeoutExpired:
                n.stop(signal.SIGKILL)
        for undo in reversed(self.undo):
            undo()
        if self.cable:
            self.cable.close()
        shutil.rmtree(self.dir)
