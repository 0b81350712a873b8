"""What a scenario is: a number, a sentence, a function that is given a pair, and how that pair is made."""
import os
import subprocess

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


def collector():
    """(list, decorator that adds to it). how: arguments of Pair; before: is run on the pair before it begins; apart: trees may differ at the end."""
    found = []

    def scenario(number, **how):
        def add(act):
            found.append(Scenario(number, act, how))
            return act
        return add
    return found, scenario
