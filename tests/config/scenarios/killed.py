"""k: each of the three processes of each node is killed (SIGKILL) right after each of its steps; then it goes on, and nothing is lost.

A step is a system call that changes a file system, or that says something to another process or hears it (tests/queue/tools/cut.c). A round is one change
of every kind on the active node. The process is killed after the first step of a round, after the second one of the next round, and so
on until a round is over before it comes to that; with --steps N after N of them only, by chance.

What never goes, and never is what it was before, is never in conflict. What is gone for a moment, or again what it was two versions ago, may be,
where a node that was killed had not written down the version between: that is shown on both, and an order ends it.
"""
import os
import random
import signal
import subprocess
import time

from nodes import PATIENCE, Broken, pause

from .play import collector, preload, table

SCENARIOS, scenario = collector()
SECRET = b'PRIVATE KEY of round '
COME_AND_GO = {'/etc/k/' + name for name in ['moved', 'away', 'two', 'link'] + ['new%d' % i for i in range(5)]}


class Cut:
    """The process is held to so many steps from now on."""

    def __init__(self, p, pid, step):
        self.killed = False
        self.process = subprocess.Popen([p.build + '/tools/cut', str(step), '-p', str(pid)], stdout=subprocess.PIPE)
        if self.process.stdout.readline() != b'attached\n':
            raise Broken('%d could not be attached to' % pid)

    def came(self):
        return self.process.poll() is not None

    def end(self):
        """How many steps there were."""
        if not self.came():
            self.process.send_signal(signal.SIGTERM)
        self.process.wait(PATIENCE)
        word, steps = self.process.stdout.readline().split()
        self.killed = word == b'cut'        # it may have come to that in the moment in which it was let go
        return int(steps)


class Rounds:
    """Changes of every kind, and what each file held, ever."""

    def __init__(self, p):
        self.p, self.turn = p, 0
        self.held = {}
        for name in ('one', 'two', 'moved', 'secret'):
            self.put('k/' + name, b'at first')
        os.chmod(p.a.path('k/secret'), 0o600)
        self.put('tcprules.d/smtp', b'10.77.:allow\n')      # a set of its own, judged in a worker
        p.in_step()

    def put(self, rel, data):
        self.held.setdefault(rel, []).append(data)
        self.p.a.write(rel, data)

    def round(self):
        self.turn += 1
        a, t = self.p.a, self.turn
        self.put('k/one', b'%d' % t)
        self.put('k/large', os.urandom(9000))
        self.put('k/new%d' % (t % 5), b'made in %d' % t)
        if os.path.exists(a.path('k/new%d' % ((t + 2) % 5))):
            os.unlink(a.path('k/new%d' % ((t + 2) % 5)))
        os.rename(a.path('k/moved' if t % 2 else 'k/away'), a.path('k/away' if t % 2 else 'k/moved'))
        os.chmod(a.path('k/two'), (0o644, 0o600)[t % 2])
        self.put('k/secret', SECRET + b'%d' % t)
        if os.path.islink(a.path('k/link')):
            os.unlink(a.path('k/link'))
        os.symlink('to-%d' % t, a.path('k/link'))

    def kept(self, node):
        """Is the newest version in the node's store?"""
        r = subprocess.run([self.p.build + '/mailpair-config', 'show', '/etc/k/one', '--conf', node.conf, '--node', node.name],
                           stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=PATIENCE, check=False)
        return r.stdout == self.held['k/one'][-1]

    def whole(self):
        """At any moment, on the node that takes."""
        for rel, held in self.held.items():
            data = self.p.b.read(rel)
            if data is not None and data not in held:
                raise Broken('%s is torn: %r' % (rel, data[:80]))
        if os.path.exists(self.p.b.path('k/secret')) and os.stat(self.p.b.path('k/secret')).st_mode & 0o077:
            raise Broken('the secret is open')
        for node in (self.p.a, self.p.b):
            for top in (node.root, node.state):
                self.closed(top)

    def closed(self, top):
        """What others can reach from here, as if the directory itself were open to them, tells nothing of the secret: staged, spooled or kept."""
        for d, dirs, files in os.walk(top):
            dirs[:] = [n for n in dirs if os.stat(os.path.join(d, n)).st_mode & 0o011]
            for name in files:
                path = os.path.join(d, name)
                try:
                    if not os.lstat(path).st_mode & 0o077 or os.path.islink(path):
                        continue
                    with open(path, 'rb') as f:
                        if SECRET in f.read():
                            raise Broken('the secret is open to others in %s' % path)
                except FileNotFoundError:       # a moment ago it was there
                    continue

    def left_over(self):
        return [n for node in (self.p.a, self.p.b) for d, s, f in os.walk(node.root) for n in s + f if n.startswith('.mailpair-')]


def killed_at_every_step(p, node, part):
    rounds = Rounds(p)
    steps = count(p, node, part, rounds)
    at = range(1, steps + 1)
    if p.steps and p.steps < steps:
        at = sorted(random.sample(at, p.steps))
    killed = conflicts = 0
    again = rounds_due = len(at)
    at = list(at)
    while at:
        step = at.pop(0)
        p.until('it runs', lambda: node.part(part) is not None)
        cut = Cut(p, node.part(part), step)
        rounds.round()
        p.until('the step, or the end', lambda: cut.came() or (in_step(p) and rounds.kept(node)))
        cut.end()
        came = cut.killed
        rounds.whole()
        if came:
            killed += 1
            if part == 'main':
                node.stop(signal.SIGKILL)
                node.start()
        elif step > 1 and again:        # a round may do in fewer steps what another took more for: one that comes sooner
            again -= 1
            at.append(random.randint(1, step // 2))
        conflicts += settle(p, 'killed after step %d of %d' % (step, steps))
        rounds.whole()
    if rounds.left_over():
        raise Broken('left over: %s' % rounds.left_over())
    if killed < rounds_due // 2:
        raise Broken('killed only %d times, not %d' % (killed, rounds_due))
    p.said = 'killed %d times, a round has %d steps, %d conflicts' % (killed, steps, conflicts)


def settle(p, what):
    """In step, or in conflict about what comes and goes; that is resolved. How many there were."""
    def rests():
        a, b = p.a.status(), p.b.status()
        return in_step(p) or (a.get('link') == b.get('link') == 'linked' and a.get('pending') == b.get('pending') == 0 and
                              a.get('conflicts_at', []) and [c['path'] for c in a['conflicts_at']] == [c['path'] for c in b.get('conflicts_at', [])])
    p.until('at rest: ' + what, rests)
    paths = [c['path'] for c in p.a.status().get('conflicts_at', [])]
    if set(paths) - COME_AND_GO:
        raise Broken('%s: a conflict of %s' % (what, paths))
    if paths:
        p.a.call('resolve', *paths, '--take', 'mx1')
    p.in_step(what)
    return len(paths)


def in_step(p):
    """Without asking a program that may be dead."""
    try:
        return p.same() and p.a.status().get('in_step') is True and p.b.status().get('in_step') is True
    except subprocess.TimeoutExpired:
        return False


def count(p, node, part, rounds):
    """Steps of a round in which nobody is killed, with the versions that are kept a moment later."""
    p.until('it runs', lambda: node.part(part) is not None)
    cut = Cut(p, node.part(part), 0)
    rounds.round()
    p.in_step('counted')
    p.until('kept', lambda: rounds.kept(node))
    return max(1, cut.end())


@scenario('k01', own=table)
def the_taking_node_is_killed(p):
    killed_at_every_step(p, p.b, 'main')


@scenario('k02', own=table)
def the_editing_node_is_killed(p):
    killed_at_every_step(p, p.a, 'main')


@scenario('k03', own=table)
def the_taking_nodes_network_process_is_killed(p):
    killed_at_every_step(p, p.b, 'network')


@scenario('k04', own=table)
def the_editing_nodes_network_process_is_killed(p):
    killed_at_every_step(p, p.a, 'network')


@scenario('k05', own=table)
def the_taking_nodes_watch_is_killed(p):
    killed_at_every_step(p, p.b, 'watch')


@scenario('k06', own=table)
def the_editing_nodes_watch_is_killed(p):
    killed_at_every_step(p, p.a, 'watch')


@scenario('k07')
def a_program_that_is_killed_in_a_long_transfer_goes_on_where_it_was(p):
    for node in (p.b, p.a):
        for i in range(6):
            p.a.write('k/%d' % i, os.urandom(200000))
            node.stop(signal.SIGKILL)
            p.a.write('k/more%d' % i, b'x' * i)
            node.start()
        p.in_step('killed on ' + node.name)
    left = [n for d, _, f in os.walk(p.b.root) for n in f if n.startswith('.mailpair-new.')]
    if left:
        raise Broken('left over: %s' % left)


@scenario('k08')
def what_a_killed_node_had_put_in_place_is_no_edit_of_its_own(p):
    """Killed between the rename and the moment in which the other node hears of it; which has gone on when it is back."""
    turn, put = [0], []

    def edit():
        turn[0] += 1
        p.a.write('k/one', b'version %d' % turn[0])

    def killed_after(step):
        """Had it been put in place?"""
        p.until('it runs', lambda: p.b.part('main') is not None)
        cut = Cut(p, p.b.part('main'), step)
        edit()
        p.until('the step, or the end', lambda: cut.came() or in_step(p))
        cut.end()
        came = cut.killed
        there = p.b.read('k/one') == p.a.read('k/one')
        if came:
            p.b.stop(signal.SIGKILL)
        edit()
        if came:
            p.b.start()
        p.in_step('killed after step %d' % step)
        put.append(there and came)
        return there
    edit()
    p.in_step()
    low, high = 0, 64           # the first step after which it is there
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if killed_after(middle) else (middle, high)
    steps = list(range(high, high + p.steps) if p.steps else range(1, 64))
    more = random.sample(range(1, 64), 63)      # with a file that stands ready it takes fewer steps, and there is not one each time
    while steps or (more and sum(put) < 2):
        killed_after((steps or more).pop(0))
    if sum(put) < 2:
        raise Broken('killed only %d times after it was put in place' % sum(put))
    p.said = 'killed %d times, %d of them after the rename' % (len(put), sum(put))


def ended(worker):
    """By us."""
    try:
        os.kill(worker, signal.SIGKILL)
    except ProcessLookupError:      # it was quicker
        return False
    return True


@scenario('k09')
def a_worker_that_is_killed_while_it_puts_many_files_in_place_leaves_nothing_behind(p):
    p.b.stop()
    for i in range(3000):
        p.a.write('many/%d/%d' % (i % 30, i), b'%d\n' % i)
    p.b.start()
    killed, end = 0, time.monotonic() + PATIENCE
    while killed < 3 and p.b.read('many/29/2999') is None and time.monotonic() < end:
        worker = p.b.part('worker')
        if worker is not None and ended(worker):
            killed += 1
            p.said = 'killed %d times' % killed
            p.until('it is gone', lambda w=worker: p.b.part('worker') != w)
        pause(0.0005)
    p.in_step('killed')
    left = [n for d, s, f in os.walk(p.b.root) for n in s + f if n.startswith('.mailpair-')]
    if left or not p.said:
        raise Broken('left over: %s' % left if left else 'there was no worker to kill')


def slow_sync(p):
    p.b.env = {'LD_PRELOAD': preload(p, 'slow_sync'), 'SLOW_SYNC': p.dir + '/slow'}


@scenario('k11', before=slow_sync)
def what_a_killed_worker_has_put_in_place_is_on_the_disk_before_the_other_node_hears_of_it(p):
    slow = p.b.env['SLOW_SYNC']
    with open(slow, 'w', encoding='ascii'):
        pass
    for turn in range(8):       # until a worker was met in the middle
        p.b.stop()
        new = {'many/%d/%d' % (i % 30, i): b'%d of %d\n' % (i, turn) for i in range(2000)}
        for rel, data in new.items():
            p.a.write(rel, data)
        if turn == 0:
            for i in range(30):
                os.makedirs(p.b.path('many/%d' % i))        # so that each file has a rename of its own
        p.b.start()
        end = time.monotonic() + PATIENCE
        while not any(p.b.read(rel) == new[rel] for rel in list(new)[::25]) and time.monotonic() < end:
            pause(0.0005)
        worker = p.b.part('worker')
        if worker is not None:
            ended(worker)
        p.until('synced, or it was over', lambda: os.path.exists(slow + '.called') or in_step(p))
        if os.path.exists(slow + '.called'):
            break
    else:
        raise Broken('no worker was killed in the middle')
    there = sum(p.b.read(rel) == data for rel, data in new.items())
    waits = p.a.status().get('pending', 0)
    if there == 0 or waits < len(new):
        raise Broken('%d are there, the other node waits for %d of %d' % (there, waits, len(new)))
    p.said = '%d were there' % there
    os.unlink(slow)
    p.in_step('synced')


@scenario('k10')
def a_reload_while_many_files_are_put_in_place_makes_no_conflict_and_leaves_nothing_behind(p):
    """It ends the worker: what that has put in place is no edit, even where the other node goes on before they meet again."""
    hit = took = 0
    for turn in range(2):
        p.b.stop()
        new = {'many/%d/%d' % (i % 30, i): b'%d of %d\n' % (i, turn) for i in range(1500)}
        for rel, data in new.items():
            p.a.write(rel, data)
        some = list(new)[::37]
        p.b.start()
        end = time.monotonic() + PATIENCE
        while not any(p.b.read(rel) == new[rel] for rel in some) and time.monotonic() < end:
            pause(0.0005)
        p.cable.cut()
        p.b.process.send_signal(signal.SIGHUP)
        began = time.monotonic()
        hit += not all(p.b.read(rel) == new[rel] for rel in some)
        for rel, data in new.items():
            p.a.write(rel, data + b'and more\n')
        p.cable.join()
        p.in_step('reloaded')
        took = max(took, time.monotonic() - began)
    left = [n for d, s, f in os.walk(p.b.root) for n in s + f if n.startswith('.mailpair-')]
    if left or hit == 0:
        raise Broken('left over: %s' % left if left else 'no reload came in time')
    p.said = '%d reloads in the middle, in step after %.1f s at most' % (hit, took)
