"""The scenario language: reads *.scn files into steps. Knows words only; what they do is an engine's part.

A file is a comment that says what is shown and why (its first line is the title), then one statement a
line. FORMS below is the whole language. A step has the form's name, its values, and its place for
messages. A statement that fits no form is an error with file and line.

The verbs say what happens to the pair, not how it is brought about, so that the same files can run
on real programs (tests/live/engine.py) and in virtual time.
"""
import re

NODES = {'a': 'mx1', 'b': 'mx2'}

# What may stand for a word in capitals: (pattern, how it becomes a value).
UNITS = {'ms': 0.001, 's': 1.0, 'min': 60.0, 'h': 3600.0}


def duration(text):
    number, unit = re.fullmatch(r'([+-]?\d+(?:\.\d+)?)(ms|s|min|h)', text).groups()
    return float(number) * UNITS[unit]


def unquote(text):
    return text[1:-1] if text.startswith('"') else text


WORDS = {
    'NODE': (r'[ab]', NODES.get),
    'NODES': (r'[ab](?: [ab])?', lambda t: [NODES[n] for n in t.split()]),
    'LINK': (r'(?:cross|lan|serial|all)', str),
    'ROLE': (r'(?:joining|standby|acquiring|active|releasing|stopped|failed)', str),
    'VIEW': (r'(?:unseen|alive|late|silent|fencing|fenced|left)', str),
    'DURATION': (r'[+-]?\d+(?:\.\d+)?(?:ms|s|min|h)', duration),
    'COUNT': (r'\d+', int),
    'OPTION': (r'[a-z0-9.-]+', str),
    'TEXT': (r'(?:"[^"]*"|[^"\s]+)', unquote),
    'REST': (r'.+?', str),
}

# Claims about the world: waited for, expected, or watched for a while.
CLAIMS = [
    ('role', 'NODE is ROLE'),
    ('one-active', 'one node is active'),
    ('healthy', 'NODE is healthy'),
    ('power', 'NODE has power'),
    ('no-power', 'NODE has no power'),
    ('disk', 'NODE holds the disk'),
    ('lost-disk', 'NODE lost the disk'),
    ('no-disk', 'nobody holds the disk'),
    ('restarted', 'NODE has restarted the mta'),
    ('no-mta', 'the mta runs nowhere'),
    ('view', 'NODE sees its peer VIEW'),
    ('problem', 'NODE has the problem TEXT'),
    ('no-problem', 'NODE has no problem'),
    ('link-up', 'NODE hears the link LINK'),
    ('link-down', 'NODE misses the link LINK'),
    ('rejected', 'NODE rejected TEXT beats'),
    ('rejected-more', 'NODE rejected COUNT more TEXT beats'),
    ('dropped-more', 'NODE dropped COUNT more datagrams'),
    ('punctual', 'beats reach NODE within DURATION'),
    ('complete', 'every beat reaches NODE'),
    ('history', 'history of NODE has TEXT'),
    ('journal', 'journal of NODE has TEXT'),
    ('service', 'the service answers'),
    ('whole', 'queue of NODE is whole'),
    ('acked', 'COUNT more messages are acknowledged'),
    ('put-off', 'COUNT messages are put off'),
    ('asked', 'NODE asked the fence device for TEXT'),
    ('not-asked', 'NODE never asked the fence device for TEXT'),
    ('status', 'status of NODE has TEXT = TEXT'),
    ('delivered', 'every acknowledged message is delivered'),
    ('in-step', 'configuration is in step'),
    ('file-has', 'file TEXT of NODE has TEXT'),
    ('file-lacks', 'file TEXT of NODE lacks TEXT'),
    ('file-gone', 'file TEXT of NODE is gone'),
    ('config-says', 'config of NODE says TEXT'),
    ('hooked', 'hooks of NODE were called COUNT times with TEXT'),
]

FORMS = [
    # the pair
    ('live-only', 'live only: REST'),
    ('virtual-only', 'virtual only: REST'),
    ('node', 'node NODE'),
    ('mail-program', 'mail program OPTION'),
    ('option', 'pair OPTION = REST'),
    ('key', 'key of NODE is wrong'),
    ('config-sync', 'configuration is kept in step'),
    ('start', 'start NODES'),
    ('load-on', 'load on COUNT/s'),
    ('load-off', 'load off'),
    ('probe-on', 'probe on'),
    ('mark', 'mark'),
    # faults
    ('power-cut', 'power cut NODE'),
    ('power-on', 'power on NODES'),
    ('reboot', 'reboot NODE'),
    ('link-cut', 'link cut LINK'),
    ('link-cut-silently', 'link cut LINK silently'),
    ('link-cut-from', 'link cut LINK from NODE'),
    ('link-heal', 'link heal LINK'),
    ('unplug', 'cable of NODE unplugged'),
    ('plug', 'cable of NODE plugged in'),
    ('fence-works', 'fence of NODE works'),
    ('fence-dead', 'fence of NODE is dead'),
    ('fence-hangs', 'fence of NODE hangs'),
    ('fence-lies', 'fence of NODE lies'),
    ('fence-late', 'fence of NODE answers DURATION late'),
    ('fence-cut', 'fence of NODE cannot be reached by NODE'),
    ('fence-heal', 'fence of NODE can be reached by NODE'),
    ('freeze', 'freeze NODE'),
    ('thaw', 'thaw NODE'),
    ('kill-daemon', 'kill daemon NODE'),
    ('kill-daemon-at-mount', 'kill daemon NODE as soon as it holds the disk'),
    ('kill-child', 'kill one process of daemon NODE'),
    ('kill-config', 'kill config NODE'),
    ('stop-daemon', 'stop daemon NODE'),
    ('start-daemon', 'start daemon NODE'),
    ('kill-mta', 'kill mta NODE'),
    ('hang-mta', 'hang mta NODE'),
    ('break-mta', 'break mta NODE'),
    ('mend-mta', 'mend mta NODE'),
    ('deliver', 'deliver everything on NODE'),
    ('hold-spool', 'hold spool of NODE'),
    ('fill-spool', 'fill spool of NODE'),
    ('free-spool', 'free spool of NODE'),
    ('steal', 'steal address'),
    ('give-back', 'give back address'),
    ('clock-shiftable', 'clock of NODE can jump'),
    ('clock-jump', 'clock of NODE jumps DURATION'),
    ('record', 'record COUNT beats of NODE'),
    ('replay', 'replay beats of NODE'),
    ('craft', 'send COUNT beats of pair OPTION with key OPTION as OPTION'),
    ('keys', 'keys of NODE are TEXT and sign with COUNT'),
    ('flood', 'garbage on LINK at COUNT/s'),
    ('flood-ends', 'garbage ends, at least COUNT/s were sent'),
    ('strangers', 'strangers at the control socket of NODE are refused'),
    ('storm', 'storm at the control socket of NODE for DURATION'),
    ('state-disk', 'state of NODE is on a disk of its own'),
    ('freeze-state', 'state disk of NODE hangs'),
    ('thaw-state', 'state disk of NODE works again'),
    ('fill-state', 'state disk of NODE is full'),
    ('free-state', 'state disk of NODE has room again'),
    ('seal-state', 'state disk of NODE is read-only'),
    ('unseal-state', 'state disk of NODE is writable again'),
    ('freeze-spool', 'spool of NODE hangs'),
    ('thaw-spool', 'spool of NODE works again'),
    ('break-spool', 'spool of NODE becomes read-only'),
    ('choke', 'way of NODE to the disk hangs'),
    ('unchoke', 'way of NODE to the disk works again'),
    ('spoil-journal', 'journal of NODE becomes OPTION'),
    ('lock-journal', 'journal of NODE is locked'),
    ('unlock-journal', 'journal of NODE is free again'),
    ('syslog-hangs', 'syslog of NODE hangs'),
    ('syslog-works', 'syslog of NODE works again'),
    ('names-silent', 'names are not answered on NODE'),
    ('names-answered', 'names are answered on NODE'),
    ('curious-hooks', 'hooks of NODE ask for a name'),
    ('noting-hooks', 'hooks of NODE write down what they are called for'),
    ('memory-short', 'memory of NODE is short'),
    ('memory-free', 'memory of NODE is free again'),
    ('busy', 'processors of NODE are busy'),
    ('idle', 'processors of NODE are idle'),
    ('deliver-mail', 'deliver mail'),
    ('damage', 'damage the queue'),
    ('repair-takes', 'repair of the queue takes DURATION'),
    ('repair-still', 'repair of the queue stands still'),
    ('repair-usual', 'repair of the queue is as usual'),
    # what an operator does
    ('run', 'run NODE REST expect COUNT'),
    ('said', 'expect it said TEXT'),
    # claims
    ('wait', 'wait CLAIM within DURATION'),
    ('expect', 'expect CLAIM'),
    ('stays', 'for DURATION CLAIM'),
    ('always', 'always at most one node holds the disk'),
    ('always', 'always at most one node runs the mta'),
    ('always', 'always at most one node holds the address'),
    ('never', 'never NODE takes the disk'),
    ('expect-found', 'expect queue holds every acknowledged message'),
    ('expect-single', 'expect no message twice without doubt'),
    ('expect-once', 'expect no message delivered twice without doubt'),
    ('expect-not-refused', 'expect no connection refused since mark'),
    ('expect-not-reset', 'expect no connection reset since mark'),
    ('expect-outage', 'expect outage since mark below DURATION'),
    # a loop
    ('repeat', 'repeat COUNT times'),
    ('end', 'end'),
]


class ScenarioError(Exception):
    """A scenario file that cannot be read; the text has file and line."""


class Step:
    def __init__(self, name, values, text, where):
        self.name, self.values, self.text, self.where = name, values, text, where
        self.claim = None               # (name, values) in wait, expect, stays
        self.body = []                  # steps of a repeat

    def __repr__(self):
        return '%s: %s' % (self.where, self.text)


class Scenario:
    def __init__(self, path, title, about, steps):
        self.path, self.title, self.about, self.steps = path, title, about, steps

    def every(self):
        """All steps in the order of the file, those in loops once."""
        todo = list(self.steps)
        while todo:
            step = todo.pop(0)
            yield step
            todo = step.body + todo

    def find(self, name):
        """All steps of that name, those in loops too."""
        return [step for step in self.every() if step.name == name]


def compiled(form):
    """The pattern of a form, and the kinds of its values in order."""
    kinds, parts = [], []
    for word in re.split(r'([A-Z]{4,})', form):
        if word == 'CLAIM':
            parts.append('(.+?)')
            kinds.append('CLAIM')
        elif word in WORDS:
            parts.append('(%s)' % WORDS[word][0])
            kinds.append(word)
        else:
            parts.append(re.escape(word))
    return re.compile(''.join(parts)), kinds


CLAIM_PATTERNS = [(name, *compiled(form)) for name, form in CLAIMS]
FORM_PATTERNS = [(name, *compiled(form)) for name, form in FORMS]


def match(patterns, text):
    """(name, values, kinds) of the first form that fits, or None. Claims inside stay text."""
    for name, pattern, kinds in patterns:
        m = pattern.fullmatch(text)
        if m:
            values = [WORDS[k][1](t) if k in WORDS else t for k, t in zip(kinds, m.groups())]
            return name, values, kinds
    return None


def read_claim(text, where):
    found = match(CLAIM_PATTERNS, text)
    if not found:
        raise ScenarioError('%s: no such claim: %s' % (where, text))
    return found[0], found[1]


def read_step(text, where):
    # "expect CLAIM" would swallow the longer forms of "expect", so it is tried last
    for patterns in ([p for p in FORM_PATTERNS if p[0] != 'expect'], FORM_PATTERNS):
        found = match(patterns, text)
        if found:
            break
    else:
        raise ScenarioError('%s: no such statement: %s' % (where, text))
    name, values, kinds = found
    step = Step(name, values, text, where)
    if 'CLAIM' in kinds:
        at = kinds.index('CLAIM')
        step.claim = read_claim(values[at], where)
        del values[at]
    return step


def strip_comment(line):
    """Without a # comment; a # inside quotes stays."""
    return re.sub(r'^((?:[^"#]|"[^"]*")*)#.*$', r'\1', line).strip()


def parse(path, text):
    about, stack, nodes = [], [[]], set()
    for number, line in enumerate(text.splitlines(), 1):
        where = '%s:%d' % (path, number)
        if line.startswith('#') and stack == [[]]:
            about.append(line.lstrip('#').strip())
        line = ' '.join(strip_comment(line).split()) if '"' not in line else strip_comment(line)
        if not line:
            continue
        step = read_step(line, where)
        if step.name == 'end':
            if len(stack) == 1:
                raise ScenarioError('%s: "end" without "repeat"' % where)
            stack.pop()
            continue
        if step.name == 'node':
            nodes.add(step.values[0])
        for node in re.findall(r'\b[ab]\b', line) if step.name in ('start', 'power-cut', 'power-on') else ():
            if NODES[node] not in nodes:
                raise ScenarioError('%s: node %s is not declared ("node %s")' % (where, node, node))
        stack[-1].append(step)
        if step.name == 'repeat':
            stack.append(step.body)
    if len(stack) > 1:
        raise ScenarioError('%s: "repeat" without "end"' % path)
    if not about or not about[0]:
        raise ScenarioError('%s:1: the first line must be a comment that says what is shown' % path)
    return Scenario(path, about[0], '\n'.join(about[1:]).strip(), stack[0])


def load(path):
    try:
        with open(path, encoding='utf-8') as f:
            return parse(path, f.read())
    except (OSError, UnicodeDecodeError) as e:
        raise ScenarioError('%s: %s' % (path, e)) from e
