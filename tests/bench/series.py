"""One series of measurements, inside tools/world. See failover for what is measured.

Exit status 0 done, 1 something did not come back, 77 what is to be measured is not installed.
"""
import argparse
import json
import os
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.dirname(HERE) + '/live', os.path.dirname(HERE) + '/scenario', HERE]

import settings                         # noqa: E402
import traffic                          # noqa: E402
from world import ENV, OTHER, World, now_ns, run        # noqa: E402

OPTIONS = {'heartbeat.keepalive': '50ms', 'heartbeat.warntime': '150ms', 'heartbeat.deadtime': '250ms',
           'heartbeat.initdead': '3s', 'takeover.hints': 'no', 'takeover.restarts': '15', 'takeover.restart-window': '10s'}
SETTLE = 1.5                            # seconds of good greetings before and after an event

UP = """read word
mount -t ext4 -o noatime /dev/san /srv/mail && mount --bind /srv/mail/postfix /var/spool/postfix
ip addr add %s/24 dev eth0
/usr/local/sbin/garp eth0 %s
%s
"""
START = {'direct': '/usr/lib/postfix/sbin/master -w', 'script': 'postfix start >/dev/null 2>&1'}
DOWN = """read word
date +%s%N
postfix stop >/dev/null 2>&1
date +%s%N
ip addr del ADDRESS/24 dev eth0
umount /var/spool/postfix; umount /srv/mail
"""


class Bench:
    def __init__(self, world, args):
        self.world, self.args = world, args
        self.load, self.prober = traffic.Load(world), traffic.Prober(world)

    # ---- common
    def write(self, **row):
        row.update(series=self.args.series, load=os.getloadavg()[0])
        with open(self.args.out, 'a') as f:
            f.write(json.dumps(row) + '\n')
        print(row, file=sys.stderr, flush=True)

    def steady(self, limit=30, after=0):
        """Every attempt of the last moments, all of them after an event, was good."""
        end = time.monotonic() + limit
        while time.monotonic() < end:
            time.sleep(0.05)            # tidy: the sampling period of a measurement
            self.prober.read()
            since = now_ns() - int(SETTLE * 1e9)
            last = [t for t in self.prober.tries[-2000:] if t[1] >= since]
            if since > after and len(last) > 100 and all(t[2] == 'ok' for t in last):
                return True
        return False

    def measure(self, event, limit=30):
        """Run event(), wait until service is steady again; the row of this run."""
        if not self.steady():
            raise RuntimeError('service is not steady before the event')
        self.prober.tries = self.prober.tries[-400:]
        began = now_ns()
        extra = event() or {}
        back = self.steady(limit, began)
        tries = [t for t in self.prober.tries if t[1] >= began]
        outcomes = {}
        for t in tries:
            outcomes[t[2]] = outcomes.get(t[2], 0) + 1
        mounted = [at for at, host, what, has in self.world.holdings if what == 'disk' and has and at > began]
        row = dict(back=back, outage_ms=(self.prober.outage(began) or 0) * 1e3, refused=outcomes.get('refused', 0),
                   cut=outcomes.get('reset', 0) + outcomes.get('eof', 0), failed=sum(n for o, n in outcomes.items() if o != 'ok'),
                   outcomes=outcomes, mounted_ms=(mounted[0] - began) / 1e6 if mounted else None, **extra)
        self.write(**row)
        return back

    def fill_queue(self):
        self.load.start(150)
        end = time.monotonic() + 20
        while len(self.load.acked()) < 300 and time.monotonic() < end:
            time.sleep(0.05)            # tidy: the sampling period of a measurement
        self.load.stop()

    def cut(self, name):
        """Power off; returns at the moment of the cut, the rest happens beside."""
        with self.world.changed:
            n = len(self.world.cuts)
            self.world.power.tell('cut ' + name)
            self.world.changed.wait_for(lambda: len(self.world.cuts) > n, 5)

    # ---- the floor
    def bare_shell(self, host, script):
        host.write('/usr/local/sbin/garp', open(self.world.tool('garp'), 'rb').read(), 0o755)
        return subprocess.Popen(host.enter(['/bin/sh', '-c', script]), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, text=True, env=ENV)

    def bare_up(self, host, how):
        return self.bare_shell(host, UP % (settings.SERVICE, settings.SERVICE, START[how]))

    @staticmethod
    def go(shell):
        shell.stdin.write('go\n')
        shell.stdin.close()

    def bare(self, kind, how):
        hosts = self.world.hosts
        for host in hosts.values():
            host.write('/etc/daemon-off', '')
            host.on()
        a, b = hosts['mx1'], hosts['mx2']
        first = self.bare_up(a, how)
        self.go(first)
        first.wait(20)
        self.fill_queue()
        self.prober.start()
        for _ in range(self.args.runs):
            # what our own standby does too: programs and libraries lie in the page cache
            if kind == 'crash':
                shell = self.bare_shell(a, 'read word\nkill -9 $(cat /var/spool/postfix/pid/master.pid)\n%s\n' % START[how])
            else:
                shell = self.bare_up(b, how)

            def event():
                if kind == 'kill':
                    self.cut(a.name)
                    self.go(shell)
                elif kind == 'crash':
                    self.go(shell)
                else:
                    down = self.bare_shell(a, DOWN.replace('ADDRESS', settings.SERVICE))
                    self.go(down)
                    stamps = down.stdout.read().split()
                    down.wait()
                    self.go(shell)
                    return {'stop_ms': (int(stamps[1]) - int(stamps[0])) / 1e6}
            self.measure(event)
            shell.wait(20)
            if kind == 'kill':
                self.world.wait_off(a.name, 10)
                a.on()
            if kind != 'crash':
                a, b = b, a

    # ---- ours
    def configure(self, **changes):
        options = dict(OPTIONS)
        options.update(changes)
        conf = settings.mailpair_conf(options, self.world.mailer)
        for host in self.world.hosts.values():
            host.write('/etc/mailpair/mailpair.conf', conf)
            host.write('/etc/mailpair/authkeys', settings.authkeys(), 0o600)

    def roles(self):
        return {name: host.status().get('role') for name, host in self.world.hosts.items()}

    def wait_pair(self, limit=30):
        """One active, one standby that could take; their names."""
        end = time.monotonic() + limit
        while time.monotonic() < end:
            for a, b in (('mx1', 'mx2'), ('mx2', 'mx1')):
                sa, sb = self.world.hosts[a].status(), self.world.hosts[b].status()
                if sa.get('role') == 'active' and sb.get('role') == 'standby' and sa.get('peer_view') == 'alive' and \
                        sa.get('healthy') and sb.get('healthy'):
                    return self.world.hosts[a], self.world.hosts[b]
            time.sleep(0.05)            # tidy: the sampling period of a measurement
        raise RuntimeError('the pair is not whole: %s' % self.roles())

    def ours(self, **changes):
        self.configure(**changes)
        for host in self.world.hosts.values():
            host.on()
        self.wait_pair()
        self.fill_queue()
        self.prober.start()

    def fence_ms(self, host, action):
        """How long one call of the fence agent takes, as a program."""
        began = time.monotonic()
        subprocess.run(host.enter(['/usr/local/sbin/fence_host']), input='action=%s\nplug=%s\nsocket=/run/bmc/socket\n' % (
            action, OTHER[host.name]), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True, env=ENV, timeout=5)
        return (time.monotonic() - began) * 1e3

    def kill(self, hint):
        self.ours(**({'takeover.hints': 'yes'} if hint else {}))
        for _ in range(self.args.runs):
            a, b = self.wait_pair()
            fence = self.fence_ms(b, 'status')
            self.measure(lambda: self.cut(a.name) or {'fence_ms': fence})
            self.world.wait_off(a.name, 10)
            a.on()

    def planned(self):
        self.ours()
        for _ in range(self.args.runs):
            a, b = self.wait_pair()

            def event():
                code, text = a.x(['/usr/local/sbin/mailpair', 'switchover'], 30)
                stop = [float(line.split()[0]) for line in text.split('\n') if 'stop mta' in line]
                return {'code': code, 'stop_ms': stop[0] if stop else None}
            self.measure(event)

    def crash(self):
        self.ours()
        for _ in range(self.args.runs):
            a, b = self.wait_pair()
            self.measure(lambda: [os.kill(p, signal.SIGKILL) for p in a.pids('master')] and None)

    def daemon(self):
        self.ours()
        for _ in range(self.args.runs):
            a, b = self.wait_pair()
            self.measure(lambda: [os.kill(p, signal.SIGKILL) for p in a.pids('mailpaird')[-1:]] and None)

    # ---- doing nothing
    def usage(self, host):
        """(processes, KiB resident, CPU seconds) of mailpair in this host."""
        rss = cpu = 0
        pids = host.pids('mailpaird')
        for p in pids:
            with open('/proc/%d/smaps_rollup' % p) as f:
                rss += sum(int(line.split()[1]) for line in f if line.startswith('Rss:'))
            with open('/proc/%d/stat' % p) as f:
                # its own time and that of its children that have ended: the workers
                cpu += sum(int(x) for x in f.read().rsplit(')', 1)[1].split()[11:15]) / os.sysconf('SC_CLK_TCK')
        return len(pids), rss, cpu

    def idle(self):
        self.configure(**{'heartbeat.keepalive': '200ms', 'heartbeat.warntime': '500ms', 'heartbeat.deadtime': '1s', 'mta.monitor': '2s',
                          'fence.monitor': '1h'})
        for host in self.world.hosts.values():
            host.on()
        self.wait_pair()
        busy = [subprocess.Popen([sys.executable, '-c', 'while True: pass']) for _ in range(os.cpu_count())]
        try:
            time.sleep(10)              # tidy: the first moments of a daemon are not idle
            before = {n: self.usage(h) for n, h in self.world.hosts.items()}
            ears = {n: subprocess.Popen(['nsenter', '-t', str(h.pid), '-n', sys.executable, HERE + '/beats.py', 'eth1', '694', str(self.args.idle - 2)],
                                        stdout=subprocess.PIPE, text=True) for n, h in self.world.hosts.items()}
            time.sleep(self.args.idle)  # tidy: this is the length of the measurement
            after = {n: self.usage(h) for n, h in self.world.hosts.items()}
            status = {n: h.status() for n, h in self.world.hosts.items()}
            heard = {n: json.loads(p.communicate(timeout=20)[0]) for n, p in ears.items()}
        finally:
            for p in busy:
                p.kill()
                p.wait()
        for name, s in status.items():
            host = self.world.hosts[name]
            deaths = sum('silent on every link' in line for line in host.x(['/usr/local/sbin/mailpair', 'history', '--steps', '-n', '1000'])[1].split('\n'))
            gaps = heard[name]
            self.write(node='%s, %s' % (name, s['role']), processes=after[name][0], rss_kb=after[name][1],
                       cpu_percent=100 * (after[name][2] - before[name][2]) / self.args.idle, gap_p99_ms=gaps['p99_ms'],
                       jitter_p99_ms=gaps['p99_ms'] - 200, beats=gaps['count'],
                       gap_max_ms=gaps['max_ms'], deaths=deaths, seconds=self.args.idle)

    def run(self):
        series = self.args.series
        if series.startswith('bare-'):
            self.bare(*series.split('-')[1:])
        elif series in ('kill', 'kill-hint'):
            self.kill(series == 'kill-hint')
        elif series in ('planned', 'crash', 'daemon', 'idle'):
            getattr(self, series)()
        else:
            import peers                # keepalived, Pacemaker
            peers.run(self, series)
        self.prober.stop()


def main():
    parser = argparse.ArgumentParser()
    for option in ('--dir', '--build', '--out'):
        parser.add_argument(option, required=True)
    parser.add_argument('--runs', type=int, default=10)
    parser.add_argument('--idle', type=int, default=120)
    parser.add_argument('series')
    args = parser.parse_args()
    world = World(args.dir, args.build)
    world.make()
    bench = Bench(world, args)
    try:
        bench.run()
    finally:
        bench.prober.stop()
        bench.load.stop()
        world.end()
    return 0


if __name__ == '__main__':
    sys.exit(main())
