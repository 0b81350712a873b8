/*
 * common/conf_parts.h - what the conf*.c files share among themselves; nobody else includes it.
 *
 * The way of a file: conf.c reads the bytes; conf_scan.c (pure) walks the text by the names of
 * conf_schema.c and leaves a copy that holds known, single, well-formed statements only, every
 * one still in its line; libconfuse takes the values out of that copy; conf_value.c judges each by
 * itself; conf_check.c judges them together.
 */
#ifndef COMMON_CONF_PARTS_H
#define COMMON_CONF_PARTS_H

#include "common/conf.h"

/* A duration or number that was refused already: the rules in conf_check.c pass over it. */
#define CONF_REFUSED UINT32_MAX
#define CONF_NODE_NONE (-1)
#define CONF_NODE_REFUSED (-2)
#define CONF_WORDS "letters, digits, \"-\", \"_\" and \".\""

enum conf_kind {
	KIND_TEXT,		/* const char *, NULL where not given and without default */
	KIND_DURATION,		/* uint32_t milliseconds */
	KIND_NUMBER,		/* uint8_t, uint16_t or uint32_t */
	KIND_BOOL,		/* bool */
	KIND_CHOICE,		/* an enum or a bool: the index in choices */
	KIND_NODE,		/* int: index of a node, or CONF_NODE_* */
	KIND_AGE,		/* uint32_t seconds */
	KIND_SIZE,		/* uint64_t bytes; min and max are MiB */
	KIND_LIST,		/* const char *[CONF_OPTIONS_MAX], followed by its size_t length */
	KIND_COUNT
};

struct conf_option {
	const char		*name;
	enum conf_kind		 kind;
	size_t			 offset, size;	/* of the field in the struct of its section */
	uint32_t		 min, max;	/* durations and numbers */
	const char		*fallback;	/* as it would be written; NULL: none */
	const char *const	*choices;	/* ends with NULL */
};

enum conf_section_id {
	SECT_TOP, SECT_NODE, SECT_HEARTBEAT, SECT_LINK, SECT_TAKEOVER, SECT_FENCE, SECT_STORAGE,
	SECT_BIND, SECT_ADDRESS, SECT_MTA, SECT_TIMEOUTS, SECT_SYNC, SECT_TREE, SECT_CERTIFICATE, SECT_COUNT
};

#define CONF_NOWHERE SIZE_MAX

struct conf_section {
	const char			*name;
	enum conf_section_id		 parent;
	bool				 titled;
	size_t				 max;		/* how many of them may stand in a file */
	const struct conf_option	*options;
	size_t				 options_len;
	size_t				 base, stride;	/* where the structs stand in struct conf */
	size_t				 count;		/* offset of their number, or CONF_NOWHERE */
	size_t				 title, line;	/* offsets in the section's struct */
	size_t				 by_node;	/* const char *[CONF_NODES] filled by options named like the nodes */
};

extern const struct conf_section conf_schema[SECT_COUNT];

/* Names of the contract that this version does not have. */
bool	conf_schema_later(enum conf_section_id, const char *name);
/* The section of this name in parent, or SECT_COUNT. */
enum conf_section_id conf_schema_section(enum conf_section_id parent, const char *name);
/* Index of an option, or -1. */
int	conf_schema_option(enum conf_section_id, const char *name);
/* What a wrong name was probably meant to be: "; did you mean ...?" or where it belongs, or "". */
void	conf_schema_advice(enum conf_section_id, const char *name, char *buf, size_t size);

/* conf_scan.c */
#define CONF_SCAN_NODES 8
#define CONF_TITLE_MAX 256
struct conf_scan_section {
	enum conf_section_id	 id;
	int			 line;
	char			*title;		/* NULL where it has none */
};
struct conf_scan {
	char				*text;		/* for libconfuse; same lines as the file */
	struct conf_scan_section	*section;	/* in the order of the file */
	size_t				 len;
	char				*node[CONF_SCAN_NODES];
	size_t				 nodes;
	bool				 whole;		/* false: read up to a syntax error only */
};
void	conf_scan(const char *text, size_t len, struct conf_scan *ret, struct conf_mistakes *);
void	conf_scan_free(struct conf_scan *);

/* conf_arena.c: the strings of a struct conf and the lines in which its fields were given. */
struct conf_arena *conf_arena_new(void);
void	conf_arena_free(struct conf_arena *);
const char *conf_arena_copy(struct conf_arena *, const char *text);
void	conf_arena_line(struct conf_arena *, const void *field, int line);
/* The line of a field; fallback where it was not given or the struct was made by hand. */
int	conf_line(const struct conf *, const void *field, int fallback);
bool	conf_given(const struct conf *, const void *field);

/* conf_value.c, pure. */
bool	conf_bool(const char *text, bool *ret);
bool	conf_number(const char *text, uint32_t *ret);
const char *conf_duration_text(uint32_t ms, char *buf, size_t size);	/* returns buf */
const char *conf_age_text(uint32_t s, char *buf, size_t size);
/* Numeric IPv4 or IPv6, perhaps %zone where zone is allowed; AF_UNSPEC on anything else. */
int	conf_ip(const char *text, bool zone, uint8_t ret_bytes[16]);
/* "address/prefix": 0, or a sentence that says what is wrong. */
const char *conf_prefix(const char *text, int *ret_family, uint8_t ret_bytes[16], uint8_t *ret_prefix);
/*
 * Put one value into its field. where: "heartbeat: ", "link \"cross\": " or "", for the mistake. A refused
 * value leaves the field such that no rule of conf_check.c complains about it once more.
 */
void	conf_set(struct conf *, const struct conf_option *, void *field, const char *where,
	    const char *text, int line, struct conf_mistakes *);

/* conf_check*.c: each section by itself, and what needs the whole file. */
void	conf_check_sections(const struct conf *, struct conf_mistakes *);
void	conf_check_whole(const struct conf *, struct conf_mistakes *);
void	conf_check_links(const struct conf *, struct conf_mistakes *);
void	conf_check_storage(const struct conf *, struct conf_mistakes *);
void	conf_check_addresses(const struct conf *, struct conf_mistakes *);
void	conf_check_sync(const struct conf *, struct conf_mistakes *);
/*
 * A numeric address of a host, with its interface where that is needed: AF_*; else AF_UNSPEC and a mistake "WHERE: NAME = ...".
 */
int	conf_check_host(const char *where, const char *name, const char *text, int line, uint8_t ret_bytes[16], struct conf_mistakes *);
bool	conf_path_ok(const char *path);		/* absolute, no "..", no "//", no "/" at its end */
bool	conf_path_inside(const char *path, const char *dir);	/* path is dir or below it */
bool	conf_word_ok(const char *name, size_t max);	/* CONF_WORDS, begins with a letter or digit */
void	conf_mistakes_sort(struct conf_mistakes *);	/* by line; line 0 last */

#endif
