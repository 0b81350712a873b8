"""Mail sent and what became of it; connections tried and how they went.

Load runs tools/smtpload in the client's network and reads its ledger: what the clients were told. Queue
reads what the active host has on the spool. Prober runs tools/prober. The sums at the end are
made of these three and of nothing that the programs under test say.
"""
import os
import re
import signal

import settings

QUEUES = ('maildrop', 'incoming', 'active', 'deferred', 'hold', 'corrupt')
MESSAGE_ID = re.compile(rb'Message-ID: <([^>]+)>')


class Growing:
    """A file that a tool appends lines to; read() takes what is new and complete."""

    def __init__(self, path):
        self.path, self.at, self.rest = path, 0, ''

    def read(self):
        try:
            with open(self.path) as f:
                f.seek(self.at)
                text = self.rest + f.read()
                self.at = f.tell()
        except FileNotFoundError:
            return []
        lines = text.split('\n')
        self.rest = lines.pop()
        return lines


class Load:
    def __init__(self, world):
        self.world, self.runs, self.proc = world, 0, None
        self.file = Growing(world.dir + '/log/ledger')
        self.acks = []                  # (time, id)
        self.doubtful = set()           # ids whose connection broke after the final dot
        self.fails = []                 # (time, how)
        self.refusals = []              # (time, code)

    def start(self, per_second):
        self.stop()
        self.runs += 1
        self.proc = self.world.in_net_start('client', [
            self.world.tool('smtpload'), settings.SERVICE, '25', str(per_second), '8',
            'run%d' % self.runs, self.file.path])

    def stop(self):
        """No new mail; what the clients still have they try for a few seconds more."""
        if self.proc:
            self.proc.send_signal(signal.SIGTERM)
            self.proc.wait(15)
            self.proc = None
        self.read()

    def read(self):
        for line in self.file.read():
            at, event, name, detail = line.split(' ', 3)
            if event == 'ACK':
                self.acks.append((int(at), name))
            elif event == 'LOST':
                self.doubtful.add(name)
            elif event == 'FAIL':
                self.fails.append((int(at), detail))
            elif event == 'NAK':
                self.refusals.append((int(at), detail))

    def acked(self):
        self.read()
        return {name for at, name in self.acks}

    def gap(self, since):
        """The longest time without a 250 since then, in seconds."""
        self.read()
        times = [since] + sorted(at for at, name in self.acks if at >= since)
        return max(((b - a) / 1e9 for a, b in zip(times, times[1:])), default=None)


class Prober:
    def __init__(self, world):
        self.world, self.proc = world, None
        self.file = Growing(world.dir + '/log/probe')
        self.tries = []                 # (begin, end, outcome)

    def start(self, every_ms=5):
        self.stop()
        self.proc = self.world.in_net_start('client', [
            self.world.tool('prober'), settings.SERVICE, '25', str(every_ms), self.file.path])

    def stop(self):
        if self.proc:
            self.proc.send_signal(signal.SIGTERM)
            self.proc.wait(5)
            self.proc = None
        self.read()

    def read(self):
        for line in self.file.read():
            begin, end, outcome = line.split()
            self.tries.append((int(begin), int(end), outcome))

    def count(self, since, until=None):
        """{outcome: how often} of the attempts that ended in that time."""
        self.read()
        sums = {}
        for begin, end, outcome in self.tries:
            if end >= since and (until is None or end <= until):
                sums[outcome] = sums.get(outcome, 0) + 1
        return sums

    def outage(self, since, until=None):
        """The longest time between two greetings in that time, in seconds; None if there was no greeting."""
        self.read()
        good = sorted(end for begin, end, outcome in self.tries if outcome == 'ok')
        before = [t for t in good if t < since][-1:]
        good = before + [t for t in good if t >= since and (until is None or t <= until)]
        if until is None and good:
            good.append(max(good[-1], min(self.world.now(), max(end for b, end, o in self.tries))))
        return max(((b - a) / 1e9 for a, b in zip(good, good[1:])), default=None)


def queue_files(spool):
    """{(queue id): path} of all messages that are whole, by the mark that Postfix's cleanup sets on them."""
    found = {}
    for queue in QUEUES:
        for folder, _, names in os.walk('%s/%s' % (spool, queue)):
            for name in names:
                path = folder + '/' + name
                try:
                    if os.stat(path).st_mode & 0o100:
                        found[name] = path
                except FileNotFoundError:
                    pass                # moved on to the next queue meanwhile
    return found


def queue_ids(host):
    """{Message-ID: number of queue files} on the spool of the active host."""
    spool = host.path('/srv/mail/postfix')
    files = {}
    for _ in range(3):                  # a message that moves while we look is seen in the next round
        files.update(queue_files(spool))
    ids = {}
    for name, path in files.items():
        for queue in (os.path.relpath(path, spool).split('/')[0],) + QUEUES:
            text = read_message(spool, queue, name, path)
            if text is not None:
                break
        for found in set(MESSAGE_ID.findall(text or b'')):
            ids[found.decode()] = ids.get(found.decode(), 0) + 1
    return ids


def read_message(spool, queue, name, path):
    hashed = '%s/%s/%s/%s' % (spool, queue, name[0], name)
    for candidate in (path, '%s/%s/%s' % (spool, queue, name), hashed):
        try:
            with open(candidate, 'rb') as f:
                return f.read()
        except FileNotFoundError:
            pass
    return None


class Account:
    """Acknowledged, found, lost, twice: by Message-ID."""

    def __init__(self, load, ids):
        """ids: {Message-ID: number of copies} on the spool"""
        acked = load.acked()
        self.acked = len(acked)
        self.lost = sorted(acked - set(ids))
        self.found = self.acked - len(self.lost)
        twice = {name for name, n in ids.items() if n > 1}
        self.doubted = len(twice & load.doubtful)       # sent again after a connection that broke too late to know
        self.twice = sorted(twice - load.doubtful)      # nobody had a reason to send these again
