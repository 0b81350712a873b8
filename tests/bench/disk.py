"""A file system of its own for a measurement: ext4 with a journal, as servers have, on a loop device with direct I/O. A cold cache
is then a fresh mount, nothing else on the machine is touched, and what the machine's own root is does not show."""
import os
import subprocess
import tempfile

PIECE = 4 << 20


class Disk:
    def __init__(self, work, inodes, size, sparse=True):
        """Gone at the end. inodes: a number; size: bytes. Not sparse: it has its blocks, as a real disk does; to find some for an image costs who waits for a
        sync, and not who leaves the writing to the kernel. Its journal is that of a disk of some size."""
        self.work, self.loop = tempfile.mkdtemp(prefix='mailpair-disk.', dir=work), None
        os.chmod(self.work, 0o711)      # a mail program's own account reads there
        self.image, self.mount = self.work + '/image', self.work + '/disk'
        with open(self.image, 'wb') as f:
            f.truncate(int(size))
            for _ in range(0 if sparse else int(size) // PIECE):
                f.write(bytes(PIECE))
            os.fsync(f.fileno())
        os.mkdir(self.mount)
        subprocess.run(['mkfs.ext4', '-q', '-N', str(int(inodes)), '-J', 'size=256', '-E', 'nodiscard,lazy_itable_init=0,lazy_journal_init=0', self.image],
                       check=True)
        self.loop = self.device('--direct-io=on') or self.device('--direct-io=off')     # where the machine's own root has none
        if not self.loop:
            raise OSError('no loop device for ' + self.image)
        self.up()

    def device(self, how):
        return subprocess.run(['losetup', how, '--show', '-f', self.image], text=True, stdout=subprocess.PIPE, check=False).stdout.strip()

    def up(self):
        subprocess.run(['mount', '-t', 'ext4', '-o', 'noatime', self.loop, self.mount], check=True)

    def down(self):
        subprocess.run(['umount', self.mount], check=True)

    def cold(self):
        self.down()
        self.up()

    def end(self):
        if self.loop:
            subprocess.run(['umount', self.mount], stderr=subprocess.DEVNULL, check=False)
            subprocess.run(['losetup', '-d', self.loop], check=False)
        os.rmdir(self.mount)
        os.unlink(self.image)
        os.rmdir(self.work)
