"""Runs one scenario in virtual time: each statement as lines to build/.../play (tests/sim/play.c), which has the production engine of
both nodes in the machines of the simulator. The commands of operators are the real mailpair; its requests are carried over.
"""
import json
import os
import selectors
import socket
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [HERE, os.path.dirname(HERE) + '/live']

import beats                            # noqa: E402
import settings                         # noqa: E402
import traffic                          # noqa: E402
from judge import Failed, Judge         # noqa: E402
from world import WorldError            # noqa: E402

PROBE_US = 5000
LOOK_NS = 50 * 10**6
COMMAND_NS = 3 * 10**6                  # what it takes to start a program
DIALOGUE_S = 30                         # of real time: a command that neither asks anything nor ends hangs
ALWAYS = 'always at most one node holds the disk'


class Stage:
    """The program play: lines to it, its replies, its time (us)."""

    def __init__(self, build, seed, trace):
        self.proc = subprocess.Popen([build + '/play', str(seed)] + ['trace'] * bool(trace), cwd=TOP, stdin=subprocess.PIPE,
                                     stdout=subprocess.PIPE, stderr=None if trace else subprocess.DEVNULL, text=True)
        self.at = 0

    def say(self, *words):
        """The lines of the reply. Failed when a law was broken, WorldError when it was not understood."""
        try:
            self.proc.stdin.write(' '.join(map(str, words)) + '\n')
            self.proc.stdin.flush()
        except BrokenPipeError:
            pass
        lines = []
        for line in self.proc.stdout:
            kind, _, rest = line.rstrip('\n').partition(' ')
            if kind == '|':
                lines.append(rest)
            elif kind == 'ok':
                self.at = int(rest)
                return lines
            elif rest.startswith('LAW '):
                raise Failed('a law was broken: ' + rest[4:])
            else:
                raise WorldError('%s: %s' % (' '.join(map(str, words))[:80], rest))
        raise Failed('the program ended at "%s" (exit %s)' % (' '.join(map(str, words))[:80], self.proc.wait()))

    def end(self):
        self.proc.stdin.close()
        self.proc.stdout.close()
        self.proc.wait()


class Host:
    """A simulated machine; its commands run here, with a mailpair that speaks to its daemon."""

    def __init__(self, world, build, name):
        self.world, self.name = world, name
        self.dir = '%s/%s' % (world.dir, name)
        self.known = None               # its status, until time goes on
        os.makedirs(self.dir + '/bin')
        self.script('mailpair', 'exec %s/mailpair --socket %s/control.sock --conf %s/mailpair.conf --node %s "$@"' %
                    (build, self.dir, self.dir, name))
        self.script('sync', ':')        # what is acknowledged is on the disk at once

    def script(self, name, text):
        path = '%s/bin/%s' % (self.dir, name)
        self.write('bin/' + name, '#!/bin/sh\n%s\n' % text)
        os.chmod(path, 0o755)

    def write(self, name, text):
        with open('%s/%s' % (self.dir, name), 'w') as f:
            f.write(text)
        os.chmod('%s/%s' % (self.dir, name), 0o600)

    @property
    def pid(self):
        """Not 0: it has power."""
        return self.world.facts()[self.name]['power']

    def answers(self):
        return self.world.facts()[self.name]['daemon'] and self.name not in self.world.frozen

    def status(self):
        if self.known is None:
            self.known = self.world.document(self.name) if self.answers() else {}
        return self.known

    def x(self, command, timeout=60):
        """Run it while time goes on for its requests only; (exit status, output), (None, '') where it would never end."""
        if not self.pid or self.name in self.world.frozen:
            return None, ''
        started = self.world.now() + COMMAND_NS
        while self.world.now() < started:
            self.world.advance(started, 'quiet')
        self.world.stage.say('journal', self.name)
        listener = Listener(self.dir + '/control.sock') if self.answers() else None
        env = {'PATH': self.dir + '/bin:/usr/sbin:/usr/bin:/sbin:/bin', 'HOME': '/root', 'LANG': 'C', 'TERM': 'dumb'}
        proc = subprocess.Popen(['/bin/sh', '-c', command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, env=env)
        try:
            return self.converse(proc, listener, self.world.now() + timeout * 10**9)
        finally:
            if proc.poll() is None:
                proc.kill()
            proc.stdout.close()
            proc.wait()
            if listener:
                listener.close()

    def converse(self, proc, listener, end):
        said, calls = b'', {}           # number of a request: its connection
        with selectors.DefaultSelector() as news:
            news.register(proc.stdout, selectors.EVENT_READ)
            if listener:
                news.register(listener.socket, selectors.EVENT_READ)
            while True:
                ready = [key.fileobj for key, _ in news.select(0 if calls else DIALOGUE_S)]
                if proc.stdout in ready:
                    data = os.read(proc.stdout.fileno(), 65536)
                    said += data
                    if not data:
                        return proc.wait(), said.decode(errors='replace')
                elif ready:
                    connection, line = listener.request()
                    calls[self.world.stage.say('ask', self.name, line)[0]] = connection
                elif not calls:
                    raise WorldError('a command on %s neither asks anything nor ends' % self.name)
                for number in list(calls):
                    if self.forward(number, calls[number]):
                        calls.pop(number).close()
                if calls:
                    if self.world.now() >= end:
                        return None, said.decode(errors='replace')
                    self.world.advance(end, 'quiet')

    def forward(self, number, connection):
        """What the daemon has said; true: that was all."""
        lines = self.world.stage.say('answer', number)
        if len(lines) > 1:
            connection.sendall(''.join(line + '\n' for line in lines[:-1]).encode())
        return lines[-1] == 'over'


class Listener:
    """The control socket, for as long as one command runs."""

    def __init__(self, path):
        self.path = path
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.bind(path)
        self.socket.listen(8)

    def request(self):
        connection, line = self.socket.accept()[0], b''
        while not line.endswith(b'\n'):
            data = connection.recv(4096)
            if not data:
                break
            line += data
        return connection, line.decode().rstrip('\n')

    def close(self):
        self.socket.close()
        os.unlink(self.path)


class Play:
    """What judge.Judge calls the world."""

    def __init__(self, directory, build, seed, trace):
        self.dir = directory
        os.mkdir(directory + '/log')
        self.stage = Stage(build, seed, trace)
        self.began = 0
        self.asked = []                 # (time, by, action, host, answer)
        self.events = []
        self.frozen, self.never = set(), []
        self.seen = None                # facts, until time goes on
        self.hosts = {}
        for name in settings.NODES:
            self.hosts[name] = Host(self, build, name)

    def now(self):
        return self.stage.at * 1000

    def note(self, text):
        self.events.append((self.now(), text))

    def do(self, *words):
        """Done to the world."""
        lines = self.stage.say(*words)
        self.forget()
        return lines

    def forget(self):
        self.seen = None
        for host in self.hosts.values():
            host.known = None

    def advance(self, end_ns, what):
        """Time goes on, at most to then, until anything changes that a claim can see; what: tests/sim/play.c, "until"."""
        self.do('until', end_ns // 1000, what)
        for name in self.never:
            if self.holds(name, 'disk'):
                raise Failed('%s took the disk' % name)

    def facts(self):
        if self.seen is None:
            self.seen = {}
            for line in self.stage.say('facts'):
                w = line.split()
                if w[0] == 'asked':
                    self.asked.append((int(w[1]) * 1000, w[2], w[3], w[4], w[5]))
                else:
                    self.seen[w[0]] = dict(zip(('power', 'daemon', 'disk', 'mta', 'address'), map(int, w[1:])))
        return self.seen

    def document(self, name):
        return json.loads('\n'.join(self.stage.say('status', name)))

    def holds(self, name, what):
        return self.facts()[name][what] != 0


class Load(traffic.Load):
    def start(self, per_second):
        self.stop()
        self.world.do('load', per_second)
        self.proc = True

    def stop(self):
        """No new mail; what the clients still have they try for a few seconds more."""
        if self.proc:
            self.proc = None
            self.world.do('load', 0)
            end = self.world.now() + 5 * 10**9
            while self.world.stage.say('pending') != ['0'] and self.world.now() < end:
                self.world.advance(end, 'all')
        self.read()


class Prober(traffic.Prober):
    def start(self):
        self.world.do('probe', PROBE_US)
        self.proc = True

    def stop(self):
        if self.proc:
            self.world.do('probe', 0)
            self.proc = None
        self.read()


class Engine(Judge):
    def __init__(self, world, scenario, verbose=False):
        Judge.__init__(self, world, scenario, verbose)
        self.load, self.prober = Load(world), Prober(world)

    # ---- running
    def run(self):
        self.meant()
        self.before()
        self.steps(self.scenario.steps)
        self.load.stop()
        self.prober.stop()

    def meant(self):
        """Whatever cannot be played here must not pass unseen."""
        for step in self.scenario.every():
            known = hasattr(self, 'do_' + step.name.replace('-', '_')) or step.name == 'repeat'
            if not known or (step.claim and not hasattr(self, 'is_' + step.claim[0].replace('-', '_'))):
                raise WorldError('%s: has no meaning in virtual time: model it in tests/scenario/play.py, or say in the file '
                                 '"live only: REASON"' % step)

    def before(self):
        conf = settings.mailpair_conf({s.values[0]: s.values[1] for s in self.scenario.find('option')})
        wrong = {s.values[0] for s in self.scenario.find('key')}
        with open(self.world.dir + '/mailpair.conf', 'w') as f:
            f.write(conf)
        lawful = any(s.text == ALWAYS for s in self.scenario.find('always'))
        self.world.do('begin', self.world.dir + '/mailpair.conf', self.world.dir, 'lawful' if lawful else 'unlawful')
        self.world.began = self.marked = self.world.now()
        for name, host in self.world.hosts.items():
            # only for mailpair: where its journal is
            host.write('mailpair.conf', 'state-dir = "%s"\n%s' % (host.dir, conf))
            host.write('authkeys', settings.authkeys('another-key' if name in wrong else settings.PAIR_KEY))
            self.world.do('keys', name)
        self.mark_walls()

    def invariants(self):
        pass                            # after each event: tests/sim/check.c, and World.advance()

    # ---- what needs no deed
    do_clock_shiftable = do_state_disk = do_always = lambda self, step, *values: None

    def do_never(self, step, name):
        self.world.never.append(name)
        self.world.advance(self.world.now(), 'quiet')

    def mark_walls(self):
        self.walls = dict(zip(settings.NODES, self.world.stage.say('wall')))

    def do_mark(self, step):
        self.mark_walls()
        Judge.do_mark(self, step)

    # ---- power and links
    def do_start(self, step, names):
        for name in names:
            self.world.do('power', name, 'on')

    do_power_on = do_start

    def do_power_cut(self, step, name):
        self.world.do('power', name, 'off')

    def do_reboot(self, step, name):
        self.do_power_cut(step, name)
        self.do_start(step, [name])

    def links(self, link):
        return ('cross', 'lan', 'serial') if link == 'all' else (link,)

    def wires(self, link, yes, names=settings.NODES):
        for name in names:
            self.world.do('wire', link, name, yes)

    def do_link_cut(self, step, link):
        for one in self.links(link):
            self.wires(one, 'no')
            self.world.do('carrier', one, 'no')
            for name in settings.NODES if one == 'lan' else ():
                self.world.do('lan', name, 'no')

    def do_link_cut_silently(self, step, link):
        for name in settings.NODES:
            self.do_link_cut_from(step, link, name)

    def do_link_cut_from(self, step, link, name):
        for one in self.links(link):
            self.wires(one, 'no', [name])
            if one == 'lan':
                self.world.do('lan', name, 'mute')

    def do_link_heal(self, step, link):
        for one in self.links(link):
            self.wires(one, 'yes')
            self.world.do('carrier', one, 'yes')
            for name in settings.NODES if one == 'lan' else ():
                self.world.do('lan', name, 'yes')

    def do_unplug(self, step, name):
        self.wires('lan', 'no')
        self.world.do('lan', name, 'no')

    def do_plug(self, step, name):
        self.wires('lan', 'yes')
        self.world.do('lan', name, 'yes')

    def do_steal(self, step):
        self.world.do('thief', 'yes')

    def do_give_back(self, step):
        self.world.do('thief', 'no')

    # ---- fence devices
    def fence(self, name, how, us=0):
        self.world.do('device', name, how, us)

    def do_fence_works(self, step, name):
        self.fence(name, 'works')

    def do_fence_dead(self, step, name):
        self.fence(name, 'dead')

    def do_fence_hangs(self, step, name):
        self.fence(name, 'hangs')

    def do_fence_lies(self, step, name):
        self.fence(name, 'lies')

    def do_fence_late(self, step, name, seconds):
        self.fence(name, 'late', int(seconds * 1e6))

    def do_fence_cut(self, step, name, by):
        self.world.do('reach', by, name, 'no')

    def do_fence_heal(self, step, name, by):
        self.world.do('reach', by, name, 'yes')

    # ---- machines and what runs there
    def do_freeze(self, step, name):
        self.world.frozen.add(name)
        self.world.do('freeze', name, 'yes')

    def do_thaw(self, step, name):
        self.world.frozen.discard(name)
        self.world.do('freeze', name, 'no')

    def deed(self, *words):
        """What cannot be done says something about the programs under test: they do not run."""
        try:
            self.world.do(*words)
        except WorldError as e:
            raise Failed(str(e)) from e

    def do_kill_daemon(self, step, name):
        self.deed('daemon', name, 'kill', 200000)

    def do_kill_daemon_at_mount(self, step, name):
        """The mount is done and the seal not begun."""
        end = self.world.now() + 10 * 10**9
        while not self.world.holds(name, 'disk'):
            if self.world.now() >= end:
                raise Failed('%s did not take the disk' % name)
            self.world.advance(end, 'all')
        self.do_kill_daemon(step, name)

    def do_kill_child(self, step, name):
        """Its keeper, which is no part of the simulation, starts another at once."""
        self.deed('daemon', name, 'kill', 3000)

    def do_stop_daemon(self, step, name):
        self.deed('daemon', name, 'stop', 0)

    def do_start_daemon(self, step, name):
        self.deed('daemon', name, 'start', 0)

    def master(self, name):
        return [pid for pid in [self.world.facts()[name]['mta']] if pid]

    def do_kill_mta(self, step, name):
        self.masters[name] = set(self.master(name))
        self.deed('mta', name, 'kill')

    def do_hang_mta(self, step, name):
        self.masters[name] = set(self.master(name))
        self.deed('mta', name, 'hang')

    def do_break_mta(self, step, name):
        self.world.do('mta', name, 'break')

    def do_mend_mta(self, step, name):
        self.world.do('mta', name, 'mend')

    def do_hold_spool(self, step, name):
        self.deed('spool', name, 'hold')

    def do_fill_spool(self, step, name):
        self.deed('spool', name, 'fill')

    def do_free_spool(self, step, name):
        self.deed('spool', name, 'free')

    def do_clock_jump(self, step, name, seconds):
        self.world.do('clock', name, '-' if seconds < 0 else '+', int(abs(seconds) * 1000))

    def do_freeze_state(self, step, name):
        self.world.do('statedisk', name, 'no')

    def do_thaw_state(self, step, name):
        self.world.do('statedisk', name, 'yes')

    def do_freeze_spool(self, step, name):
        self.deed('spool', name, 'hangs')

    def do_thaw_spool(self, step, name):
        self.deed('spool', name, 'answers')

    do_choke, do_unchoke = do_freeze_spool, do_thaw_spool

    def do_break_spool(self, step, name):
        self.deed('spool', name, 'breaks')

    # ---- the queue
    def do_damage(self, step):
        self.world.do('repair', 'tear', 0)

    def do_repair_takes(self, step, seconds):
        self.world.do('repair', 'takes', int(seconds * 1000))

    def do_repair_still(self, step):
        self.world.do('repair', 'still', 0)

    def do_repair_usual(self, step):
        self.world.do('repair', 'takes', 0)

    # ---- beats of others
    def do_record(self, step, count, name):
        self.world.do('keep', 'lan', name, count)
        end = self.world.now() + 20 * 10**9
        while len(self.world.stage.say('kept')) < count:
            if self.world.now() >= end:
                raise Failed('no beats of %s were heard on the lan' % name)
            self.world.advance(end, 'quiet')
        self.kept = {**getattr(self, 'kept', {}), name: self.world.stage.say('kept')}

    def inject(self, frames, per_second):
        for frame in frames:
            end = self.world.now() + 10**9 // per_second
            self.world.do('inject', 'lan', frame)
            while self.world.now() < end:
                self.world.advance(end, 'quiet')

    def do_replay(self, step, name):
        self.inject(self.kept[name], 200)

    def do_craft(self, step, count, pair, key, node):
        key = settings.key_of_somebody(key)
        self.inject([beats.craft(n, bytes(range(8)), pair, key, node).hex() for n in range(1, count + 1)], 50)

    def do_keys(self, step, name, numbers, sign):
        self.host(name).write('authkeys', settings.authkeys_of(numbers, sign))
        code, said = self.host(name).x('mailpair reload')
        if code != 0:
            raise Failed('reload on %s: exit %s: %s' % (name, code, said.strip()))

    # ---- claims
    def is_asked(self, since, name, action):
        self.world.facts()              # who asked what comes with them
        return Judge.is_asked(self, since, name, action)

    def look_again(self, claim, end):
        """When something has changed that it may ask for; and now and then, as a few things only come of age."""
        what = {'acked': 'all', 'put-off': 'all', 'service': 'all', 'punctual': 'event'}.get(claim[0], 'quiet')
        self.world.advance(min(end, self.world.now() + LOOK_NS), what)

    def wait_claim(self, claim, since, seconds):
        end = self.world.now() + int(seconds * 1e9)
        while not self.claim(claim, since):
            if self.world.now() >= end:
                return False
            self.look_again(claim, end)
        return True

    def hold_claim(self, claim, since, seconds):
        end = self.world.now() + int(seconds * 1e9)
        while self.world.now() < end:
            if not self.claim(claim, since):
                return False
            self.look_again(claim, end)
        return self.claim(claim, since)

    def is_journal(self, since, name, text):
        return any(text in line for line in self.world.stage.say('written', name, self.walls[name]))

    def greeted(self):
        return self.world.stage.say('greeted') == ['yes']

    def queue_ids(self, name):
        return {line.split()[0]: int(line.split()[1]) for line in self.world.stage.say('queue')}
