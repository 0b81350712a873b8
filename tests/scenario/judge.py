"""Runs the statements of a scenario in order and judges its claims: what both engines share, so that live and virtual ask
the same questions of the same document.

An engine is a subclass with a deed do_NAME for each statement of scn.FORMS that is not here, and with
    world           hosts {name: host}, holds(name, what), asked, note(text), began, now() in nanoseconds
    a host          pid (0: no power), status() (what "mailpair status --json" says, or {}), x(command) (exit status, output)
    load, prober    traffic.Load and traffic.Prober, or what answers like them
    wait_claim(claim, since, seconds), hold_claim(claim, since, seconds), greeted(), queue_ids(name), invariants()
"""
import json

import settings
import traffic
from world import WorldError


class Failed(Exception):
    """The programs under test did not do what the scenario says."""
    verdict = 'failed'


class Late(Failed):
    """What should be so is not so yet, or not so quickly: a slow machine can be the cause. No law was broken."""
    verdict = 'late'


class Judge:
    def __init__(self, world, scenario, verbose=False):
        self.world, self.scenario, self.verbose = world, scenario, verbose
        self.marked = world.now()
        self.marks = {}                 # name: status at the last mark
        self.said = ''                  # by the last command
        self.found = None               # the last Account
        self.masters = {}               # the mail program's first processes before they were killed or stopped

    # ---- running
    def steps(self, steps):
        for step in steps:
            self.step = step
            self.tell('    %8.3f  %s' % ((self.world.now() - self.world.began) / 1e9, step.text))
            self.world.note('-- ' + step.text)
            if step.name == 'repeat':
                for _ in range(step.values[0]):
                    self.steps(step.body)
            else:
                getattr(self, 'do_' + step.name.replace('-', '_'))(step, *step.values)
            self.invariants()

    def tell(self, text):
        if self.verbose:
            print(text, flush=True)

    def host(self, name):
        return self.world.hosts[name]

    # ---- what needs no world: read before the start
    def do_node(self, step, name):
        pass

    do_option = do_key = do_live_only = do_virtual_only = do_mail_program = lambda self, step, *values: None

    # ---- the clients and the operators
    def do_load_on(self, step, per_second):
        self.load.start(per_second)

    def do_load_off(self, step):
        self.load.stop()

    def do_probe_on(self, step):
        self.prober.start()

    def do_mark(self, step):
        self.marked = self.world.now()
        self.marks = {name: self.host(name).status() for name in settings.NODES}

    def do_run(self, step, name, command, code):
        got, self.said = self.host(name).x(command, timeout=60)
        if got != code:
            raise Failed('"%s" on %s: exit %s, expected %d; it said: %s' % (command, name, got, code, self.said.strip()))

    def do_said(self, step, text):
        if text not in self.said:
            raise Failed('"%s" is not in what it said: %s' % (text, self.said.strip()))

    # ---- claims
    def do_wait(self, step, seconds):
        if not self.wait_claim(step.claim, self.world.now(), seconds):
            raise Late('not so within %g s; %s' % (seconds, self.why(step.claim)))

    def do_expect(self, step):
        if not self.claim(step.claim, self.marked):
            raise Late('not so; %s' % self.why(step.claim))

    def do_stays(self, step, seconds):
        if not self.hold_claim(step.claim, self.marked, seconds):
            raise Late('not so any more; %s' % self.why(step.claim))

    def claim(self, claim, since):
        name, values = claim
        return getattr(self, 'is_' + name.replace('-', '_'))(since, *values)

    def is_role(self, since, name, role):
        return self.host(name).status().get('role') == role

    def is_one_active(self, since):
        return sum(h.status().get('role') == 'active' for h in self.world.hosts.values() if h.pid) == 1

    def is_healthy(self, since, name):
        return self.host(name).status().get('healthy') is True

    def is_power(self, since, name):
        return self.host(name).pid != 0

    def is_no_power(self, since, name):
        return self.host(name).pid == 0

    def is_disk(self, since, name):
        return self.world.holds(name, 'disk')

    def is_lost_disk(self, since, name):
        return not self.is_disk(since, name)

    def is_restarted(self, since, name):
        """Its first process is another one than that which was killed or stopped, and it listens."""
        now = set(self.master(name))
        return bool(now) and not now & self.masters.get(name, set()) and self.world.holds(name, 'mta')

    def is_no_mta(self, since):
        return not any(self.world.holds(n, 'mta') for n in settings.NODES)

    def is_no_disk(self, since):
        return not any(self.world.holds(n, 'disk') for n in settings.NODES)

    def is_view(self, since, name, view):
        return self.host(name).status().get('peer_view') == view

    def problems(self, name):
        return json.dumps(self.host(name).status().get('problems'))

    def is_problem(self, since, name, text):
        return text.lower() in self.problems(name).lower()

    def is_no_problem(self, since, name):
        return self.problems(name) == '[]'

    def link(self, name, link):
        return next((li for li in self.host(name).status().get('links', []) if li['name'] == link), {})

    def is_link_up(self, since, name, link):
        return self.link(name, link).get('up') is True

    def is_link_down(self, since, name, link):
        return self.link(name, link).get('up') is False

    def is_rejected(self, since, name, what):
        return any(li.get('rejected', {}).get(what, 0) > 0 for li in self.host(name).status().get('links', []))

    def is_history(self, since, name, text):
        return text in self.host(name).x('mailpair history')[1]

    def is_service(self, since):
        self.prober.read()
        if self.prober.proc:
            return any(end > since and outcome == 'ok' for begin, end, outcome in self.prober.tries[-200:])
        return self.greeted()

    def is_whole(self, since, name):
        """By the deep pass; unfinished mail may wait in it."""
        code, self.said = self.host(name).x('mailpair-queue check --deep', timeout=60)
        return code == 0

    def is_acked(self, since, count):
        self.load.read()
        return sum(1 for at, _ in self.load.acks if at > since) >= count

    def is_put_off(self, since, count):
        self.load.read()
        return sum(1 for at, code in self.load.refusals if at > since and code.startswith('4')) >= count

    def is_asked(self, since, name, action):
        return any(by == name and what == action and at > self.marked
                   for at, by, what, host, answer in self.world.asked)

    def is_not_asked(self, since, name, action):
        return not self.is_asked(since, name, action)

    def is_status(self, since, name, path, value):
        at = self.host(name).status()
        for key in path.split('.'):
            at = at.get(key) if isinstance(at, dict) else None
        return (at if isinstance(at, str) else json.dumps(at)) == value

    # ---- claims since the mark
    def grown(self, name, count):
        """[(link, by how much)] of what count says of a link since the mark."""
        before = {li['name']: li for li in self.marks.get(name, {}).get('links', [])}
        now = self.host(name).status().get('links', [])
        if not now or not before:
            return None
        return [(li['name'], count(li) - count(before[li['name']])) for li in now]

    def is_rejected_more(self, since, name, count, what):
        grown = self.grown(name, lambda li: sum(li['rejected'][kind] for kind in what.split('/')))
        return grown is not None and sum(n for _, n in grown) >= count

    def is_dropped_more(self, since, name, count):
        """Of those that the kernel threw away before the daemon saw them."""
        grown = self.grown(name, lambda li: li['dropped'] if li['transport'] != 'serial' else 0)
        return grown is not None and sum(n for _, n in grown) >= count

    def is_punctual(self, since, name, seconds):
        """
        No gap between two beats on a network link was longer, as the histogram tells since the mark. Not the serial one: live it
        is a pseudo terminal, which a kernel's worker of ordinary priority empties, where a real port has interrupts.
        """
        grown = self.grown(name, lambda li: 0 if li['transport'] == 'serial' or li['gaps']['max_ms'] < seconds * 1e3 else sum(
            g['count'] for g in li['gaps']['histogram'] if g['up_to_ms'] > seconds * 1e3))
        return grown is not None and all(n <= 0 for _, n in grown)

    def is_complete(self, since, name):
        grown = self.grown(name, lambda li: (li['lost'] if li['transport'] != 'serial' else 0) + sum(li['rejected'].values()))
        return grown is not None and all(n == 0 for _, n in grown)

    def why(self, claim):
        """What can be said about the node in question, for a message."""
        names = [v for v in claim[1] if v in settings.NODES] or list(settings.NODES)
        texts = []
        for name in names:
            s = self.host(name).status()
            if not self.host(name).pid:
                texts.append('%s has no power' % name)
            elif not s:
                texts.append('%s: mailpair gives no status' % name)
            else:
                texts.append('%s is %s, sees its peer %s, problems: %s' % (
                    name, s.get('role'), s.get('peer_view'), json.dumps(s.get('problems'))))
        return '; '.join(texts)

    # ---- sums
    def do_expect_found(self, step):
        holder = [n for n in settings.NODES if self.world.holds(n, 'disk') and self.host(n).pid]
        if len(holder) != 1:
            raise Failed('nobody has the spool, so that no message can be found')
        self.found = a = traffic.Account(self.load, self.queue_ids(holder[0]))
        if a.lost:
            raise Failed('%d of %d acknowledged messages are lost: %s' % (len(a.lost), a.acked, ' '.join(a.lost[:5])))
        if a.acked == 0:
            raise Failed('no message was acknowledged at all')

    def do_expect_single(self, step):
        if self.found is None:
            self.do_expect_found(step)
        if self.found.twice:
            raise Failed('%d messages are there twice without reason: %s' %
                         (len(self.found.twice), ' '.join(self.found.twice[:5])))

    def counted(self, outcomes):
        """Connections that never came to a greeting, of all clients."""
        sums = self.prober.count(self.marked)
        for at, detail in self.load.fails:
            how, stage = detail.split()
            if at >= self.marked and stage in ('connect', 'greeting'):
                sums[how] = sums.get(how, 0) + 1
        if not any(sums.values()) and not any(at > self.marked for at, _ in self.load.acks):
            raise WorldError('%s: no client has tried anything since the mark' % self.step.where)
        return sum(sums.get(o, 0) for o in outcomes)

    def do_expect_not_refused(self, step):
        self.load.read()
        n = self.counted(('refused',))
        if n:
            raise Failed('%d connections were refused' % n)

    def do_expect_not_reset(self, step):
        self.load.read()
        n = self.counted(('reset', 'eof'))
        if n:
            raise Failed('%d connections were reset or closed before the greeting' % n)

    def do_expect_outage(self, step, seconds):
        self.prober.read()
        outage = self.prober.outage(self.marked) if self.prober.tries else self.load.gap(self.marked)
        if outage is None:
            raise Failed('nothing was answered since the mark')
        if outage >= seconds:
            raise Late('outage %.0f ms' % (outage * 1e3))

    # ---- the end
    def summary(self):
        """Numbers for the result line."""
        parts = []
        self.prober.read()
        if self.load.acks:
            parts.append('%d acknowledged' % len(self.load.acks))
        if self.found and self.found.doubted:
            parts.append('%d sent twice after a broken connection' % self.found.doubted)
        if self.prober.tries:
            outage = self.prober.outage(self.prober.tries[0][0], self.prober.tries[-1][1])
            parts.append('longest outage %.0f ms' % ((outage or 0) * 1e3))
        return ', '.join(parts)
