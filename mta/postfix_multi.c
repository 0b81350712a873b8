/*
 * mta/postfix_multi.c - instances of Postfix, as postmulti(1) counts them: the primary one counts where it is
 * enabled or has no others beside it; a listed one where it is enabled. Runs in a worker.
 *
 * multi_instance_wrapper is not asked for: it only names the program that "postfix" would hand over to.
 */
#include "mta/postfix_multi.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

bool
postfix_list_word(const char **list, char *buf, size_t size)
{
	const char *word = *list + strspn(*list, ", \t\r\n");
	size_t len = strcspn(word, ", \t\r\n");

	*list = word + len;
	if (len == 0 || len >= size)
		return false;
	memcpy(buf, word, len);
	buf[len] = '\0';
	return true;
}

static void
add(struct postfix_instances *all, const struct mta_params *params, const char *config)
{
	size_t n = all->len++;

	all->one[n] = *params;
	if (config == NULL)
		return;
	snprintf(all->config[n], sizeof all->config[n], "%s", config);
	all->one[n].config = all->config[n];
}

static bool
load_one(const struct mta_params *params, bool even_old, struct postfix_conf *conf, struct err *err)
{
	return even_old ? postfix_conf_load_known(params, conf, err) : postfix_conf_load(params, conf, err);
}

static bool
enabled(const struct postfix_conf *conf)
{
	return strcasecmp(conf->value[PF_MULTI_ENABLE], "yes") == 0;
}

/* One whose settings cannot be told is not left out where it is to be stopped: who stops it says what is wrong. */
static bool
add_if_enabled(struct postfix_instances *all, const struct mta_params *one, bool even_old, struct postfix_conf *conf,
    struct err *err)
{
	bool loaded = load_one(one, even_old, conf, err);

	if (!loaded && !even_old)
		return false;
	if (!loaded || enabled(conf))
		add(all, one, one->config);
	return true;
}

bool
postfix_instances_load(const struct mta_params *params, bool even_old, struct postfix_instances *ret, struct err *err)
{
	struct postfix_conf *conf = malloc(sizeof *conf);
	char list[4096], config[POSTFIX_PATH_MAX];
	const char *rest = list;
	bool ok;

	if (conf == NULL)
		return err_set(err, 0, "out of memory");
	ret->len = 0;
	ok = load_one(params, even_old, conf, err);
	if (ok && strlen(conf->value[PF_MULTI_DIRS]) >= sizeof list)
		ok = err_set(err, 0, "Postfix's multi_instance_directories is longer than %zu bytes", sizeof list);
	if (ok) {
		snprintf(list, sizeof list, "%s", conf->value[PF_MULTI_DIRS]);
		if (list[strspn(list, ", \t")] == '\0' || enabled(conf))
			add(ret, params, NULL);
	}
	while (ok && postfix_list_word(&rest, config, sizeof config)) {
		struct mta_params one = *params;

		one.config = config;
		if (ret->len == POSTFIX_INSTANCES_MAX)
			ok = err_set(err, 0, "Postfix has more than %d instances", POSTFIX_INSTANCES_MAX);
		else if (config[0] != '/')
			ok = err_set(err, 0, "Postfix's multi_instance_directories names \"%s\", and should name absolute paths",
			    config);
		else
			ok = add_if_enabled(ret, &one, even_old, conf, err);
	}
	if (ok && ret->len == 0)
		ok = err_set(err, 0, "no instance of Postfix is enabled: see multi_instance_enable in each main.cf");
	free(conf);
	if (!ok)
		ret->len = 0;
	return ok;
}

bool
postfix_instance_failed(const struct postfix_instances *all, size_t which, struct err *err)
{
	int sys;

	if (all->len > 1 && err != NULL) {
		sys = err->sys;
		err_set(err, 0, "Postfix's instance %s: %s", all->one[which].config != NULL ? all->one[which].config :
		    "of the default configuration", err->text);
		err->sys = sys;
	}
	return false;
}
