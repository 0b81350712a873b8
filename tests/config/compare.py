"""What is the same in two trees, by Python and not by our own code."""
import os
import stat
import struct
import subprocess


def rows(root, top=b't', directory_times=True):
    """{path: all that has to be the same}"""
    found, inodes = {}, {}
    for path, dirs, names in os.walk(root + b'/' + top):
        dirs.sort()
        for at in [path] + [path + b'/' + n for n in sorted(names) + [d for d in dirs if os.path.islink(path + b'/' + d)]]:
            st = os.lstat(at)
            data = b''
            if stat.S_ISREG(st.st_mode):
                with open(at, 'rb') as f:
                    data = f.read()
            elif stat.S_ISLNK(st.st_mode):
                data = os.readlink(at)
            xattrs = sorted((n, os.getxattr(at, n, follow_symlinks=False)) for n in os.listxattr(at, follow_symlinks=False))
            rel = at[len(root) + 1:]
            time = st.st_mtime_ns if directory_times or not stat.S_ISDIR(st.st_mode) else 0
            found[rel] = [st.st_mode, st.st_uid, st.st_gid, time, data, xattrs, None]
            inodes.setdefault(st.st_ino, []).append(rel)
    for group in inodes.values():
        for rel in group:
            found[rel][6] = tuple(sorted(group))
    return found


def difference(want, got):
    """A sentence, or None."""
    differs = sorted(p for p in set(got) | set(want) if got.get(p) != want.get(p))
    if not differs:
        return None
    return '%d differ, %r is %.300r, not %.300r' % (len(differs), differs[0], got.get(differs[0]), want.get(differs[0]))


def table(path):
    """Sorted rows of a .db, by Postfix's own dump, or of a .cdb; without those that name the run and the host. None: there is none."""
    if not os.path.exists(path):
        return None
    if path.endswith(b'.db'):
        out = subprocess.run([b'postmap', b'-s', b'hash:' + path[:-3]], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False).stdout
        found = [line.split(b'\t', 1) for line in out.splitlines()]
    else:
        with open(path, 'rb') as f:
            data = f.read()
        found, at, end = [], 2048, struct.unpack('<I', data[:4])[0]
        while at < end:
            key, value = struct.unpack('<II', data[at:at + 8])
            found.append([data[at + 8:at + 8 + key], data[at + 8 + key:at + 8 + key + value]])
            at += 8 + key + value
    return sorted(row for row in found if row[0] != b'@' and not row[0].startswith(b'YP_'))
