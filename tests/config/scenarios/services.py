"""s: what belongs together is taken as one, and only if the program that it is for finds it good: certificates, Postfix, Exim, tables."""
import os
import shutil
import sqlite3
import subprocess
import tempfile
import time

from compare import difference
from nodes import Broken, run

from .play import collector, table

SCENARIOS, scenario = collector()
TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
PARTS = ('privkey', 'cert', 'chain', 'fullchain')
HOST = 'mail.example.test'


def openssl(*argv):
    run('openssl', *argv)


def authority(p):
    """A root that signs, once for each pair."""
    at = os.path.join(p.dir, 'authority')
    if not os.path.isdir(at):
        os.mkdir(at)
        openssl('req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', at + '/key', '-out', at + '/cert', '-days', '30',
                '-subj', '/CN=Authority of a test')
        os.mkdir(at + '/new')
        with open(at + '/conf', 'w', encoding='ascii') as f:
            f.write('[ca]\ndefault_ca=c\n[c]\nnew_certs_dir=%s/new\ndatabase=%s/index\nserial=%s/serial\ndefault_md=sha256\npolicy=p\n'
                    'copy_extensions=copy\n[p]\ncommonName=supplied\n' % (at, at, at))
        with open(at + '/index', 'w', encoding='ascii'):
            pass
        with open(at + '/serial', 'w', encoding='ascii') as f:
            f.write('01\n')
    return at


def certificate(p, begins=None, ends=None, names=(HOST,)):
    """{part: bytes}, signed by the pair's authority; times as YYYYMMDDHHMMSSZ, else from now on for 30 days."""
    ca, made = authority(p), tempfile.mkdtemp(dir=p.dir)
    openssl('req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', made + '/privkey', '-out', made + '/request', '-subj', '/CN=' + HOST,
            '-addext', 'subjectAltName=' + ','.join('DNS:' + name for name in names))
    when = ['-startdate', begins, '-enddate', ends] if ends else ['-days', '30']
    openssl('ca', '-batch', '-notext', '-config', ca + '/conf', '-keyfile', ca + '/key', '-cert', ca + '/cert', '-in', made + '/request', '-out', made + '/cert', *when)
    shutil.copy(ca + '/cert', made + '/chain')
    with open(made + '/index', 'wb') as f:
        f.write(b'')
    got = {}
    for part in PARTS[:3]:
        with open(os.path.join(made, part), 'rb') as f:
            got[part] = f.read()
    got['fullchain'] = got['cert'] + got['chain']
    shutil.rmtree(made)
    with open(ca + '/index', 'w', encoding='ascii'):     # the next one has the same name
        pass
    return got


def renewal(n, turn, made=None):
    """As certbot does: a new archive, then the links one after the other, then what it knows about it."""
    made = made or certificate(n.pair)
    os.makedirs(n.path('letsencrypt/live/m'), exist_ok=True)
    for part in PARTS:
        n.write('letsencrypt/archive/m/%s%d.pem' % (part, turn), made[part])
        os.chmod(n.path('letsencrypt/archive/m/%s%d.pem' % (part, turn)), 0o600)
    for part in PARTS:
        link = n.path('letsencrypt/live/m/%s.pem' % part)
        if os.path.lexists(link):
            os.unlink(link)
        os.symlink('../../archive/m/%s%d.pem' % (part, turn), link)
    n.write('letsencrypt/renewal/m.conf', b'version = 2.1.0\narchive_dir = /etc/letsencrypt/archive/m\nturn = %d\n' % turn)


def alert(p):
    """The hook is asked for, of whoever supervises the node that refuses it: mailpaird calls the scripts at this line."""
    def asked_for():
        with open(os.path.join(p.dir, 'log-' + p.b.name), 'rb') as f:
            return b'\nalert configuration: invalid certificate m in /etc/letsencrypt: ' in b'\n' + f.read()
    p.until('the hook is asked for', asked_for)


def untouched(p, was):
    if difference(was, p.b.rows()):
        raise Broken('it was taken: %s' % difference(was, p.b.rows()))


@scenario('s01')
def certbots_renewal_arrives_as_one(p):
    renewal(p.a, 1)
    p.in_step('first')
    renewal(p.a, 2)
    p.in_step('renewed')
    if not os.readlink(p.b.path('letsencrypt/live/m/cert.pem')).endswith('cert2.pem'):
        raise Broken('not renewed')
    for part in PARTS:
        os.unlink(p.a.path('letsencrypt/archive/m/%s1.pem' % part))
    p.in_step('cleaned up')


@scenario('s02')
def a_key_that_does_not_match_is_not_taken(p):
    renewal(p.a, 1)
    p.in_step('first')
    was = p.b.rows()
    p.a.write('letsencrypt/archive/m/privkey1.pem', certificate(p)['privkey'])
    p.refused('the key')
    alert(p)
    untouched(p, was)
    renewal(p.a, 2)
    p.in_step('mended')


@scenario('s03')
def an_expired_certificate_is_not_taken(p):
    renewal(p.a, 1)
    p.in_step('first')
    was = p.b.rows()
    renewal(p.a, 2, certificate(p, '20200101000000Z', '20200201000000Z'))
    p.refused('the certificate', text='2020')
    alert(p)
    untouched(p, was)
    renewal(p.a, 3)
    p.in_step('mended')


@scenario('s04')
def a_chain_that_does_not_build_is_not_taken(p):
    renewal(p.a, 1)
    p.in_step('first')
    was = p.b.rows()
    made = certificate(p)
    shutil.rmtree(os.path.join(p.dir, 'authority'))
    made['chain'] = certificate(p)['chain']
    made['fullchain'] = made['cert'] + made['chain']
    renewal(p.a, 2, made)
    p.refused('the chain')
    alert(p)
    untouched(p, was)
    renewal(p.a, 3)
    p.in_step('mended')


MAIN = b'compatibility_level = 3.6\nmyhostname = %s\n'
MASTER = b'smtp inet n - y - - smtpd\n'


NAMED = 'certificate "mail" { certificate = "/etc/mail.crt"  key = "/etc/mail.key"  chain = "/etc/mail.chain"  names = {"%s", "other.example.test"} }' % HOST


@scenario('s14', more=NAMED)
def a_certificate_that_does_not_cover_a_name_of_the_service_is_not_taken(p):
    def put(made):
        for end, part in (('crt', 'cert'), ('key', 'privkey'), ('chain', 'chain')):
            if p.a.read('mail.' + end) != made[part]:       # a new time alone needs no verdict
                p.a.write('mail.' + end, made[part])
    put(certificate(p, names=(HOST, 'other.example.test')))
    p.in_step('first')
    was = p.b.rows()
    put(certificate(p))
    p.refused('the certificate', text='does not cover the name "other.example.test"')
    untouched(p, was)
    put(certificate(p, names=('other.example.test', HOST)))
    p.in_step('mended')


@scenario('s05')
def a_broken_main_cf_is_not_taken_and_a_mended_one_is(p):
    p.a.write('postfix/main.cf', MAIN % b'mail.example.test')
    p.a.write('postfix/master.cf', MASTER)
    p.in_step('good')
    was = p.b.rows()
    p.a.write('postfix/main.cf', b'compatibility_level = 3.6\nmyhostname\n')
    p.refused('main.cf', text='main.cf')
    untouched(p, was)
    p.a.write('postfix/main.cf', MAIN % b'other.example.test')
    p.in_step('mended')
    was = p.b.rows()
    p.a.write('postfix/master.cf', MASTER + b'smtps inet n\n')
    p.refused('master.cf')
    untouched(p, was)
    os.unlink(p.a.path('postfix/master.cf'))
    p.a.write('postfix/master.cf', MASTER)
    p.in_step('mended again')


def asked(n, program, key, table, kind='hash'):
    return subprocess.run([program, '-q', key, kind + ':' + n.path(table)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False).stdout


@scenario('s06', own=table)
def sources_travel_and_each_node_makes_its_own_tables(p):
    """postmap, postalias and newaliases on the active node, each again with other rows."""
    p.a.write('postfix/main.cf', MAIN % b'mail.example.test' + b'alias_maps = hash:/etc/aliases\nalias_database = hash:/etc/aliases\n'
              b'transport_maps = hash:/etc/postfix/transport\n')
    p.a.write('postfix/master.cf', MASTER)
    p.a.write('postfix/transport', b'example.test smtp:[192.0.2.1]\n')
    run('postmap', 'hash:' + p.a.path('postfix/transport'))
    p.until('transport here', lambda: p.b.read('postfix/transport') is not None and asked(p.b, 'postmap', 'example.test', 'postfix/transport') == b'smtp:[192.0.2.1]\n')
    p.a.write('aliases', b'postmaster: root\n')
    run('postalias', 'hash:' + p.a.path('aliases'))
    p.until('the source', lambda: p.b.read('aliases') == b'postmaster: root\n')
    p.until('a table of its own', lambda: asked(p.b, 'postalias', 'postmaster', 'aliases') == b'root\n')
    p.a.write('aliases', b'postmaster: root\nabuse: root\n')
    newaliases(p.a)
    p.until('made anew', lambda: asked(p.b, 'postalias', 'abuse', 'aliases') == b'root\n')
    p.a.write('postfix/transport', b'example.test smtp:[192.0.2.2]\n')
    run('postmap', 'hash:' + p.a.path('postfix/transport'))
    p.until('transport anew', lambda: asked(p.b, 'postmap', 'example.test', 'postfix/transport') == b'smtp:[192.0.2.2]\n')
    if p.problem(p.b, 'not-rebuilt'):
        raise Broken('%s; %s' % (p.a.status(), p.b.status()))


@scenario('s09', own=table)
def tables_that_say_other_things_on_both_nodes_are_not_taken(p):
    """Another program of the same name makes other rows of the same source, here on the standby."""
    program = os.path.join(p.dir, 'postmap')
    shutil.copy('/usr/sbin/postmap', program + '.real')
    with open(program, 'w', encoding='ascii') as f:
        f.write('#!/bin/sh\n%s.real "$@" >%s.out; code=$?\nsed s/192.0.2.2/192.0.2.99/ %s.out; exit $code\n' % (program, program, program))
    os.chmod(program, 0o755)
    p.a.write('postfix/main.cf', MAIN % HOST.encode() + b'transport_maps = hash:/etc/postfix/transport\n')
    p.a.write('postfix/master.cf', MASTER)
    transport(p.a, b'192.0.2.1')
    p.in_step('equal')
    p.until('a table of its own', lambda: asked(p.b, 'postmap', 'example.test', 'postfix/transport') == b'smtp:[192.0.2.1]\n')
    p.b.stop()
    p.b.before = 'mount --bind %s /usr/sbin/postmap' % program
    p.b.start()
    p.in_step('again')
    transport(p.a, b'192.0.2.2')
    p.refused('other rows', text='other rows')
    if asked(p.b, 'postmap', 'example.test', 'postfix/transport') != b'smtp:[192.0.2.1]\n' or b'192.0.2.1' not in p.b.read('postfix/transport'):
        raise Broken('the old set did not stay')
    transport(p.a, b'192.0.2.3')
    p.in_step('mended')
    p.until('made anew', lambda: asked(p.b, 'postmap', 'example.test', 'postfix/transport') == b'smtp:[192.0.2.3]\n')


def needs_cdb(p):
    if 'cdb' not in run('postconf', '-m').decode().split():
        p.skip = 'this Postfix has no cdb'


@scenario('s13', own=table, before=needs_cdb)
def tables_of_postfix_and_tcprules_that_are_cdb_are_made_on_both_nodes_and_compared(p):
    """postmap -s cannot list one."""
    def edit(n, to):
        n.write('postfix/transport', b'example.test smtp:[%s]\n' % to)
        n.write('aliases', b'postmaster: root\nroot: %s@example.test\n' % to)
        n.write('tcprules.d/smtp', b'%s:allow,RELAYCLIENT=""\n:allow\n' % to)

    def make(n):
        run('postmap', 'cdb:' + n.path('postfix/transport'))
        run('postalias', 'cdb:' + n.path('aliases'))
        run('sh', '-ec', 'cd "$1"; tcprules smtp.cdb smtp.tmp <smtp', 'sh', n.path('tcprules.d'))

    def there(to):
        rule = subprocess.run(['tcprulescheck', p.b.path('tcprules.d/smtp.cdb')], env={**os.environ, 'TCPREMOTEIP': to.decode()},
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
        return (asked(p.b, 'postmap', 'example.test', 'postfix/transport', 'cdb') == b'smtp:[%s]\n' % to and
                asked(p.b, 'postalias', 'root', 'aliases', 'cdb') == b'%s@example.test\n' % to and b'RELAYCLIENT' in rule.stdout)
    p.a.write('postfix/main.cf', MAIN % HOST.encode() + b'transport_maps = cdb:/etc/postfix/transport\nalias_maps = cdb:/etc/aliases\nalias_database = cdb:/etc/aliases\n')
    p.a.write('postfix/master.cf', MASTER)
    edit(p.a, b'192.0.2.1')
    make(p.a)
    p.until('made there', lambda: there(b'192.0.2.1'))
    edit(p.a, b'192.0.2.2')
    p.until('made anew', lambda: there(b'192.0.2.2'))
    with open(p.b.log.name, 'rb') as f:         # main.cf names the aliases as well
        if b'/transport is not compared' in f.read():
            raise Broken('what they say was not asked')
    make(p.a)


@scenario('s10', own=table)
def a_table_that_is_older_than_its_source_is_told_and_the_other_node_has_the_new_one(p):
    p.a.write('postfix/main.cf', MAIN % HOST.encode() + b'transport_maps = hash:/etc/postfix/transport\n')
    p.a.write('postfix/master.cf', MASTER)
    transport(p.a, b'192.0.2.1')
    p.in_step('first')
    p.a.write('postfix/transport', b'example.test smtp:[192.0.2.2]\n')
    p.until('made there', lambda: asked(p.b, 'postmap', 'example.test', 'postfix/transport') == b'smtp:[192.0.2.2]\n')
    p.refused('the old table', kind='old-table', text='postmap')
    run('postmap', 'hash:' + p.a.path('postfix/transport'))
    p.until('it is over', lambda: not p.problem(p.a, 'old-table') and not p.problem(p.b, 'old-table'))


def transport(n, to):
    n.write('postfix/transport', b'example.test smtp:[%s]\n' % to)
    run('postmap', 'hash:' + n.path('postfix/transport'))


def newaliases(n):
    """The node's etc is /etc for it, but for accounts and libraries."""
    run('unshare', '--mount', 'sh', '-ec',
        'mkdir "$2/upper" "$2/work"; mount -t tmpfs aside "$2/upper"; cp -a /etc/passwd /etc/group /etc/nsswitch.conf /etc/ld.so.cache "$2/upper"\n'
        'cp -a "$1/postfix" "$2/upper"; touch "$2/upper/aliases"; mount --bind "$1/aliases" "$2/upper/aliases"; mount --rbind "$2/upper" /etc\n'
        'newaliases; cp /etc/aliases.db "$1/aliases.db.new"; mv "$1/aliases.db.new" "$1/aliases.db"', 'sh', n.path(''), tempfile.mkdtemp(dir=n.pair.dir))


def exim_here(p):
    """Debian's Exim, for the programs of this pair, and the account that it wants: its package and Postfix's exclude each other."""
    if os.path.exists('/usr/sbin/exim4'):
        return
    unpacked = TOP + '/build/exim/usr/sbin'
    if not os.path.exists(unpacked + '/exim4'):
        p.skip = 'no Exim in build/exim'
        return
    extra = os.path.join(p.dir, 'exim-etc')
    os.mkdir(extra)
    for name, line in (('passwd', 'Debian-exim:x:990:990::/var/spool/exim4:/usr/sbin/nologin\n'), ('group', 'Debian-exim:x:990:\n')):
        with open('/etc/' + name, encoding='utf-8') as f, open(os.path.join(extra, name), 'w', encoding='utf-8') as to:
            to.write(''.join(r for r in f if not r.startswith('Debian-exim:')) + line)
    for n in (p.a, p.b):
        n.before = 'mount -t overlay -o ro,lowerdir=%s:/usr/sbin exim /usr/sbin; mount --bind %s/passwd /etc/passwd; mount --bind %s/group /etc/group' % (
            unpacked, extra, extra)


EXIM = b'primary_hostname = mail.example.test\nkeep_environment =\n.include /etc/exim4/local\nbegin routers\nlocal:\n  driver = redirect\n  data = :blackhole:\n'


@scenario('s07', before=exim_here)
def exims_configuration_is_taken_as_one_and_a_broken_one_is_not(p):
    p.a.write('exim4/local', b'qualify_domain = example.test\n')
    p.a.write('exim4/exim4.conf', EXIM)
    p.in_step('good')
    if p.problem(p.b, 'unchecked'):
        raise Broken('it was not judged: %s' % p.b.status())
    was = p.b.rows()
    p.a.write('exim4/local', b'qualify_domian = example.test\n')
    p.refused('exim4', text='qualify_domian')
    untouched(p, was)
    p.a.write('exim4/more', b'qualify_recipient = example.test\n')      # mended in two files that only together are good
    p.a.write('exim4/local', b'.include /etc/exim4/more\n')
    p.in_step('mended')
    was = p.b.rows()
    os.unlink(p.a.path('exim4/more'))
    p.refused('what is included and missing', text='more')
    untouched(p, was)
    p.a.write('exim4/local', b'')
    p.in_step('mended again')



@scenario('s08', tree='validate = "! grep -Rq bad \\"$MAILPAIR_STAGED/etc\\""')
def a_trees_own_command_judges_it_as_a_whole(p):
    p.a.write('app/one', b'good\n')
    p.a.write('app/two', b'good\n')
    p.in_step('good')
    was = p.b.rows()
    p.a.write('app/one', b'still good\n')
    p.a.write('app/two', b'bad\n')
    p.refused('the tree')
    untouched(p, was)
    os.unlink(p.a.path('app/two'))
    p.in_step('mended')


@scenario('s11', tree='validate = "test ! -e \\"$MAILPAIR_STAGED/etc/app/slow\\" || tail -f /dev/null"',
          more='validate-timeout = 1s')
def a_check_that_does_not_end_ends_after_validate_timeout(p):
    p.a.write('app/one', b'good\n')
    p.in_step('good')
    was = p.b.rows()
    p.a.write('app/slow', b'x\n')
    began = time.monotonic()
    p.refused('too late', kind='unchecked')
    if time.monotonic() - began > 8:        # ten are the default
        raise Broken('after %.1f s' % (time.monotonic() - began))
    untouched(p, was)
    os.unlink(p.a.path('app/slow'))
    p.in_step('mended')


@scenario('s12', tree='reload = "tail -f /dev/null"', more='reload-timeout = 1s')
def a_reload_that_does_not_end_is_told_after_reload_timeout(p):
    p.a.write('app/one', b'good\n')
    p.refused('too late', kind='not-rebuilt')
    p.in_step('and yet in step')


GATE = """tree "/opt" { validate = 'gate=${MAILPAIR_STAGED%%/state-*}/gate; test ! -p $gate || read line <$gate' }"""


@scenario('s15', more=GATE)
def a_content_that_a_set_waits_with_is_not_let_go_when_it_was_put_in_place_elsewhere(p):
    """The store, which would have it a moment later, is locked meanwhile by somebody else."""
    gate, data = p.dir + '/gate', os.urandom(20000)
    there = [n.root + '/opt/there' for n in (p.a, p.b)]
    lock = sqlite3.connect(p.b.state + '/journal.db', isolation_level=None)
    for path in there:
        os.mkdir(os.path.dirname(path))
    p.in_step()
    lock.execute('BEGIN IMMEDIATE')
    os.mkfifo(gate)
    with open(there[0], 'wb') as f:
        f.write(data)
    opened = []

    def is_judged():
        try:
            opened.append(os.open(gate, os.O_WRONLY | os.O_NONBLOCK))
        except OSError:         # nobody reads
            return False
        return True
    p.until('it is being judged', is_judged)
    p.a.write('elsewhere', data)
    p.until('it is elsewhere', lambda: p.b.read('elsewhere') == data)
    os.write(opened[0], b'valid\n')
    os.close(opened[0])
    os.unlink(gate)
    p.until('it is there', lambda: os.path.exists(there[1]))
    with open(there[1], 'rb') as f, open(p.dir + '/log-mx2', 'rb') as log:
        if f.read() != data or b'could not be put in place' in log.read():
            raise Broken('it was not there at once')
    lock.execute('ROLLBACK')
    lock.close()
