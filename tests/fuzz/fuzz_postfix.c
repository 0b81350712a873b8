/*
 * tests/fuzz/fuzz_postfix.c - any bytes as a queue file of Postfix, of either kind, whole and with the content
 * skipped: nothing but a verdict. What is whole when all of it is read is whole when the content is skipped, and
 * lists the same recipients; the bytes as a name: what is an id prints as it was.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "mta/postfix_id.h"
#include "mta/postfix_record.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static struct postfix_mail
read_as(enum postfix_kind kind, bool content, const uint8_t *bytes, size_t len)
{
	struct queue_memory memory = { bytes, len };
	struct queue_source source = queue_source_memory(&memory);
	struct queue_message message = { 0 };
	struct postfix_mail mail;

	postfix_mail_read(&source, kind, content, &mail, &message);
	assert((mail.fault == POSTFIX_WHOLE) == (mail.what[0] == '\0'));
	assert(message.recipients == mail.pending + mail.done || message.recipients >= 200000);
	assert(mail.fault != POSTFIX_WHOLE || message.sender != NULL);
	assert(mail.records <= len);
	queue_message_free(&message);
	return mail;
}

static void
as_name(const uint8_t *bytes, size_t len)
{
	char name[64], again[POSTFIX_ID_SIZE], sub[POSTFIX_SUB_SIZE];
	struct postfix_id id;

	if (len == 0 || len >= sizeof name)
		return;
	memcpy(name, bytes, len);
	name[len] = '\0';
	assert(strlen(postfix_name_hash(name, 9, sub)) < sizeof sub);
	if (!postfix_id_parse(name, &id))
		return;
	assert(postfix_name_legal(name) && strcmp(postfix_id_print(&id, again), name) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct postfix_mail whole = read_as(POSTFIX_QUEUED, true, bytes, len);
	struct postfix_mail skipped = read_as(POSTFIX_QUEUED, false, bytes, len);

	if (whole.fault == POSTFIX_WHOLE)
		assert(skipped.fault == POSTFIX_WHOLE && skipped.recipients_hash == whole.recipients_hash);
	read_as(POSTFIX_DROPPED, true, bytes, len);
	as_name(bytes, len);
	return 0;
}
