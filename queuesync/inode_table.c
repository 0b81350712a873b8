/*
 * queuesync/inode_table.c - see inode_table.h. Groups of inodes are read whole by who first needs one, several side by side: a
 * handle of libext2fs is of one thread at a time, so there are a few.
 */
#include "queuesync/inode_table.h"

#include <ext2fs/ext2fs.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define WORTH 16		/* files of one group that are asked about before it is read: a group costs as much as some hundred */
#define HANDLES 4
#define RECORDS_MAX (2u << 20)	/* 48 MiB */
#define GROUPS_MAX (1u << 22)
#define INODE_MAX 4096		/* bytes of one on the disk; more than any mkfs makes */
/* Whose size or owner is not only what the inode says. */
#define STRANGE_FLAGS (EXT4_ENCRYPT_FL | EXT4_EA_INODE_FL | EXT4_VERITY_FL)

/* mode 0: nothing is known. */
struct record { uint32_t uid, gid, size; int32_t mtime, atime; uint16_t mode, nlink; };

enum group_state { GROUP_UNREAD, GROUP_READING, GROUP_READ };
struct group { struct record *record; atomic_uint asked; _Atomic enum group_state state; };

struct handle { ext2_filsys fs; ext2_inode_scan scan; bool used; };

struct inode_table {
	int		 fd;			/* of the device */
	uint32_t	 groups, per_group, first, inodes, block;	/* first: that a directory may name; block: bytes */
	struct group	*group;
	pthread_mutex_t	 lock;			/* of what follows */
	pthread_cond_t	 news;
	struct handle	 handle[HANDLES];
	uint64_t	 records;
};

/* ---------------------------------------------------------------- handles */

/* The same device whatever its name means by now. */
static errcode_t
handle_open(int fd, struct handle *h)
{
	char path[64];
	errcode_t e;

	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	*h = (struct handle){ 0 };
	e = ext2fs_open2(path, NULL, EXT2_FLAG_64BITS, 0, 0, unix_io_manager, &h->fs);
	if (e != 0)
		h->fs = NULL;
	else if ((h->fs->super->s_feature_ro_compat & ~(unsigned int)EXT2_LIB_FEATURE_RO_COMPAT_SUPP) != 0 ||
	    EXT2_INODE_SIZE(h->fs->super) > INODE_MAX)
		e = EXT2_ET_RO_UNSUPP_FEATURE;
	else
		e = ext2fs_open_inode_scan(h->fs, (int)h->fs->inode_blocks_per_group, &h->scan);
	if (e != 0 && h->fs != NULL) {
		ext2fs_free(h->fs);
		h->fs = NULL;
	}
	return e;
}

static void
handle_close(struct handle *h)
{
	if (h->fs == NULL)
		return;
	ext2fs_close_inode_scan(h->scan);
	ext2fs_free(h->fs);
}

/* NULL: none can be had. The lock is held. */
static struct handle *
handle_take(struct inode_table *t)
{
	for (;;) {
		bool some = false;

		for (unsigned int i = 0; i < HANDLES; i++) {
			struct handle *h = &t->handle[i];

			some = some || h->used;
			if (h->used || (h->fs == NULL && handle_open(t->fd, h) != 0))
				continue;
			h->used = true;
			return h;
		}
		if (!some)
			return NULL;
		pthread_cond_wait(&t->news, &t->lock);
	}
}

static void
handle_give(struct inode_table *t, struct handle *h)
{
	pthread_mutex_lock(&t->lock);
	h->used = false;
	pthread_cond_broadcast(&t->news);
	pthread_mutex_unlock(&t->lock);
}

/* ---------------------------------------------------------------- one group */

/* Two more bits of a time's seconds, in inodes that have room for them. */
#define EPOCH(in, size, field) \
	((size) > EXT2_GOOD_OLD_INODE_SIZE && (size_t)(in)->i_extra_isize + EXT2_GOOD_OLD_INODE_SIZE >= \
	    offsetof(struct ext2_inode_large, field) + sizeof (in)->field ? (in)->field & 3 : 0)

/* What the kernel refuses to look at (ext4_iget()), check sum or not, it is to be asked about. */
static bool
is_sound(const struct ext2_inode_large *in, size_t size, uint64_t blocks)
{
	const struct ext3_extent_header *tree = (const struct ext3_extent_header *)(const void *)in->i_block;
	uint64_t acl = in->i_file_acl | (uint64_t)in->osd2.linux2.l_i_file_acl_high << 32;

	if (acl >= blocks || (size > EXT2_GOOD_OLD_INODE_SIZE && (in->i_extra_isize % 4 != 0 || in->i_extra_isize > size - EXT2_GOOD_OLD_INODE_SIZE)))
		return false;
	if ((in->i_flags & EXT4_INLINE_DATA_FL) != 0)
		return true;
	if ((in->i_flags & EXT4_EXTENTS_FL) != 0)
		return ext2fs_le16_to_cpu(tree->eh_magic) == EXT3_EXT_MAGIC && ext2fs_le16_to_cpu(tree->eh_max) == 4 &&
		    ext2fs_le16_to_cpu(tree->eh_entries) <= 4 && ext2fs_le16_to_cpu(tree->eh_depth) <= 5;
	for (unsigned int i = 0; i < EXT2_N_BLOCKS; i++)
		if (in->i_block[i] >= blocks)
			return false;
	return true;
}

static struct record
record_of(const struct ext2_inode_large *in, size_t size, uint64_t blocks)
{
	if (!LINUX_S_ISREG(in->i_mode) || in->i_links_count == 0 || in->i_dtime != 0 || in->i_size_high != 0 ||
	    (in->i_flags & STRANGE_FLAGS) != 0 || EPOCH(in, size, i_mtime_extra) != 0 || EPOCH(in, size, i_atime_extra) != 0 ||
	    !is_sound(in, size, blocks))
		return (struct record){ 0 };
	return (struct record){ .uid = inode_uid(*in), .gid = inode_gid(*in), .size = in->i_size, .mtime = (int32_t)in->i_mtime,
	    .atime = (int32_t)in->i_atime, .mode = in->i_mode, .nlink = in->i_links_count };
}

/* Whatever libext2fs does not like stays unknown. */
static void
group_scan(const struct inode_table *t, struct handle *h, uint32_t number, struct record *record)
{
	uint32_t first = number * t->per_group + 1;
	size_t size = EXT2_INODE_SIZE(h->fs->super);
	union { struct ext2_inode small; struct ext2_inode_large large; char bytes[INODE_MAX]; } in = { .bytes = "" };

	if (ext2fs_inode_scan_goto_blockgroup(h->scan, (int)number) != 0)
		return;
	for (uint32_t n = 0; n < t->per_group; n++) {
		ext2_ino_t ino = 0;
		errcode_t e = ext2fs_get_next_inode_full(h->scan, &ino, &in.small, (int)sizeof in);

		/* those at the end that were never used are passed over */
		if (ino < first || ino - first >= t->per_group)
			return;
		if (e == 0)
			record[ino - first] = record_of(&in.large, size, ext2fs_blocks_count(h->fs->super));
	}
}

/* The disk is to have work before the reading begins. */
static void
group_ahead(const struct inode_table *t, const struct handle *h, uint32_t number)
{
	posix_fadvise(t->fd, (off_t)ext2fs_inode_table_loc(h->fs, number) * t->block, (off_t)h->fs->inode_blocks_per_group * t->block,
	    POSIX_FADV_WILLNEED);
}

static void
group_read(struct inode_table *t, uint32_t number)
{
	struct group *g = &t->group[number];
	struct handle *h = NULL;

	pthread_mutex_lock(&t->lock);
	while (g->state == GROUP_READING)
		pthread_cond_wait(&t->news, &t->lock);
	if (g->state == GROUP_UNREAD) {
		g->state = GROUP_READING;
		if (t->records + t->per_group <= RECORDS_MAX && (h = handle_take(t)) != NULL)
			t->records += t->per_group;
		pthread_mutex_unlock(&t->lock);
		if (h != NULL) {
			struct record *record = calloc(t->per_group, sizeof *record);

			if (record != NULL) {
				group_ahead(t, h, number);
				group_scan(t, h, number, record);
			}
			g->record = record;
			handle_give(t, h);
		}
		pthread_mutex_lock(&t->lock);
		g->state = GROUP_READ;
		pthread_cond_broadcast(&t->news);
	}
	pthread_mutex_unlock(&t->lock);
}

bool
inode_table_tell(struct inode_table *t, uint64_t ino, struct queue_file *ret)
{
	uint32_t number = (uint32_t)((ino - 1) / t->per_group);
	const struct record *r;
	struct group *g;

	if (ino < t->first || ino > t->inodes || number >= t->groups)
		return false;
	g = &t->group[number];
	if (atomic_load(&g->state) != GROUP_READ) {
		if (atomic_fetch_add(&g->asked, 1) < WORTH)
			return false;
		group_read(t, number);
	}
	if (g->record == NULL)
		return false;
	r = &g->record[(ino - 1) % t->per_group];
	if (r->mode == 0)
		return false;
	ret->mode = r->mode;
	ret->uid = r->uid;
	ret->gid = r->gid;
	ret->nlink = r->nlink;
	ret->size = r->size;
	ret->mtime = r->mtime;
	ret->atime = r->atime;
	return true;
}

/* ---------------------------------------------------------------- a directory */

struct run { int fd; uint64_t block, first, len, most; };

static void
run_ahead(const struct run *run)
{
	if (run->len > 0)
		posix_fadvise(run->fd, (off_t)(run->first * run->block), (off_t)(run->len * run->block), POSIX_FADV_WILLNEED);
}

static int
run_block(ext2_filsys fs, blk64_t *at, e2_blkcnt_t number, blk64_t reference, int offset, void *arg)
{
	struct run *run = arg;

	(void)fs, (void)number, (void)reference, (void)offset;
	if (run->len > 0 && *at == run->first + run->len) {
		run->len++;
	} else {
		run_ahead(run);
		run->first = *at;
		run->len = 1;
	}
	return run->most-- == 0 ? BLOCK_ABORT : 0;
}

void
inode_table_ahead(struct inode_table *t, uint64_t ino, uint64_t size)
{
	struct run run = { .fd = t->fd, .block = t->block, .most = size / t->block };
	struct handle *h;

	if (ino == 0 || ino > t->inodes)
		return;
	pthread_mutex_lock(&t->lock);
	h = handle_take(t);
	pthread_mutex_unlock(&t->lock);
	if (h == NULL)
		return;
	if (ext2fs_block_iterate3(h->fs, (ext2_ino_t)ino, BLOCK_FLAG_READ_ONLY | BLOCK_FLAG_DATA_ONLY, NULL, run_block, &run) == 0)
		run_ahead(&run);
	handle_give(t, h);
}

/* ---------------------------------------------------------------- opening */

/* The device of a number as in st_dev; -1 with errno. */
static int
device_open(dev_t dev)
{
	char path[64], line[256], name[128] = "";
	struct stat st;
	FILE *f;
	int fd;

	snprintf(path, sizeof path, "/sys/dev/block/%u:%u/uevent", major(dev), minor(dev));
	f = fopen(path, "re");
	if (f == NULL)
		return -1;
	while (name[0] == '\0' && fgets(line, sizeof line, f) != NULL)
		if (sscanf(line, "DEVNAME=%127[^\n]", name) != 1)
			name[0] = '\0';
	fclose(f);
	snprintf(line, sizeof line, "/dev/%s", name);
	fd = open(line, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd != -1 && (fstat(fd, &st) == -1 || !S_ISBLK(st.st_mode) || st.st_rdev != dev)) {
		close(fd);
		errno = ENODEV;
		return -1;
	}
	return fd;
}

/* The kernel makes f_fsid of the file system's UUID. */
static bool
is_mounted_at(const struct inode_table *t, int directory)
{
	const struct ext2_super_block *super = t->handle[0].fs->super;
	uint64_t half[2], id;
	uint32_t told[2];
	struct statfs fs;

	if (fstatfs(directory, &fs) == -1)
		return false;
	memcpy(half, super->s_uuid, sizeof half);
	memcpy(told, &fs.f_fsid, sizeof told);
	id = ext2fs_le64_to_cpu(half[0]) ^ ext2fs_le64_to_cpu(half[1]);
	return told[0] == (uint32_t)id && told[1] == (uint32_t)(id >> 32) && fs.f_files == super->s_inodes_count &&
	    (uint64_t)fs.f_bsize == t->block;
}

static bool
table_init(struct inode_table *t, int directory, struct err *err)
{
	errcode_t e = handle_open(t->fd, &t->handle[0]);
	const struct ext2_super_block *super;

	if (e != 0)
		return err_set(err, 0, "the inode tables cannot be read: %s", error_message(e));
	super = t->handle[0].fs->super;
	t->groups = t->handle[0].fs->group_desc_count;
	t->per_group = super->s_inodes_per_group;
	t->first = EXT2_FIRST_INO(super);
	t->inodes = super->s_inodes_count;
	t->block = t->handle[0].fs->blocksize;
	if (t->groups > GROUPS_MAX || t->per_group == 0)
		return err_set(err, 0, "the inode tables cannot be read: %" PRIu32 " groups of %" PRIu32 " inodes", t->groups, t->per_group);
	if (directory != -1 && !is_mounted_at(t, directory))
		return err_set(err, 0, "another file system stands on the block device than is mounted");
	t->group = calloc(t->groups, sizeof *t->group);
	return t->group != NULL || err_set(err, ENOMEM, "the inode tables cannot be read");
}

struct inode_table *
inode_table_image(int fd, int directory, struct err *err)
{
	struct inode_table *t = calloc(1, sizeof *t);

	if (t == NULL)
		abort();
	t->fd = fd;
	pthread_mutex_init(&t->lock, NULL);
	pthread_cond_init(&t->news, NULL);
	if (table_init(t, directory, err))
		return t;
	t->fd = -1;
	inode_table_close(t);
	return NULL;
}

struct inode_table *
inode_table_open(int directory, struct err *err)
{
	struct inode_table *t;
	struct statfs fs;
	struct stat st;
	int fd;

	if (fstatfs(directory, &fs) == -1 || fstat(directory, &st) == -1 || fs.f_type != EXT4_SUPER_MAGIC) {
		err_set(err, 0, "it is no ext2, ext3 or ext4");
		return NULL;
	}
	fd = device_open(st.st_dev);
	if (fd == -1) {
		err_set(err, errno, "the block device %u:%u cannot be opened", major(st.st_dev), minor(st.st_dev));
		return NULL;
	}
	t = inode_table_image(fd, directory, err);
	if (t == NULL)
		close(fd);
	return t;
}

void
inode_table_close(struct inode_table *t)
{
	for (unsigned int i = 0; i < HANDLES; i++)
		handle_close(&t->handle[i]);
	for (uint32_t i = 0; t->group != NULL && i < t->groups; i++)
		free(t->group[i].record);
	free(t->group);
	if (t->fd != -1)
		close(t->fd);
	pthread_cond_destroy(&t->news);
	pthread_mutex_destroy(&t->lock);
	free(t);
}
