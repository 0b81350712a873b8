"""a: what happens to edits while the nodes do not reach each other, and who may write."""
import os
import signal
import subprocess

from nodes import Broken, pause

from .play import collector

SCENARIOS, scenario = collector()


def tell_apart(p):
    """The cable is cut, and both have noticed it."""
    p.cable.cut()
    p.until('noticed', lambda: p.a.status().get('link') != 'linked' and p.b.status().get('link') != 'linked')


@scenario('a01')
def what_was_edited_while_the_other_one_was_away_is_caught_up_and_nothing_else_is_sent(p):
    size, more = 1 << 16, (0, 20, 40, 60, 80)
    for i in range(160):
        p.a.write('c/%d' % i, os.urandom(size))
    p.in_step()
    p.b.stop()
    sent = p.cable.received(1)
    for i in more:
        p.a.write('c/%d' % i, os.urandom(size))
    os.unlink(p.a.path('c/1'))
    os.rename(p.a.path('c/2'), p.a.path('c/renamed'))
    os.chmod(p.a.path('c/3'), 0o600)
    p.a.write('c/new', os.urandom(size))
    p.b.start()
    p.in_step()
    sent = p.cable.received(1) - sent
    differs = (len(more) + 1) * size
    known = 160 * 500 + 40000       # what the other node has, entry by entry, and the beginning of a link
    if not differs <= sent <= differs * 1.1 + known:
        raise Broken('%d bytes came for %d that differ' % (sent, differs))


@scenario('a02')
def a_revert_while_the_other_one_was_away_is_no_edit_of_his(p):
    p.a.write('r', b'one')
    p.in_step()
    p.a.write('r', b'two')
    p.in_step()
    p.b.stop()
    p.a.write('r', b'one')
    p.b.start()
    p.in_step()
    if p.b.read('r') != b'one':
        raise Broken('%r' % p.b.read('r'))


@scenario('a03')
def an_edit_on_the_wrong_side_is_a_conflict_until_a_person_says_which_counts(p):
    p.a.write('w', b'common')
    p.in_step()
    p.b.write('w', b'edited on the standby')
    p.conflicts('w')
    if p.a.read('w') != b'common' or p.b.read('w') != b'edited on the standby':
        raise Broken('a side was touched')
    if p.a.status().get('problems_there') or p.b.status().get('problems_there'):
        raise Broken('it is told twice: %s' % p.a.status())
    p.a.call('resolve', '/etc/w', '--take', 'mx2')
    p.in_step()
    if p.a.read('w') != b'edited on the standby':
        raise Broken('%r' % p.a.read('w'))
    code, said = p.a.call('resolve', '/etc/w', '--take', 'mx1')     # there is nothing to end any more
    if code != 3 or '/etc/w is the same on both nodes' not in str(said) or p.b.read('w') != b'edited on the standby':
        raise Broken('%d: %s' % (code, said))


@scenario('a04', writers='both')
def edits_of_both_while_apart_are_a_conflict_and_both_are_kept(p):
    p.a.write('d', b'common')
    p.a.write('e', b'common')
    p.in_step()
    p.b.stop()
    p.a.write('d', b'of mx1')
    p.b.write('d', b'of mx2')
    p.a.write('e', b'of mx1 alone')
    p.b.start()
    p.conflicts('d')
    p.until('the rest', lambda: p.b.read('e') == b'of mx1 alone')
    if p.a.read('d') != b'of mx1' or p.b.read('d') != b'of mx2':
        raise Broken('a side was touched')
    p.b.call('resolve', '/etc/d', '--take', 'mx1')
    p.in_step()
    versions = subprocess.run([p.build + '/mailpair-config', 'log', '/etc/d', '--conf', p.b.conf, '--node', 'mx2'], stdout=subprocess.PIPE, check=False)
    if b'conflict' not in versions.stdout:
        raise Broken('the losing side is not kept: %r' % versions.stdout)


@scenario('a05')
def an_order_goes_on_after_a_role_has_moved(p):
    p.a.write('o', b'1')
    p.in_step()
    p.a.is_now('standby', 2)
    p.b.is_now('active', 2)
    p.until('moved', lambda: p.a.status().get('active') == 'mx2')
    p.b.write('o', b'2')
    p.in_step()
    if p.a.read('o') != b'2':
        raise Broken('%r' % p.a.read('o'))


@scenario('a06')
def a_cable_that_is_cut_for_a_moment_loses_nothing(p):
    """Too short to be noticed; a large content is on its way."""
    for turn in range(3):
        for i in range(20):
            p.a.write('m/%d' % i, os.urandom(100000))
        p.cable.cut()
        p.a.write('m/during', b'%d' % turn)
        os.rename(p.a.path('m/1'), p.a.path('m/renamed'))
        p.cable.join()
        p.a.write('m/after', b'%d' % turn)
        p.in_step('turn %d' % turn)


@scenario('a07')
def what_the_active_node_edits_without_a_cable_is_there_when_it_is_back(p):
    p.a.write('l/one', b'before')
    p.a.write('l/gone', b'before')
    p.in_step()
    tell_apart(p)
    if p.a.status().get('in_step') is True or p.b.status().get('in_step') is True:
        raise Broken('without a link nobody knows whether they are in step')
    for i in range(5):
        p.a.write('l/one', b'%d' % i)
    os.unlink(p.a.path('l/gone'))
    p.a.write('l/new/er', b'new')
    p.cable.join()
    p.in_step('joined')
    if p.b.read('l/one') != b'4' or p.b.read('l/gone') is not None:
        raise Broken('%r' % p.b.read('l/one'))


@scenario('a08', writers='both')
def edits_of_both_without_a_cable_meet_and_only_what_both_edited_is_a_conflict(p):
    for name in ('mine', 'yours', 'both', 'alike', 'gone'):
        p.a.write('b/' + name, b'before')
    p.in_step()
    tell_apart(p)
    p.a.write('b/mine', b'of mx1')
    p.b.write('b/yours', b'of mx2')
    p.a.write('b/both', b'of mx1')
    p.b.write('b/both', b'of mx2')
    os.unlink(p.a.path('b/gone'))
    p.b.write('b/gone', b'edited on mx2')
    for n in (p.a, p.b):
        n.write('b/alike', b'the same on both')
        os.utime(n.path('b/alike'), (10**9, 10**9))
    p.cable.join()
    p.conflicts('b/both', 'b/gone')
    p.until('the rest', lambda: p.b.read('b/mine') == b'of mx1' and p.a.read('b/yours') == b'of mx2')
    if (p.a.read('b/both'), p.b.read('b/both'), p.a.read('b/gone'), p.b.read('b/gone')) != (b'of mx1', b'of mx2', None, b'edited on mx2'):
        raise Broken('a side was touched')
    p.a.call('resolve', '/etc/b/both', '--take', 'mx2')
    p.b.call('resolve', '/etc/b/gone', '--take', 'mx2')
    p.in_step('resolved')
    if p.a.read('b/both') != b'of mx2' or p.a.read('b/gone') != b'edited on mx2':
        raise Broken('%r, %r' % (p.a.read('b/both'), p.a.read('b/gone')))


@scenario('a09')
def edits_of_both_without_a_cable_where_one_may_write_are_a_conflict_of_the_other(p):
    p.a.write('z/a', b'before')
    p.a.write('z/b', b'before')
    p.in_step()
    tell_apart(p)
    p.a.write('z/a', b'of the active node')
    p.b.write('z/b', b'of the standby')
    p.cable.join()
    p.conflicts('z/b')
    p.until('the rest', lambda: p.b.read('z/a') == b'of the active node')
    if p.a.read('z/b') != b'before' or p.b.read('z/b') != b'of the standby':
        raise Broken('a side was touched')
    p.a.call('resolve', '/etc/z/b', '--take', 'mx1')
    p.in_step('resolved')


@scenario('a10')
def after_a_takeover_what_the_dead_node_had_not_passed_on_is_a_conflict(p):
    """The cable goes, the active node is edited and dies; the other one becomes active and is edited; then the first comes back."""
    p.a.write('t', b'common')
    p.a.write('u', b'common')
    p.in_step()
    tell_apart(p)
    p.a.write('t', b'the last edit')
    p.a.stop(9)
    p.b.is_now('active', 2)
    p.b.write('t', b'after the takeover')
    p.b.write('u', b'after the takeover')
    p.cable.join()
    p.a.role, p.a.tenure = 'standby', 2
    p.a.start()
    p.conflicts('t')
    p.until('the rest', lambda: p.a.read('u') == b'after the takeover')
    if p.a.read('t') != b'the last edit' or p.b.read('t') != b'after the takeover':
        raise Broken('a side was touched')
    p.b.call('resolve', '/etc/t', '--take', 'mx2')
    p.in_step('resolved')


@scenario('a11')
def when_the_nodes_meet_again_what_no_event_has_told_is_seen(p):
    """Written through a name outside of the trees, of which the kernel tells nothing there."""
    outside = p.a.root + '/outside'
    p.a.write('n', b'common')
    os.link(p.a.path('n'), outside)
    p.in_step()
    tell_apart(p)
    with open(outside, 'r+b') as f:
        f.write(b'edited')
    p.cable.join()
    # who has not read everything since they met does not say that they are in step
    p.until('met', lambda: p.a.status().get('in_step') is True)
    if p.b.read('n') != b'edited':
        raise Broken('%r' % p.b.read('n'))
    p.in_step('met')
    os.unlink(outside)


def takes_long_to_read(p):
    for i in range(5000):
        p.a.write('many/%d/%d' % (i % 50, i), b'')


@scenario('a15', before=takes_long_to_read)
def who_has_read_everything_does_not_say_that_they_are_in_step_before_the_other_one_has_too(p):
    """As in a11; the node that is told of nothing has just been started, and so has read everything when they meet."""
    outside = p.a.root + '/outside'
    p.a.write('n', b'common')
    os.link(p.a.path('n'), outside)
    p.in_step()
    p.b.stop()
    pause(2)                # two readings of everything are that long apart
    with open(outside, 'r+b') as f:
        f.write(b'edited')
    p.b.start()
    p.until('met', lambda: p.b.status().get('in_step') is True)
    if p.b.read('n') != b'edited':
        raise Broken('%r' % p.b.read('n'))
    p.in_step('met')
    os.unlink(outside)


@scenario('a12')
def a_large_content_goes_on_where_it_was_when_the_link_was_lost(p):
    size, near = 32 << 20, 2 << 20
    p.a.write('first', b'1')
    p.in_step()

    def here():
        """How much of it there is."""
        parts = os.path.join(p.b.state, 'config.parts')
        return max([os.stat(os.path.join(parts, name)).st_size for name in os.listdir(parts)], default=0)

    def link_is_lost():
        os.kill(p.b.part('network'), signal.SIGKILL)
        p.until('down', lambda: p.b.status().get('link') != 'linked')

    def program_is_killed():
        p.b.stop(signal.SIGKILL)

    for lose in (link_is_lost, program_is_killed):
        before = here()
        p.a.write('large', os.urandom(size))
        while here() - before < size // 4:
            pause(0.0005)
        p.cable.cut()
        lose()
        had, sent = here(), p.cable.received(1)
        if not size // 4 <= had < size:
            raise Broken('%d bytes had come' % had)
        p.cable.join()
        if p.b.process is None:
            p.b.start()
        p.in_step(lose.__name__)
        sent = p.cable.received(1) - sent
        if sent > size - had + near:
            raise Broken('%s: %d bytes came for the %d that were missing' % (lose.__name__, sent, size - had))
        p.said += '%s%d of %d MiB came after it' % (', ' if p.said else '', sent >> 20, size >> 20)


def other_trees(p):
    """Before they meet for the first time."""
    p.a.write('same', b'same')
    p.b.write('same', b'same')
    for n in (p.a, p.b):
        os.utime(n.path('same'), (1, 1))
    p.a.write('both', b'of mx1')
    p.b.write('both', b'of mx2')
    p.a.write('one', b'of mx1 alone')
    p.b.write('two', b'of mx2 alone')

    def begin():
        p.a.start()
        p.b.start()
        return p
    p.begin = begin


@scenario('a13', before=other_trees)
def two_trees_that_meet_first_are_left_alone_until_an_order_and_its_plan_says_what_it_does(p):
    p.until('asked', lambda: all(n.status().get('link') == 'linked' and n.status().get('first') is True for n in (p.a, p.b)))
    was = [n.rows() for n in (p.a, p.b)]
    p.a.write('new', b'edited meanwhile')
    was[0] = p.a.rows()
    p.until('the edit is known', lambda: p.a.status().get('files') == 5)
    if p.a.status().get('problems_there') or p.b.status().get('conflicts_at'):
        raise Broken('all that differs is told one by one: %s' % p.a.status())
    plans = {}
    for winner in ('mx1', 'mx2'):
        for n in (p.a, p.b):        # either node tells the same
            code, plan = n.call('resync', '--from', winner)
            steps = sorted((s['do'], s['path']) for s in plan.get('steps', []) if s['path'] != '/etc')
            if code != 0 or plans.setdefault(winner, steps) != steps:
                raise Broken('%d: %s and %s' % (code, plans.get(winner), steps))
    if plans != {'mx1': [('file', '/etc/both'), ('file', '/etc/new'), ('file', '/etc/one'), ('remove', '/etc/two')],
                 'mx2': [('file', '/etc/both'), ('file', '/etc/two'), ('remove', '/etc/new'), ('remove', '/etc/one')]}:
        raise Broken('%s' % plans)
    if [n.rows() for n in (p.a, p.b)] != was or p.a.status().get('in_step') is True:
        raise Broken('something was done')
    code, answer = p.b.call('resync', '--from', 'mx2', '--apply')
    if code != 0:
        raise Broken('%d: %s' % (code, answer))
    p.in_step('by order')
    if (p.a.read('both'), p.a.read('two'), p.a.read('one'), p.a.read('new')) != (b'of mx2', b'of mx2 alone', None, None):
        raise Broken('%r' % p.a.rows())
    p.a.write('one', b'and again')
    p.in_step('afterwards')
    p.until('kept', lambda: p.a.status().get('kept') is True)       # the version in use as well: @1 is the one before it
    kept = subprocess.run([p.build + '/mailpair-config', 'show', '/etc/both@1', '--conf', p.a.conf, '--node', 'mx1'], stdout=subprocess.PIPE, check=False)
    if kept.stdout != b'of mx1':
        raise Broken('what was replaced is not kept: %r' % kept.stdout)
