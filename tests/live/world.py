"""The world of the live tests: hosts, their network, cables, the shared disk, their power.

Runs inside tools/world (a mount and a pid namespace of its own), so nothing that it makes is seen
outside or outlives it. Knows nothing of scenarios: engine.py tells it what to do.
"""
import ctypes
import fcntl
import json
import os
import pwd
import shutil
import struct
import subprocess
import threading
import time

import mailers
import settings

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
ENV = {'PATH': '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', 'HOME': '/root', 'LANG': 'C',
       'TERM': 'dumb'}
OTHER = {'mx1': 'mx2', 'mx2': 'mx1'}
now_ns = time.monotonic_ns


class WorldError(Exception):
    """The world could not be made as asked: no fault of the programs under test."""


def run(args, text=None, check=True, timeout=30):
    """A command of the world itself; its output. WorldError when it fails."""
    p = subprocess.run(args, input=text, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                       timeout=timeout, env=ENV, stdin=None if text is not None else subprocess.DEVNULL)
    if check and p.returncode != 0:
        raise WorldError('%s: exit %d: %s' % (' '.join(args), p.returncode, p.stdout.strip()))
    return p.stdout


# ---------------------------------------------------------------- the shared disk
LOOP_CTL_GET_FREE, LOOP_CONFIGURE, LO_AUTOCLEAR, LO_DIRECT_IO = 0x4C82, 0x4C0A, 4, 16


def loop_attach(image, direct=False):
    """
    A loop device on the image that frees itself after its last user; (path, descriptor to keep). direct: this machine's own
    cache is not used, so that what is mounted anew is cold. Not for images on a tmpfs.
    """
    back = os.open(image, os.O_RDWR | os.O_CLOEXEC)
    ctl = os.open('/dev/loop-control', os.O_RDWR | os.O_CLOEXEC)
    info = struct.pack('=5Q4I64s64s32s2Q', 0, 0, 0, 0, 0, 0, 0, 0, LO_AUTOCLEAR | LO_DIRECT_IO * direct, b'mailpair-live', b'', b'', 0, 0)
    try:
        for _ in range(100):            # others may take the free one between the two calls
            path = '/dev/loop%d' % fcntl.ioctl(ctl, LOOP_CTL_GET_FREE)
            dev = os.open(path, os.O_RDWR | os.O_CLOEXEC)
            try:
                fcntl.ioctl(dev, LOOP_CONFIGURE, struct.pack('=2I', back, 0) + info + bytes(64))
                return path, dev
            except OSError:
                os.close(dev)
        raise WorldError('no free loop device')
    finally:
        os.close(back)
        os.close(ctl)


def make_dir(path, uid, gid, mode):
    os.mkdir(path)
    os.chown(path, uid, gid)
    os.chmod(path, mode)


def make_image(directory, image, mailer, megabytes=64, inodes=16384, journal=4):
    """An ext4 file system that holds an empty queue."""
    make_dir(directory + '/spool', 0, 0, 0o755)
    for name, *how in mailer.dirs():
        make_dir('%s/spool/%s' % (directory, name), *how)
    mailer.fill(directory + '/spool')
    with open(image, 'wb') as f:
        f.truncate(megabytes << 20)
    run(['mke2fs', '-q', '-F', '-t', 'ext4', '-b', '4096', '-m', '1', '-N', str(inodes), '-J', 'size=%d' % journal, '-E',
         'lazy_itable_init=0,nodiscard', '-d', directory + '/spool', image])


# ---------------------------------------------------------------- hosts
class Host:
    """One machine: its own disk (upper layer) survives a reboot; on() is what it takes to boot it."""

    def __init__(self, world, name):
        self.world, self.name = world, name
        self.dir = '%s/hosts/%s' % (world.dir, name)
        self.life = 0                   # how often it was switched on; each life has a network stack of its own
        self.pid, self.proc = 0, None
        self.clock = False              # the daemon runs with a wall clock that the test can shift
        for d in ('upper', 'work', 'root'):
            os.makedirs(self.dir + '/' + d)
        self.furnish()

    @property
    def netns(self):
        return '%s.%d' % (self.name, self.life)

    def path(self, inside):
        """A path of the running host, seen from here."""
        return '/proc/%d/root%s' % (self.pid, inside)

    def write(self, inside, text, mode=0o644):
        """A file of the host, running or not."""
        path = self.path(inside) if self.pid else self.dir + '/upper' + inside
        if not self.pid:
            os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, 'wb') as f:
            f.write(text if isinstance(text, bytes) else text.encode())
        os.chmod(path, mode)
        # Postfix waits 0.3 s whenever it reads a file that was written a moment ago: not what is measured here
        os.utime(path, (time.time() - 3600,) * 2)

    def fresh_dir(self, inside, mode=0o755, user='root'):
        """A directory that hides what this machine has at the same place."""
        path = self.dir + '/upper' + inside
        os.makedirs(path, exist_ok=True)
        os.chmod(path, mode)
        os.chown(path, pwd.getpwnam(user).pw_uid, -1)
        os.setxattr(path, 'trusted.overlay.opaque', b'y')

    def furnish(self):
        for d in ('/etc', '/var', '/var/lib', '/usr', '/usr/local', '/usr/local/sbin'):
            os.makedirs(self.dir + '/upper' + d, exist_ok=True)
            os.chmod(self.dir + '/upper' + d, 0o755)
        for d in ('/var/log', '/var/lib/mailpair', '/etc/mailpair', '/srv', '/srv/mail'):
            self.fresh_dir(d)
        self.write('/etc/hostname', self.name + '\n')
        self.write('/etc/resolv.conf', '')
        self.write('/etc/hosts', '127.0.0.1 localhost\n::1 localhost\n' + ''.join(
            '%s %s\n' % (settings.lan(h)[0].split('/')[0], h) for h in settings.LAN))
        self.world.mailer.furnish(self)
        for program in ('mailpaird', 'mailpair', 'mailpair-queue', 'mailpair-config'):
            source = '%s/%s' % (self.world.build, program)
            if os.path.exists(source):
                shutil.copy2(source, self.dir + '/upper/usr/local/sbin/' + program)
        shutil.copy2(self.world.tool('fence_host'), self.dir + '/upper/usr/local/sbin/fence_host')

    def on(self):
        """Boot. Returns when its first process runs in its finished root."""
        if self.pid:
            return
        self.world.wait_disk_gone(self)
        self.world.new_stack(self)
        log = open('%s/log/boot-%s' % (self.world.dir, self.name), 'ab')
        preload = 'LD_PRELOAD=/usr/local/lib/wallclock.so ' if self.clock else ''
        self.write('/etc/rc.live', settings.RC % (self.world.mailer.boot, preload), 0o755)
        self.proc = subprocess.Popen(
            [self.world.tool('host'), self.name, '/run/netns/' + self.netns, self.dir, self.world.loop[self.name][0],
             self.world.tty[self.name], '%s/bmc/%s' % (self.world.dir, self.name), '/etc/rc.live'],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, env=ENV, text=True)
        said = sorted(self.proc.stdout.readline().split() for _ in range(2))    # in either order
        if ['up'] not in said or said[0][:1] != ['pid']:
            log.flush()
            with open(log.name) as f:
                raise WorldError('%s does not boot: %s' % (self.name, f.read()))
        self.pid = int(said[0][1])
        self.world.power.tell('on %s %d' % (self.name, self.pid))
        self.world.watch.tell('on %s %d' % (self.name, self.pid))
        self.world.note('%s boots' % self.name)

    def died(self):
        """Its power is off and its last process gone."""
        if self.proc:
            self.proc.wait(10)
            self.proc.stdout.close()
        self.pid, self.proc = 0, None

    def enter(self, args):
        return ['nsenter', '-t', str(self.pid), '-m', '-u', '-i', '-n', '-p', '--'] + args

    def x(self, args, timeout=10):
        """Run a command in the host; (exit code, output). A host that is off or frozen: (None, '')."""
        if not self.pid:
            return None, ''
        if isinstance(args, str):
            args = ['/bin/sh', '-c', args]
        try:
            p = subprocess.run(self.enter(args), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True, errors='replace', timeout=timeout, env=ENV)
        except subprocess.TimeoutExpired:
            return None, ''
        return p.returncode, p.stdout

    def status(self):
        """What "mailpair status --json" says, or {}."""
        if not self.pid:
            return {}
        try:
            p = subprocess.run(self.enter(['/usr/local/sbin/mailpair', 'status', '--json']),
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                               timeout=2, env=ENV)
            return json.loads(p.stdout)
        except (subprocess.TimeoutExpired, ValueError):
            return {}

    def pids(self, comm=None):
        """Its processes (of that name), as this side numbers them."""
        if not self.pid:
            return []
        own, found = os.readlink('/proc/%d/ns/pid' % self.pid), []
        for p in filter(str.isdigit, os.listdir('/proc')):
            try:
                with open('/proc/%s/comm' % p) as f:
                    if comm in (None, f.read().strip()) and os.readlink('/proc/%s/ns/pid' % p) == own:
                        found.append(int(p))
            except OSError:
                pass
        return found


# ---------------------------------------------------------------- a tool that talks lines
class Tool:
    """A helper program steered by lines on its standard input; its own lines go to a function."""

    def __init__(self, args, heard):
        self.proc = subprocess.Popen(args, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=ENV, text=True,
                                     bufsize=1)
        try:                            # it plays hardware, which does not wait for a processor
            os.sched_setscheduler(self.proc.pid, os.SCHED_RR, os.sched_param(20))
        except OSError:
            pass
        self.thread = threading.Thread(target=self.listen, args=(heard,), daemon=True)
        self.thread.start()

    def listen(self, heard):
        for line in self.proc.stdout:
            heard(line.split())

    def tell(self, line):
        self.proc.stdin.write(line + '\n')
        self.proc.stdin.flush()


# ---------------------------------------------------------------- the world
class World:
    def __init__(self, directory, build, mailer=mailers.MAILERS['postfix'], san=None):
        """san: a finished image on a real disk (make_image) instead of a small empty one in memory."""
        self.dir, self.build, self.mailer = directory, build, mailer
        self.san, self.direct = san or directory + '/san.img', san is not None
        self.began = now_ns()
        self.changed = threading.Condition()    # power or holdings changed
        self.events = []                        # (time, text), for the timeline
        self.told = None                        # told(time, text): who wants to see them as they happen
        self.holdings = []                      # (time, host, what, bool), as the observer saw it
        self.cuts = []                          # (host, begin, end, why)
        self.asked = []                         # (time, from, action, host, answer) at the power controllers
        self.loop, self.tty, self.hosts = {}, {}, {}

    def now(self):
        """Nanoseconds of the clock that all times of the world are told by."""
        return now_ns()

    def tool(self, name):
        return '%s/tools/%s' % (self.build, name)

    def note(self, text, at=None):
        self.events.append((at or now_ns(), text))
        if self.told:
            self.told(*self.events[-1])

    # ---- making it
    def make(self):
        run(['mount', '-t', 'tmpfs', '-o', 'size=600m,mode=755', 'mailpair-live', self.dir])
        for d in ('log', 'hosts', 'bmc/mx1', 'bmc/mx2'):
            os.makedirs(self.dir + '/' + d)
        self.make_net()
        if not self.direct:
            make_image(self.dir, self.san, self.mailer)
        for name in settings.NODES:
            self.loop[name] = loop_attach(self.san, self.direct)
        self.make_cable()
        for name in settings.NODES:
            self.hosts[name] = Host(self, name)
        args = []
        for name in settings.NODES:
            args += [name, '%s/bmc/%s/socket' % (self.dir, name)]
        ready = threading.Event()
        self.power = Tool([self.tool('power')] + args,
                          lambda w: ready.set() if w == ['ready'] else self.power_says(w))
        if not ready.wait(5):
            raise WorldError('the power controller does not start')
        args = []
        for name in settings.NODES:
            args += [name, os.path.basename(self.loop[name][0])]
        self.watch = Tool([self.tool('watch')] + args, self.watch_says)

    def make_net(self):
        os.makedirs('/run/netns', exist_ok=True)
        run(['mount', '-t', 'tmpfs', 'netns', '/run/netns'])
        names = ('switch', 'mx1.0', 'mx2.0', 'client', 'other')
        run(['ip', '-batch', '-'], ''.join('netns add %s\n' % n for n in names))
        batch = ['link add lan type bridge mcast_snooping 0 stp_state 0', 'link set lan up']
        for n in settings.LAN:
            batch += ['link add p-%s type veth peer name eth0 netns %s' % (n, self.netns(n)),
                      'link set p-%s master lan up' % n]
        run(['ip', '-n', 'switch', '-batch', '-'], '\n'.join(batch) + '\n')
        run(['ip', '-n', 'mx1.0', 'link', 'add', 'eth1', 'type', 'veth', 'peer', 'name', 'eth1', 'netns', 'mx2.0'])
        for n in ('client', 'other'):
            self.address_up(n)
        self.in_net('client', ['sysctl', '-qw', 'net.ipv4.ip_local_port_range=2048 65535'])

    def netns(self, name):
        """The network namespace of a host as it is now."""
        return self.hosts[name].netns if name in self.hosts else name + '.0' * (name in settings.NODES)

    def new_stack(self, host):
        """
        The interfaces move to a new namespace, as they come to a new kernel at a boot: what the former life of
        the host had in its sockets, and would still send, is gone with the old one.
        """
        old = host.netns
        host.life += 1
        batch = ['netns add ' + host.netns]
        for dev in ('eth0', 'eth1'):
            batch.append('-n %s link set %s down netns %s' % (old, dev, host.netns))
        for line in batch:
            run(['ip'] + line.split())
        run(['ip', 'netns', 'del', old])
        self.address_up(host.name)

    def address_up(self, name):
        batch = ['link set lo up', 'link set eth0 up'] + [
            'addr add %s dev eth0%s' % (a, ' nodad' if ':' in a else '') for a in settings.lan(name)]
        if name in settings.CROSS:
            batch += ['link set eth1 up'] + [
                'addr add %s dev eth1%s' % (a, ' nodad' if ':' in a else '') for a in settings.cross(name)]
        run(['ip', '-n', self.netns(name), '-batch', '-'], '\n'.join(batch) + '\n')

    def make_cable(self):
        names, ready = [], threading.Event()

        def heard(words):
            names.append(words[0])
            if len(names) == 2:
                ready.set()
        self.cable = Tool([self.tool('cable')], heard)
        if not ready.wait(5):
            raise WorldError('the serial cable does not start')
        self.tty = dict(zip(settings.NODES, names))

    def in_net(self, name, args, text=None, check=True):
        return run(['nsenter', '--net=/run/netns/' + self.netns(name)] + args, text, check)

    def in_net_start(self, name, args):
        return subprocess.Popen(['nsenter', '--net=/run/netns/' + self.netns(name)] + args, stdin=subprocess.DEVNULL, env=ENV)

    # ---- what the tools tell (in their threads)
    def power_says(self, w):
        with self.changed:
            if w[0] == 'cut':
                self.cuts.append((w[1], int(w[2]), int(w[3]), ' '.join(w[4:])))
                self.note('%s loses its power (%s)' % (w[1], ' '.join(w[4:])), int(w[2]))
            elif w[0] == 'dead':
                self.hosts[w[1]].died()
                self.watch.tell('off ' + w[1])
            elif w[0] == 'ask':
                self.asked.append((int(w[-1]), w[1], w[2], w[3], ' '.join(w[4:-1])))
                self.note('%s asks for "%s" of %s: %s' % (w[1], w[2], w[3], ' '.join(w[4:-1])), int(w[-1]))
            elif w[0] == 'on':
                threading.Thread(target=self.hosts[w[1]].on, daemon=True).start()
            self.changed.notify_all()

    def watch_says(self, w):
        words = {'disk': 'spool mounted', 'mta': 'mail program listening', 'address': 'service address'}
        with self.changed:
            self.holdings.append((int(w[0]), w[1], w[2], w[3] == 'yes'))
            self.note('%s: %s: %s' % (w[1], words[w[2]], w[3]), int(w[0]))
            self.changed.notify_all()

    # ---- power
    def cut(self, name):
        """Cut the power of a host; returns when nothing of it is left."""
        host = self.hosts[name]
        if host.pid:
            self.power.tell('cut ' + name)
            self.wait_off(name, 10)

    def wait_off(self, name, seconds):
        with self.changed:
            return self.changed.wait_for(lambda: self.hosts[name].pid == 0, seconds)

    def wait_disk_gone(self, host):
        """The kernel forgets a dead host's super block a little after its last process."""
        name = '/sys/fs/ext4/' + os.path.basename(self.loop[host.name][0])
        end = time.monotonic() + 10
        while os.path.exists(name):
            if time.monotonic() > end:
                raise WorldError('the spool is still mounted by the host %s, which is off' % host.name)
            time.sleep(0.002)           # tidy: the kernel has no event for a file system that is gone

    # ---- who held what, when
    def intervals(self, name, what):
        """[(from, to)] of a holding; to is None while it lasts. A host without power holds nothing."""
        out, since = [], None
        for at, host, kind, has in self.holdings:
            if host != name or kind != what:
                continue
            if has and since is None:
                since = at
            elif not has and since is not None:
                out.append((since, at))
                since = None
        if since is not None:
            out.append((since, None))
        cut = [end for host, begin, end, why in self.cuts if host == name]
        return [(a, min([b] * (b is not None) + [c for c in cut if c > a], default=None)) for a, b in out]

    def overlap(self, what):
        """The first time both held it: (time, milliseconds), or None."""
        for a, b in self.intervals('mx1', what):
            for c, d in self.intervals('mx2', what):
                begin, end = max(a, c), min(b or now_ns(), d or now_ns())
                if begin < end:
                    return begin, (end - begin) / 1e6
        return None

    def holds(self, name, what):
        spans = self.intervals(name, what)
        return bool(spans) and spans[-1][1] is None

    # ---- links
    def drop(self, name, dev, why):
        """Everything that arrives at the interface vanishes; its carrier stays."""
        table = 'netdev %s_%s' % (why, dev.replace('-', '_'))
        self.in_net(name, ['nft', 'add table %s; add chain %s arriving { type filter hook ingress device "%s" priority 0; '
                           'policy drop; }' % (table, table, dev)])

    def undrop(self, name, dev, why):
        self.in_net(name, ['nft', 'delete', 'table', 'netdev', '%s_%s' % (why, dev.replace('-', '_'))], check=False)

    def link_cut(self, link, node=None, silently=False):
        """node: only what this host sends is lost (silently by nature); else both directions."""
        if link == 'serial':
            self.cable.tell('cut' + ('' if node is None else ' 01' if node == 'mx1' else ' 10'))
        elif link == 'cross':
            if node is None and not silently:
                run(['ip', '-n', self.netns('mx1'), 'link', 'set', 'eth1', 'down'])
                return
            for n in settings.NODES:
                if node in (None, OTHER[n]):
                    self.drop(n, 'eth1', 'cut')
        elif link == 'lan':
            for n in settings.NODES:
                if node in (None, n) and (silently or node):
                    self.drop('switch', 'p-' + n, 'cut')
                elif node in (None, n):
                    run(['ip', '-n', 'switch', 'link', 'set', 'p-' + n, 'down'])

    def link_heal(self, link):
        if link == 'serial':
            self.cable.tell('heal')
        elif link == 'cross':
            run(['ip', '-n', self.netns('mx1'), 'link', 'set', 'eth1', 'up'])
            for a in settings.cross('mx1')[1:]:     # the kernel forgets IPv6 addresses of an interface that is down
                run(['ip', '-n', self.netns('mx1'), 'addr', 'replace', a, 'dev', 'eth1', 'nodad'])
            for n in settings.NODES:
                self.undrop(n, 'eth1', 'cut')
        elif link == 'lan':
            for n in settings.NODES:
                run(['ip', '-n', 'switch', 'link', 'set', 'p-' + n, 'up'])
                self.undrop('switch', 'p-' + n, 'cut')

    # ---- freezing
    def freeze(self, name):
        """Every process stops, and nothing is heard of the host nor heard by it, as of a paused virtual machine."""
        host = self.hosts[name]
        for dev in ('eth0', 'eth1'):
            self.drop(name, dev, 'freeze')
        self.drop('switch', 'p-' + name, 'freeze')
        self.drop(OTHER[name], 'eth1', 'freeze')
        for _ in range(2):              # a fork may have slipped through the first time
            host.x(['/bin/kill', '-STOP', '--', '-1'])

    def thaw(self, name):
        for dev in ('eth0', 'eth1'):
            self.undrop(name, dev, 'freeze')
        self.undrop('switch', 'p-' + name, 'freeze')
        self.undrop(OTHER[name], 'eth1', 'freeze')
        self.hosts[name].x(['/bin/kill', '-CONT', '--', '-1'])

    def thief(self, on):
        """A third host has, or gives back, the service address."""
        run(['ip', '-n', 'other', 'addr', 'add' if on else 'del', settings.SERVICE + '/24', 'dev', 'eth0'], check=on)

    def end(self):
        """Power off; the rest goes with the namespaces."""
        for name in self.hosts:
            self.cut(name)


def die_with_parent():
    """For children that must not outlive us: the kernel ends them when we end."""
    ctypes.CDLL(None).prctl(1, 9)
