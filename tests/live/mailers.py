"""The mail programs of the live world: what a host needs of each, what its queue looks like, and which mail is in it.

A scenario has Postfix unless it says "mail program exim" (or qmail, see qmail.py). Exim is the machine's own, or what "make deps" unpacked below
build/exim: its package and Postfix's exclude each other.
"""
import grp
import os
import pwd
import re
import shutil

import settings
import traffic
from qmail import Qmail

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))


class Mailer:
    """What most of them need nothing for."""
    boot = ''                           # a line of the host's init

    def fill(self, spool):
        """Files that an empty queue has."""


class Postfix(Mailer):
    """Keeps everything in its queue."""
    name, bind, sub = 'postfix', '/var/spool/postfix', 'postfix'
    process = 'master'

    def missing(self):
        return None if os.path.exists('/usr/sbin/postfix') else 'Postfix is not installed'

    def dirs(self):
        """(path on the shared disk, uid, gid, mode)"""
        return [('postfix', 0, 0, 0o755)] + [
            ('postfix/' + d, pwd.getpwnam(user).pw_uid, grp.getgrnam(group).gr_gid, mode) for d, user, group, mode in settings.QUEUE_DIRS]

    def furnish(self, host):
        host.fresh_dir('/var/lib/postfix', 0o700, 'postfix')
        host.write('/etc/postfix/main.cf', settings.MAIN_CF)
        host.write('/etc/postfix/master.cf', settings.master_cf())

    def break_it(self, host):
        host.write('/etc/postfix/master.cf', 'smtp inet this is not a service\n')

    def mend(self, host):
        host.write('/etc/postfix/master.cf', settings.master_cf())

    def ids(self, host):
        return traffic.queue_ids(host)

    deliver = None


EXIM_UID = 990
EXIM_CONF = """# Exim of the live tests: takes everything; delivers some of it at once, and the rest when it is told to.
primary_hostname = mail.example.net
spool_directory = /var/spool/exim4
log_file_path = /var/log/exim4/%slog
pid_file_path = /run/exim4/exim.pid
local_interfaces = <; 0.0.0.0 ; ::0
daemon_smtp_ports = 25
tls_advertise_hosts =
host_lookup =
rfc1413_query_timeout = 0s
keep_environment =
smtp_accept_max = 100
acl_smtp_rcpt = accept
acl_smtp_data = accept
begin routers
later:
  driver = redirect
  condition = ${if exists{/srv/mail/deliver-all}{no}{${if match{$message_exim_id}{[0-9A-Z]\\$}{yes}{no}}}}
  allow_defer
  data = :defer: not yet
all:
  driver = accept
  transport = maildir
begin transports
maildir:
  driver = appendfile
  directory = /srv/mail/delivered
  maildir_format
  create_directory
  user = Debian-exim
begin retry
* * F,2h,1m
"""


class Exim(Mailer):
    """Delivers about half at once into a maildir on the same disk, and the rest at "deliver everything"."""
    name, bind, sub = 'exim', '/var/spool/exim4', 'exim4'
    process = 'exim4'
    MESSAGE_ID = re.compile(rb'Message-ID: <([^>]+)>')

    def program(self):
        for path in ('/usr/sbin/exim4', TOP + '/build/exim/usr/sbin/exim4'):
            if os.path.exists(path):
                return path
        return None

    def missing(self):
        return None if self.program() else 'Exim is neither installed nor unpacked below build/exim (make deps)'

    def dirs(self):
        return [(d, EXIM_UID, EXIM_UID, 0o750) for d in ('exim4', 'exim4/input', 'exim4/msglog', 'exim4/db', 'delivered')]

    def account(self, host, file, line):
        with open(file, encoding='utf-8') as f:
            rest = [old for old in f if not old.startswith('Debian-exim:')]
        host.write(file, ''.join(rest) + line)

    def furnish(self, host):
        self.account(host, '/etc/passwd', 'Debian-exim:x:%d:%d::/var/spool/exim4:/usr/sbin/nologin\n' % (EXIM_UID, EXIM_UID))
        self.account(host, '/etc/group', 'Debian-exim:x:%d:\n' % EXIM_UID)
        to = host.dir + '/upper/usr/sbin'
        os.makedirs(to, exist_ok=True)
        shutil.copyfile(self.program(), to + '/exim4')
        os.chmod(to + '/exim4', 0o4755)
        for path in ('/var/spool', '/var/spool/exim4', '/var/log/exim4', '/etc/exim4'):
            host.fresh_dir(path)
        os.chown(host.dir + '/upper/var/log/exim4', EXIM_UID, EXIM_UID)
        host.write('/etc/exim4/exim4.conf', EXIM_CONF)

    def break_it(self, host):
        host.write('/etc/exim4/exim4.conf', 'no_such_option = 1\n')

    def mend(self, host):
        host.write('/etc/exim4/exim4.conf', EXIM_CONF)

    def ids(self, host):
        """{Message-ID: number of places} in the queue and in the maildir."""
        ids = {}
        for path, kind in ((host.path('/srv/mail/exim4/input'), '-H'), (host.path('/srv/mail/delivered/new'), '')):
            for folder, _, names in os.walk(path):
                for name in names:
                    if name.endswith(kind):
                        self.count(folder + '/' + name, ids)
        return ids

    def count(self, path, ids):
        try:
            with open(path, 'rb') as f:
                found = self.MESSAGE_ID.search(f.read())
        except FileNotFoundError:       # delivered meanwhile: the maildir is looked at after the queue
            return
        if found:
            ids[found.group(1).decode()] = ids.get(found.group(1).decode(), 0) + 1

    def deliver(self, host):
        """One run over the whole queue; how many are left."""
        host.x('touch /srv/mail/deliver-all; exim4 -qff', timeout=60)
        code, said = host.x('exim4 -bpc', timeout=20)
        return int(said) if code == 0 and said.strip().isdigit() else None


MAILERS = {m.name: m for m in (Postfix(), Exim(), Qmail())}


def of(scenario):
    """The mail program of a scenario; ValueError for one that is not known."""
    steps = scenario.find('mail-program')
    name = steps[0].values[0] if steps else 'postfix'
    if name not in MAILERS:
        raise ValueError('no mail program "%s": %s' % (name, ' or '.join(sorted(MAILERS))))
    return MAILERS[name]
