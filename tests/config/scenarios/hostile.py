"""h: a node that is not to be believed: what it may not do to the other one, whatever it says."""
import os
import stat
import time

from compare import difference, rows
from nodes import Broken, pause

from .play import by_way_of_a_relay, collector

SCENARIOS, scenario = collector()
SPOILT = 'a message of the other node makes no sense'


@scenario('h01', tree='validate = "true"')
def a_setuid_file_is_not_made_and_nothing_of_its_set_is(p):
    """The same without the bit arrives."""
    p.a.write('app/one', b'old')
    p.in_step()
    p.a.write('app/one', b'new')
    p.a.write('app/tool', b'x')
    os.chmod(p.a.path('app/tool'), 0o4755)
    p.refused('setuid', 'not-installed', 'setuid')
    if p.b.read('app/one') != b'old' or p.b.read('app/tool') is not None:
        raise Broken('%r, %r' % (p.b.read('app/one'), p.b.read('app/tool')))
    os.chmod(p.a.path('app/tool'), 0o755)
    p.in_step('without it')


@scenario('h02', more='setuid = yes')
def a_setuid_file_is_made_where_it_is_allowed(p):
    p.a.write('tool', b'x')
    os.chmod(p.a.path('tool'), 0o4755)
    p.in_step()
    if stat.S_IMODE(os.stat(p.b.path('tool')).st_mode) != 0o4755:
        raise Broken('%o' % os.stat(p.b.path('tool')).st_mode)


def said_spoilt(p):
    with open(os.path.join(p.dir, 'log-mx2'), errors='replace', encoding='utf-8') as f:
        return f.read().count(SPOILT)


def there(p):
    while True:
        try:
            return rows(os.fsencode(p.b.root), b'etc')
        except FileNotFoundError:       # while it was looked at
            continue


@scenario('h03', before=by_way_of_a_relay, apart=True)
def whatever_a_node_says_nothing_is_written_outside_of_the_trees_and_no_bytes_that_it_had_not_said_the_digest_of(p):
    """Each second or so of its messages is cut, of another type, or has other bytes, while it is edited. Then it is itself again."""
    held = set()

    def put(rel, data):
        held.add(data)
        p.a.write(rel, data)

    def outside():
        return {path: row for path, row in rows(os.fsencode(p.b.root), b'.', directory_times=False).items() if not path.startswith(b'./etc')}
    os.makedirs(p.b.root + '/etcetera')
    with open(p.b.root + '/etcetera/x', 'wb') as f:
        f.write(b'not of the trees')
    for i in range(20):
        put('h/%d' % i, b'%d at first\n' % i)
    p.in_step()
    was, program, end, turn = outside(), p.b.process.pid, time.monotonic() + 8, 0
    came = set()
    p.relay.tell(b'spoil 4')
    while time.monotonic() < end:
        turn += 1
        put('h/%d' % (turn % 20), b'turn %d\n' % turn * (turn % 9 * 200))
        put('h/large', os.urandom(40000))
        if turn % 7 == 0:
            os.rename(p.a.path('h/large'), p.a.path('h/moved'))
        if turn % 20 == 0:
            p.a.call('resync', '--from', 'mx1', '--apply')      # what was taken for an edit of mx2 holds up nothing
        pause(0.02)
        for path, row in there(p).items():
            came.add(row[4])
            if not (stat.S_ISREG(row[0]) and row[4] in held) and not stat.S_ISDIR(row[0]) and not stat.S_ISLNK(row[0]) and b'.mailpair-' not in path:
                raise Broken('%r is %.200r' % (path, row))
            if stat.S_ISREG(row[0]) and row[0] & 0o6000:
                raise Broken('%r has mode %o' % (path, row[0]))
    p.relay.tell(b'pass')
    if difference(was, outside()):
        raise Broken('outside: %s' % difference(was, outside()))
    if p.b.process.poll() is not None or p.b.process.pid != program:
        raise Broken('it has ended')
    refused = said_spoilt(p)
    came &= held
    if refused < 3 or len(came) < 10:
        raise Broken('only %d messages were refused, and %d contents came' % (refused, len(came)))
    p.until('linked', lambda: p.a.status().get('link') == 'linked' == p.b.status().get('link'))

    def by_order():
        p.a.call('resync', '--from', 'mx1', '--apply')
        return p.a.status().get('in_step') is True and p.b.status().get('in_step') is True and p.same()
    p.until('in step again, by order', by_order)
    p.said = '%d edits, %d came, %d messages were refused' % (turn, len(came), refused)
