"""Damage to queues that generate.py made: what crashes, restores and people do to them. Each function takes (root, random)
and returns a sentence, or None where there is nothing to damage in that way.
"""
import os

NOBODY = 65534


def files(root, *places, suffix=''):
    found = []
    for place in places:
        for path, dirs, names in os.walk('%s/%s' % (root, place)):
            dirs.sort()
            found += ['%s/%s' % (path, n) for n in sorted(names) if n.endswith(suffix)]
    return found


def pick(rnd, found):
    return rnd.choice(found) if found else None


def cut(path, size):
    """Shorter, and as if it had been written so: times stay."""
    st = os.stat(path)
    os.truncate(path, size)
    os.utime(path, ns=(st.st_atime_ns, st.st_mtime_ns))


def write(path, data, uid=0, gid=0, mode=0o600):
    with open(path, 'wb') as f:
        f.write(data)
    os.chown(path, uid, gid)
    os.chmod(path, mode)


# ---------------------------------------------------------------- all three

def some(root, rnd):
    return pick(rnd, files(root, 'mess', 'info', 'remote', 'deferred', 'hold', 'active', 'input'))


def wrong_mode(root, rnd):
    path = some(root, rnd)
    os.chmod(path, 0o666)
    return path + ' is writable by all'


def wrong_owner(root, rnd):
    path = some(root, rnd)
    os.chown(path, NOBODY, NOBODY)
    return path + ' belongs to nobody'


def far_future(root, rnd):
    path = pick(rnd, files(root, 'info', 'hold', 'msglog'))
    if path:
        os.utime(path, (4000000000, 4000000000))
    return path and path + ' is of the year 2096'


def strays(root, rnd):
    place = next(p for p in ('todo', 'hold', 'input') if os.path.isdir('%s/%s' % (root, p)))
    at = '%s/%s/' % (root, place)
    kind = rnd.randrange(5)
    if kind == 0:
        write(at + 'README.txt', b'notes of an operator\n')
    elif kind == 1:
        os.mkfifo(at + '4711', 0o600)
    elif kind == 2:
        os.symlink('/etc/passwd', at + '4712')
    elif kind == 3:
        write(at + 'a b\tc\nd%', b'odd name\n')
    else:
        os.mkdir(at + 'lost')
        write(at + 'lost/inside', b'in a directory of its own\n')
    return 'a stray (%d) in %s' % (kind, place)


# ---------------------------------------------------------------- qmail

def q_parts(root, n):
    return [p for p in ['%s/%s/%d/%d' % (root, d, n % 23, n) for d in ('mess', 'info', 'local', 'remote')] +
            ['%s/%s/%d' % (root, d, n) for d in ('intd', 'todo', 'bounce')] if os.path.lexists(p)]


def q_numbers(root):
    return sorted(int(os.path.basename(p)) for p in files(root, 'mess') if os.path.basename(p).isdigit())


def q_shuffled(root, rnd):
    """As a restore with tar does it: each message under the number of another one."""
    numbers = q_numbers(root)[:9]
    if len(numbers) < 3:
        return None
    moves = []
    for a, b in zip(numbers, numbers[1:] + numbers[:1]):
        for path in q_parts(root, a):
            top = path[len(root) + 1:].split('/')[0]
            to = '%s/%s/%d/%d' % (root, top, b % 23, b) if top in ('mess', 'info', 'local', 'remote') else '%s/%s/%d' % (root, top, b)
            os.rename(path, path + '.moving')
            moves.append((path + '.moving', to))
    for path, to in moves:
        os.rename(path, to)
    return '%d messages have the numbers of each other' % len(numbers)


def q_not_linked(root, rnd):
    path = pick(rnd, files(root, 'todo'))
    if path and os.path.exists(path.replace('/todo/', '/intd/')):
        os.unlink(path)         # its other name stays
        return path + ' was not durable'
    return None


def q_no_end(root, rnd):
    path = pick(rnd, files(root, 'todo', 'remote'))
    if path:
        cut(path, os.stat(path).st_size - 1)
    return path and path + ' lacks its last NUL'


def q_empty(root, rnd):
    path = pick(rnd, files(root, 'info', 'remote', 'mess'))
    if path:
        cut(path, 0)
    return path and path + ' is empty'


def q_orphan(root, rnd):
    place = rnd.choice(['bounce/999999', 'info/%d/999999' % (999999 % 23), 'remote/%d/999999' % (999999 % 23)])
    if os.path.exists('%s/%s' % (root, place)):
        return None
    write('%s/%s' % (root, place), b'<a@example.org>:\ngone\n\n' if 'bounce' in place else b'Fa@example.org\0', 7796, 2107, 0o600)
    return 'orphan ' + place


def q_trigger(root, rnd):
    path = root + '/lock/trigger'
    if not os.path.lexists(path):
        return None
    os.unlink(path)
    if rnd.randrange(2):
        write(path, b'', 7796, 2107, 0o622)
    return 'the trigger is no FIFO'


def q_no_directory(root, rnd):
    for i in range(23):
        if not os.listdir('%s/local/%d' % (root, i)):
            os.rmdir('%s/local/%d' % (root, i))
            return 'local/%d is missing' % i
    return None


def misplaced(root, rnd):
    found = files(root, 'mess', 'deferred')
    path = pick(rnd, found)
    if not path:
        return None
    top, sub, name = path[len(root) + 1:].split('/')
    others = [d for d in os.listdir('%s/%s' % (root, top)) if d != sub and len(d) <= 2 and os.path.isdir('%s/%s/%s' % (root, top, d))]
    if not others:
        return None
    os.rename(path, '%s/%s/%s/%s' % (root, top, rnd.choice(sorted(others)), name))
    return path + ' is in the directory of others'


# ---------------------------------------------------------------- Postfix

def p_renamed(root, rnd):
    """As cp or tar restores it: a name that holds the number of another inode."""
    path = pick(rnd, files(root, 'deferred', 'hold'))
    if not path:
        return None
    name = os.path.basename(path)
    wrong = name[:5] + '%X' % (int(name[5:], 16) + 100000)
    os.rename(path, os.path.dirname(path) + '/' + wrong)
    log = '%s/defer/%s/%s' % (root, name[0], name)
    if os.path.exists(log):
        os.rename(log, os.path.dirname(log) + '/' + wrong)
    return '%s is called %s' % (path, wrong)


def p_fix(root, rnd):
    path = pick(rnd, [f for f in files(root, 'hold') if '#' not in f])
    if path:
        os.rename(path, path + '#FIX')
    return path and path + ' is half renamed'


def p_lost_mode(root, rnd):
    path = pick(rnd, files(root, 'deferred', 'hold', 'active'))
    if path:
        os.chmod(path, 0o600)
    return path and path + ' lost its mode'


def p_cut(root, rnd):
    path = pick(rnd, files(root, 'deferred', 'hold', 'active'))
    if path:
        cut(path, os.stat(path).st_size * 2 // 3)
    return path and path + ' is cut off'


def p_orphan(root, rnd):
    path = root + '/bounce/12345ABCDE'
    if os.path.exists(path):
        return None
    write(path, b'\n<a@example.org>: gone\nrecipient=a@example.org\noffset=1\n\n', 102, 106, 0o600)
    return 'orphan ' + path


def p_linked(root, rnd):
    path = pick(rnd, [f for f in files(root, 'active') if os.stat(f).st_nlink == 1])
    if path:
        os.link(path, path.replace('/active/', '/incoming/'))
    return path and path + ' is in two queues'


def p_copied(root, rnd):
    """A second file of the same message, as when two queues are put together."""
    path = pick(rnd, [f for f in files(root, 'deferred') if '#' not in f and os.stat(f).st_mode & 0o777 == 0o700])
    to = path and '%s/hold/%s' % (root, os.path.basename(path))
    if not path or os.path.exists(to):
        return None
    st = os.stat(path)
    with open(path, 'rb') as f:
        write(to, f.read(), st.st_uid, st.st_gid, 0o700)
    os.utime(to, ns=(st.st_atime_ns, st.st_mtime_ns))
    return path + ' is in hold as well'


def p_all_modes(root, rnd):
    """As after a copy without modes."""
    found = files(root, 'active', 'deferred', 'hold', 'incoming')
    for path in found:
        os.chmod(path, 0o644)
    return 'all %d messages have lost their modes' % len(found)


def p_no_id(root, rnd):
    path = pick(rnd, [f for f in files(root, 'hold') if '#' not in f])
    if path:
        os.rename(path, path[:-len(os.path.basename(path))] + os.path.basename(path).lower() + 'x')
    return path and path + ' has a name that is no id'


def p_bad_log(root, rnd):
    path = pick(rnd, files(root, 'defer'))
    if path:
        with open(path, 'ab') as f:
            f.write(bytes(64))
    return path and path + ' ends in NULs'


# ---------------------------------------------------------------- Exim

def e_no_body(root, rnd):
    path = pick(rnd, files(root, 'input', suffix='-D'))
    if path:
        os.unlink(path)
    return path and path + ' is lost'


def e_no_head(root, rnd):
    path = pick(rnd, files(root, 'input', suffix='-H'))
    if path:
        os.unlink(path)
    return path and path + ' is lost'


def e_cut(root, rnd):
    path = pick(rnd, files(root, 'input', suffix='-H'))
    if path:
        cut(path, os.stat(path).st_size // 2)
    return path and path + ' is cut off'


def e_journal(root, rnd):
    path = pick(rnd, files(root, 'input', suffix='-H'))
    if not path or os.path.exists(path[:-1] + 'J'):
        return None
    with open(path, encoding='utf-8') as f:
        someone = [line for line in f.read().split('\n') if line.startswith('user')][0]
    write(path[:-1] + 'J', someone.encode(), 990, 990, 0o640)
    return path[:-1] + 'J ends without a newline'


def e_hints(root, rnd):
    path = root + '/db/retry'
    if os.path.exists(path):
        return None
    write(path, b'\xff' * 512, 990, 990, 0o640)
    return path + ' is no database'


def e_long(root, rnd):
    path = pick(rnd, files(root, 'input', suffix='-D'))
    if path and os.path.exists(path[:-1] + 'H'):
        with open(path, 'ab') as f:
            f.write(b'one more line\n')
        return path + ' has more lines than its header says'
    return None


def e_whole(root, rnd):
    """Header, body and id of a message that is whole and in input itself."""
    path = pick(rnd, [f for f in files(root, 'input', suffix='-H') if os.path.dirname(f) == root + '/input' and
                      os.path.exists(f[:-1] + 'D') and not os.path.exists(f[:-1] + 'J')])
    return path and (path, path[:-1] + 'D', os.path.basename(path)[:-2])


def e_sub(root, name):
    if not os.path.isdir('%s/%s' % (root, name)):
        os.makedirs('%s/%s' % (root, name))
        os.chown('%s/%s' % (root, name), 990, 990)
        os.chmod('%s/%s' % (root, name), 0o750)
    return '%s/%s' % (root, name)


def e_torn(root, rnd):
    """Header and body in two directories, of which Exim looks into both, but not for one message."""
    found = e_whole(root, rnd)
    if not found:
        return None
    path = rnd.choice(found[:2])
    os.rename(path, e_sub(root, 'input/' + found[2][5]) + '/' + os.path.basename(path))
    return path + ' is in the split directory, the rest is not'


def e_twice(root, rnd):
    found = e_whole(root, rnd)
    if not found:
        return None
    sub = e_sub(root, 'input/' + found[2][5])
    for path in found[:2]:
        with open(path, 'rb') as f:
            write('%s/%s' % (sub, os.path.basename(path)), f.read(), 990, 990, 0o640)
    return found[0] + ' is there twice'


def e_foreign(root, rnd):
    found = e_whole(root, rnd)
    if not found:
        return None
    for path in found[:2]:
        os.rename(path, e_sub(root, 'input/z' if found[2][5] != 'z' else 'input/y') + '/' + os.path.basename(path))
    return found[0] + ' is in the directory of others'


def e_renamed(root, rnd):
    found = e_whole(root, rnd)
    if not found:
        return None
    other = found[2][:-2] + 'zz'
    if os.path.exists('%s/input/%s-H' % (root, other)):
        return None
    for path in found[:2]:
        os.rename(path, '%s/input/%s%s' % (root, other, path[-2:]))
    return found[0] + ' is called ' + other


def e_moving(root, rnd):
    """spool_move_message() of a frozen message, cut after the body had its second name."""
    found = e_whole(root, rnd)
    if not found:
        return None
    os.link(found[1], '%s/%s' % (e_sub(root, 'Finput'), os.path.basename(found[1])))
    return found[1] + ' has a second name in Finput'


def e_nul(root, rnd):
    found = e_whole(root, rnd)
    if found:
        st = os.stat(found[1])
        os.truncate(found[1], st.st_size + 700)
        os.utime(found[1], ns=(st.st_atime_ns, st.st_mtime_ns))
    return found and found[1] + ' ends in NUL bytes'


COMMON = [wrong_mode, wrong_owner, far_future, strays]
KINDS = {
    'qmail': COMMON + [q_shuffled, q_not_linked, q_no_end, q_empty, q_orphan, q_trigger, q_no_directory, misplaced],
    'postfix': COMMON + [p_renamed, p_fix, p_lost_mode, p_cut, p_orphan, p_linked, misplaced, p_copied, p_all_modes, p_no_id,
                         p_bad_log],
    'exim': COMMON + [e_no_body, e_no_head, e_cut, e_journal, e_hints, e_long, e_torn, e_twice, e_foreign, e_renamed,
                      e_moving, e_nul],
}
