"""Takeovers with a queue of a given size, inside tools/world; or the shared disk for them. See takeover for what is measured."""
import argparse
import os
import re
import shutil
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [TOP + '/tests/live', TOP + '/tests/scenario', TOP + '/tests/queue', HERE]

import generate                         # noqa: E402
import mailers                          # noqa: E402
from series import Bench                # noqa: E402
from world import World, make_image, now_ns, run        # noqa: E402

BLOCKS_KB, FILES = 14, 3.1              # of a message, which has three files at most, a block each, and their directories
FIRST_TRY = 3600                        # seconds from now: nothing of it comes due while we measure


def mounted(directory, image):
    at = directory + '/disk'
    os.mkdir(at)
    run(['mount', '-o', 'loop,noatime', image, at])
    return at


def unseal(directory, image):
    """The hosts of a new world know nothing of the owners in the last one."""
    at = mounted(directory, image)
    shutil.rmtree(at + '/.mailpair', ignore_errors=True)
    run(['umount', at])


def make_disk(directory, image, mailer, messages, room):
    """An ext4 with so many messages that wait, and room for so many: the same file system whatever is in it."""
    work = directory + '/make'
    os.mkdir(work)
    make_image(work, image, mailer, 512 + room * BLOCKS_KB // 1024, int(room * FILES) + 20000, 64)
    at = mounted(directory, image)
    generate.own_numbers()
    maker, words = generate.MAKERS[mailer.name]('%s/%s' % (at, mailer.sub), later=int(time.time()) + FIRST_TRY), generate.Words(1)
    for number in range(messages):
        maker.message(words, number)
    run(['umount', at], timeout=300)


class Takeovers(Bench):
    def step_ms(self, host, name):
        """Of the last step of that name in the host's log."""
        found = re.findall(r'%s took (\d+) ms' % name, host.x('cat /var/log/mailpaird.log')[1])
        return float(found[-1]) if found else None

    def run(self):
        self.configure()
        for host in self.world.hosts.values():
            host.on()
        self.wait_pair(60)
        self.prober.start()
        for _ in range(self.args.runs):
            self.one('kill')
            self.one('planned')
        self.prober.stop()

    def one(self, how):
        a, b = self.wait_pair(60)

        def event():
            if how == 'kill':
                self.cut(a.name)
                return
            code, end = 3, time.monotonic() + 10
            while code == 3 and time.monotonic() < end:         # a host that has just booted may not be well for a moment
                code, text = a.x(['/usr/local/sbin/mailpair', 'switchover'], 60)
            if code != 0:
                raise RuntimeError('mailpair switchover: exit %s: %s' % (code, text))
        self.steps = lambda: dict(event=how, messages=self.args.messages, check_ms=self.step_ms(b, 'check queue'), start_ms=self.step_ms(
            b, 'start mta'), unmount_ms=self.step_ms(a, 'unmount') if how == 'planned' else None)
        self.measure(event, 60)
        if how == 'kill':
            self.world.wait_off(a.name, 10)
            a.on()

    def write(self, **row):
        super().write(**row, **self.steps())


def main():
    parser = argparse.ArgumentParser()
    for option in ('--dir', '--build', '--san'):
        parser.add_argument(option, required=True)
    parser.add_argument('--mta', choices=sorted(mailers.MAILERS), default='postfix')
    parser.add_argument('--messages', type=int, required=True)
    parser.add_argument('--room', type=int)
    parser.add_argument('--out')
    parser.add_argument('--runs', type=int, default=2)
    args = parser.parse_args()
    mailer = mailers.MAILERS[args.mta]
    if mailer.missing():
        print(mailer.missing(), file=sys.stderr)
        return 77
    if args.room is not None:
        make_disk(args.dir, args.san, mailer, args.messages, args.room)
        return 0
    args.series = 'queue of %d of %s' % (args.messages, args.mta)
    world = World(args.dir, args.build, mailer, san=args.san)
    bench = None
    unseal(args.dir, args.san)
    try:
        world.make()
        bench = Takeovers(world, args)
        bench.run()
    finally:
        if bench:
            bench.prober.stop()
        world.end()
    return 0


if __name__ == '__main__':
    sys.exit(main())
