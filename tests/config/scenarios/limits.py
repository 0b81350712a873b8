"""l: many files, full disks, nothing to watch with, wrong clocks, accounts that differ."""
import os
import sqlite3
import subprocess
import time

from nodes import Broken, pause, run

from .play import collector, preload
from .services import HOST, NAMED, certificate

SCENARIOS, scenario = collector()
HOUR = 3600
LONG = 120
PROMPT = 10     # seconds, on a machine that is busy; two are meant


# ---------------------------------------------------------------- many files

def many(p):
    for i in range(20000):
        at = p.a.path('many/%d/%d' % (i % 250, i // 250 % 7))
        if i < 1750:
            os.makedirs(at)
        with open('%s/%d' % (at, i), 'wb') as f:
            f.write(b'%d\n' % i * (i % 97))


@scenario('l01', before=many, patience=LONG, apart=True)
def a_tree_of_20000_files_is_carried_one_edit_in_it_is_one_edit_and_an_end_is_prompt(p):
    """At first contact; 2,000 directories."""
    if len(p.b.rows()) < 20000:
        raise Broken('%d files' % len(p.b.rows()))
    sent = p.cable.received(1)
    p.a.write('many/3/3/added', b'one edit')
    p.until('there', lambda: p.b.read('many/3/3/added') == b'one edit')
    sent = p.cable.received(1) - sent
    if sent > 20000:
        raise Broken('%d bytes for one edit' % sent)
    os.rename(p.a.path('many'), p.a.path('moved'))
    moving = time.monotonic()
    p.in_step('moved', LONG)
    p.said = 'moved in %.1f s' % (time.monotonic() - moving)
    for n in (p.a, p.b):                # versions of 20,000 files may be written for a while yet
        ending = time.monotonic()
        n.stop()
        ending = time.monotonic() - ending
        p.said += ', %s ended in %.1f s' % (n.name, ending)
        if ending > PROMPT:
            raise Broken('%s took %.1f s to end' % (n.name, ending))


# ---------------------------------------------------------------- full disks

def small(p, path, size):
    run('mount', '-t', 'tmpfs', '-o', 'size=%s,mode=0700' % size, 'small', path)
    p.undo.append(lambda: run('umount', '--lazy', path))


def small_tree(p):
    small(p, p.b.root, '4m')
    os.mkdir(p.b.root + '/etc')


@scenario('l02', before=small_tree)
def with_a_full_disk_the_old_file_stays_and_it_goes_on_with_room(p):
    p.a.write('full', b'old')
    p.in_step()
    p.a.write('full', os.urandom(6 << 20))
    p.until('a problem on both', lambda: p.b.status().get('problems') and p.a.status().get('problems_there'))
    if p.b.read('full') != b'old':
        raise Broken('the old file is gone')
    p.a.write('other', b'has room')
    p.until('other', lambda: p.b.read('other') == b'has room')
    p.a.write('full', b'new')
    p.in_step()


@scenario('l03', before=lambda p: small(p, p.b.state, '8m'))
def with_a_full_state_directory_at_the_receiver_nothing_is_replaced_that_could_not_be_kept(p):
    p.a.write('full', b'old')
    p.a.write('gone', b'old')
    p.in_step()
    filler = p.b.state + '/filler'
    fill(filler)
    p.a.write('full', os.urandom(500000))
    p.until('a problem on both', lambda: p.b.status().get('problems') and p.a.status().get('problems_there'))
    if p.b.read('full') != b'old':
        raise Broken('the old file is gone')
    os.unlink(filler)
    os.unlink(p.a.path('gone'))
    p.a.write('full', b'new')
    p.in_step('with room again')
    p.until('kept', lambda: any(s['cause'] for s in p.b.call('log', '/etc/full')[1]))


@scenario('l04', before=lambda p: small(p, p.a.state, '8m'))
def with_a_full_state_directory_at_the_sender_edits_still_arrive_and_are_kept_later(p):
    p.a.write('one', b'old')
    p.in_step()
    filler = p.a.state + '/filler'
    fill(filler)
    for i in range(5):
        p.a.write('one', b'edit %d' % i)
        p.until('there', lambda i=i: p.b.read('one') == b'edit %d' % i)
    p.until('a problem on both', lambda: p.a.status().get('problems') and p.b.status().get('problems_there'))
    os.unlink(filler)
    p.a.write('one', b'the last')
    p.in_step('with room again')
    p.until('no problem any more', lambda: not p.a.status().get('problems'), 90)


@scenario('l08')
def versions_that_could_not_be_kept_before_the_end_are_kept_after_the_next_start(p):
    """Somebody else has both journals locked."""
    new = {'k/%d' % i: b'%d\n' % i * 300 for i in range(300)}
    p.a.write('k/one', b'old')
    p.in_step()
    locks = [sqlite3.connect(n.state + '/journal.db', isolation_level=None) for n in (p.a, p.b)]
    for lock in locks:
        lock.execute('BEGIN IMMEDIATE')
    for rel, data in new.items():
        p.a.write(rel, data)
    p.until('there', lambda: all(p.b.read(rel) == data for rel, data in new.items()))
    for n in (p.a, p.b):
        ending = time.monotonic()
        n.stop()
        ending = time.monotonic() - ending
        p.said += '%s%s ended in %.1f s' % (', ' if p.said else '', n.name, ending)
        if ending > PROMPT:
            raise Broken('%s took %.1f s to end' % (n.name, ending))
    for lock in locks:
        lock.execute('ROLLBACK')
        lock.close()
    for n in (p.a, p.b):
        if all(kept(n, rel) for rel in list(new)[::50]):
            raise Broken('all was kept on %s before it ended' % n.name)
    p.a.start()
    p.b.start()
    p.in_step('again')
    for n in (p.a, p.b):
        for rel, data in list(new.items())[::50]:
            p.until('%s kept by %s' % (rel, n.name), lambda n=n, rel=rel, data=data: kept(n, rel) == data)


def slow_journal(p):
    p.b.env = {'LD_PRELOAD': preload(p, 'slow_journal'), 'SLOW_JOURNAL': p.dir + '/slow'}


@scenario('l12', before=slow_journal)
def an_end_does_not_wait_for_a_slow_store_longer_than_two_seconds(p):
    new = {'k/%d' % i: os.urandom(2000) for i in range(2000)}
    p.a.write('k/one', b'old')
    p.in_step()
    with open(p.b.env['SLOW_JOURNAL'], 'w', encoding='ascii'):
        pass
    for rel, data in new.items():
        p.a.write(rel, data)
    p.until('there', lambda: all(p.b.read(rel) == data for rel, data in new.items()))
    ending = time.monotonic()
    p.b.stop()
    ending = time.monotonic() - ending
    some = [kept(p.b, rel) == new[rel] for rel in list(new)[::100]]
    p.said = 'ended in %.1f s, %d of %d were kept by then' % (ending, sum(some), len(some))
    if ending > PROMPT or all(some):
        raise Broken(p.said)
    os.unlink(p.b.env['SLOW_JOURNAL'])
    p.b.start()
    p.in_step('again')
    for rel in list(new)[::100]:
        p.until('%s kept' % rel, lambda rel=rel: kept(p.b, rel) == new[rel])


@scenario('l15', before=slow_journal)
def an_end_does_not_wait_for_the_versions_that_are_being_written_just_then(p):
    """On a disk on which 256 of them would take half a minute."""
    new = {'k/%d' % i: os.urandom(16000) for i in range(300)}
    p.a.write('k/one', b'old')
    p.in_step()
    p.b.stop()
    for rel, data in new.items():
        p.a.write(rel, data)        # one set of versions
    with open(p.b.env['SLOW_JOURNAL'], 'w', encoding='ascii') as f:
        f.write('9')
    p.b.start()
    p.until('there', lambda: all(p.b.read(rel) == data for rel, data in new.items()))
    before = os.stat(p.b.state + '/journal.db-wal').st_size
    p.until('it writes', lambda: os.stat(p.b.state + '/journal.db-wal').st_size != before)
    ending = time.monotonic()
    p.b.stop()
    ending = time.monotonic() - ending
    some = [kept(p.b, rel) == new[rel] for rel in new]
    p.said = 'ended in %.1f s, %d of %d were kept by then' % (ending, sum(some), len(some))
    if ending > PROMPT or all(some):
        raise Broken(p.said)
    os.unlink(p.b.env['SLOW_JOURNAL'])
    p.b.start()
    p.in_step('again')
    for rel, data in new.items():
        p.until('%s kept' % rel, lambda rel=rel, data=data: kept(p.b, rel) == data)


def kept(n, rel):
    """The content of the newest version, out of the store alone."""
    return subprocess.run([n.pair.build + '/mailpair-config', 'show', '/etc/' + rel, '--conf', n.conf, '--node', n.name],
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False).stdout


def fill(path):
    try:
        with open(path, 'wb', 0) as f:
            while True:
                f.write(bytes(4096))
    except OSError:
        pass


def read_only_part(p):
    """Of the tree, for the program of the taking node alone."""
    at = p.b.path('ro')
    for n in (p.a, p.b):
        os.makedirs(n.path('ro'))
        n.write('ro/x', b'old')
        for path in (n.path('ro/x'), n.path('ro')):
            os.utime(path, (1, 1))
    p.b.before = 'mount --bind %s %s; mount -o remount,bind,ro %s' % (at, at, at)


@scenario('l11', before=read_only_part)
def a_change_that_cannot_even_be_begun_holds_up_none_that_comes_with_it(p):
    """Small ones that follow on each other are put in place together, by a worker."""
    end, n = time.monotonic() + 1.5, 0
    while time.monotonic() < end:
        for _ in range(40):
            n += 1
            p.a.write('w/%d' % n, b'%d' % n)
            pause(0.001)
        p.a.write('ro/x', b'%d' % n)
        told = [x['path'] for x in p.b.status().get('problems', [])]
        if any(path != '/etc/ro/x' for path in told):
            raise Broken('%s' % told)
    p.until('all others', lambda: all(p.b.read('w/%d' % i) == b'%d' % i for i in range(1, n + 1)))
    p.until('it is told', lambda: p.problem(p.b, 'not-installed', 'Read-only'))
    p.a.write('ro/x', b'old')
    os.utime(p.a.path('ro/x'), (1, 1))
    p.in_step('as it was')


def immutable(path, is_so=True):
    run('chattr', '+i' if is_so else '-i', path)


def flags_of_files(p):
    """The receiver's tree is where a file can be made immutable, and no file stays so."""
    def undo():
        subprocess.run(['chattr', '-R', '-f', '-i', p.b.root], check=False)
    p.b.write('probe', b'')
    made = subprocess.run(['chattr', '+i', p.b.path('probe')], stderr=subprocess.DEVNULL, check=False).returncode == 0
    undo()
    os.unlink(p.b.path('probe'))
    if not made and not image(p, p.b.root, '16M'):
        p.skip = 'no file system here knows immutable files, and none can be mounted'
        return
    p.undo.append(undo)


def image(p, path, size):
    """An ext4 of its own, on a loop device."""
    file = p.dir + '/image'
    run('truncate', '-s', size, file)
    run('mkfs.ext4', '-q', file)
    if subprocess.run(['mount', '-o', 'loop', file, path], stderr=subprocess.DEVNULL, check=False).returncode != 0:
        return False
    os.rmdir(path + '/lost+found')
    os.mkdir(path + '/etc')
    p.undo.append(lambda: run('umount', path))
    return True


@scenario('l13', before=flags_of_files)
def a_file_that_nobody_can_change_is_named_holds_up_no_other_and_comes_when_it_can_be_changed(p):
    for name in ('fixed', 'gone', 'free'):
        p.a.write('d/' + name, b'old')
    p.in_step()
    fixed = [p.b.path('d/' + name) for name in ('fixed', 'gone')]
    for path in fixed:
        immutable(path)
    p.a.write('d/fixed', b'new')
    os.unlink(p.a.path('d/gone'))
    for i in range(20):
        p.a.write('d/free', b'%d' % i)
        p.a.write('other/%d' % i, b'%d' % i)
    p.until('the others', lambda: p.b.read('d/free') == b'19' and all(p.b.read('other/%d' % i) == b'%d' % i for i in range(20)))
    p.refused('told on both', 'not-installed')
    p.until('by their names', lambda: {x['path'] for x in p.b.status()['problems']} == {'/etc/d/fixed', '/etc/d/gone'})
    if p.b.read('d/fixed') != b'old' or p.b.read('d/gone') != b'old':
        raise Broken('%r, %r' % (p.b.read('d/fixed'), p.b.read('d/gone')))
    for path in fixed:
        immutable(path, False)
    p.in_step('it can be changed')
    p.until('told no more', lambda: not p.problem(p.a, 'not-installed') and not p.problem(p.b, 'not-installed'))


@scenario('l14', before=flags_of_files, more=NAMED)
def a_set_with_a_file_that_nobody_can_change_stays_whole_as_it_was_and_comes_whole(p):
    made = [certificate(p, names=(HOST, 'other.example.test')) for _ in range(2)]
    ends = (('crt', 'cert'), ('key', 'privkey'), ('chain', 'chain'))

    def put(which):
        for end, part in ends:
            if p.a.read('mail.' + end) != which[part]:
                p.a.write('mail.' + end, which[part])

    def is_there(which):
        return all(p.b.read('mail.' + end) == which[part] for end, part in ends)
    put(made[0])
    p.in_step('first')
    for turn, end in enumerate(('key', 'crt')):
        old, new = made[turn % 2], made[(turn + 1) % 2]
        immutable(p.b.path('mail.' + end))
        put(new)
        p.refused('told on both', 'not-installed', 'mail.' + end)
        if not is_there(old):
            raise Broken('half of it: %s' % [e for e, part in ends if p.b.read('mail.' + e) != old[part]])
        p.a.write('other', b'%d' % turn)
        p.until('the rest goes on', lambda t=turn: p.b.read('other') == b'%d' % t)
        if not is_there(old):
            raise Broken('half of it, a moment later')
        immutable(p.b.path('mail.' + end), False)
        p.in_step('it can be changed')
        if not is_there(new):
            raise Broken('it did not come whole')


# ---------------------------------------------------------------- what no event tells

def without_inotify(p):
    """None is left on either node, until it is said otherwise; and time can be made to pass."""
    libraries = preload(p, 'no_inotify') + ':' + preload(p, 'ahead')
    for n in (p.a, p.b):
        n.none = p.dir + '/none-' + n.name
        with open(n.none, 'w', encoding='ascii'):
            pass
        n.env = {'LD_PRELOAD': libraries, 'NO_INOTIFY': n.none, 'AHEAD': p.dir + '/ahead-' + n.name}


def pass_time(n, seconds):
    with open(n.env['AHEAD'] + '.new', 'w', encoding='ascii') as f:
        f.write('%d\n' % seconds)
    os.rename(n.env['AHEAD'] + '.new', n.env['AHEAD'])


@scenario('l09', before=without_inotify)
def where_nothing_can_be_watched_all_is_read_every_minute_and_that_is_told(p):
    p.refused('it is told', 'unwatched', 'fs.inotify.max_user_instances')
    p.a.write('one', b'not seen')
    pass_time(p.a, 100)
    p.in_step('read all the same')
    for n in (p.a, p.b):
        os.unlink(n.none)
    pass_time(p.a, 300)
    pass_time(p.b, 300)
    p.until('watched', lambda: not p.problem(p.a, 'unwatched') and not p.problem(p.b, 'unwatched'))
    p.a.write('one', b'seen')
    p.in_step('seen')


def time_can_pass(p):
    p.a.env = {'LD_PRELOAD': preload(p, 'ahead'), 'AHEAD': p.dir + '/ahead'}


@scenario('l10', before=time_can_pass)
def every_hour_all_is_compared_and_what_no_event_has_told_is_found(p):
    outside = p.a.root + '/outside'
    p.a.write('n', b'common')
    os.link(p.a.path('n'), outside)
    p.in_step()
    with open(outside, 'r+b') as f:
        f.write(b'edited')
    began = p.a.status()['read']
    pass_time(p.a, HOUR - 60)
    p.a.write('other', b'1')
    p.until('the other one', lambda: p.b.read('other') == b'1')
    if p.b.read('n') != b'common':
        raise Broken('it was seen before the hour was over')
    pass_time(p.a, HOUR + 1)
    p.in_step('an hour later')
    if p.b.read('n') != b'edited' or p.a.status()['read'] < began or 'hour' not in p.a.status()['read_why']:
        raise Broken('%r, %s' % (p.b.read('n'), p.a.status()))
    os.unlink(outside)


# ---------------------------------------------------------------- clocks

def clocks_apart(hours_a, hours_b):
    def before(p):
        library = preload(p, 'wallclock')
        for n, hours in ((p.a, hours_a), (p.b, hours_b)):
            own = os.path.join(p.dir, 'clock-' + n.name)
            os.mkdir(own)
            with open(own + '/wallclock', 'w', encoding='ascii') as f:
                f.write('%d\n' % (hours * HOUR))
            n.before = 'mount -t overlay -o ro,lowerdir=%s:/etc etc /etc' % own
            n.env = {'LD_PRELOAD': library}
    return before


def edits_with_clocks_apart(p, hours_a, hours_b):
    def write(n, hours, rel, data):
        n.write(rel, data)
        then = os.stat(n.path(rel)).st_mtime_ns + hours * HOUR * 10**9
        os.utime(n.path(rel), ns=(then, then))      # the kernel has but one clock
    for i in range(3):
        write(p.a, hours_a, 'c/one', b'%d' % i)
        p.in_step('edit %d' % i)
    p.b.stop()
    write(p.a, hours_a, 'c/one', b'while it was away')
    p.b.start()
    p.in_step('caught up')
    write(p.b, hours_b, 'c/one', b'on the wrong side')
    p.conflicts('c/one')
    p.a.call('resolve', '/etc/c/one', '--take', 'mx1')
    p.in_step('resolved')
    p.a.is_now('standby', 2)
    p.b.is_now('active', 2)
    p.until('moved', lambda: p.a.status().get('active') == 'mx2')
    write(p.b, hours_b, 'c/one', b'after the takeover')
    p.in_step('the other way')
    if p.a.read('c/one') != b'after the takeover':
        raise Broken('%r' % p.a.read('c/one'))


@scenario('l05', before=clocks_apart(5, -30))
def clocks_that_differ_by_a_day_and_more_decide_nothing(p):
    edits_with_clocks_apart(p, 5, -30)


@scenario('l06', before=clocks_apart(-7, 0))
def an_active_node_whose_clock_is_behind_is_believed_as_well(p):
    edits_with_clocks_apart(p, -7, 0)


# ---------------------------------------------------------------- accounts

ALICE, BOB_A, BOB_B, CAROL, NOBODY_KNOWS = 60001, 60002, 60012, 60003, 60004


def other_accounts(p):
    """mx1: alice, bob, carol; mx2: no alice, bob with another number, and carol's number is dave's."""
    there = {p.a: (('alice', ALICE), ('bob', BOB_A), ('carol', CAROL)), p.b: (('bob', BOB_B), ('dave', CAROL))}
    for n, names in there.items():
        for file, line in (('passwd', '%s:x:%d:60000::/:/bin/false\n'), ('group', '%s:x:%d:\n')):
            with open('/etc/' + file, encoding='utf-8') as f, open('%s/%s-%s' % (p.dir, file, n.name), 'w', encoding='utf-8') as to:
                to.write(f.read() + ''.join(line % name for name in names))
        n.before = '; '.join('mount --bind %s/%s-%s /etc/%s' % (p.dir, file, n.name, file) for file in ('passwd', 'group'))


@scenario('l07', before=other_accounts, apart=True)
def owners_are_names_and_a_number_only_where_there_is_no_name(p):
    def owner(n, rel):
        try:
            st = os.stat(n.path(rel))
        except FileNotFoundError:
            return None
        return st.st_uid, st.st_gid

    def give(rel, number):
        p.a.write('o/.' + rel, rel.encode())
        os.chown(p.a.path('o/.' + rel), number, number)
        os.rename(p.a.path('o/.' + rel), p.a.path('o/' + rel))
    give('bob', BOB_A)
    give('nobody', NOBODY_KNOWS)
    give('alice', ALICE)
    p.until('bob by name', lambda: owner(p.b, 'o/bob') == (BOB_B, BOB_B))
    p.until('nobody by number', lambda: owner(p.b, 'o/nobody') == (NOBODY_KNOWS, NOBODY_KNOWS))
    p.until('alice by number', lambda: owner(p.b, 'o/alice') == (ALICE, ALICE))
    p.refused('alice is told', 'unknown-owner', 'alice')
    p.until('in step all the same', lambda: p.a.status().get('in_step') is True and p.b.status().get('in_step') is True)
    p.b.stop()
    p.b.start()
    p.refused('alice is told again by who was not there', 'unknown-owner', 'alice')
    give('carol', CAROL)
    p.refused('carol is told', 'not-installed', 'carol')
    os.unlink(p.a.path('o/alice'))
    p.until('alice is forgotten', lambda: not p.problem(p.a, 'unknown-owner', 'alice') and not p.problem(p.b, 'unknown-owner', 'alice'))
    give('alice2', ALICE)
    p.refused('a second one is told', 'unknown-owner', 'alice')
    for file, line in (('passwd', 'alice:x:%d:60000::/:/bin/false\n'), ('group', 'alice:x:%d:\n')):
        with open('%s/%s-%s' % (p.dir, file, p.b.name), 'a', encoding='utf-8') as f:
            f.write(line % ALICE)
    give('alice2', ALICE)
    p.until('she is known by now', lambda: not p.problem(p.a, 'unknown-owner', 'alice') and not p.problem(p.b, 'unknown-owner', 'alice'))
    if owner(p.b, 'o/carol') is not None and owner(p.b, 'o/carol')[0] == CAROL:
        raise Broken('carol\'s file was handed to dave')
    p.b.stop()                          # what was learnt is not forgotten
    p.b.start()
    give('bob2', BOB_A)
    p.until('bob again', lambda: owner(p.b, 'o/bob2') == (BOB_B, BOB_B))
    if owner(p.b, 'o/bob') != (BOB_B, BOB_B) or owner(p.a, 'o/bob') != (BOB_A, BOB_A):
        raise Broken('%s, %s' % (owner(p.a, 'o/bob'), owner(p.b, 'o/bob')))
