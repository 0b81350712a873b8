"""What is the same in two trees, by Python and not by our own code."""
import os
import stat


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
