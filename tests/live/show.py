"""The demonstration itself, inside its world: tells what happens as it happens, and counts at the end.

Built from the same parts as the scenarios (engine.py); the only judge of the outcome is the client's
ledger against the files on the spool.
"""
import argparse
import os
import shutil
import signal
import sys

import engine
import scn
import settings
import traffic
from world import World, WorldError, now_ns

SCENE = """# the demonstration
node a
node b
always at most one node holds the disk
always at most one node runs the mta
"""


class Show:
    def __init__(self, world):
        self.world = world
        self.engine = engine.Engine(world, scn.parse('demo', SCENE))
        self.load, self.prober = self.engine.load, self.engine.prober
        self.moves = []                 # (name, from, to, begin, end)
        world.told = self.tell

    # ---- telling
    def tell(self, at, text):
        if not text.startswith('-- ') and '"monitor"' not in text:
            print('   %7.3f s  %s' % ((at - self.world.began) / 1e9, text), flush=True)

    def say(self, text):
        print('\n' + text, flush=True)

    def command(self, name, words):
        """What an operator types and sees."""
        print('\n   %s# %s' % (name, words), flush=True)
        code, text = self.world.hosts[name].x(words, timeout=60)
        for line in text.rstrip('\n').split('\n'):
            print('   | ' + line, flush=True)
        return code

    def do(self, *statements):
        """Statements of the scenario language."""
        for text in statements:
            step = scn.read_step(text, 'demo')
            self.engine.steps([step])

    # ---- the play
    def start(self):
        self.say('Two hosts, mx1 and mx2, see one disk. They are switched on. mailpaird runs on both.')
        self.do(*scn_lines(SCENE))
        self.do('start a', 'wait a is active within 15s', 'start b', 'wait a is healthy within 10s',
                'wait b is healthy within 10s')
        self.command('mx1', 'mailpair status')
        self.say('Clients send mail to the service address %s, 60 messages a second; another client\n'
                 'connects every 5 ms and waits for the greeting.' % settings.SERVICE)
        self.do('load on 60/s', 'probe on', 'wait 150 more messages are acknowledged within 20s')

    def power_cut(self):
        self.say('mx1 loses its power, in the middle of all that.')
        begin = now_ns()
        self.do('power cut a', 'wait b is active within 20s', 'wait 150 more messages are acknowledged within 20s')
        self.moves.append(('power cut', 'mx1', 'mx2', begin, now_ns()))
        self.command('mx2', 'mailpair status')
        self.say('mx1 comes back. It stays standby: nothing moves without a reason.')
        self.do('power on a', 'wait a is standby within 15s', 'wait b is healthy within 15s')

    def switchover(self):
        self.say('The operator moves the mail back to mx1, still under load.')
        begin = now_ns()
        code = self.command('mx2', 'mailpair switchover --to mx1')
        if code != 0:
            raise engine.Failed('mailpair switchover: exit %s' % code)
        self.do('wait a is active within 5s', 'wait 150 more messages are acknowledged within 20s')
        self.moves.append(('switchover', 'mx2', 'mx1', begin, now_ns()))
        self.do('load off')
        self.prober.stop()
        self.do('wait b is standby within 5s')
        self.command('mx1', 'mailpair history')

    # ---- the sums
    def table(self):
        """True when everything acknowledged was found."""
        a = traffic.Account(self.load, traffic.queue_ids(self.world.hosts['mx1']))
        self.say('%-12s %-12s %10s %10s %10s %10s' % ('move', 'from, to', 'outage', 'refused', 'reset', 'timed out'))
        for name, old, new, begin, end in self.moves:
            tries = self.prober.count(begin, end)
            outage = self.prober.outage(begin, end)
            print('%-12s %-12s %7.0f ms %10d %10d %10d' % (
                name, '%s -> %s' % (old, new), (outage or 0) * 1e3, tries.get('refused', 0),
                tries.get('reset', 0) + tries.get('eof', 0), tries.get('timeout', 0) + tries.get('silent', 0)))
        print('\n%-44s %6d' % ('messages acknowledged (250 after the dot)', a.acked))
        print('%-44s %6d' % ('found on the spool', a.found))
        print('%-44s %6d' % ('lost', len(a.lost)))
        print('%-44s %6d' % ('duplicated', len(a.twice)))
        if a.doubted:
            print('%-44s %6d' % ('sent again, as the connection had broken', a.doubted))
        print(flush=True)
        return a.acked > 0 and not a.lost

    # ---- to play with
    def keep(self):
        print("""The pair keeps running. In another terminal, from the top of the source:

    tests/live/enter mx1 mailpair status         also top, switchover, history, ...; mx1 or mx2
    tests/live/enter mx2                         a shell on that host

Here you can pull the plugs, with the statements of tests/scenario/README.md (a is mx1, b is mx2):

    load on 20/s        power cut a        power on a        link cut cross        link heal cross
    fence of a is dead  freeze a           thaw a            kill mta a            load off

"quit" or Ctrl-C takes everything down.""", flush=True)
        while True:
            try:
                text = input('> ').strip()
            except EOFError:            # nobody types: runs until it is ended
                signal.pause()
            if text == 'quit':
                return
            try:
                if text:
                    self.do(text)
            except (scn.ScenarioError, engine.Failed, WorldError, OSError) as e:
                print('   %s' % e, flush=True)


def scn_lines(text):
    return [line for line in text.splitlines() if line and not line.startswith('#')]


def play(show, keep):
    try:
        show.start()
        show.power_cut()
        show.switchover()
        good = show.table()
        print('%s after %.0f s.' % ('Nothing acknowledged was lost,' if good else 'MESSAGES WERE LOST',
                                   (now_ns() - show.world.began) / 1e9), flush=True)
    except engine.Failed as e:
        good = False
        logs = '/tmp/mailpair-demo-logs.%d' % now_ns()
        show.engine.collect()
        shutil.copytree(show.world.dir + '/log', logs)
        print('\nIt failed: %s: %s\nLogs of both hosts: %s' % (show.engine.step.text, e, logs), flush=True)
    if keep:
        show.keep()
    return 0 if good else 1


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--dir', required=True)
    parser.add_argument('--build', required=True)
    parser.add_argument('--keep', action='store_true')
    args = parser.parse_args()
    sys.setswitchinterval(0.001)
    os.umask(0o022)
    world = World(args.dir, args.build)
    world.make()
    show = Show(world)
    show.engine.before()
    try:
        return play(show, args.keep)
    finally:
        world.told = None
        show.load.stop()
        show.prober.stop()
        world.end()


if __name__ == '__main__':
    sys.exit(main())
