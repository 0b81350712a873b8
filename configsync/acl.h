/*
 * configsync/acl.h - POSIX ACLs between the kernel's form, which has numbers of this node in it, and ours, which has names.
 * Pure: names are asked of the caller.
 *
 * Kernel (linux/posix_acl_xattr.h): version 2 in 4 bytes, then tag (2), permissions (2) and id (4) of each, little-endian.
 * Ours: tag (1), permissions (1), id (4, big-endian), length of the name (1), the name. Ids and names stand in both where the
 * tag is of a named user or group; else they are 0 and empty.
 */
#ifndef CONFIGSYNC_ACL_H
#define CONFIGSYNC_ACL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ACL_ACCESS  "system.posix_acl_access"
#define ACL_DEFAULT "system.posix_acl_default"
#define ACL_VALUE_MAX 65536u	/* of both forms */

struct acl_one {
	uint8_t		 tag, perm;
	uint32_t	 id;
	const char	*name;		/* not terminated */
	uint8_t		 name_len;
};

/* The name of a user (group: of a group), "" where there is none. Lives until the next call. */
typedef const char *acl_name_f(void *arg, bool group, uint32_t id);
/* The number for a name on this node, with the number of the other node at hand. False: the ACL cannot be set here. */
typedef bool acl_id_f(void *arg, bool group, const char *name, uint32_t id, uint32_t *ret);

bool	acl_is_name(const char *xattr);
/* Length of ours, 0 where what the kernel gave is none or does not fit. */
size_t	acl_from_kernel(const uint8_t *bytes, size_t len, acl_name_f *, void *arg, uint8_t *to, size_t room);
/* Length of the kernel's; 0 where it is not well-formed, does not fit or ids refused. */
size_t	acl_to_kernel(const uint8_t *bytes, size_t len, acl_id_f *, void *arg, uint8_t *to, size_t room);
bool	acl_ok(const uint8_t *bytes, size_t len);	/* well-formed */
bool	acl_same(const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len);
/* Step through ours, *at from 0; false at the end, or where it is not well-formed (*at is then not len). */
bool	acl_next(const uint8_t *bytes, size_t len, size_t *at, struct acl_one *ret);

#endif
