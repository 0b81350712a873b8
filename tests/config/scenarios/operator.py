"""o: what an operator gets: rollbacks, words, hooks, reloads."""
import io
import json
import os
import signal
import subprocess
import threading

from nodes import PATIENCE, Broken, pause

from .play import collector, table
from .services import renewal

SCENARIOS, scenario = collector()


def said(n):
    """What it wrote, to whoever started it and to the log."""
    with open(os.path.join(n.pair.dir, 'log-' + n.name), 'rb') as f:
        return f.read().decode(errors='replace')


def text(n, *words):
    """An answer as a person sees it."""
    return subprocess.run([n.pair.build + '/mailpair-config', *words, '--conf', n.conf, '--node', n.name], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, timeout=PATIENCE, check=False).stdout.decode()


def versions(n, path):
    return n.call('log', path)[1] or []


def asked(n, key):
    return subprocess.run(['postalias', '-q', key, 'hash:' + n.path('aliases')], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False).stdout


def postfix(p):
    p.a.write('postfix/main.cf', b'compatibility_level = 3.6\nalias_maps = hash:/etc/aliases\nalias_database = hash:/etc/aliases\n')
    p.a.write('postfix/master.cf', b'smtp inet n - y - - smtpd\n')
    p.in_step('Postfix')


def aliases(n, data):
    n.write('aliases', data)
    subprocess.run(['postalias', 'hash:' + n.path('aliases')], check=True)


# ---------------------------------------------------------------- rollbacks

@scenario('o01', own=table)
def a_rollback_makes_the_tables_anew_on_both_nodes(p):
    postfix(p)
    aliases(p.a, b'postmaster: root\nabuse: root\n')
    p.until('the table', lambda: asked(p.b, 'abuse') == b'root\n')
    aliases(p.a, b'postmaster: root\nabuse: wrong\n')
    p.until('the mistake', lambda: asked(p.b, 'abuse') == b'wrong\n')
    p.until('kept', lambda: len(versions(p.a, '/etc/aliases')) == 2)
    code, answer = p.a.call('rollback', versions(p.a, '/etc/aliases')[0]['set'], '--apply')
    if code != 0:
        raise Broken('%d %s' % (code, answer))
    p.until('the table of before, on both', lambda: asked(p.a, 'abuse') == b'root\n' and asked(p.b, 'abuse') == b'root\n')


@scenario('o02')
def a_rollback_to_what_is_not_valid_is_refused_and_changes_nothing(p):
    postfix(p)
    p.a.write('postfix/main.cf', b'compatibility_level = 3.6\nmyhostname\n')
    p.until('refused', lambda: p.problem(p.a, 'invalid') and p.problem(p.b, 'invalid'))
    p.until('kept', lambda: len(versions(p.a, '/etc/postfix/main.cf')) == 2)
    broken = versions(p.a, '/etc/postfix/main.cf')[0]['version']
    p.a.write('postfix/main.cf', b'compatibility_level = 3.6\nmyhostname = good.example.test\n')
    p.in_step('mended')
    code, answer = p.a.call('rollback', str(broken), '--apply')
    if code != 1 or 'postfix in /etc/postfix' not in answer['message'] or b'good' not in p.a.read('postfix/main.cf'):
        raise Broken('%d %s; %r' % (code, answer, p.a.read('postfix/main.cf')))
    p.in_step('nothing changed')


@scenario('o03')
def a_version_is_listed_once_and_counted_once(p):
    for n in range(3):
        p.a.write('v', b'%d' % n)
        p.in_step()
    p.a.call('resync', '--from', 'mx1', '--apply')
    for n in (p.a, p.b):
        p.until('kept on ' + n.name, lambda n=n: len(versions(n, '/etc/v')) >= 3)
        listed = versions(n, '/etc/v')
        if len(listed) != 3 or len({v['sha256'] for v in listed}) != 3 or not listed[0]['common']:
            raise Broken('%s: %s' % (n.name, listed))
        for i in range(3):
            if text(n, 'show', '/etc/v@%d' % i) != '%d' % (2 - i):
                raise Broken('%s: @%d is %r' % (n.name, i, text(n, 'show', '/etc/v@%d' % i)))


# ---------------------------------------------------------------- words

def other_keys(p):
    """The first node begins with a key, and the second one with another."""
    def begin():
        p.a.start()
        p.until('its keys are read', lambda: p.a.status().get('link') is not None)
        with open(p.dir + '/authkeys', 'w', encoding='ascii') as f:
            f.write('auth 1\n1 sha256 %s\n' % os.urandom(24).hex())
        p.b.start()
        return p
    p.begin = begin


@scenario('o07', before=other_keys)
def other_keys_are_told_as_such_and_right_ones_end_it(p):
    p.until('told on both', lambda: all(any(x['kind'] == 'network' and 'secret' in x['text'] or 'key' in x['text'] for x in n.status().get('problems', [])) for n in (p.a, p.b)))
    p.until('told mailpaird', lambda: 'problem=network: ' in said(p.a) and 'problem=network: ' in said(p.b))
    p.a.process.send_signal(signal.SIGHUP)
    p.until('linked', lambda: p.a.status().get('link') == 'linked' and p.b.status().get('link') == 'linked')
    p.in_step()
    if p.problem(p.a, 'network') or p.problem(p.b, 'network'):
        raise Broken('%s %s' % (p.a.status(), p.b.status()))


@scenario('o04', apart=True)
def a_refused_set_has_its_name_on_both_nodes_and_is_told_once(p):
    renewal(p.a, 1)
    p.in_step('first')
    for turn in (b'x', b'y'):           # the second one is another edit, and is not valid for the same reason
        subprocess.run(['openssl', 'genrsa', '-out', p.a.path('letsencrypt/archive/m/privkey1.pem'), '2048'], check=True, stderr=subprocess.DEVNULL)
        p.until('refused, on both', lambda: p.problem(p.a, 'invalid') and p.problem(p.b, 'invalid'))
        p.a.write('other', turn)
        p.until('the rest goes on', lambda t=turn: p.b.read('other') == t)
    for n, prefix in ((p.a, 'there: '), (p.b, '')):
        p.until('named on ' + n.name, lambda n=n, prefix=prefix: '\n%sinvalid certificate m in /etc/letsencrypt: ' % prefix in text(n, 'status'))
    p.until('told', lambda: 'alert configuration: invalid certificate m in /etc/letsencrypt: ' in said(p.b))
    if 'refused=1 problem=on the other node: invalid certificate m' not in said(p.a) or 'alert ' in said(p.a):
        raise Broken(said(p.a))
    if said(p.b).count('alert ') > 2:
        raise Broken(said(p.b))
    p.b.stop()
    p.until('as it was', lambda: '\nthere, when last heard: invalid certificate m in /etc/letsencrypt: ' in text(p.a, 'status'))
    p.until('mailpaird is told', lambda: 'on the other node, when last heard: invalid certificate m' in said(p.a))


def hooks_and_no_supervisor(p):
    """Nobody tells them which node is active, so both may write."""
    with open(os.open(p.dir + '/hooks/10-note', os.O_WRONLY | os.O_CREAT, 0o755), 'w') as f:
        f.write('#!/bin/sh\necho "$MAILPAIR_EVENT $MAILPAIR_NODE $MAILPAIR_REASON" >>%s/called\n' % p.dir)
    for n in (p.a, p.b):
        n.start, n.is_now = (lambda n=n: start_alone(n)), (lambda role, tenure: None)


def start_alone(n, at=None):
    n.log = open(os.path.join(n.pair.dir, 'log-' + n.name), 'ab')
    n.process = subprocess.Popen(n.inside([n.pair.build + '/mailpair-config', 'run', '--conf', n.conf, '--node', n.name, '--root', n.root]),
                                 cwd=at, stdin=subprocess.DEVNULL, stdout=n.log, stderr=n.log)
    n.process.stdin = io.BytesIO()


@scenario('o05', writers='both', before=hooks_and_no_supervisor, apart=True)
def without_mailpaird_the_hooks_are_called_from_here_and_once(p):
    p.a.write('h', b'common')
    p.in_step()
    p.b.stop()
    p.a.write('h', b'of mx1')
    p.b.write('h', b'of mx2')
    p.b.start()
    notes = os.path.join(p.dir, 'called')
    p.until('called', lambda: os.path.exists(notes))
    p.a.write('other', b'1')
    p.until('the rest goes on', lambda: p.b.read('other') == b'1')
    p.b.stop()
    p.b.start()
    p.until('linked again', lambda: p.b.status().get('conflicts') == 1 and p.a.status().get('link') == 'linked')
    with open(notes) as f:
        called = f.read().splitlines()
    if len(called) != 1 or not called[0].startswith('alert mx1 configuration: conflict /etc/h: '):
        raise Broken('%s' % called)


def stirred(directory, until):
    """Names come and go in it, so that no two looks at it are the same."""
    def stir():
        while not until.is_set():
            with open(directory + '/.stir~', 'wb'):
                pass
            os.unlink(directory + '/.stir~')
            pause(0.001)
    t = threading.Thread(target=stir)
    t.start()
    return t


def seen_unsettled(p):
    """On both nodes, when it is stirred at a start."""
    until = threading.Event()
    t = stirred(p.a.path('stirred'), until)
    try:
        p.a.start()
        p.until('told', lambda: p.problem(p.a, 'unsettled') and p.problem(p.b, 'unsettled'), 6)
        return True
    except Broken:
        return False
    finally:
        until.set()
        t.join()


@scenario('o10')
def a_problem_that_is_over_is_gone_from_the_status_of_both_nodes(p):
    p.a.write('apart/few', b'1')
    p.a.write('stirred/long', b'It takes some steps of the clock to read it.' * 500000)
    p.in_step()
    p.a.write('apart/many', b'1')
    for i in range(65):
        os.setxattr(p.a.path('apart/many'), 'user.n%d' % i, b'x')
    p.refused('what cannot be carried', 'unreadable', 'attributes')
    os.rename(p.a.path('apart'), p.a.root + '/elsewhere')       # nothing is told of the file itself
    p.until('not there, no problem', lambda: not p.problem(p.a, 'unreadable') and not p.problem(p.b, 'unreadable'))
    for turn in range(5):       # it may not be stirred just while it is read
        p.a.stop()
        if seen_unsettled(p):
            break
    else:
        raise Broken('what does not stand still is not told')
    p.until('it stands still', lambda: not p.problem(p.a, 'unsettled') and not p.problem(p.b, 'unsettled'))
    p.in_step('still')


# ---------------------------------------------------------------- mailpair.conf

def own_conf(p):
    """The same mailpair.conf on both nodes, in the tree that is carried: what is a node's own is below its working directory."""
    for n in (p.a, p.b):
        with open(n.conf) as f:
            conf = f.read()
        n.own = n.root + '.own'
        for d in ('state', 'run'):
            os.makedirs('%s/%s' % (n.own, d), 0o700)
            conf = conf.replace('%s/%s-%s' % (p.dir, d, n.name), '/proc/self/cwd/' + d)
        n.conf = n.path('mailpair.conf')
        n.write('mailpair.conf', conf.encode())
        os.utime(n.conf, (1, 1))
        n.start, n.is_now, n.call = (lambda n=n: start_alone(n, n.own)), (lambda role, tenure: None), (lambda *words, n=n: call_own(n, *words))


def call_own(n, *words):
    r = subprocess.run([n.pair.build + '/mailpair-config', *words, '--conf', n.conf, '--node', n.name, '--json'], cwd=n.own, stdin=subprocess.DEVNULL,
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=PATIENCE, check=False)
    return r.returncode, json.loads(r.stdout) if r.stdout else {}


def carry_less(n, *names):
    """Another scope than before: nodes of which one has it carry nothing."""
    text = n.read('mailpair.conf').decode()
    at = text.index('config-sync {')
    end = text.index('port =', at)
    n.write('mailpair.conf', (text[:at] + 'config-sync { defaults = no  writers = "both"  exclude = { %s }  ' % ', '.join('"%s"' % name for name in names) +
                              text[end:]).encode())


@scenario('o08', writers='both', before=own_conf)
def mailpair_conf_counts_when_both_have_it_whoever_is_killed_meanwhile(p):
    p.a.write('x', b'1')
    p.in_step()
    p.b.stop()
    carry_less(p.a, 'one')
    p.a.process.send_signal(signal.SIGHUP)
    p.until('waits', lambda: p.problem(p.a, 'not-in-force'))
    p.a.stop(signal.SIGKILL)
    p.a.start()                         # by the one that both had, as the other node has no other
    p.until('still waits', lambda: p.problem(p.a, 'not-in-force'))
    p.b.start()
    p.in_step('it went there')
    p.until('in force', lambda: not p.problem(p.a, 'not-in-force') and not p.problem(p.b, 'not-in-force'))
    p.a.write('one', b'x')
    p.a.write('y', b'1')
    p.until('and is', lambda: p.b.read('y') == b'1')
    if p.b.read('one') is not None:
        raise Broken('what is excluded was carried')
    os.unlink(p.a.path('one'))
    # the node where it was edited dies before it knows that the other one has it, and reads it
    was = said(p.b).count('the new configuration is in force')
    carry_less(p.a, 'one', 'two')
    p.until('there', lambda: b'two' in p.b.read('mailpair.conf'))
    p.a.stop(signal.SIGKILL)
    p.until('read there', lambda: said(p.b).count('the new configuration is in force') > was)
    p.a.start()
    p.until('linked', lambda: p.a.status().get('link') == 'linked')
    p.a.write('z', b'1')
    p.in_step('both by the new one')


@scenario('o09', writers='both', before=own_conf)
def what_is_carried_again_is_what_both_had_before(p):
    """Edited on one node meanwhile, removed on the other: neither is a conflict."""
    for name in ('one', 'two'):
        p.a.write(name, b'old')
    p.in_step()
    count = [said(n).count('the new configuration is in force') for n in (p.a, p.b)]

    def in_force(times):
        p.until('in force on both', lambda: all(said(n).count('the new configuration is in force') >= c + times for n, c in zip((p.a, p.b), count)))
    carry_less(p.a, 'one', 'two')
    in_force(1)
    p.a.write('one', b'new')
    os.unlink(p.b.path('two'))
    carry_less(p.a, 'nothing')
    in_force(2)
    p.in_step('carried again')
    if p.b.read('one') != b'new' or p.a.read('two') is not None:
        raise Broken('one is %r, two %r' % (p.b.read('one'), p.a.read('two')))


# ---------------------------------------------------------------- reloads

def a_reload_that_may_fail(p):
    for n in (p.a, p.b):
        with open(n.conf) as f:
            conf = f.read()
        with open(n.conf, 'w') as f:
            f.write(conf.replace('tree "/etc" {', 'tree "/etc" { reload = "test -e %s/ok && touch %s/ran"' % (n.root, n.root)))


@scenario('o06', before=a_reload_that_may_fail)
def a_reload_that_fails_is_told_and_tried_again(p):
    ok, ran = p.b.root + '/ok', p.b.root + '/ran'
    p.a.write('app/x', b'1')
    p.in_step()
    p.until('told on both', lambda: p.problem(p.a, 'not-rebuilt') and p.problem(p.b, 'not-rebuilt'))
    p.a.write('unrelated', b'1')
    p.in_step('something else came')
    if not p.problem(p.b, 'not-rebuilt'):
        raise Broken('it is forgotten')
    with open(ok, 'w'):
        pass
    p.until('tried again', lambda: os.path.exists(ran) and not p.problem(p.b, 'not-rebuilt') and not p.problem(p.a, 'not-rebuilt'))
