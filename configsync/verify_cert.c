/*
 * configsync/verify_cert.c - certificates, keys and chains, judged by the openssl program. Blocks; in the worker.
 *
 * openssl gets the path of a key and gives its public half. Of a file that may hold a key only lines that begin with
 * "-----" are looked at here, and only certificates are ever copied.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "configsync/verify_parts.h"

#define FILES_MAX 8
#define PUBLIC_MAX 4096

/* What stands in a PEM file. */
struct pem { unsigned int certificates, keys; bool encrypted, any; };

struct files { char leaf[FILES_MAX][512], key[512], chain[FILES_MAX][512]; size_t leaves, chains; };

struct facts { char public[PUBLIC_MAX], subject[256], issuer[256], begins[64], ends[64]; };

static bool
begins(const char *line, const char *word)
{
	return strncmp(line, word, strlen(word)) == 0;
}

/* Looks through bytes; appends certificates, but the first skip of them, to out (may be NULL). */
static struct pem
pem_scan(const char *bytes, FILE *out, unsigned int skip)
{
	struct pem pem = { 0 };
	bool copying = false;

	for (const char *at = bytes; *at != '\0';) {
		size_t len = strcspn(at, "\n");

		if (begins(at, "-----BEGIN ")) {
			const char *label = at + strlen("-----BEGIN ");
			bool certificate = begins(label, "CERTIFICATE-----") || begins(label, "TRUSTED CERTIFICATE-----") ||
			    begins(label, "X509 CERTIFICATE-----");

			pem.any = true;
			pem.certificates += certificate;
			copying = certificate && out != NULL && pem.certificates > skip;
			/* "PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", "ENCRYPTED PRIVATE KEY" */
			if (memmem(label, len - (size_t)(label - at), "PRIVATE KEY-----", 16) != NULL) {
				pem.keys++;
				pem.encrypted = pem.encrypted || begins(label, "ENCRYPTED");
			}
		}
		if (begins(at, "Proc-Type: 4,ENCRYPTED"))
			pem.encrypted = true;
		if (copying)
			fprintf(out, "%.*s\n", (int)len, at);
		if (begins(at, "-----END "))
			copying = false;
		at += len;
		at += *at == '\n';
	}
	return pem;
}

/* False: said. */
static bool
pem_of(struct check *c, const char *path, struct pem *ret, FILE *out, unsigned int skip)
{
	struct err err = { 0 };
	char real[VIEW_PATH_MAX], *bytes;
	enum fact there;
	size_t len;

	if (!verify_find(c, path, real, &there))
		return false;
	if (there == FACT_NO) {
		check_say(c, VALIDITY_INVALID, path, 0, "/%s is missing, or a link that leads nowhere: key, certificate and chain belong together", path);
		return false;
	}
	bytes = view_read(c->view, path, &len, &err);
	if (bytes == NULL) {
		check_say(c, VALIDITY_UNKNOWN, path, 0, "%s", err.text);
		return false;
	}
	*ret = pem_scan(bytes, out, skip);
	if (!ret->any)
		check_say(c, VALIDITY_INVALID, path, 0, "/%s is not PEM%s; right is a text with -----BEGIN lines", path,
		    len > 1 && (unsigned char)bytes[0] == 0x30 ? " but DER (openssl x509 -inform der, or openssl pkey -inform der, turns it into PEM)" : "");
	explicit_bzero(bytes, len);
	free(bytes);
	return ret->any;
}

/* ---------------------------------------------------------------- which files */

static const char *
base(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash != NULL ? slash + 1 : path;
}

static void
add(char list[FILES_MAX][512], size_t *len, const char *path)
{
	if (*len < FILES_MAX)
		snprintf(list[(*len)++], 512, "%s", path);
}

/* By what is in it, and by its name where that is not enough. False: said. */
static bool
sort_in(struct check *c, const char *path, struct files *files)
{
	struct pem pem;

	if (!pem_of(c, path, &pem, NULL, 0))
		return false;
	if (pem.keys > 0)
		snprintf(files->key, sizeof files->key, "%s", path);
	if (pem.certificates == 0)
		return true;
	if (strstr(base(path), "fullchain") == NULL && (strstr(base(path), "chain") != NULL || strstr(base(path), "bundle") != NULL))
		add(files->chain, &files->chains, path);
	else
		add(files->leaf, &files->leaves, path);
	return true;
}

/* All files of this set in one directory. */
static bool
gather(struct check *c, const char *dir, struct files *files)
{
	struct err err = { 0 };
	char **name, path[512], real[VIEW_PATH_MAX];
	struct set_id id;
	size_t names;
	enum fact there;
	bool ok = true;

	if (!view_names(c->view, dir, &name, &names, &err)) {
		check_say(c, VALIDITY_UNKNOWN, dir, 0, "%s", err.text);
		return false;
	}
	for (size_t i = 0; i < names && ok; i++) {
		if (snprintf(path, sizeof path, "%s/%s", dir, name[i]) >= (int)sizeof path)
			continue;
		set_of(NULL, path, &id);
		if (!set_same(&id, &c->job->set) || strcmp(name[i], "README") == 0)
			continue;
		/* what only goes, or never led anywhere, is not asked for */
		ok = verify_find(c, path, real, &there) && (there == FACT_NO || sort_in(c, path, files));
	}
	view_names_free(name, names);
	return ok;
}

static const char *
from_root(const char *path)
{
	while (path[0] == '/')
		path++;
	return path;
}

static bool
find_files(struct check *c, struct files *files)
{
	const struct set_id *set = &c->job->set;
	char dir[512];

	if (set->certificate != NULL) {
		add(files->leaf, &files->leaves, from_root(set->certificate->cert));
		snprintf(files->key, sizeof files->key, "%s", from_root(set->certificate->key));
		if (set->certificate->chain != NULL)
			add(files->chain, &files->chains, from_root(set->certificate->chain));
		return true;
	}
	if (strncmp(set->key, "letsencrypt/", 12) == 0) {
		snprintf(dir, sizeof dir, "etc/letsencrypt/live/%s", set->name);
		return gather(c, dir, files);
	}
	return gather(c, "etc/ssl/private", files) && gather(c, "etc/ssl/certs", files);
}

/* ---------------------------------------------------------------- openssl */

static void
line_after(const char *text, const char *word, char *ret, size_t size)
{
	const char *at = strstr(text, word);

	ret[0] = '\0';
	if (at != NULL)
		snprintf(ret, size, "%.*s", (int)strcspn(at + strlen(word), "\n"), at + strlen(word));
}

static enum validity
public_of_key(struct check *c, const char *path, const char *real, bool encrypted, char *ret, size_t size)
{
	/* an empty password, so that nobody is asked for one */
	const char *const argv[] = { "openssl", "pkey", "-in", real, "-pubout", "-passin", "pass:", NULL };
	int status;

	if (encrypted)
		return check_say(c, VALIDITY_INVALID, path, 0, "/%s is encrypted: no server could start with it unattended; right is a key without a password "
		    "(openssl pkey), in a file that only root can read", path);
	status = check_run(c, argv, NULL);
	if (status == -1)
		return VALIDITY_UNKNOWN;
	if (status != 0)
		return check_say(c, VALIDITY_INVALID, path, 0, "/%s holds no private key that openssl can read: it is damaged or cut off", path);
	snprintf(ret, size, "%s", c->out);
	return VALIDITY_VALID;
}

static enum validity
facts_of(struct check *c, const char *path, const char *real, struct facts *ret)
{
	const char *const argv[] = { "openssl", "x509", "-in", real, "-noout", "-pubkey", "-subject", "-issuer", "-startdate", "-enddate",
		"-nameopt", "RFC2253", NULL };
	int status = check_run(c, argv, NULL);
	const char *end;

	if (status == -1)
		return VALIDITY_UNKNOWN;
	if (status != 0)
		return check_say(c, VALIDITY_INVALID, path, 0, "/%s holds no certificate that openssl can read: it is damaged or cut off", path);
	line_after(c->out, "subject=", ret->subject, sizeof ret->subject);
	line_after(c->out, "issuer=", ret->issuer, sizeof ret->issuer);
	line_after(c->out, "notBefore=", ret->begins, sizeof ret->begins);
	line_after(c->out, "notAfter=", ret->ends, sizeof ret->ends);
	end = strstr(c->out, "-----END PUBLIC KEY-----");
	if (end == NULL)
		return check_say(c, VALIDITY_UNKNOWN, path, 0, "openssl does not tell the public key of /%s", path);
	end += strcspn(end, "\n");
	snprintf(ret->public, sizeof ret->public, "%.*s\n", (int)(end - strstr(c->out, "-----BEGIN")), strstr(c->out, "-----BEGIN"));
	return VALIDITY_VALID;
}

static enum validity
fits(struct check *c, const char *cert, const char *key, const char *public, struct facts *facts)
{
	char real[VIEW_PATH_MAX];
	struct pem pem;
	enum fact there;
	enum validity v;

	if (!pem_of(c, cert, &pem, NULL, 0) || !verify_find(c, cert, real, &there))
		return VALIDITY_UNKNOWN;		/* or INVALID, as said */
	if (pem.certificates == 0)
		return check_say(c, VALIDITY_INVALID, cert, 0, "/%s holds no certificate", cert);
	v = facts_of(c, cert, real, facts);
	if (v == VALIDITY_VALID && strcmp(facts->public, public) != 0)
		v = check_say(c, VALIDITY_INVALID, cert, 0, "/%s (%s) does not belong to the key /%s: right are both of the same renewal", cert,
		    facts->subject, key);
	return v;
}

static enum validity
public_of(struct check *c, const char *key, char *ret, size_t size)
{
	char real[VIEW_PATH_MAX];
	struct pem pem;
	enum fact there;

	if (!pem_of(c, key, &pem, NULL, 0) || !verify_find(c, key, real, &there))
		return VALIDITY_UNKNOWN;		/* or INVALID, as said */
	if (pem.keys == 0)
		return check_say(c, VALIDITY_INVALID, key, 0, "/%s holds no private key", key);
	return public_of_key(c, key, real, pem.encrypted, ret, size);
}

enum validity
check_pair(struct check *c, const char *cert, const char *key, char *ret_public, size_t size)
{
	struct facts facts;
	enum validity v = public_of(c, key, ret_public, size);

	return v == VALIDITY_VALID ? fits(c, cert, key, ret_public, &facts) : v;
}

/* ---------------------------------------------------------------- the chain */

/* All certificates that a client is given, but the first; and that one where it has signed itself. False: said. */
static bool
write_chain(struct check *c, const struct files *files, bool self_signed, const char *to, bool *ret_any)
{
	FILE *out = fopen(to, "we");
	struct pem pem;
	bool ok = out != NULL;

	*ret_any = false;
	for (size_t i = 0; i < files->leaves && ok; i++) {
		ok = pem_of(c, files->leaf[i], &pem, out, self_signed ? 0 : 1);
		*ret_any = *ret_any || pem.certificates > (self_signed ? 0 : 1);
	}
	for (size_t i = 0; i < files->chains && ok; i++) {
		ok = pem_of(c, files->chain[i], &pem, out, 0);
		*ret_any = *ret_any || pem.certificates > 0;
	}
	if (out == NULL || fclose(out) != 0) {
		check_say(c, VALIDITY_UNKNOWN, NULL, 0, "the chain could not be written to %s", to);
		return false;
	}
	return ok;
}

static enum validity
judge_chain(struct check *c, const char *leaf, const struct facts *facts)
{
	const char *at = strstr(c->err, "error ") != NULL ? strstr(c->err, "error ") : strstr(c->out, "error ");
	int number = 0, depth = 0, text = -1;

	if (at == NULL || sscanf(at, "error %d at %d depth lookup: %n", &number, &depth, &text) < 2 || text == -1)
		return check_say(c, VALIDITY_INVALID, leaf, 0, "openssl verify refuses /%s: %.300s", leaf, c->err);
	if (number == 10 && depth == 0)
		return check_say(c, VALIDITY_INVALID, leaf, 0, "/%s (%s) has expired on %s: right is a renewed one", leaf, facts->subject, facts->ends);
	if (number == 9 && depth == 0)
		return check_say(c, VALIDITY_INVALID, leaf, 0, "/%s (%s) is not valid before %s: is this node's clock right?", leaf, facts->subject,
		    facts->begins);
	if (number == 2 || number == 20 || number == 21)
		return check_say(c, VALIDITY_INVALID, leaf, 0, "the chain of /%s does not build: the certificate of %s, which has signed it, is missing; "
		    "right is that one behind it in the same file, or in the chain file", leaf, facts->issuer);
	return check_say(c, VALIDITY_INVALID, leaf, 0, "the chain of /%s (%s) does not build: %.*s (certificate number %d, counted from it)", leaf,
	    facts->subject, (int)strcspn(at + text, "\n"), at + text, depth);
}

static enum validity
check_chain(struct check *c, const struct files *files, const struct facts *facts)
{
	const char *leaf = files->leaf[0];
	char chain[VIEW_PATH_MAX], real[VIEW_PATH_MAX];
	const char *argv[8] = { "openssl", "verify", "-partial_chain" };
	size_t n = 3;
	enum fact there;
	bool any;
	int status;

	if (!check_path(c, "chain.pem", chain, sizeof chain) || !verify_find(c, leaf, real, &there) ||
	    !write_chain(c, files, strcmp(facts->subject, facts->issuer) == 0, chain, &any))
		return VALIDITY_UNKNOWN;
	if (any) {
		argv[n++] = "-CAfile";
		argv[n++] = chain;
	}
	argv[n] = real;
	status = check_run(c, argv, NULL);
	if (status == -1)
		return VALIDITY_UNKNOWN;
	return status == 0 ? VALIDITY_VALID : judge_chain(c, leaf, facts);
}

/* ---------------------------------------------------------------- names */

static bool
is_address(const char *name)
{
	unsigned char buf[16];

	return inet_pton(AF_INET, name, buf) == 1 || inet_pton(AF_INET6, name, buf) == 1;
}

static enum validity
check_names(struct check *c, const char *leaf)
{
	const struct set_certificate *configured = c->job->set.certificate;
	char real[VIEW_PATH_MAX];
	enum fact there;

	if (configured == NULL || configured->names == NULL)
		return VALIDITY_VALID;
	if (!verify_find(c, leaf, real, &there))
		return VALIDITY_UNKNOWN;
	for (const char *const *name = configured->names; *name != NULL; name++) {
		const char *const argv[] = { "openssl", "x509", "-in", real, "-noout", is_address(*name) ? "-checkip" : "-checkhost", *name, NULL };

		if (check_run(c, argv, NULL) == -1)
			return VALIDITY_UNKNOWN;
		if (strstr(c->out, "does match certificate") == NULL)
			return check_say(c, VALIDITY_INVALID, leaf, 0, "/%s does not cover the name \"%s\", by which clients call this service: right is a certificate "
			    "with it among its subject alternative names", leaf, *name);
	}
	return VALIDITY_VALID;
}

/* ---------------------------------------------------------------- the whole */

/* What a client is given whole comes first. */
static void
full_chain_first(struct files *files)
{
	for (size_t i = 1; i < files->leaves; i++)
		if (strstr(base(files->leaf[i]), "fullchain") != NULL) {
			char first[512];

			memcpy(first, files->leaf[0], sizeof first);
			memcpy(files->leaf[0], files->leaf[i], sizeof first);
			memcpy(files->leaf[i], first, sizeof first);
		}
}

enum validity
check_certificate(struct check *c)
{
	static struct files files;
	static struct facts facts, first;
	char public[PUBLIC_MAX];
	enum validity v;

	memset(&files, 0, sizeof files);
	if (!find_files(c, &files))
		return VALIDITY_UNKNOWN;		/* or INVALID, as said */
	/* an authority's certificate has no key here; and all of a set may go */
	if (files.key[0] == '\0' && (strncmp(c->job->set.key, "ssl/", 4) == 0 || files.leaves + files.chains == 0))
		return VALIDITY_VALID;
	if (files.key[0] == '\0')
		return check_say(c, VALIDITY_INVALID, NULL, 0, "the certificate %s has no private key: key, certificate and chain belong together", c->job->set.name);
	/* a key that is older than its certificate, or for something else */
	if (files.leaves == 0 && strncmp(c->job->set.key, "ssl/", 4) == 0)
		return public_of(c, files.key, public, sizeof public);
	if (files.leaves == 0)
		return check_say(c, VALIDITY_INVALID, files.key, 0, "the key /%s has no certificate: key, certificate and chain belong together", files.key);
	full_chain_first(&files);
	v = public_of(c, files.key, public, sizeof public);
	for (size_t i = 0; i < files.leaves && v == VALIDITY_VALID; i++) {
		v = fits(c, files.leaf[i], files.key, public, &facts);
		if (i == 0)
			first = facts;
	}
	if (v == VALIDITY_VALID)
		v = check_chain(c, &files, &first);
	if (v == VALIDITY_VALID)
		v = check_names(c, files.leaf[0]);
	if (v == VALIDITY_VALID)
		check_say(c, v, NULL, 0, "the key fits the certificate of %s, its chain builds, and it is valid until %s", first.subject, first.ends);
	return v;
}
