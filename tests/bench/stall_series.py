"""The stalls, one after the other, inside tools/world. See stalls for what is measured."""
import argparse
import json
import os
import shutil
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.dirname(HERE) + '/live', os.path.dirname(HERE) + '/scenario', HERE]

import settings                         # noqa: E402
import traffic                          # noqa: E402
from hostile import Hostile             # noqa: E402
from stalls import Stalls               # noqa: E402
from world import ENV, World, WorldError            # noqa: E402

KEEPALIVE_MS, WARNTIME_MS = 50, 150
OPTIONS = {'heartbeat.keepalive': '%dms' % KEEPALIVE_MS, 'heartbeat.warntime': '%dms' % WARNTIME_MS, 'heartbeat.deadtime': '300ms',
           'timeouts.hook': '2s', 'timeouts.stall': '10min', 'log': '"syslog"'}
PARTS = {'quiet': 1, 'frozen': 1, 'busy': 1, 'memory': 1, 'names': 1, 'syslog': 1, 'locked': 1, 'spoilt': 1, 'all': 2}
SINGLE = ('locked', 'frozen', 'busy', 'names', 'syslog', 'memory')      # in this order: a frozen disk cannot be locked any more
INTERFACES = ('eth1', 'eth0')           # the cross cable, the lan
FLAP = 2.0                              # seconds between changes of the serial link


class Series(Hostile, Stalls):
    def __init__(self, world, args):
        Hostile.__init__(self)
        Stalls.__init__(self)
        self.world, self.args = world, args
        self.load = traffic.Load(world)

    def host(self, name):
        return self.world.hosts[name]

    # ---- the pair
    def start(self):
        for name, host in self.world.hosts.items():
            host.write('/etc/mailpair/mailpair.conf', settings.mailpair_conf(OPTIONS))
            host.write('/etc/mailpair/authkeys', settings.authkeys(), 0o600)
            host.write('/etc/postfix/main.cf', settings.MAIN_CF + 'maillog_file = /var/log/maillog\n')
            host.write('/etc/daemon-off', '')
            host.on()
            self.state_disk(name)
            self.do_curious_hooks(None, name)
        self.wait_well(30)
        self.load.start(5)

    def wait_well(self, seconds):
        end = time.monotonic() + seconds
        while not all(h.status().get('healthy') for h in self.world.hosts.values()):
            if time.monotonic() > end:
                raise WorldError('the pair is not well: %s' % {n: h.status().get('problems') for n, h in self.world.hosts.items()})
            time.sleep(0.1)             # tidy: the sampling period of a measurement

    # ---- stalls: what begins them and what ends them, on one host
    def begin(self, stall, name):
        if stall == 'frozen':
            self.do_freeze_state(None, name, self.args.seconds)
        elif stall in ('busy', 'names', 'syslog', 'locked', 'memory'):
            {'busy': self.do_busy, 'names': self.do_names_silent, 'syslog': self.do_syslog_hangs, 'locked': self.do_lock_journal,
             'memory': self.do_memory_short}[stall](None, name)

    def end(self, stall, name):
        if stall in ('frozen', 'busy', 'names', 'syslog', 'locked', 'memory'):
            {'frozen': self.do_thaw_state, 'busy': self.do_idle, 'names': self.do_names_answered, 'syslog': self.do_syslog_works,
             'locked': self.do_unlock_journal, 'memory': self.do_memory_free}[stall](None, name)

    def again(self, stall, turn):
        """Every FLAP seconds: something to tell and to write down."""
        if turn % 2:
            self.world.link_heal('serial')
        else:
            self.world.link_cut('serial')
        for name in self.short:
            self.hog_again(name)
        if stall == 'spoilt' and turn % 3 == 0:
            for name in settings.NODES:
                self.host(name).x('rm -f /var/lib/mailpair/journal.db.corrupt-*')
                self.do_spoil_journal(None, name, 'garbage')

    # ---- measuring
    def ears(self, seconds):
        return [subprocess.Popen(['nsenter', '-t', str(h.pid), '-n', sys.executable, HERE + '/beats.py', interface, '694', str(seconds), 'all'],
                                 stdout=subprocess.PIPE, env=ENV, text=True) for h in self.world.hosts.values() for interface in INTERFACES]

    def metronome(self, seconds):
        """On another processor time than the pair, in none of its cgroups."""
        return subprocess.Popen([sys.executable, HERE + '/metronome.py', str(KEEPALIVE_MS), str(seconds)], stdout=subprocess.PIPE, env=ENV, text=True)

    @staticmethod
    def stolen():
        """Seconds that whoever runs this virtual machine has given to others, of all its processors."""
        with open('/proc/stat') as f:
            return int(f.readline().split()[8]) / os.sysconf('SC_CLK_TCK')

    def pauses(self):
        return sum(h.status().get('heartbeat', {}).get('pauses', 0) for h in self.world.hosts.values())

    def above_warntime(self):
        """Gaps on network links, by link, that the daemons themselves saw."""
        found = {}
        for name, host in self.world.hosts.items():
            for link in host.status().get('links', []):
                if link['transport'] != 'serial':
                    found[name, link['name']] = sum(g['count'] for g in link['gaps']['histogram'] if g['up_to_ms'] > WARNTIME_MS)
        return found

    def silences(self):
        return sum(int(h.x("grep -c 'silent on every link' /var/log/syslog")[1] or 0) for h in self.world.hosts.values())

    def fenced(self):
        return sum(1 for at, by, action, host, answer in self.world.asked if action == 'off')

    def measure(self, stall, seconds):
        stalls = SINGLE if stall == 'all' else (stall,)
        late, silent, fenced, pauses, stolen = self.above_warntime(), self.silences(), self.fenced(), self.pauses(), self.stolen()
        for one in stalls:
            for name in settings.NODES:
                self.begin(one, name)
        machine, ears, began, turn = self.metronome(seconds), self.ears(seconds), time.monotonic(), 0
        while time.monotonic() - began < seconds:
            self.again(stall, turn)
            turn += 1
            time.sleep(max(0, min(FLAP, began + seconds - time.monotonic())))   # tidy: the length of the measurement
        load = os.getloadavg()[0]
        machine = json.loads(machine.communicate(timeout=60)[0])
        heard = [json.loads(p.communicate(timeout=60)[0])['gaps'] for p in ears]
        for one in reversed(stalls):
            for name in settings.NODES:
                self.end(one, name)
        self.world.link_heal('serial')
        for name in settings.NODES:
            self.host(name).x('rm -f /var/lib/mailpair/journal.db.corrupt-*')
        self.wait_well(30)
        after = self.above_warntime()
        gaps = sorted(g for row in heard for g in row)
        behind = [max(0, g - KEEPALIVE_MS) for g in gaps]
        return dict(stall=stall, seconds=seconds, beats=len(gaps), p50_ms=behind[len(gaps) // 2], p99_ms=behind[len(gaps) * 99 // 100],
                    max_ms=behind[-1], gap_ms=gaps[-1], late=sum(after[k] - late.get(k, 0) for k in after), silent=self.silences() - silent,
                    fenced=self.fenced() - fenced, pauses=self.pauses() - pauses, load=load, stolen_s=self.stolen() - stolen, machine_p99_ms=machine['p99_ms'],
                    machine_max_ms=machine['max_ms'])

    def run(self):
        wanted = self.args.only.split(',') if self.args.only else list(PARTS)
        share = self.args.seconds / sum(PARTS[stall] for stall in wanted)
        self.start()
        for stall in wanted:
            self.world.note('-- ' + stall)
            row = self.measure(stall, share * PARTS[stall])
            print(row, file=sys.stderr, flush=True)
            with open(self.args.out, 'a') as f:
                f.write(json.dumps(row) + '\n')

    def collect(self):
        """What a person wants to see afterwards, beside the results."""
        to = self.args.out + '.logs'
        os.makedirs(to, exist_ok=True)
        with open(to + '/timeline', 'w') as f:
            f.writelines('%9.3f  %s\n' % ((at - self.world.began) / 1e9, text) for at, text in sorted(self.world.events))
        for name, host in self.world.hosts.items():
            shutil.copy2(host.dir + '/upper/var/log/syslog', '%s/%s.syslog' % (to, name))


def main():
    parser = argparse.ArgumentParser()
    for option in ('--dir', '--build', '--out', '--only'):
        parser.add_argument(option, required=True)
    parser.add_argument('--seconds', type=int, required=True)
    args = parser.parse_args()
    world = World(args.dir, args.build)
    world.make()
    series = Series(world, args)
    try:
        series.run()
    finally:
        series.calm()
        series.end_stalls()
        series.load.stop()
        series.collect()
        world.end()
    return 0


if __name__ == '__main__':
    sys.exit(main())
