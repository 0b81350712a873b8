#!/usr/bin/env python3
"""Makes queues as qmail, Postfix and Exim would have left them: for property tests and measurements.

usage: generate.py qmail|postfix|exim DIR COUNT [--seed N] [--owners FILE]

DIR must not exist. COUNT messages in the states that the program has, with real formats, owners by the
numbers below (written to FILE for --owners) and modes as the program gives them. Needs root. The same seed
makes the same messages; names hold inode numbers and differ.
"""
import argparse
import grp
import os
import pwd
import random
import re
import subprocess
import sys

OWNERS = {
    'qmail': {'user': {'alias': 7790, 'qmaild': 7791, 'qmaill': 7792, 'qmailp': 7793, 'qmailq': 7794, 'qmailr': 7795,
                       'qmails': 7796}, 'group': {'qmail': 2107, 'nofiles': 2108}},
    'postfix': {'user': {'root': 0, 'postfix': 102}, 'group': {'root': 0, 'postfix': 106, 'postdrop': 107}},
    'exim': {'user': {'Debian-exim': 990}, 'group': {'Debian-exim': 990}},
}
NOW = 1795296000        # a fixed second: no file is dated after the test
SPLIT = 23


def owners_text(mta):
    return ''.join('%s %s %d\n' % (kind, name, number) for kind, names in sorted(OWNERS[mta].items())
                   for name, number in sorted(names.items()))


def own_numbers():
    """Queues of Postfix from now on with the accounts of this machine, where it has them."""
    try:
        user, drop = pwd.getpwnam('postfix'), grp.getgrnam('postdrop')
    except KeyError:
        return
    Postfix.user, Postfix.group, Postfix.drop = user.pw_uid, user.pw_gid, drop.gr_gid
    OWNERS['postfix'] = {'user': {'root': 0, 'postfix': user.pw_uid},
                         'group': {'root': 0, 'postfix': user.pw_gid, 'postdrop': drop.gr_gid}}


def make_dir(path, uid, gid, mode):
    os.mkdir(path)
    os.chown(path, uid, gid)
    os.chmod(path, mode)


def make_file(path, data, uid, gid, mode, mtime=NOW):
    """Returns its inode number."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(fd, data)
        os.fchown(fd, uid, gid)
        os.fchmod(fd, mode)
        os.utime(fd, (mtime, mtime))
        return os.fstat(fd).st_ino
    finally:
        os.close(fd)


class Words:
    """Text of messages: the same for the same seed."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.pool = ''.join(self.random.choice('abcdefghijklmnop   ') for _ in range(8192)).strip()

    def body(self):
        lines, at = [], self.random.randrange(0, 4096)
        for _ in range(self.random.randrange(1, 8)):
            lines.append(self.pool[at:at + 60])
            at += 60
        return lines

    def address(self, number, where='example.org'):
        return 'user%d@%s' % (number, where)

    def headers(self, number):
        return ['From: <s%d@sender.example>' % number, 'To: ' + self.address(number), 'Subject: number %d' % number,
                'Message-ID: <%d.%08x@load.example>' % (number, self.random.getrandbits(32))]


# ---------------------------------------------------------------- qmail

class Qmail:
    q, s, r, group, nofiles = 7794, 7796, 7795, 2107, 2108

    def __init__(self, root, later=None):
        """later: every message waits for its next try, at that second or within an hour after it."""
        self.root, self.later = root, later

    def tree(self):
        make_dir(self.root, self.q, self.group, 0o750)
        for name, uid, mode in (('mess', self.q, 0o750), ('info', self.s, 0o700), ('local', self.s, 0o700),
                                ('remote', self.s, 0o700)):
            make_dir(self.root + '/' + name, uid, self.group, mode)
            for i in range(SPLIT):
                make_dir('%s/%s/%d' % (self.root, name, i), uid, self.group, mode)
        for name, uid, mode in (('pid', self.q, 0o700), ('intd', self.q, 0o700), ('todo', self.q, 0o750),
                                ('bounce', self.s, 0o700), ('lock', self.q, 0o750)):
            make_dir(self.root + '/' + name, uid, self.group, mode)
        make_file(self.root + '/lock/sendmutex', b'', self.s, self.group, 0o600)
        make_file(self.root + '/lock/tcpto', bytes(1024), self.r, self.group, 0o644)
        os.mkfifo(self.root + '/lock/trigger')
        os.chown(self.root + '/lock/trigger', self.s, self.group)
        os.chmod(self.root + '/lock/trigger', 0o622)

    def message(self, words, number):
        rnd, kind = words.random, 2 if self.later else number % 8
        lines = ['Received: (qmail %d invoked from network); 21 Nov 2026 21:08:17 -0000' % (1000 + number)]
        text = '\n'.join(lines + words.headers(number) + [''] + words.body()) + '\n'
        temporary = '%s/pid/%d.%d.1' % (self.root, number, NOW)
        n = make_file(temporary, text.encode(), self.q, self.nofiles, 0o644)
        os.rename(temporary, '%s/mess/%d/%d' % (self.root, n % SPLIT, n))
        sender = ('s%d@sender.example' % number) if kind != 5 else ''
        to = [words.address(number * 10 + i) for i in range(1 + rnd.randrange(3))]
        sub = '%d/%d' % (n % SPLIT, n)
        if kind < 2:                    # S4: accepted, not yet looked at
            data = b'u7791\0p%d\0F%s\0' % (number, sender.encode()) + b''.join(b'T%s\0' % t.encode() for t in to)
            make_file('%s/intd/%d' % (self.root, n), data, self.q, self.nofiles, 0o644)
            os.link('%s/intd/%d' % (self.root, n), '%s/todo/%d' % (self.root, n))
            return
        make_file('%s/info/%s' % (self.root, sub), b'F%s\0' % sender.encode(), self.s, self.group, 0o600)
        records = b''.join((b'D%s\0' if kind == 3 and i == 0 and len(to) > 1 else b'T%s\0') % t.encode() for i, t in enumerate(to))
        where = 'local' if kind == 4 else 'remote'
        make_file('%s/%s/%s' % (self.root, where, sub), records, self.s, self.group, 0o600,
                  self.later + number % 3600 if self.later else NOW)
        if kind == 6:
            make_file('%s/bounce/%d' % (self.root, n), b'<nobody@example.net>:\nno such user\n\n', self.s, self.group, 0o600)


# ---------------------------------------------------------------- Postfix

def record(kind, text):
    data = text.encode() if isinstance(text, str) else text
    size, head = len(data), kind.encode()
    while True:
        head += bytes([size & 127 | (128 if size > 127 else 0)])
        size >>= 7
        if not size:
            return head + data


class Postfix:
    user, group, drop = 102, 106, 107

    def __init__(self, root, later=None):
        """later: every message is deferred, and tried again within an hour after that second."""
        self.root, self.later, self.made = root, later, set()

    def tree(self):
        make_dir(self.root, 0, 0, 0o755)
        for name in ('incoming', 'active', 'deferred', 'hold', 'corrupt', 'saved', 'defer', 'bounce', 'trace', 'flush', 'private'):
            make_dir(self.root + '/' + name, self.user, 0, 0o700)
        make_dir(self.root + '/maildrop', self.user, self.drop, 0o730)
        make_dir(self.root + '/public', self.user, self.drop, 0o710)
        make_dir(self.root + '/pid', 0, 0, 0o755)

    def hashed(self, queue, name):
        path = '%s/%s/%s' % (self.root, queue, name[0])
        if path not in self.made:
            make_dir(path, self.user, self.group, 0o700)
            self.made.add(path)
        return '%s/%s' % (path, name)

    def envelope(self, words, number, usec, rcpts, done, ident):
        """(records before M, offset of the first recipient that is to do)"""
        out = record('T', '%d %d' % (NOW, usec)) + record('A', 'create_time=%d' % NOW) + record('A', 'log_ident=' + ident) + \
            record('A', 'rewrite_context=local') + record('S', 's%d@sender.example' % number)
        offset = 0
        for i, address in enumerate(rcpts):
            out += record('A', 'dsn_orig_rcpt=rfc822;' + address) + record('O', address)
            if i == done:
                offset = 97 + len(out)
            out += record('D' if i < done else 'R', address)
        return out, offset

    def message(self, words, number):
        rnd, kind = words.random, 3 + number % 7 if self.later else number % 10
        queue = ('incoming', 'active', 'hold')[kind] if kind < 3 else 'deferred'
        tried = self.later + number % 3600 if self.later else NOW
        usec = rnd.randrange(0, 1000000)
        rcpts = [words.address(number * 10 + i) for i in range(1 + rnd.randrange(3))]
        done = 1 if kind == 4 and len(rcpts) > 1 else 0
        temporary = '%s/incoming/%d.%d' % (self.root, usec, number)
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        name = '%05X%X' % (usec, os.fstat(fd).st_ino)
        before, offset = self.envelope(words, number, usec, rcpts, done, name)
        content = b''.join(record('N', line) for line in words.headers(number) + [''] + words.body())
        start = 97 + len(before) + 2
        numbers = (len(content), start, len(rcpts), 0, len(content), 0)
        os.write(fd, record('C', ' '.join('%15d' % n for n in numbers)) + before + record('M', '') + content + record('X', '') +
                 record('E', ''))
        os.fchown(fd, self.user, self.group)
        os.fchmod(fd, 0o700)
        os.utime(fd, (tried, tried))
        os.close(fd)
        os.rename(temporary, self.hashed(queue, name) if queue == 'deferred' else '%s/%s/%s' % (self.root, queue, name))
        if queue == 'deferred':
            log = '\n<%s>: connect to mx.example[192.0.2.1]:25: timed out\nrecipient=%s\noffset=%d\nstatus=4.4.1\naction=delayed\n' \
                'reason=connect to mx.example[192.0.2.1]:25: timed out\n\n' % (rcpts[done], rcpts[done], offset)
            make_file(self.hashed('defer', name), log.encode(), self.user, self.group, 0o600)


# ---------------------------------------------------------------- Exim

DIGITS = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'


def base62(number, width):
    out = ''
    for _ in range(width):
        out = DIGITS[number % 62] + out
        number //= 62
    return out


class Exim:
    user = group = 990

    def __init__(self, root, later=None, split=False):
        """later: every message is frozen, since only that keeps the queue runner of a daemon that starts from delivering it."""
        self.root, self.later, self.split = root, later, split

    def tree(self):
        for name in ('', '/input', '/msglog', '/db'):
            make_dir(self.root + name, self.user, self.group, 0o750)

    def message(self, words, number):
        rnd, kind = words.random, 5 if self.later else number % 8
        name = '%s-%s-%s' % (base62(NOW - 86400 + number, 6), base62(2000 + number, 6), base62(number % 3844, 2))
        rcpts = [words.address(number * 10 + i) for i in range(1 + rnd.randrange(3))]
        done = rcpts[:1] if kind == 3 and len(rcpts) > 1 else []
        body = words.body()
        head = ['%s-H' % name, 'Debian-exim %d %d' % (self.user, self.group), '<s%d@sender.example>' % number, '%d 0' % NOW,
                '-received_time_usec .%06d' % rnd.randrange(0, 1000000), '-body_linecount %d' % len(body),
                '-max_received_linelength 60']
        if kind == 5:
            head.append('-frozen %d' % NOW)
        head += ['NN ' + done[0] if done else 'XX', '%d' % len(rcpts)] + rcpts + ['']
        text = '\n'.join(head) + '\n'
        for flag, line in (('P', 'Received: from load.example by mx.example; Sat, 21 Nov 2026 21:21:05 +0000'),) + \
                tuple(zip('FT I', words.headers(number))):
            text += '%03d%s %s\n' % (len(line) + 1, flag, line)
        sub = '/' + name[5] if self.split else ''
        for place in ('input', 'msglog'):
            if sub and not os.path.isdir('%s/%s%s' % (self.root, place, sub)):
                make_dir('%s/%s%s' % (self.root, place, sub), self.user, self.group, 0o750)
        make_file('%s/input%s/%s-D' % (self.root, sub, name), ('%s-D\n' % name + '\n'.join(body) + '\n').encode(), self.user,
                  self.group, 0o640)
        make_file('%s/input%s/%s-H' % (self.root, sub, name), text.encode(), self.user, self.group, 0o640)
        make_file('%s/msglog%s/%s' % (self.root, sub, name), b'2026-11-21 21:21:05 Received from load\n', self.user, self.group,
                  0o640)


MAKERS = {'qmail': Qmail, 'postfix': Postfix, 'exim': Exim}


def known(build):
    """The mail programs whose queues this build can check."""
    text = subprocess.run([build + '/mailpair-queue', '--help'], stdout=subprocess.PIPE, check=True).stdout.decode()
    names = re.search(r'--mta NAME .*?: ([a-z, ]+)', text).group(1)
    return [m for m in sorted(MAKERS) if m in names.split(', ') or m in names.split()]


def generate(mta, root, count, seed=1):
    maker, words = MAKERS[mta](root), Words(seed)
    maker.tree()
    for number in range(count):
        maker.message(words, number)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('mta', choices=sorted(MAKERS))
    parser.add_argument('dir')
    parser.add_argument('count', type=int)
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('--owners')
    args = parser.parse_args()
    generate(args.mta, args.dir, args.count, args.seed)
    if args.owners:
        with open(args.owners, 'w') as f:
            f.write(owners_text(args.mta))
    return 0


if __name__ == '__main__':
    sys.exit(main())
