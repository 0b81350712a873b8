"""e: what is edited on the active node is on the other one, however it was edited."""
import os
import shutil
import signal
import socket
import stat
import statistics
import subprocess
import threading
import time

from nodes import PATIENCE, Broken, pause, run

from .play import by_way_of_a_relay, collector

SCENARIOS, scenario = collector()
SIZE = 1 << 20


def in_place(n, rel, data):
    n.write(rel, data)


def temp_and_rename(n, rel, data):
    n.write(rel + '.tmp', data)
    os.rename(n.path(rel + '.tmp'), n.path(rel))


def with_vim(n, rel, data, settings):
    """Its swap file stands beside the file meanwhile; in Debian's small build there are no expressions."""
    if not os.path.exists(n.path(rel)):
        n.write(rel, b'old\n')
    subprocess.run(['vim.tiny', '-u', 'NONE', '-i', 'NONE', '-e', '-s', '-c', 'set backupskip= ' + settings, '-c', '%%s/.*/%s/' % data.decode().strip(), '-c', 'wq', n.path(rel)],
                   check=True, stdin=subprocess.DEVNULL, env={**os.environ, 'TERM': 'dumb'})


def vim(n, rel, data):
    """A probe, the old file away as a backup, the new one written, the backup gone."""
    with_vim(n, rel, data, 'writebackup nobackup backupcopy=auto')


def vim_copy(n, rel, data):
    """A copy is the backup, and the file is written in place."""
    with_vim(n, rel, data, 'writebackup nobackup backupcopy=yes')


def sed(n, rel, data):
    if not os.path.exists(n.path(rel)):
        n.write(rel, b'old\n')
    subprocess.run(['sed', '-i', 's/.*/%s/' % data.decode().strip(), n.path(rel)], check=True)


@scenario('e01')
def every_way_of_editing_arrives(p):
    for how in (in_place, temp_and_rename, vim, vim_copy, sed):
        for i in range(3):
            data = b'%s %d\n' % (how.__name__.encode(), i)
            how(p.a, 'app/' + how.__name__, data)
            p.in_step(how.__name__)
            if p.b.read('app/' + how.__name__) != data:
                raise Broken('%s: %r' % (how.__name__, p.b.read('app/' + how.__name__)))


@scenario('e02')
def modes_owners_and_attributes_travel(p):
    p.a.write('m', b'secret')
    os.chmod(p.a.path('m'), 0o600)
    os.chown(p.a.path('m'), 8, 8)
    os.setxattr(p.a.path('m'), 'user.note', b'x')
    os.utime(p.a.path('m'), ns=(0, 10**18 + 123456789))
    p.in_step()
    os.chmod(p.a.path('m'), 0o640)
    p.in_step('mode alone')


@scenario('e03')
def names_hold_every_byte(p):
    for byte in range(1, 256):
        if byte != 0x2f:
            p.a.write('bytes/' + os.fsdecode(b'x%cy' % byte), b'%d' % byte)
    everything = os.fsdecode(bytes(b for b in range(1, 256) if b != 0x2f)[:250])
    p.a.write('bytes/' + everything, b'all')
    os.makedirs(p.a.path('bytes/dir\n\xff \t'))
    os.symlink('bytes/' + everything, p.a.path('link\n'))
    p.in_step('made')
    for name in os.listdir(p.a.path('bytes')):
        os.rename(p.a.path('bytes/' + name), p.a.path('bytes/' + name[:-1] + 'z'))
    p.in_step('renamed')


@scenario('e04')
def types_change(p):
    """Each into each other, in one place."""
    def file():
        p.a.write('t', b'a file')

    def directory():
        p.a.write('t/deep/er/file', b'1')

    def link():
        os.symlink('../nowhere', p.a.path('t'))

    def hard():
        os.link(p.a.path('other'), p.a.path('t'))
    kinds = (file, directory, link, hard)
    p.a.write('other', b'of the hard link')
    for at, one in enumerate(kinds):
        for other in kinds[at + 1:]:
            for make in (one, other, one):
                if os.path.isdir(p.a.path('t')) and not os.path.islink(p.a.path('t')):
                    shutil.rmtree(p.a.path('t'))
                elif os.path.lexists(p.a.path('t')):
                    os.unlink(p.a.path('t'))
                make()
                p.in_step('%s and %s' % (one.__name__, other.__name__))


@scenario('e05')
def a_tree_is_moved_deleted_and_comes_back(p):
    for i in range(100):
        p.a.write('x/%d/%d' % (i % 10, i), b'%d' % i)
    p.in_step('made')
    os.rename(p.a.path('x'), p.a.path('y'))
    p.in_step('moved')
    keep = os.path.join(p.dir, 'kept')
    shutil.copytree(p.a.path('y'), keep)
    shutil.rmtree(p.a.path('y'))
    p.in_step('gone')
    if os.path.exists(p.b.path('y')):
        raise Broken('it is still there')
    shutil.copytree(keep, p.a.path('y'))
    p.in_step('back')
    shutil.rmtree(p.a.path('y'))
    shutil.copytree(keep, p.a.path('y'))        # without a moment between
    p.a.write('y/3/3', b'and changed')
    p.in_step('gone and back at once')


@scenario('e06')
def storms_of_renames_end_in_the_same_tree(p):
    """As many programs rename at random as three threads can; what was renamed is not sent again, but where it is so small that it comes with the news."""
    for i in range(60):
        p.a.write('r/%d' % i, os.urandom(SIZE // 8))
    p.in_step('made')
    sent = p.cable.received(1)

    def rename(seed):
        at = seed
        for _ in range(400):
            at = (at * 1103515245 + 12345) & 0x7fffffff
            try:
                os.rename(p.a.path('r/%d' % (at // 7 % 60)), p.a.path('r/%d' % (60 + at // 61 % 9 if at % 3 else at // 11 % 60)))
                os.rename(p.a.path('r/%d' % (60 + at // 61 % 9)), p.a.path('r/%d' % (at // 7 % 60)))
            except FileNotFoundError:
                pass
    threads = [threading.Thread(target=rename, args=(s,)) for s in (1, 22, 333)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    p.in_step('renamed')
    sent = p.cable.received(1) - sent
    if not os.listdir(p.a.path('r')):
        raise Broken('nothing is left to compare')
    if sent > 60 * SIZE // 8:
        raise Broken('%d bytes were sent for renames of %d' % (sent, 60 * SIZE // 8))
    p.said = '%d bytes were sent for renames of %d' % (sent, 60 * SIZE // 8)


@scenario('e07')
def directories_change_places(p):
    p.a.write('live/current/a', b'old')
    p.a.write('live/next/a', b'new')
    p.a.write('live/next/b', b'new as well')
    p.in_step('made')
    for i in range(5):
        os.rename(p.a.path('live/current'), p.a.path('live/last'))
        os.rename(p.a.path('live/next'), p.a.path('live/current'))
        os.rename(p.a.path('live/last'), p.a.path('live/next'))
        p.in_step('swap %d' % i)
    run('mv', '--exchange', p.a.path('live/current'), p.a.path('live/next')) if exchanges() else None
    p.in_step('exchanged')
    if p.b.read('live/current/a') not in (b'old', b'new'):
        raise Broken('%r' % p.b.read('live/current/a'))


def exchanges():
    return b'--exchange' in run('mv', '--help')


@scenario('e08')
def a_burst_of_2000_edits_arrives(p):
    for i in range(2000):
        p.a.write('burst/%d' % i, b'%d' % i)
    p.in_step('made')
    for i in range(2000):
        p.a.write('burst/%d' % i, b'%d again' % i)
    p.in_step('edited')
    shutil.rmtree(p.a.path('burst'))
    p.in_step('removed')


@scenario('e17', writers='both')
def what_is_edited_while_a_worker_puts_many_files_in_place_is_an_edit(p):
    """Of files that have just come, by another program, before all of them are there."""
    for i in range(30):
        os.makedirs(p.a.path('many/%d' % i))
    p.in_step('directories')
    p.b.stop()
    for i in range(3000):
        p.a.write('many/%d/%d' % (i % 30, i), b'%d\n' % i)
    p.b.start()
    edited, at, end = {}, p.b.path('many/0'), time.monotonic() + PATIENCE
    while len(edited) < 30 and time.monotonic() < end:
        pause(0.001)
        for i in os.listdir(at):
            if i.isdigit() and i not in edited:
                edited[i] = b'edited %s' % i.encode()
                p.b.write('many/0/' + i, edited[i])
    p.said = '%d had come when the last one was edited' % sum(len(f) for d, s, f in os.walk(p.b.path('many')))
    for i, text in edited.items():
        p.until('%s is there' % i, lambda n=i, t=text: p.a.read('many/0/' + n) == t)


@scenario('e18', writers='both')
def what_is_edited_in_a_directory_that_has_just_come_is_seen_before_all_else_is_there(p):
    """The other node says nothing any more, with much of it still on its way, and its silence is not long enough to be noticed."""
    new = {'new/%d/%d' % (i % 3, i): b'%d\n' % i for i in range(300)}
    p.a.write('old', b'old')
    p.in_step()
    p.b.stop()
    for rel, data in new.items():
        p.a.write(rel, data)
    for name, size in (('0', 12), ('1', 12), ('2', 64)):        # so much goes in one installation, and one more
        p.a.write('then/' + name, os.urandom(size * SIZE))
    p.b.start()
    silent, parts, end = p.a.part('network'), os.path.join(p.b.state, 'config.parts'), time.monotonic() + PATIENCE
    while len(os.listdir(parts)) < 3 and time.monotonic() < end:
        pause(0.0005)
    os.kill(silent, signal.SIGSTOP)
    try:
        p.until('the first part', lambda: p.b.read('then/1') is not None and p.b.status()['pending'] == 1, 5)
        p.b.write('new/0/0', b'edited here')
        p.until('it is seen', lambda: p.b.status()['pending'] == 2, 5)
        if p.b.status()['link'] != 'linked' or p.b.read('then/2') is not None:
            raise Broken('there was nothing to wait for: %s' % p.b.status())
    finally:
        os.kill(silent, signal.SIGCONT)
    p.until('it is an edit', lambda: p.a.read('new/0/0') == b'edited here')


@scenario('e09')
def a_reader_never_sees_a_torn_file(p):
    """1 MiB, rewritten in a loop, by renames and in place in turn; a reader on the other node looks 10,000 times."""
    whole = {b'%c' % c: b'%c' % c * SIZE for c in b'abcdefghijklmnopqrstuvwxyz'}
    p.a.write('big', whole[b'a'])
    p.in_step()
    bad, seen, reads = [], set(), 0
    stop, written = threading.Event(), [0]

    def rewrite():
        while not stop.is_set():
            written[0] += 1
            how = (temp_and_rename, in_place)[written[0] % 2]
            how(p.a, 'big', whole[b'%c' % (ord('a') + written[0] % 26)])
            stop.wait(0.02)         # time for it to be noticed: what is written without a pause is never still
    t = threading.Thread(target=rewrite)
    t.start()
    try:
        while reads < 10000:
            data = p.b.read('big')
            reads += 1
            if data != whole.get(data[:1] if data else b''):
                bad.append(data and (len(data), data[:1], data[-1:]))
            else:
                seen.add(data[:1])
    finally:
        stop.set()
        t.join()
    if bad or len(seen) < 5:
        raise Broken('%d of %d reads are torn: %s; %d versions seen of %d written' % (len(bad), reads, bad[:3], len(seen), written[0]))


@scenario('e12')
def a_file_that_is_written_all_the_time_is_not_carried_and_that_is_told(p):
    p.a.write('log', b'old')
    p.in_step()
    closed = threading.Event()

    def write():
        """Oftener than every two seconds, however long a question takes."""
        with open(p.a.path('log'), 'r+b', 0) as f:
            while not closed.wait(0.05):
                f.write(b'more and ')
    t = threading.Thread(target=write)
    t.start()
    try:
        p.until('told on both', lambda: p.problem(p.a, 'being-written') and p.problem(p.b, 'being-written'))
        if p.b.read('log') != b'old':
            raise Broken('it was carried: %r' % p.b.read('log')[:80])
    finally:
        closed.set()
        t.join()
    p.in_step('closed')
    p.until('not told any more', lambda: not p.problem(p.a, 'being-written') and not p.problem(p.b, 'being-written'))


@scenario('e14')
def a_file_that_was_open_a_moment_longer_is_not_waited_for(p):
    """Its last writer closes it by a name of which the watch tells nothing, as the kernel tells of a close before it is over."""
    outside, took = p.a.root + '/outside', []
    p.a.write('moment', b'old')
    os.link(p.a.path('moment'), outside)
    p.in_step()
    for i in range(10):
        data = b'%d' % i
        with open(outside, 'r+b', 0):
            p.a.write('moment', data)
            pause(0.004)
        closed = time.monotonic()
        while p.b.read('moment') != data and time.monotonic() < closed + 5:
            pause(0.001)
        took.append(time.monotonic() - closed)
        p.in_step()
    p.said = 'after %.0f ms at best' % (1000 * min(took))
    if min(took) > 0.04:
        raise Broken('seen after %s s' % took)
    os.unlink(outside)


@scenario('e15')
def no_device_pipe_or_socket_is_made_and_each_is_told(p):
    p.a.write('d/file', b'bytes')
    p.in_step()
    os.mkfifo(p.a.path('d/pipe'))
    os.rename(p.a.path('d/pipe'), p.a.path('d/file'))
    os.mknod(p.a.path('d/null'), stat.S_IFCHR | 0o666, os.makedev(1, 3))
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(p.a.path('d/socket'))
    p.a.write('d/last', b'x')
    p.until('the rest goes on', lambda: p.b.read('d/last') == b'x')
    p.conflicts('d/file', 'd/null', 'd/socket')
    if sorted(os.listdir(p.b.path('d'))) != ['file', 'last'] or p.b.read('d/file') != b'bytes':
        raise Broken('made: %s' % os.listdir(p.b.path('d')))
    for name in ('file', 'null', 'socket'):
        os.unlink(p.a.path('d/' + name))
    p.in_step('gone')


@scenario('e16')
def large_files_arrive_squeezed_and_holes_stay_holes(p):
    size, sent = 24 << 20, p.cable.received(1)
    with open(p.a.path('holes'), 'wb') as f:
        f.write(b'begin')
        f.truncate(size)
        f.seek(size - 3)
        f.write(b'end')
    p.a.write('large', os.urandom(6 << 20))
    p.a.write('text', b'One line of a long file.\n' * 300000)
    p.in_step()
    sent = p.cable.received(1) - sent
    if not 6 << 20 <= sent <= 7 << 20:
        raise Broken('%d bytes came' % sent)
    if os.stat(p.b.path('holes')).st_blocks * 512 > size // 4:
        raise Broken('%d blocks' % os.stat(p.b.path('holes')).st_blocks)


@scenario('e10')
def a_rollback_reaches_the_other_node(p):
    p.a.write('back', b'good')
    p.in_step()
    p.a.write('back', b'bad')
    p.in_step()
    p.until('kept', lambda: len(p.a.call('log', '/etc/back')[1]) >= 2)
    newest = p.a.call('log', '/etc/back')[1][0]
    code, said = p.a.call('rollback', newest['set'], '--apply')
    if code != 0:
        raise Broken('rollback: %d %s' % (code, said))
    p.until('good again', lambda: p.b.read('back') == b'good')
    p.in_step()
    if p.b.call('rollback', '1', '--apply')[0] != 3:
        raise Broken('a standby may roll back')


@scenario('e13')
def versions_that_follow_quickly_are_all_kept_on_both_nodes(p):
    """Each replaces the one before as soon as that one is there, which may be before it is in the store."""
    data = [b'version %d\n' % i for i in range(12)]
    for version in data:
        p.a.write('quick', version)
        p.until('there', lambda want=version: p.b.read('quick') == want)
    p.in_step()
    for node in (p.a, p.b):
        p.until('kept', lambda of=node: of.status().get('kept') is True)
        kept = {run(p.build + '/mailpair-config', 'show', '/etc/quick@%d' % n, '--conf', node.conf, '--node', node.name) for n in range(len(data))}
        if kept != set(data):
            raise Broken('%s keeps %r' % (node.name, sorted(kept)))


NEWS, SOON = 20, 28        # enum wire_type


def ran(pid):
    """Seconds on a processor."""
    with open('/proc/%d/schedstat' % pid, encoding='ascii') as f:
        return int(f.read().split()[0]) / 1e9


AWAKE = 0.0004


@scenario('e19', before=by_way_of_a_relay)
def the_other_node_is_awake_when_news_come_and_sleeps_again_when_none_do(p):
    """Told before them. It does not sleep until they are here, 0.4 ms at most, and so no oftener than each 5 ms, whatever it is told. It tells nobody of
    what it has put in place."""
    p.a.write('x', b'old')
    p.in_step()
    b, longest, first, edits = p.b.part('main'), 0, len(p.relay.lines), 0
    while edits < 20 or (longest < 0.6 * AWAKE and edits < 400):      # others may have the processor meanwhile
        pause(0.02)
        p.relay.tell(b'hold')
        said, before = len(p.relay.lines), ran(b)
        p.a.write('x', b'%d' % edits)
        p.until('said', lambda s=said: NEWS in p.relay.said(s))
        if [t for t in p.relay.said(said) if t in (NEWS, SOON)][0] != SOON:
            raise Broken('mx1 said %s' % p.relay.said(said))
        pause(0.01)
        longest = max(longest, ran(b) - before)
        p.relay.tell(b'pass')
        p.until('there', lambda d=b'%d' % edits: p.b.read('x') == d)
        edits += 1
    if longest < 0.6 * AWAKE:       # a fourth is what the message itself takes
        raise Broken('it was awake for %.2f ms' % (1000 * longest))
    p.in_step()
    back = p.relay.said(first, by=2).count(SOON)
    if back > 0.9 * edits:      # the watch may be late
        raise Broken('mx2 announced %d of %d that it had from mx1' % (back, edits))
    before, began = ran(b), time.monotonic()
    while time.monotonic() < began + 1:
        p.relay.tell(b'soon')
        pause(0.0004)
    share = (ran(b) - before) / (time.monotonic() - began)
    p.said = 'awake for %.2f ms, %.0f %% of a processor at most' % (1000 * longest, 100 * share)
    if share > 0.4:
        raise Broken(p.said)


@scenario('e20', before=by_way_of_a_relay)
def who_stays_awake_for_news_lets_others_have_the_processor(p):
    """What has something to do may be the network process, with the news."""
    p.in_step()
    b, took = p.b.part('main'), []
    one = {min(os.sched_getaffinity(0))}
    other = subprocess.Popen(['sh', '-c', 'while :; do :; done'])
    p.undo += [other.wait, other.kill]
    for pid in (b, other.pid):
        os.sched_setaffinity(pid, one)
    for _ in range(40):
        pause(0.02)
        before = ran(b)
        p.relay.tell(b'soon')
        pause(0.02)
        took.append(ran(b) - before)
    p.said = 'it took %.2f ms from who works' % (1000 * statistics.median(took))
    if statistics.median(took) > 0.7 * AWAKE:
        raise Broken(p.said)


def package(dir, version, files):
    """A real .deb, its files in etc are conffiles."""
    at = os.path.join(dir, 'package-%s' % version)
    for name, data in files.items():
        os.makedirs(os.path.dirname(os.path.join(at, name)), exist_ok=True)
        with open(os.path.join(at, name), 'wb') as f:
            f.write(data)
    os.makedirs(at + '/DEBIAN')
    with open(at + '/DEBIAN/control', 'w', encoding='ascii') as f:
        f.write('Package: mailpair-example\nVersion: %s\nArchitecture: all\nMaintainer: nobody <nobody@example.test>\nDescription: files of a test\n' % version)
    with open(at + '/DEBIAN/conffiles', 'w', encoding='ascii') as f:
        f.write(''.join('/%s\n' % n for n in sorted(files) if n.startswith('etc/')))
    run('dpkg-deb', '--root-owner-group', '--build', at, at + '.deb')
    return at + '.deb'


@scenario('e11', own=lambda path: b'.dpkg-' in path)
def a_package_and_its_upgrade_arrive(p):
    """dpkg installs a package into the active node's tree, then a newer one. The administrator's edits and what dpkg puts aside stay what they are."""
    admin = p.a.root + '/var/lib/dpkg'
    os.makedirs(admin + '/updates')
    os.makedirs(admin + '/info')
    for name in ('status', 'available'):
        with open(os.path.join(admin, name), 'w', encoding='ascii'):
            pass
    one = {'etc/example/%d.conf' % i: b'one %d\n' % i for i in range(40)}
    two = {n: d.replace(b'one', b'two') for n, d in one.items() if n != 'etc/example/7.conf'}
    two.update({'etc/example/new.d/more.conf': b'new\n', 'usr/share/example/x': b'not of this tree\n'})

    def dpkg(deb):
        run('dpkg', '--root=' + p.a.root, '--log=' + p.dir + '/dpkg.log', '--force-confold', '--force-not-root', '--install', deb)
    dpkg(package(p.dir, '1', one))
    p.in_step('installed')
    p.a.write('example/3.conf', b'edited by the administrator\n')
    p.in_step('edited')
    dpkg(package(p.dir, '2', two))
    p.in_step('upgraded')
    if p.b.read('example/4.conf') != b'two 4\n' or p.b.read('example/new.d/more.conf') != b'new\n':
        raise Broken('the new version is not there')
    if p.b.read('example/3.conf') != b'edited by the administrator\n' or os.path.exists(p.b.path('example/3.conf.dpkg-dist')):
        raise Broken('what dpkg put aside: %s' % os.listdir(p.b.path('example')))
    run('dpkg', '--root=' + p.a.root, '--log=' + p.dir + '/dpkg.log', '--purge', 'mailpair-example')
    p.in_step('purged')
    if p.b.read('example/4.conf') is not None:
        raise Broken('it is still there')
