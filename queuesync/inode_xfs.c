/*
 * queuesync/inode_xfs.c - inodes of XFS, many with one ioctl(2): XFS_IOC_BULKSTAT (Linux 5.5, ioctl_xfs_bulkstat(2)). The kernel reads the
 * clusters of inodes in their order and keeps nothing of them, so that one costs it a twentieth of a stat(2) that finds nothing in the
 * cache; and what it has in the cache it says as it is there. Numbers of inodes follow from places on the disk and have large gaps, so of
 * each part there are records of those in use, in order.
 */
#include <xfs/xfs.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/need.h"
#include "queuesync/inode_parts.h"
#include "queuesync/inode_table_priv.h"

#define PART_BITS 16		/* numbers of a part, at least: 32 MiB of a disk with the usual inodes; a queue has some 7,000 files there */
#define PARTS (1u << 16)	/* at most */
#define WORTH 64		/* asked about before a part is read */
#define AT_ONCE 1024
#define RECORDS_MAX ((48u << 20) / sizeof(struct record))

/* at: in its part. Of regular files only. */
struct record { uint32_t at, uid, gid, size; int32_t mtime, atime; uint16_t mode, nlink; };
struct records { struct record *at; uint32_t len, room; };

struct xfs_table {
	struct inode_table  table;
	int		    fd;			/* of the directory */
	unsigned int	    bits;
	uint32_t	    parts_len;
	struct records	   *part;
	struct inode_parts *parts;
	atomic_uint_fast64_t records;
};

/* ---------------------------------------------------------------- one part */

static bool
is_32(int64_t seconds)
{
	return seconds >= INT32_MIN && seconds <= INT32_MAX;
}

/* False: there is no room for more. */
static bool
record_add(struct xfs_table *t, struct records *r, const struct xfs_bulkstat *in)
{
	if (!S_ISREG(in->bs_mode) || in->bs_nlink == 0 || in->bs_nlink > UINT16_MAX || in->bs_size > UINT32_MAX || in->bs_sick != 0 ||
	    !is_32(in->bs_mtime) || !is_32(in->bs_atime))
		return true;
	if (r->len == r->room) {
		uint32_t more = r->room == 0 ? AT_ONCE : r->room;

		if (atomic_fetch_add(&t->records, more) + more > RECORDS_MAX)
			return false;
		r->room += more;
		r->at = need(reallocarray(r->at, r->room, sizeof *r->at));
	}
	r->at[r->len++] = (struct record){ .at = (uint32_t)(in->bs_ino & ((UINT64_C(1) << t->bits) - 1)), .uid = in->bs_uid, .gid = in->bs_gid,
	    .size = (uint32_t)in->bs_size, .mtime = (int32_t)in->bs_mtime, .atime = (int32_t)in->bs_atime, .mode = in->bs_mode,
	    .nlink = (uint16_t)in->bs_nlink };
	return true;
}

/* Where it fails, or memory is at its bound, nothing is known of what follows. */
static void
part_read(void *arg, uint32_t number)
{
	struct xfs_table *t = arg;
	struct records *r = &t->part[number];
	struct xfs_bulkstat_req *ask = need(calloc(1, XFS_BULKSTAT_REQ_SIZE(AT_ONCE)));
	uint64_t next = (uint64_t)number << t->bits, end = next + (UINT64_C(1) << t->bits);
	bool more = true;

	while (more && next < end) {
		ask->hdr = (struct xfs_bulk_ireq){ .ino = next, .icount = AT_ONCE };
		if (ioctl(t->fd, XFS_IOC_BULKSTAT, ask) == -1 || ask->hdr.ocount == 0 || ask->hdr.ocount > AT_ONCE)
			break;
		for (uint32_t i = 0; more && i < ask->hdr.ocount; i++)
			more = ask->bulkstat[i].bs_ino >= next && ask->bulkstat[i].bs_ino < end && record_add(t, r, &ask->bulkstat[i]);
		more = more && ask->hdr.ino > next;
		next = ask->hdr.ino;
	}
	free(ask);
}

static bool
tell(struct inode_table *table, uint64_t ino, struct queue_file *ret)
{
	struct xfs_table *t = (struct xfs_table *)table;
	uint64_t number = ino >> t->bits;
	uint32_t at = (uint32_t)(ino & ((UINT64_C(1) << t->bits) - 1)), low = 0, high;
	const struct records *r;

	if (number >= t->parts_len || !inode_parts_ask(t->parts, (uint32_t)number))
		return false;
	r = &t->part[number];
	high = r->len;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (r->at[middle].at < at)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == r->len || r->at[low].at != at)
		return false;
	ret->mode = r->at[low].mode;
	ret->uid = r->at[low].uid;
	ret->gid = r->at[low].gid;
	ret->nlink = r->at[low].nlink;
	ret->size = r->at[low].size;
	ret->mtime = r->at[low].mtime;
	ret->atime = r->at[low].atime;
	return true;
}

/* ---------------------------------------------------------------- opening */

static unsigned int
bits_for(uint64_t numbers)
{
	unsigned int bits = 0;

	while (bits < 63 && (UINT64_C(1) << bits) < numbers)
		bits++;
	return bits;
}

static void
table_close(struct inode_table *table)
{
	struct xfs_table *t = (struct xfs_table *)table;

	for (uint32_t i = 0; t->part != NULL && i < t->parts_len; i++)
		free(t->part[i].at);
	free(t->part);
	inode_parts_free(t->parts);
	if (t->fd != -1)
		close(t->fd);
	free(t);
}

static const struct inode_kind kind = { .tell = tell, .close = table_close };

/* A number is the group, the block in it, and the inode in that, with whole bits for each (xfs_inode(5)). */
static bool
table_init(struct xfs_table *t, struct err *err)
{
	struct xfs_bulkstat_req *ask = need(calloc(1, XFS_BULKSTAT_REQ_SIZE(1)));
	struct xfs_fsop_geom geometry;
	bool can;

	ask->hdr.icount = 1;
	can = t->fd != -1 && ioctl(t->fd, XFS_IOC_FSGEOMETRY, &geometry) == 0 && ioctl(t->fd, XFS_IOC_BULKSTAT, ask) == 0;
	free(ask);
	if (!can || geometry.inodesize == 0)
		return err_set(err, errno, "the kernel does not say many inodes of XFS at once");
	t->bits = bits_for(geometry.agblocks) + bits_for(geometry.blocksize / geometry.inodesize) + bits_for(geometry.agcount);
	t->bits = t->bits > PART_BITS + bits_for(PARTS) ? t->bits - bits_for(PARTS) : PART_BITS;
	t->parts_len = PARTS;
	t->part = need(calloc(t->parts_len, sizeof *t->part));
	t->parts = inode_parts_new(t->parts_len, WORTH, part_read, t, err);
	return t->parts != NULL;
}

struct inode_table *
inode_xfs_open(int directory, struct err *err)
{
	struct xfs_table *t = need(calloc(1, sizeof *t));

	t->table.kind = &kind;
	t->fd = fcntl(directory, F_DUPFD_CLOEXEC, 0);
	if (table_init(t, err))
		return &t->table;
	table_close(&t->table);
	return NULL;
}
