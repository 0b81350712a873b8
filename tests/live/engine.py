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
import mailers                          # noqa: E402
import settings                         # noqa: E402
import traffic                          # noqa: E402
from delivery import Deliveries         # noqa: E402
from hostile import Hostile, THIRD      # noqa: E402
from insync import InStep               # noqa: E402
from judge import Failed, Judge         # noqa: E402
from stalls import Stalls               # noqa: E402
from world import ENV, OTHER, World, WorldError, now_ns, run        # noqa: E402

POLL = 0.02                             # how often a claim is looked at while it is waited for


class Engine(Judge, Hostile, Stalls, Deliveries, InStep):
    def __init__(self, world, scenario, verbose=False):
        Judge.__init__(self, world, scenario, verbose)
        Hostile.__init__(self)
        Stalls.__init__(self)
        Deliveries.__init__(self)
        self.load, self.prober = traffic.Load(world), traffic.Prober(world)
        self.always, self.never = set(), []

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
        conf = settings.mailpair_conf(changes, self.world.mailer, bool(self.scenario.find('config-sync')))
        wrong = {s.values[0] for s in self.scenario.find('key')}
        for name, host in self.world.hosts.items():
            host.write('/etc/mailpair/mailpair.conf', conf)
            host.write('/etc/mailpair/authkeys',
                       settings.authkeys('another-key' if name in wrong else settings.PAIR_KEY), 0o600)
        for step in self.scenario.find('clock-shiftable'):
            self.make_clock(self.world.hosts[step.values[0]])
        if self.scenario.find('syslog-hangs'):      # Postfix would hang with it: that is not what is looked at
            for host in self.world.hosts.values():
                host.write('/etc/postfix/main.cf', settings.MAIN_CF + 'maillog_file = /var/log/maillog\n')
        for step in self.scenario.find('state-disk'):
            self.world.hosts[step.values[0]].write('/etc/daemon-off', '')   # until the disk is mounted

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
    do_clock_shiftable = do_state_disk = lambda self, step, *values: None

    # ---- the pair
    def do_start(self, step, names):
        for name in names:
            self.host(name).on()
            if any(s.values[0] == name for s in self.scenario.find('state-disk')):
                self.state_disk(name)

    do_power_on = do_start

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

    def do_kill_daemon_at_mount(self, step, name):
        """Between mount and seal, or, where we are some milliseconds late, after it: what follows must be well in both cases."""
        if not self.wait_until(lambda: self.world.holds(name, 'disk'), 10):
            raise Failed('%s did not take the disk' % name)
        self.do_kill_daemon(step, name)

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
        """Postfix's own first process; of Exim all that there are."""
        return self.host(name).pids(self.world.mailer.process)

    def do_kill_mta(self, step, name):
        self.masters[name] = set(self.master(name))
        self.kill(self.master(name), signal.SIGKILL, 'the mail program of ' + name)

    def do_hang_mta(self, step, name):
        self.masters[name] = set(self.master(name))
        self.kill(self.master(name), signal.SIGSTOP, 'the mail program of ' + name)

    def do_break_mta(self, step, name):
        """A mistake in its configuration: it will not start any more."""
        self.world.mailer.break_it(self.host(name))

    def do_mend_mta(self, step, name):
        self.world.mailer.mend(self.host(name))

    def do_deliver(self, step, name):
        """All that is in the queue, wherever it was to go."""
        if not self.world.mailer.deliver:
            raise WorldError('%s of this world delivers nothing' % self.world.mailer.name)
        if not self.wait_until(lambda: self.world.mailer.deliver(self.host(name)) == 0, 60):
            raise Failed('the queue did not empty')

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

    # ---- claims
    def do_mark(self, step):
        self.marked_wall_ms = int(time.time() * 1000)
        Judge.do_mark(self, step)

    def wait_claim(self, claim, since, seconds):
        return self.wait_until(lambda: self.claim(claim, since), seconds)

    def hold_claim(self, claim, since, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if not self.claim(claim, since):
                return False
            self.invariants()
            time.sleep(POLL)            # tidy: the period in which a claim is looked at
        return True

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

    def greeted(self):
        out = self.world.in_net('client', ['timeout', '1', 'bash', '-c',
                                           'exec 3<>/dev/tcp/%s/25 && read -r line <&3 && echo "$line" && '
                                           'printf "QUIT\\r\\n" >&3 && cat <&3' % settings.SERVICE], check=False)
        return out.startswith('220')

    def queue_ids(self, name):
        return self.world.mailer.ids(self.host(name))

    # ---- the end
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
                shutil.copytree(host.dir + '/upper' + inside, to + inside, symlinks=True, dirs_exist_ok=True)
        with open(self.world.dir + '/log/timeline', 'w') as f:
            f.write(self.timeline())


def perform(args):
    """(verdict, sentence, summary)"""
    try:
        scenario = scn.load(args.scenario)
    except scn.ScenarioError as e:
        return 'broken', str(e), ''
    try:
        mailer = mailers.of(scenario)
    except ValueError as e:
        return 'broken', str(e), ''
    world = World(args.dir, args.build, mailer)
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
            engine.end_stalls()
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
            shutil.copytree(args.dir + '/log', args.logs, symlinks=True, dirs_exist_ok=True)
    with open(args.result, 'w') as f:
        json.dump({'verdict': verdict, 'sentence': sentence, 'summary': summary}, f)
    return {'passed': 0, 'failed': 1}.get(verdict, 2)


if __name__ == '__main__':
    sys.exit(main())
