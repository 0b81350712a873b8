"""The configuration of the two hosts: mailpair.conf, its keys, Postfix; and the addresses of the world.

Pure: returns texts. The same mailpair.conf stands on both hosts. A scenario changes single options by
name: "heartbeat.deadtime", "takeover.failback", "mta.stop-timeout", "link.cross.direct" (only that link),
"log" (top level).
"""

SERVICE = '192.0.2.10'
SERVICE6 = '2001:db8:1::10'
NODES = ('mx1', 'mx2')
LAN = {'mx1': 11, 'mx2': 12, 'client': 50, 'other': 66}
CROSS = {'mx1': 1, 'mx2': 2}
PAIR_KEY = 'correct-horse-battery-staple-of-the-live-tests'


def lan(host):
    return '192.0.2.%d/24' % LAN[host], '2001:db8:1::%d/64' % LAN[host]


def cross(host):
    return '198.51.100.%d/24' % CROSS[host], '2001:db8:2::%d/64' % CROSS[host]


def quoted(text):
    return '"%s"' % text


# (section, title, [(option, value)]): values as they are written. Timers are fast, so that a run is short. mailer: one of mailers.py,
# or what has its name, bind and sub.
def sections(mailer, in_step):
    yield 'top', None, [('pair', quoted('mail')), ('group', quoted('root')),
                        ('log', quoted('/var/log/mailpaird.log'))]
    for node in NODES:
        yield 'node', node, []
    yield 'heartbeat', None, [('keepalive', '50ms'), ('warntime', '250ms'), ('deadtime', '500ms'),
                              ('initdead', '1s')]
    yield 'link', 'cross', [('transport', quoted('udp')), ('mx1', quoted('198.51.100.1')),
                            ('mx2', quoted('198.51.100.2')), ('port', '694'), ('interface', quoted('eth1')),
                            ('direct', 'yes')]
    yield 'link', 'lan', [('transport', quoted('multicast')), ('interface', quoted('eth0')),
                          ('group', quoted('239.0.42.1'))]
    yield 'link', 'serial', [('transport', quoted('serial')), ('device', quoted('/dev/ttyS1')), ('baud', '115200')]
    yield 'takeover', None, [('automatic', 'yes'), ('failback', 'no'), ('prefer', quoted('mx1')),
                             ('fence-delay', '1s'), ('fence-retry', '2s')]
    for node in NODES:
        yield 'fence', 'bmc-' + node, [('node', quoted(node)), ('agent', quoted('/usr/local/sbin/fence_host')),
                                       ('options', '{"plug=%s", "socket=/run/bmc/socket"}' % node),
                                       ('timeout', '3s'), ('retries', '0'), ('monitor', '2s')]
    yield 'storage', 'spool', [('type', quoted('shared')), ('device', quoted('/dev/san')),
                               ('mountpoint', quoted('/srv/mail')), ('fstype', quoted('ext4')),
                               ('options', quoted('noatime'))]
    yield 'bind', mailer.bind, [('from', quoted(mailer.sub))]
    yield 'address', SERVICE + '/24', [('interface', quoted('eth0'))]
    yield 'address', SERVICE6 + '/64', [('interface', quoted('eth0'))]
    yield 'mta', mailer.name, [('monitor', '500ms'), ('probe-timeout', '500ms'), ('start-timeout', '10s'),
                             ('stop-timeout', '10s')]
    yield 'timeouts', None, [('unmount', '5s'), ('kill', '1s')]
    if in_step:
        yield 'config-sync', None, []


def options_of(section, title, options, changes):
    """The options of one section with the scenario's changes; marks those used."""
    out = dict(options)
    for name, value in changes.items():
        parts = name.split('.')
        where, option = parts[:-1], parts[-1]
        if where == ([] if section == 'top' else [section]) or where == [section, title]:
            out[option] = value
            changes.used.add(name)
    return ['%s = %s' % (k, v) for k, v in out.items()]


class Changes(dict):
    """Changed options; remembers which of them found their section."""
    def __init__(self, *a):
        super().__init__(*a)
        self.used = set()


class Usual:
    """The mail program where nothing else is said."""
    name, bind, sub = 'postfix', '/var/spool/postfix', 'postfix'


def mailpair_conf(changes, mailer=Usual, in_step=False):
    """The text of mailpair.conf. ValueError when a change names no section there is."""
    changes = Changes(changes)
    lines = []
    for section, title, options in sections(mailer, in_step):
        body = options_of(section, title, options, changes)
        head = section + (' "%s"' % title if title else '')
        if section == 'top':
            lines += body
        elif section == 'link':
            lines.append('    %s { %s }' % (head, '  '.join(body)))
        elif section == 'heartbeat':
            lines += ['heartbeat {', '    ' + '  '.join(body)]
        else:
            if section == 'takeover':
                lines.append('}')
            lines.append('%s { %s }' % (head, '  '.join(body)))
    lost = set(changes) - changes.used
    if lost:
        raise ValueError('no section for the option ' + ', '.join(sorted(lost)))
    return '\n'.join(lines) + '\n'


def authkeys(secret=PAIR_KEY):
    return 'auth 1\n1 sha256 %s\n' % secret


def authkeys_of(numbers, sign):
    """The keys of these numbers ("1 2"), of which one signs; 1 is the pair's own."""
    secrets = {n: PAIR_KEY if n == '1' else 'secret-%s-of-the-pair-in-the-live-tests' % n for n in numbers.split()}
    return 'auth %d\n' % sign + ''.join('%s sha256 %s\n' % pair for pair in secrets.items())


def key_of_somebody(word):
    return PAIR_KEY if word == 'right' else 'the-key-of-somebody-else-' + word


MAIN_CF = """# Postfix of the live tests: takes everything from the lan, keeps it in the queue.
compatibility_level = 3.6
queue_directory = /var/spool/postfix
data_directory = /var/lib/postfix
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
myhostname = mail.example.net
mydestination =
mynetworks = 127.0.0.0/8 192.0.2.0/24 [::1]/128 [2001:db8:1::]/64
inet_interfaces = all
inet_protocols = all
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_peername_lookup = no
smtpd_tls_security_level = none
smtp_dns_support_level = disabled
default_transport = smtp
defer_transports = smtp
alias_maps =
alias_database =
message_size_limit = 1000000
in_flow_delay = 0s
maillog_file =
"""


def service(name, kind, private, unpriv, wakeup, limit, command):
    return '%-10s %-5s %-7s %-7s n       %-7s %-7s %s\n' % (name, kind, private, unpriv, wakeup, limit, command)


def master_cf():
    """Nothing is chrooted, so that nothing has to be copied into the spool."""
    rows = [('smtp', 'inet', 'n', '-', '-', '-', 'smtpd'), ('pickup', 'unix', 'n', '-', '60', '1', 'pickup'),
            ('cleanup', 'unix', 'n', '-', '-', '0', 'cleanup'), ('qmgr', 'unix', 'n', '-', '300', '1', 'qmgr'),
            ('flush', 'unix', 'n', '-', '1000?', '0', 'flush'), ('proxymap', 'unix', '-', '-', '-', '-', 'proxymap'),
            ('proxywrite', 'unix', '-', '-', '-', '1', 'proxymap'), ('showq', 'unix', 'n', '-', '-', '-', 'showq'),
            ('local', 'unix', '-', 'n', '-', '-', 'local'), ('virtual', 'unix', '-', 'n', '-', '-', 'virtual'),
            ('anvil', 'unix', '-', '-', '-', '1', 'anvil'), ('scache', 'unix', '-', '-', '-', '1', 'scache'),
            ('postlog', 'unix-dgram', 'n', '-', '-', '1', 'postlogd')]
    for name, command in (('rewrite', 'trivial-rewrite'), ('bounce', 'bounce'), ('defer', 'bounce'),
                          ('trace', 'bounce'), ('verify', 'verify'), ('smtp', 'smtp'), ('relay', 'smtp'),
                          ('error', 'error'), ('retry', 'error'), ('discard', 'discard'), ('lmtp', 'lmtp')):
        limit = {'bounce': '0', 'verify': '1'}.get(command, '-')
        rows.append((name, 'unix', '-', '-', '-', limit, command))
    return ''.join(service(*row) for row in rows)


# The queue directories, as Postfix's own list of files has them.
QUEUE_DIRS = ([(d, 'postfix', 'root', 0o700) for d in
               'active bounce corrupt defer deferred flush hold incoming private saved trace'.split()] +
              [('maildrop', 'postfix', 'postdrop', 0o730), ('public', 'postfix', 'postdrop', 0o710),
               ('pid', 'root', 'root', 0o755)])

# The only thing that a host's init runs: keeps the daemon running as a service manager would.
RC = """#!/bin/sh
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C
%s
while :; do
    if [ ! -e /etc/daemon-off ]; then
        %s/usr/local/sbin/mailpaird -f </dev/null >>/var/log/mailpaird.console 2>&1
    fi
    sleep 0.2 # tidy: a service manager's pause before it starts a program again
done
"""
