"""qmail as a mail program of the live world: real tcpserver, svscan and supervise; stand-ins for qmail's own programs (tools/qmail_*.c).

Every second message is put off until "deliver everything". What is delivered stands in a file on the shared disk, as lines "RECIPIENT
MESSAGE-ID", synced before the delivery is said to be done.
"""
import os
import re
import shutil
import subprocess

UIDS, GID, SPLIT = {'qmailq': 7794, 'qmailr': 7795, 'qmails': 7796}, 2107, 23
MESSAGE_ID = re.compile(rb'^Message-ID: (<[^>]+>)', re.MULTILINE)
TOOLS = {'qmail_send': ('qmail-start', 'qmail-send', 'qmail-lspawn', 'qmail-rspawn', 'qmail-clean', 'qmail-local', 'qmail-remote'),
         'qmail_queue': ('qmail-queue', 'qmail-smtpd', 'qmail-showctl')}
SERVICES = {'qmail-send': 'exec env PATH=/var/qmail/bin:/usr/bin:/bin qmail-start ./Mailbox',
            'qmail-smtpd': 'exec tcpserver -vRHl0 -c 100 -x /var/qmail/control/smtp.cdb 0 25 /var/qmail/bin/qmail-smtpd'}
RULES = '192.0.2.:allow,RELAYCLIENT=""\n127.:allow\n:deny\n'


class Qmail:
    name, bind, sub = 'qmail', '/var/qmail/queue', 'qmail'
    process = 'qmail-send'
    boot = 'svscan /service </dev/null >>/var/log/svscan 2>&1 &'

    def missing(self):
        for program in ('tcpserver', 'tcprules', 'svscan', 'supervise'):
            if not shutil.which(program, path='/usr/bin:/usr/local/bin'):
                return 'the program %s is missing (packages ucspi-tcp and daemontools)' % program
        return None

    def dirs(self):
        """(path on the shared disk, uid, gid, mode)"""
        q, s = UIDS['qmailq'], UIDS['qmails']
        for name, uid, mode, split in (('', q, 0o750, False), ('/pid', q, 0o700, False), ('/mess', q, 0o750, True),
                                       ('/intd', q, 0o700, False), ('/todo', q, 0o750, False), ('/info', s, 0o700, True),
                                       ('/local', s, 0o700, True), ('/remote', s, 0o700, True), ('/bounce', s, 0o700, False),
                                       ('/lock', q, 0o750, False)):
            yield 'qmail' + name, uid, GID, mode
            for n in range(SPLIT if split else 0):
                yield 'qmail%s/%d' % (name, n), uid, GID, mode

    def fill(self, spool):
        """What is no directory."""
        lock = spool + '/qmail/lock/'
        os.mkfifo(lock + 'trigger')
        for name, size in (('sendmutex', 0), ('tcpto', 1024)):
            with open(lock + name, 'wb') as f:
                f.write(bytes(size))
        for name, user, mode in (('sendmutex', 'qmails', 0o600), ('trigger', 'qmails', 0o622), ('tcpto', 'qmailr', 0o644)):
            os.chown(lock + name, UIDS[user], GID)
            os.chmod(lock + name, mode)

    def account(self, host, file, lines):
        with open(file, encoding='utf-8') as f:
            rest = [old for old in f if not old.startswith('qmail')]
        host.write(file, ''.join(rest) + lines)

    def furnish(self, host):
        self.account(host, '/etc/passwd', ''.join('%s:x:%d:%d::/:/bin/false\n' % (u, n, GID) for u, n in UIDS.items()))
        self.account(host, '/etc/group', 'qmail:x:%d:\n' % GID)
        for path in ('/var/qmail', '/var/qmail/bin', '/var/qmail/control', '/var/qmail/queue', '/service'):
            host.fresh_dir(path)
        for tool, names in TOOLS.items():
            for name in names:
                shutil.copyfile(host.world.tool(tool), '%s/upper/var/qmail/bin/%s' % (host.dir, name))
                os.chmod('%s/upper/var/qmail/bin/%s' % (host.dir, name), 0o755)
        queue = host.dir + '/upper/var/qmail/bin/qmail-queue'
        os.chown(queue, UIDS['qmailq'], GID)
        os.chmod(queue, 0o4711)
        host.write('/var/qmail/control/me', 'mail.example.net\n')
        host.write('/var/qmail/later', '')
        os.symlink('/srv/mail/delivered', host.dir + '/upper/var/qmail/delivered')
        self.mend(host)
        for name, script in SERVICES.items():
            host.write('/service/%s/run' % name, '#!/bin/sh\n%s\n' % script, 0o755)
            host.write('/service/%s/down' % name, '')

    def mend(self, host):
        made = host.world.dir + '/smtp.cdb'
        subprocess.run(['tcprules', made, made + '.tmp'], input=RULES.encode(), check=True)
        with open(made, 'rb') as f:
            host.write('/var/qmail/control/smtp.cdb', f.read())

    def break_it(self, host):
        host.write('/var/qmail/control/smtp.cdb', 'these are no rules\n')

    def queued(self, host):
        """The messages that are in the queue for good: (number, bytes)."""
        root = host.path('/srv/mail/qmail')
        for n in range(SPLIT):
            for number in os.listdir('%s/mess/%d' % (root, n)):
                try:
                    if os.path.exists('%s/todo/%s' % (root, number)) or os.path.exists('%s/info/%d/%s' % (root, n, number)):
                        with open('%s/mess/%d/%s' % (root, n, number), 'rb') as f:
                            yield number, f.read()
                except FileNotFoundError:       # delivered meanwhile
                    pass

    def ids(self, host):
        """{Message-ID: number of places} in the queue and among what was delivered, which is looked at after it."""
        found = [id for _, text in self.queued(host) for id in MESSAGE_ID.findall(text)[:1]]
        if os.path.exists(host.path('/srv/mail/delivered')):
            with open(host.path('/srv/mail/delivered'), 'rb') as f:
                found += [line.split()[1] for line in f if len(line.split()) == 2]
        ids = {}
        for one in found:
            one = one.decode().strip('<>')
            ids[one] = ids.get(one, 0) + 1
        return ids

    def deliver(self, host):
        """All is tried again; how many are left."""
        host.x('rm -f /var/qmail/later; svc -a /service/qmail-send')
        return len(list(self.queued(host)))
