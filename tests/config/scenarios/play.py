"""What a scenario is: a number, a sentence, a function that is given a pair, and how that pair is made."""
import os
import subprocess
import threading

from nodes import PATIENCE

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))


class Scenario:
    def __init__(self, number, act, how):
        self.number, self.act, self.how = number, act, how
        self.name = '%s %s' % (number, act.__name__.replace('_', ' '))


def table(path):
    """own of a pair: each node makes it itself, so it is not the same bytes."""
    return path.endswith((b'.db', b'.cdb'))


def preload(p, name):
    """A library of tests/live/preload, made for LD_PRELOAD of a node's program."""
    library = '%s/%s.so' % (p.dir, name)
    subprocess.run(['gcc', '-shared', '-fPIC', '-D_GNU_SOURCE', '-o', library, '%s/tests/live/preload/%s.c' % (TOP, name)], check=True)
    return library


class Relay:
    """Between the two nodes: their messages go through it."""

    def __init__(self, p):
        self.process = subprocess.Popen(p.cable.enter(1) + [p.build + '/tools/net_relay', p.dir + '/authkeys', p.cable.at[0], '127.0.0.1', str(p.port)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.lines = []
        self.read = threading.Thread(target=self.listen)
        self.read.start()

    def listen(self):
        for line in self.process.stdout:
            self.lines.append(line)

    def said(self, since=0, by=1):
        """Types of what mx1 (by 2: mx2) has said."""
        return [int(line.split()[1]) for line in self.lines[since:] if line.startswith(b'%d ' % by)]

    def tell(self, word):
        self.process.stdin.write(word + b'\n')
        self.process.stdin.flush()

    def end(self):
        self.process.stdin.close()
        self.process.wait(PATIENCE)
        self.read.join()


def by_way_of_a_relay(p):
    with open(p.b.conf, encoding='utf-8') as f:
        conf = f.read()
    with open(p.b.conf, 'w', encoding='utf-8') as f:
        f.write(conf.replace('mx1 = "%s"' % p.cable.at[0], 'mx1 = "127.0.0.1"'))
    p.cable.ip(1, 'link set lo up')
    p.relay = Relay(p)
    p.undo.append(p.relay.end)


def collector():
    """(list, decorator that adds to it). how: arguments of Pair; before: is run on the pair before it begins; apart: trees may differ at the end."""
    found = []

    def scenario(number, **how):
        def add(act):
            found.append(Scenario(number, act, how))
            return act
        return add
    return found, scenario
