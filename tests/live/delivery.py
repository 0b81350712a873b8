"""Mail that is delivered: into a maildir of the host whose Postfix did it, on its own disk. And damage to the queue while nobody has it."""
import os
import random
import sys
import tempfile
import time

import settings
import traffic
from judge import Failed
from world import WorldError, run

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE) + '/queue')

import damage                           # noqa: E402

BASE, OWNER, FLUSH_EVERY = '/var/delivered', 5000, 2
CHANGES = {'defer_transports': '', 'default_transport': 'virtual'}
MORE = """virtual_mailbox_base = %s
virtual_mailbox_maps = static:all/
virtual_uid_maps = static:%d
virtual_gid_maps = static:%d
""" % (BASE, OWNER, OWNER)
KINDS = (damage.p_renamed, damage.p_lost_mode, damage.misplaced, damage.p_linked, damage.p_renamed, damage.p_fix)


def main_cf():
    lines = settings.MAIN_CF.splitlines()
    for name, value in CHANGES.items():
        lines = ['%s = %s' % (name, value) if line.startswith(name + ' ') else line for line in lines]
    return '\n'.join(lines) + '\n' + MORE


class Deliveries:
    """Statements and claims of a scenario."""

    def __init__(self):
        self.seen, self.copies, self.flushed = set(), {}, 0

    def do_deliver_mail(self, step):
        """From now on, on both hosts; what waits is tried at once."""
        for host in self.world.hosts.values():
            host.write('/etc/postfix/main.cf', main_cf())
            path = host.dir + '/upper' + BASE
            if not host.pid:
                os.makedirs(path, exist_ok=True)
                os.chown(path, OWNER, OWNER)
                continue
            # not "postfix reload", which runs postsuper
            host.x('mkdir -p %s && chown %d:%d %s; kill -HUP $(sed 1q /var/spool/postfix/pid/master.pid); postqueue -f' %
                   (BASE, OWNER, OWNER, BASE))

    def delivered(self):
        """{Message-ID: how often} of all that was delivered so far, by either."""
        for name, host in self.world.hosts.items():
            folder = '%s/upper%s/all/new' % (host.dir, BASE)
            for entry in os.listdir(folder) if os.path.isdir(folder) else ():
                if (name, entry) in self.seen:
                    continue
                with open('%s/%s' % (folder, entry), 'rb') as f:
                    found = traffic.MESSAGE_ID.search(f.read())
                self.seen.add((name, entry))
                if found:
                    message = found.group(1).decode()
                    self.copies[message] = self.copies.get(message, 0) + 1
        return self.copies

    def is_delivered(self, since):
        copies, acked = self.delivered(), self.load.acked()
        if acked and all(message in copies for message in acked):
            return True
        self.flush()
        return False

    def flush(self):
        """What a queue manager put off before it knew of the change would wait for minutes."""
        if time.monotonic() - self.flushed > FLUSH_EVERY:
            self.flushed = time.monotonic()
            for host in self.world.hosts.values():
                if host.pid:
                    host.x('postqueue -f')

    def do_expect_once(self, step):
        """A power cut while a message was being delivered would be a doubt: this is for mail that was delivered afterwards."""
        twice = sorted(m for m, n in self.delivered().items() if n > 1 and m not in self.load.doubtful)
        if twice:
            raise Failed('%d messages were delivered twice: %s' % (len(twice), ' '.join(twice[:5])))

    def repair(self, before):
        """mailpair-queue does this first when it is to mend: a large queue on a slow disk is not at hand."""
        for host in self.world.hosts.values():
            with open(self.world.build + '/mailpair-queue', 'rb') as f:
                host.write('/usr/local/sbin/mailpair-queue.real', f.read(), 0o755)
            host.write('/usr/local/sbin/mailpair-queue', '#!/bin/sh\ncase "$*" in *--repair*--progress*)\n%s\nesac\n'
                       'exec /usr/local/sbin/mailpair-queue.real "$@"\n' % before, 0o755)

    def do_repair_takes(self, step, seconds):
        self.repair('n=0\nwhile [ $n -lt %d ]; do n=$((n + 1)); echo "progress $n of %d seconds"; sleep 1; done # tidy: stands for a long work' % (
            seconds, seconds))

    def do_repair_still(self, step):
        self.repair('exec sleep 3600 # tidy: stands for a work that comes no further')

    def do_repair_usual(self, step):
        self.repair(':')

    def do_damage(self, step):
        """What a crash or a person may do to the queue on the shared disk, while nobody has it."""
        if any(self.world.holds(n, 'disk') and host.pid for n, host in self.world.hosts.items()):
            raise WorldError('%s: somebody has the queue' % step.where)
        at = tempfile.mkdtemp(prefix='damage.', dir=self.world.dir)
        rnd = random.Random(1)
        run(['mount', '-o', 'loop', self.world.dir + '/san.img', at])
        try:
            for kind in KINDS:
                self.world.note('damage: ' + (kind(at + '/postfix', rnd) or 'none').replace(at, ''))
        finally:
            run(['umount', at])
