"""The same service under keepalived and under corosync with Pacemaker, in the world and by the prober of the other series.

Each has the fastest timers at which it stays calm, and no fencing: nobody waits for a power controller. They are
Debian's own packages, run inside the hosts, so that they end when a host loses its power. See README.md.
"""
import os
import shutil
import signal
import sys
import time
import xml.etree.ElementTree as ElementTree

import settings
from world import ENV, OTHER

AGENTS = '/usr/lib/ocf/resource.d/heartbeat/'

# ---------------------------------------------------------------- keepalived
KEEPALIVED_CONF = """global_defs {
    router_id %(name)s
    vrrp_version 3
    vrrp_rt_priority 50
    script_user root
    enable_script_security
}
vrrp_script mail {
    script "/etc/keepalived/check"
    interval 1
    fall 1
    rise 1
}
vrrp_instance mail {
    state BACKUP
    nopreempt
    interface eth0
    virtual_router_id 51
    priority %(priority)d
    advert_int 0.05
    virtual_ipaddress {
        %(service)s/24 dev eth0
    }
    track_script {
        mail
    }
    notify_master "/etc/keepalived/notify master"
    notify_backup "/etc/keepalived/notify backup"
    notify_fault "/etc/keepalived/notify fault"
    notify_stop "/etc/keepalived/notify stop"
}
"""

# A host on which nothing is mounted could take over, and one that is at work on it is not judged meanwhile.
KEEPALIVED_CHECK = """#!/bin/sh
[ ! -e /run/notify-busy ] || exit 0
while read -r _ where _; do
    [ "$where" != /srv/mail ] || exec kill -0 $(cat /srv/mail/postfix/pid/master.pid)
done </proc/mounts
"""

KEEPALIVED_NOTIFY = """#!/bin/sh
exec 9>/run/notify-lock >>/var/log/notify 2>&1
flock 9
: >/run/notify-busy
echo "$(date +%s.%N) $1"
if [ "$1" = master ]; then
    mountpoint -q /srv/mail || mount -t ext4 -o noatime /dev/san /srv/mail
    mountpoint -q /var/spool/postfix || mount --bind /srv/mail/postfix /var/spool/postfix
    postfix start 9>&-
elif mountpoint -q /srv/mail; then
    postfix stop 9>&-
    umount /var/spool/postfix
    umount /srv/mail
fi
echo "$(date +%s.%N) $1 is done"
echo "$1" >/run/notify-state
rm -f /run/notify-busy
"""


class Keepalived:
    """VRRP on the lan. The address moves first; scripts that run beside it move the rest."""
    programs = ('keepalived', 'flock', 'mountpoint')
    files = ()
    events = ('kill', 'planned')
    first_alone = True                  # two that start at once would both be master for a moment

    def furnish(self, host):
        conf = dict(name=host.name, service=settings.SERVICE, priority=150 if host.name == 'mx1' else 100)
        host.write('/etc/keepalived/keepalived.conf', KEEPALIVED_CONF % conf)
        host.write('/etc/keepalived/check', KEEPALIVED_CHECK, 0o755)
        host.write('/etc/keepalived/notify', KEEPALIVED_NOTIFY, 0o755)

    def start(self, host):
        launch(host, 'exec keepalived -D')

    def whole(self, active, standby):
        """Both have come to rest: what a notify script did last, and nothing under way."""
        ask = 'test ! -e /run/notify-busy && kill -0 $(cat /run/keepalived.pid) && cat /run/notify-state'
        return [h.x(ask)[1].strip() for h in (active, standby)] == ['master', 'backup']

    def planned(self, active, standby):
        # Stopped without that, it gives the address away before its script has let go of the disk: both would have it mounted.
        active.x('/etc/keepalived/notify stop; kill $(cat /run/keepalived.pid)', 30)

    def after(self, event, host):
        """What is to be done before the next run; host is the one that was active."""
        if event == 'planned':
            host.x('while [ -e /run/keepalived.pid ]; do sleep 0.05; done')     # tidy: it has no event to wait for
            self.start(host)

    def says(self, host):
        return host.x('tail -n 5 /var/log/notify; tail -n 10 /var/log/syslog')[1]


# ---------------------------------------------------------------- corosync and Pacemaker
COROSYNC_CONF = """totem {
    version: 2
    cluster_name: mail
    transport: udpu
    crypto_cipher: none
    crypto_hash: none
    token: 300
}
quorum {
    provider: corosync_votequorum
    two_node: 1
}
nodelist {
    node {
        name: mx1
        nodeid: 1
        ring0_addr: %s
    }
    node {
        name: mx2
        nodeid: 2
        ring0_addr: %s
    }
}
logging {
    to_syslog: yes
    to_stderr: no
}
"""

# Each operation: (interval, timeout). Start and stop wait longer than any of our runs.
RESOURCES = (
    ('spool', 'Filesystem', dict(device='/dev/san', directory='/srv/mail', fstype='ext4', options='noatime'), '5s'),
    ('service', 'IPaddr2', dict(ip=settings.SERVICE, cidr_netmask='24', nic='eth0'), '5s'),
    ('mta', 'postfix', {}, '1s'))

CIB = """<cib crm_feature_set="3.16.0" validate-with="pacemaker-3.8" epoch="1" num_updates="0" admin_epoch="1">
 <configuration>
  <crm_config>
   <cluster_property_set id="options">
    <nvpair id="options-stonith" name="stonith-enabled" value="false"/>
   </cluster_property_set>
  </crm_config>
  <nodes/>
  <resources><group id="mail">%s</group></resources>
  <constraints/>
  <rsc_defaults>
   <meta_attributes id="defaults">
    <nvpair id="defaults-stickiness" name="resource-stickiness" value="1000"/>
   </meta_attributes>
  </rsc_defaults>
 </configuration>
 <status/>
</cib>
"""


def cib():
    """Pacemaker's configuration, complete before its first start: no shell of its own is needed."""
    text = ''
    for name, agent, parameters, monitor in RESOURCES:
        text += '<primitive id="%s" class="ocf" provider="heartbeat" type="%s"><instance_attributes id="%s-of">' % (
            name, agent, name)
        text += ''.join('<nvpair id="%s-%s" name="%s" value="%s"/>' % (name, k, k, v) for k, v in parameters.items())
        text += '</instance_attributes><operations>'
        text += ''.join('<op id="%s-%s" name="%s" interval="%s" timeout="30s"/>' % (name, op, op, interval)
                        for op, interval in (('start', '0s'), ('stop', '0s'), ('monitor', monitor)))
        text += '</operations></primitive>'
    return CIB % text


class Pacemaker:
    """Membership by corosync on the lan; the group disk, address, mail program, each after the other."""
    programs = ('corosync', 'corosync-cfgtool', 'pacemakerd', 'crm_mon', 'crmadmin', 'crm_resource', 'fuser')
    files = tuple(AGENTS + agent for _, agent, _, _ in RESOURCES)
    events = ('kill', 'planned', 'crash')
    first_alone = False                 # it waits for both

    def furnish(self, host):
        addresses = tuple(settings.lan(name)[0].split('/')[0] for name in settings.NODES)
        host.write('/etc/corosync/corosync.conf', COROSYNC_CONF % addresses)
        # The agent looks at the queue's directory before it starts anything; one on the shared disk needs no bind mount.
        host.write('/etc/postfix/main.cf', settings.MAIN_CF.replace('/var/spool/postfix', '/srv/mail/postfix'))
        host.fresh_dir('/var/lib/corosync')
        host.fresh_dir('/var/log/pacemaker', 0o770, 'hacluster')
        for d in ('', '/cib', '/pengine', '/blackbox', '/cores'):
            host.fresh_dir('/var/lib/pacemaker' + d, 0o750, 'hacluster')
        host.write('/var/lib/pacemaker/cib/cib.xml', cib(), 0o600)
        shutil.chown(host.dir + '/upper/var/lib/pacemaker/cib/cib.xml', 'hacluster', 'haclient')

    def start(self, host):
        # Their messages lie in shared memory, more than a host of the live tests has.
        launch(host, """mount -o remount,size=256m /dev/shm && corosync || exit
until corosync-cfgtool -s >/dev/null; do sleep 0.1; done        # tidy: it has no event to wait for
exec pacemakerd""")

    def state(self, host):
        """({node: online}, {resource: (node, role)}, idle) as this host's Pacemaker sees it."""
        code, text = host.x(['crm_mon', '-1', '--output-as=xml'])
        try:
            root = ElementTree.fromstring(text if code == 0 else '<none/>')
        except ElementTree.ParseError:
            root = ElementTree.Element('none')
        nodes = {n.get('name'): n.get('online') == 'true' for n in root.findall('nodes/node')}
        resources = {}
        for r in root.iter('resource'):
            where = r.find('node')
            ok = r.get('active') == 'true' and r.get('failed') == 'false' and r.get('pending') is None
            resources[r.get('id')] = (where.get('name') if where is not None else None, r.get('role') if ok else 'bad')
        dc = root.find('summary/current_dc')
        name = dc.get('name') if dc is not None else None
        idle = name is not None and 'S_IDLE' in host.x(['crmadmin', '-S', name])[1]
        return nodes, resources, idle

    def whole(self, active, standby):
        nodes, resources, idle = self.state(active)
        return idle and all(nodes.get(n) for n in settings.NODES) and \
            all(resources.get(r[0]) == (active.name, 'Started') for r in RESOURCES)

    def planned(self, active, standby):
        code, text = active.x(['crm_resource', '--move', '-r', 'mail', '-N', standby.name], 30)
        if code != 0:
            raise RuntimeError('crm_resource: exit %s: %s' % (code, text))

    def crash(self, active, standby):
        for pid in active.pids('master'):
            os.kill(pid, signal.SIGKILL)

    def after(self, event, host):
        if event == 'planned':
            host.x(['crm_resource', '--clear', '-r', 'mail'])
        elif event == 'crash':
            host.x(['crm_resource', '--cleanup', '-r', 'mta'], 30)

    def says(self, host):
        return '%s\n%s' % (self.state(host), host.x('tail -n 15 /var/log/syslog; cat /var/log/launched')[1])


# ---------------------------------------------------------------- the runs
def launch(host, script):
    """Start a daemon in the host, as a child of the host's first process: it ends with the host's power."""
    host.x('setsid /bin/sh -c \'%s\' </dev/null >>/var/log/launched 2>&1 &' % script)


def missing(peer):
    """The first thing that this machine lacks."""
    for program in peer.programs:
        if not shutil.which(program, path=ENV['PATH']):
            return program
    return next((f for f in peer.files if not os.path.exists(f)), None)


def settled(world, peer):
    """(active, standby) when one host holds everything, the other nothing, and the peer has come to rest; or None."""
    for name in settings.NODES:
        active, standby = world.hosts[name], world.hosts[OTHER[name]]
        if active.pid and standby.pid and all(world.holds(name, w) for w in ('disk', 'mta', 'address')) and \
                not any(world.holds(standby.name, w) for w in ('disk', 'mta', 'address')) and peer.whole(active, standby):
            return active, standby
    return None


def wait_settled(world, peer, limit=90):
    """The pair, once it has been at rest for a second: between two steps of its own Pacemaker looks idle as well."""
    end = time.monotonic() + limit
    since, before = 0, None
    while time.monotonic() < end:
        pair = settled(world, peer)
        if pair != before:
            since, before = time.monotonic(), pair
        elif pair and time.monotonic() - since > 1:
            return pair
        time.sleep(0.1)                 # tidy: neither of them tells when it has come to rest
    raise RuntimeError('the pair did not come to rest:\n' + '\n'.join(
        '%s: %s' % (name, peer.says(host)) for name, host in world.hosts.items()))


def one_run(bench, peer, event):
    world = bench.world
    active, standby = wait_settled(world, peer)

    def go():
        if event == 'kill':
            bench.cut(active.name)
        else:
            getattr(peer, event)(active, standby)
        if event == 'planned':          # the command is only a wish: until it is fulfilled all is well, too
            with world.changed:
                if not world.changed.wait_for(lambda: world.holds(standby.name, 'mta'), 60):
                    raise RuntimeError('nothing moves:\n' + peer.says(active))
        return {'was': active.name}
    bench.measure(go, 60)
    if event == 'kill':
        world.wait_off(active.name, 10)
        active.on()
        peer.start(active)
    else:
        peer.after(event, active)


def run(bench, series):
    """A series "keepalived-EVENT" or "pacemaker-EVENT". SystemExit(77) when its programs are not here."""
    name, _, event = series.partition('-')
    kinds = {'keepalived': Keepalived, 'pacemaker': Pacemaker}
    if name not in kinds or event not in kinds[name].events:
        raise SystemExit('there is no series %s' % series)
    world = bench.world
    peer = kinds[name]()
    lacking = missing(peer)
    if lacking:
        print('%s: this machine has no %s' % (series, lacking), flush=True)
        raise SystemExit(77)
    for host in world.hosts.values():
        host.write('/etc/daemon-off', '')
        peer.furnish(host)
    for host in world.hosts.values():
        host.on()
        peer.start(host)
        if peer.first_alone:
            with world.changed:
                world.changed.wait_for(lambda: world.holds(settings.NODES[0], 'mta'), 20)
    wait_settled(world, peer)
    bench.fill_queue()
    bench.prober.start()
    for _ in range(bench.args.runs):
        one_run(bench, peer, event)
    both = world.overlap('disk')
    if both:
        print('%s: both hosts had the disk mounted for %.1f ms' % (series, both[1]), file=sys.stderr, flush=True)
