/*
 * supervisor/storage.h - the spool's storage: who holds it, take it, let it go. Drivers behind one
 * interface. Everything but storage_find() blocks and runs in a worker.
 */
#ifndef SUPERVISOR_STORAGE_H
#define SUPERVISOR_STORAGE_H

#include <stdbool.h>

#include "common/conf.h"
#include "common/err.h"
#include "common/fact.h"
#include "common/spawn.h"

struct storage_driver {
	const char	*name;		/* type = "shared" */

	/* Could it be taken here now (device there, file system known and journalled, not mounted anywhere
	 * that can be seen, fsck program there)? For health and before up(). */
	bool	(*ready)(const struct conf *, struct err *);

	/* Promote where there is such a thing, check the file system by policy, mount at the mountpoint.
	 * Idempotent: already mounted there from this device is success. Reports "fsck", "mount" with ms. */
	bool	(*up)(const struct conf *, struct spawn_out *, struct err *);

	/*
	 * A planned down() is near, and mail still served: what of it can be done now. Changes nothing that anybody sees; a failure is
	 * none of down(). Reports "sync" and "forget" with ms.
	 */
	bool	(*ease)(const struct conf *, struct spawn_out *, struct err *);

	/* Unmount and demote. Names the holders, stops exactly those by policy (TERM, KILL after kill_ms).
	 * True only once it is certain that this kernel writes no more to the device. Idempotent. Reports
	 * "holder PID COMMAND FILE" lines and "killed N". */
	bool	(*down)(const struct conf *, uint32_t limit_ms, struct spawn_out *, struct err *);

	/* Somebody else owns it by right: let go without writing another byte (file system shutdown
	 * without flushing the log), then unmount. */
	bool	(*abandon)(const struct conf *, struct spawn_out *, struct err *);

	/* Is it mounted (or promoted) here? By the kernel's tables, not by memory. */
	enum fact (*held)(const struct conf *, struct err *);

	/* Has up() mounted it in this boot, and down() not let it go since? By a note in run_dir: does not touch the storage. */
	bool	(*mine)(const struct conf *);

	/* Has another kernel mounted it since we did (super block's mount time and count against those
	 * noted by up() in run_dir)? UNKNOWN where that cannot be told. */
	enum fact (*touched)(const struct conf *, struct err *);

	/*
	 * Does its disk answer? owner: a durable write and a read on the mounted spool; else a read of the device, which writes
	 * nothing. False: it says no (a full one does answer). Who hangs does not return; may be done every few seconds.
	 */
	bool	(*answers)(const struct conf *, bool owner, struct err *);

	/* One line for status: "ext4 rw, 12% used". */
	bool	(*describe)(const struct conf *, char *buf, size_t size, struct err *);
};

extern const struct storage_driver storage_shared;
const struct storage_driver *storage_find(const char *type);	/* NULL: no such driver */

#endif
