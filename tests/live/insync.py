"""The statements about configuration in step: mailpair-config on both hosts, started by mailpaird, over the cross link. A part of
engine.Engine, in a file of its own.

The object that it is mixed into has world, host(name) and kill(pids, signal, what).
"""
import os
import signal


class InStep:
    # read before the start: the section stands in mailpair.conf of both hosts
    do_config_sync = lambda self, step: None

    def do_kill_config(self, step, name):
        """The program and its children at once; its supervisor has to notice."""
        self.kill(self.host(name).pids('mailpair-config'), signal.SIGKILL, 'mailpair-config of ' + name)

    # ---- claims
    def is_in_step(self, since):
        """As both nodes say, with as many files on each."""
        said = [h.status().get('config_sync', {}) for h in self.world.hosts.values()]
        return all(s.get('in_step') is True and s['pending'] == 0 for s in said) and len({s['files'] for s in said}) == 1

    def content(self, name, path):
        try:
            with open(self.host(name).path(path), encoding='utf-8', errors='replace') as f:
                return f.read()
        except OSError:
            return None

    def is_file_has(self, since, path, name, text):
        return text in (self.content(name, path) or '')

    def is_file_lacks(self, since, path, name, text):
        return text not in (self.content(name, path) or text)

    def is_file_gone(self, since, path, name):
        return bool(self.host(name).pid) and not os.path.lexists(self.host(name).path(path))

    def is_config_says(self, since, name, text):
        self.said = self.host(name).x('mailpair config status')[1]
        return text in self.said

    def is_hooked(self, since, name, count, text):
        """So many calls of hooks, as the noting ones have written down."""
        return sum(text in line for line in (self.content(name, '/var/log/hooks') or '').splitlines()) == count
