"""Runs one scenario on real programs: each statement of tests/scenario/scn.py as a deed or a claim.

usage (inside tools/world): engine.py --dir DIR --build DIR --logs DIR --result FILE [--keep] [-v] SCENARIO
The verdict goes to FILE as JSON. Logs of both hosts are copied to the logs folder unless it passed
(--keep: always).
Exit status 0 passed, 1 failed, 2 the world or the file is wrong.
"""
import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.dirname(HERE) + '/scenario']

import scn                              # noqa: E402
import settings                         # noqa: E402
import traffic                          # noqa: E402
from hostile import Failed, Hostile, Late, THIRD      # noqa: E402
from world import ENV, OTHER, World, WorldError, now_ns, run        # noqa: E402

POLL = 0.02                             # how often a claim is looked at while it is waited for


class Engine(Hostile):
    def __init__(self, world, scenario, verbose=False):
        Hostile.__init__(self)
        self.world, self.scenario, self.verbose = world, scenario, verbose
        self.load, self.prober = traffic.Load(world), traffic.Prober(world)
        self.marked = now_ns()
        self.always, self.never = set(), []
        self.said = ''
        self.found = None               # the last Account
        self.masters = {}               # Postfix's first processes before they were killed or stopped

    # ---- running
    def run(self):
        self.before()
        self.steps(self.scenario.steps)
        self.load.stop()
        self.prober.stop()
        self.invariants()

    def before(self):
        """What has to stand in the hosts before they boot, wherever in the file it is written."""
        changes = {s.values[0]: s.values[1] for s in self.scenario.find('option')}
        conf = settings.mailpair_conf(changes)
        wrong = {s.values[0] for s in self.scenario.find('key')}
        for name, host in self.world.hosts.items():
            host.write('/etc/mailpair/mailpair.conf', conf)
            host.write('/etc/mailpair/authkeys',
                       settings.authkeys('another-key' if name in wrong else settings.PAIR_KEY), 0o600)
        for step in self.scenario.find('clock-shiftable'):
            self.make_clock(self.world.hosts[step.values[0]])
        for step in self.scenario.find('state-disk'):
            self.world.hosts[step.values[0]].write('/etc/daemon-off', '')   # until the disk is mounted

    def steps(self, steps):
        for step in steps:
            self.step = step
            self.tell('    %8.3f  %s' % ((now_ns() - self.world.began) / 1e9, step.text))
            self.world.note('-- ' + step.text)
            if step.name == 'repeat':
                for _ in range(step.values[0]):
                    self.steps(step.body)
            else:
                getattr(self, 'do_' + step.name.replace('-', '_'))(step, *step.values)
            self.invariants()

    def tell(self, text):
        if self.verbose:
            print(text, flush=True)

    def host(self, name):
        return self.world.hosts[name]

    def invariants(self):
        """What must never have been so, judged after each step."""
        for what in self.always:
            both = self.world.overlap(what)
            if both:
                raise Failed('both nodes had the %s at %.3f s, for %.1f ms' %
                             (what, (both[0] - self.world.began) / 1e9, both[1]))
        for name, since in self.never:
            if any(end is None or end > since for begin, end in self.world.intervals(name, 'disk')):
                raise Failed('%s took the disk' % name)

    # ---- what needs no world: read before the start
    def do_node(self, step, name):
        pass

    do_option = do_key = do_clock_shiftable = do_state_disk = lambda self, step, *values: None

    # ---- the pair and the clients
    def do_start(self, step, names):
        for name in names:
            self.host(name).on()
            if any(s.values[0] == name for s in self.scenario.find('state-disk')):
                self.state_disk(name)

    do_power_on = do_start

    def do_load_on(self, step, per_second):
        self.load.start(per_second)

    def do_load_off(self, step):
        self.load.stop()

    def do_probe_on(self, step):
        self.prober.start()

    def do_mark(self, step):
        self.marked = now_ns()
        self.remember()

    # ---- faults
    def do_power_cut(self, step, name):
        self.world.cut(name)

    def do_reboot(self, step, name):
        self.world.cut(name)
        self.host(name).on()

    def links(self, link):
        return ('cross', 'lan', 'serial') if link == 'all' else (link,)

    def do_link_cut(self, step, link):
        for one in self.links(link):
            self.world.link_cut(one)

    def do_link_cut_silently(self, step, link):
        for one in self.links(link):
            self.world.link_cut(one, silently=True)

    def do_link_cut_from(self, step, link, name):
        for one in self.links(link):
            self.world.link_cut(one, name)

    def do_link_heal(self, step, link):
        for one in self.links(link):
            self.world.link_heal(one)

    def do_unplug(self, step, name):
        """The lan cable of one host: its interface has no carrier."""
        run(['ip', '-n', 'switch', 'link', 'set', 'p-' + name, 'down'])

    def do_plug(self, step, name):
        run(['ip', '-n', 'switch', 'link', 'set', 'p-' + name, 'up'])

    def fence(self, name, fault):
        self.world.power.tell('fault %s %s' % (name, fault))

    def do_fence_works(self, step, name):
        self.fence(name, 'works')

    def do_fence_dead(self, step, name):
        self.fence(name, 'dead')

    def do_fence_hangs(self, step, name):
        self.fence(name, 'hangs')

    def do_fence_lies(self, step, name):
        self.fence(name, 'lies')

    def do_fence_late(self, step, name, seconds):
        self.fence(name, 'late %d' % (seconds * 1000))

    def do_fence_cut(self, step, name, by):
        self.world.power.tell('reach %s %s no' % (by, name))

    def do_fence_heal(self, step, name, by):
        self.world.power.tell('reach %s %s yes' % (by, name))

    def do_freeze(self, step, name):
        self.world.freeze(name)

    def do_thaw(self, step, name):
        self.world.thaw(name)

    def kill(self, pids, sig, what):
        if not pids:
            raise Failed('%s does not run' % what)
        for pid in pids:
            try:
                os.kill(pid, sig)
            except ProcessLookupError:
                pass

    def do_kill_daemon(self, step, name):
        """All its processes at once: stopped first, so that none of them replaces another meanwhile."""
        host, what = self.host(name), 'mailpaird of ' + name
        self.kill(host.pids('mailpaird'), signal.SIGSTOP, what)
        self.kill(host.pids('mailpaird'), signal.SIGKILL, what)

    def do_kill_child(self, step, name):
        """Only the youngest of its processes: those that are left replace it."""
        self.kill(self.host(name).pids('mailpaird')[-1:], signal.SIGKILL, 'mailpaird of ' + name)

    def do_stop_daemon(self, step, name):
        """Stays dead until it is started again."""
        self.host(name).write('/etc/daemon-off', '')
        self.do_kill_daemon(step, name)

    def do_start_daemon(self, step, name):
        os.unlink(self.host(name).path('/etc/daemon-off'))

    def master(self, name):
        """Postfix's own first process."""
        return self.host(name).pids('master')

    def do_kill_mta(self, step, name):
        self.masters[name] = set(self.master(name))
        self.kill(self.master(name), signal.SIGKILL, "Postfix's master of " + name)

    def do_hang_mta(self, step, name):
        self.masters[name] = set(self.master(name))
        self.kill(self.master(name), signal.SIGSTOP, "Postfix's master of " + name)

    def do_break_mta(self, step, name):
        """A mistake in its configuration: Postfix will not start any more."""
        self.host(name).write('/etc/postfix/master.cf', 'smtp inet this is not a service\n')

    def do_mend_mta(self, step, name):
        self.host(name).write('/etc/postfix/master.cf', settings.master_cf())

    def do_hold_spool(self, step, name):
        """A process that ignores TERM works on a file of the spool."""
        host = self.host(name)
        subprocess.Popen(host.enter(['/bin/sh', '-c', 'trap "" TERM; cd /srv/mail; exec 9>held; echo x >&9; '
                                     'exec tail -f held']), stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=ENV,
                         start_new_session=True)
        self.wait_until(lambda: os.path.exists(host.path('/srv/mail/held')), 5, 'the holder of the spool does not start')

    def do_fill_spool(self, step, name):
        self.host(name).x('dd if=/dev/zero of=/srv/mail/filler bs=64k 2>/dev/null; '
                          'dd if=/dev/zero of=/srv/mail/filler2 bs=4k 2>/dev/null')

    def do_free_spool(self, step, name):
        self.host(name).x('rm -f /srv/mail/filler /srv/mail/filler2')

    def do_steal(self, step):
        self.world.thief(True)

    def do_give_back(self, step):
        self.world.thief(False)

    def make_clock(self, host):
        """The daemon gets a wall clock of its own; the kernel has one for all hosts."""
        library = self.world.dir + '/wallclock.so'
        if not os.path.exists(library):
            subprocess.run([os.environ.get('CC', 'cc'), '-O2', '-shared', '-fPIC', '-o', library,
                            HERE + '/preload/wallclock.c', '-ldl'], check=True, env=ENV)
        os.makedirs(host.dir + '/upper/usr/local/lib', exist_ok=True)
        shutil.copy2(library, host.dir + '/upper/usr/local/lib/wallclock.so')
        host.write('/etc/wallclock', '0\n')
        host.clock = True

    def do_clock_jump(self, step, name, seconds):
        self.host(name).write('/etc/wallclock', '%d\n' % seconds)

    def beats(self, net, args):
        return self.world.in_net_start(net, [sys.executable, HERE + '/beats.py'] + args)

    def do_record(self, step, count, name):
        """What the other node hears of it over the lan, as raw frames."""
        recorder = self.beats(OTHER[name], ['record', self.world.dir + '/beats-' + name, 'eth0', str(count),
                                            settings.lan(name)[0].split('/')[0]])
        if recorder.wait(20) != 0:
            raise Failed('no beats of %s were heard on the lan' % name)

    def do_replay(self, step, name):
        player = self.beats('other', ['replay', self.world.dir + '/beats-' + name, '200', THIRD])
        if player.wait(20) != 0:
            raise WorldError('the beats of %s could not be replayed' % name)

    # ---- operators
    def do_run(self, step, name, command, code):
        got, self.said = self.host(name).x(command, timeout=60)
        if got != code:
            raise Failed('"%s" on %s: exit %s, expected %d; it said: %s' % (command, name, got, code, self.said.strip()))

    def do_said(self, step, text):
        if text not in self.said:
            raise Failed('"%s" is not in what it said: %s' % (text, self.said.strip()))

    # ---- claims
    def do_wait(self, step, seconds):
        since = now_ns()
        if not self.wait_until(lambda: self.claim(step.claim, since), seconds):
            raise Late('not so within %g s; %s' % (seconds, self.why(step.claim)))

    def do_expect(self, step):
        if not self.claim(step.claim, self.marked):
            raise Late('not so; %s' % self.why(step.claim))

    def do_stays(self, step, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if not self.claim(step.claim, self.marked):
                raise Late('not so any more; %s' % self.why(step.claim))
            self.invariants()
            time.sleep(POLL)            # tidy: the period in which a claim is looked at

    def wait_until(self, claim, seconds, failure=None):
        end = time.monotonic() + seconds
        while not claim():
            if time.monotonic() > end:
                if failure:
                    raise WorldError(failure)
                return False
            with self.world.changed:    # news from the world wake us at once
                self.world.changed.wait(POLL)
        return True

    def do_always(self, step):
        self.always.add({'disk': 'disk', 'mta': 'mta', 'address': 'address'}[step.text.split()[-1]])

    def do_never(self, step, name):
        self.never.append((name, now_ns()))

    def claim(self, claim, since):
        name, values = claim
        return getattr(self, 'is_' + name.replace('-', '_'))(since, *values)

    def is_role(self, since, name, role):
        return self.host(name).status().get('role') == role

    def is_one_active(self, since):
        return sum(h.status().get('role') == 'active' for h in self.world.hosts.values() if h.pid) == 1

    def is_healthy(self, since, name):
        return self.host(name).status().get('healthy') is True

    def is_power(self, since, name):
        return self.host(name).pid != 0

    def is_no_power(self, since, name):
        return self.host(name).pid == 0

    def is_disk(self, since, name):
        return self.world.holds(name, 'disk')

    def is_lost_disk(self, since, name):
        return not self.is_disk(since, name)

    def is_restarted(self, since, name):
        """Its first process is another one than that which was killed or stopped, and it listens."""
        now = set(self.master(name))
        return bool(now) and not now & self.masters.get(name, set()) and self.world.holds(name, 'mta')

    def is_no_mta(self, since):
        return not any(self.world.holds(n, 'mta') for n in settings.NODES)

    def is_no_disk(self, since):
        return not any(self.world.holds(n, 'disk') for n in settings.NODES)

    def is_view(self, since, name, view):
        return self.host(name).status().get('peer_view') == view

    def problems(self, name):
        return json.dumps(self.host(name).status().get('problems'))

    def is_problem(self, since, name, text):
        return text.lower() in self.problems(name).lower()

    def is_no_problem(self, since, name):
        return self.problems(name) == '[]'

    def link(self, name, link):
        return next((li for li in self.host(name).status().get('links', []) if li['name'] == link), {})

    def is_link_up(self, since, name, link):
        return self.link(name, link).get('up') is True

    def is_link_down(self, since, name, link):
        return self.link(name, link).get('up') is False

    def is_rejected(self, since, name, what):
        return any(li.get('rejected', {}).get(what, 0) > 0 for li in self.host(name).status().get('links', []))

    def is_history(self, since, name, text):
        return text in self.host(name).x(['/usr/local/sbin/mailpair', 'history'])[1]

    def is_service(self, since):
        self.prober.read()
        if self.prober.proc:
            return any(end > since and outcome == 'ok' for begin, end, outcome in self.prober.tries[-200:])
        out = self.world.in_net('client', ['timeout', '1', 'bash', '-c',
                                           'exec 3<>/dev/tcp/%s/25 && read -r line <&3 && echo "$line" && '
                                           'printf "QUIT\\r\\n" >&3 && cat <&3' % settings.SERVICE], check=False)
        return out.startswith('220')

    def is_acked(self, since, count):
        self.load.read()
        return sum(1 for at, _ in self.load.acks if at > since) >= count

    def is_put_off(self, since, count):
        self.load.read()
        return sum(1 for at, code in self.load.refusals if at > since and code.startswith('4')) >= count

    def is_asked(self, since, name, action):
        return any(by == name and what == action and at > self.marked
                   for at, by, what, host, answer in self.world.asked)

    def is_not_asked(self, since, name, action):
        return not self.is_asked(since, name, action)

    def is_status(self, since, name, path, value):
        at = self.host(name).status()
        for key in path.split('.'):
            at = at.get(key) if isinstance(at, dict) else None
        return (at if isinstance(at, str) else json.dumps(at)) == value

    def why(self, claim):
        """What can be said about the node in question, for a message."""
        names = [v for v in claim[1] if v in settings.NODES] or list(settings.NODES)
        texts = []
        for name in names:
            s = self.host(name).status()
            if not self.host(name).pid:
                texts.append('%s has no power' % name)
            elif not s:
                texts.append('%s: mailpair gives no status' % name)
            else:
                texts.append('%s is %s, sees its peer %s, problems: %s' % (
                    name, s.get('role'), s.get('peer_view'), json.dumps(s.get('problems'))))
        return '; '.join(texts)

    # ---- sums
    def do_expect_found(self, step):
        holder = [n for n in settings.NODES if self.world.holds(n, 'disk') and self.host(n).pid]
        if len(holder) != 1:
            raise Failed('nobody has the spool, so that no message can be found')
        self.found = a = traffic.Account(self.load, self.host(holder[0]))
        if a.lost:
            raise Failed('%d of %d acknowledged messages are lost: %s' % (len(a.lost), a.acked, ' '.join(a.lost[:5])))
        if a.acked == 0:
            raise Failed('no message was acknowledged at all')

    def do_expect_single(self, step):
        if self.found is None:
            self.do_expect_found(step)
        if self.found.twice:
            raise Failed('%d messages are there twice without reason: %s' %
                         (len(self.found.twice), ' '.join(self.found.twice[:5])))

    def counted(self, outcomes):
        """Connections that never came to a greeting, of all clients."""
        sums = self.prober.count(self.marked)
        for at, detail in self.load.fails:
            how, stage = detail.split()
            if at >= self.marked and stage in ('connect', 'greeting'):
                sums[how] = sums.get(how, 0) + 1
        if not any(sums.values()) and not any(at > self.marked for at, _ in self.load.acks):
            raise WorldError('%s: no client has tried anything since the mark' % self.step.where)
        return sum(sums.get(o, 0) for o in outcomes)

    def do_expect_not_refused(self, step):
        self.load.read()
        n = self.counted(('refused',))
        if n:
            raise Failed('%d connections were refused' % n)

    def do_expect_not_reset(self, step):
        self.load.read()
        n = self.counted(('reset', 'eof'))
        if n:
            raise Failed('%d connections were reset or closed before the greeting' % n)

    def do_expect_outage(self, step, seconds):
        self.prober.read()
        outage = self.prober.outage(self.marked) if self.prober.tries else self.load.gap(self.marked)
        if outage is None:
            raise Failed('nothing was answered since the mark')
        if outage >= seconds:
            raise Late('outage %.0f ms' % (outage * 1e3))

    # ---- the end
    def summary(self):
        """Numbers for the result line."""
        parts = []
        self.prober.read()
        if self.load.acks:
            parts.append('%d acknowledged' % len(self.load.acks))
        if self.found and self.found.doubted:
            parts.append('%d sent twice after a broken connection' % self.found.doubted)
        if self.prober.tries:
            outage = self.prober.outage(self.prober.tries[0][0], self.prober.tries[-1][1])
            parts.append('longest outage %.0f ms' % ((outage or 0) * 1e3))
        return ', '.join(parts)

    def timeline(self):
        return ''.join('%9.3f  %s\n' % ((at - self.world.began) / 1e9, text)
                       for at, text in sorted(self.world.events))

    def collect(self):
        """What a person wants to see after a failure, below the world's log folder."""
        for name, host in self.world.hosts.items():
            to = '%s/log/%s' % (self.world.dir, name)
            os.makedirs(to, exist_ok=True)
            if host.pid:
                for command in ('status', 'status --json', 'history'):
                    code, text = host.x('/usr/local/sbin/mailpair ' + command, timeout=3)
                    with open('%s/%s' % (to, command.replace(' --', '.')), 'w') as f:
                        f.write('%s\n[exit %s]\n' % (text, code))
                with open(to + '/processes', 'w') as f:
                    f.write(host.x('ps -eo pid,ppid,stat,wchan:20,etime,args; cat /proc/mounts; ip addr')[1])
            for inside in ('/var/log', '/var/lib/mailpair', '/etc/mailpair'):
                shutil.copytree(host.dir + '/upper' + inside, to + inside, dirs_exist_ok=True)
        with open(self.world.dir + '/log/timeline', 'w') as f:
            f.write(self.timeline())


def perform(args):
    """(verdict, sentence, summary)"""
    try:
        scenario = scn.load(args.scenario)
    except scn.ScenarioError as e:
        return 'broken', str(e), ''
    world = World(args.dir, args.build)
    engine = None
    try:
        world.make()
        engine = Engine(world, scenario, args.verbose)
        engine.run()
        return 'passed', scenario.title, engine.summary()
    except Failed as e:
        return e.verdict, '%s: %s: %s' % (engine.step.where, engine.step.text, e), engine.summary()
    except (WorldError, OSError, ValueError, subprocess.SubprocessError):
        step = getattr(engine, 'step', None)
        return 'broken', '%s\n%s' % (step or 'making the world', traceback.format_exc()), ''
    finally:
        if engine:
            engine.calm()
            engine.collect()
        world.end()


def main():
    parser = argparse.ArgumentParser()
    for option in ('--dir', '--build', '--logs', '--result'):
        parser.add_argument(option, required=True)
    parser.add_argument('--keep', action='store_true')
    parser.add_argument('-v', dest='verbose', action='store_true')
    parser.add_argument('scenario')
    args = parser.parse_args()
    sys.setswitchinterval(0.001)
    verdict, sentence, summary = perform(args)
    if os.path.isdir(args.dir + '/log'):
        with open(args.dir + '/log/verdict', 'w') as f:
            f.write('%s: %s\n%s\n' % (verdict, sentence, summary))
        if verdict != 'passed' or args.keep:
            shutil.copytree(args.dir + '/log', args.logs, dirs_exist_ok=True)
    with open(args.result, 'w') as f:
        json.dump({'verdict': verdict, 'sentence': sentence, 'summary': summary}, f)
    return {'passed': 0, 'failed': 1}.get(verdict, 2)


if __name__ == '__main__':
    sys.exit(main())
