/*
 * common/conf_scan.c - walks the whole of mailpair.conf by the names of conf_schema.c, so that all
 * mistakes of form and name are found in one go, each with its own line.
 *
 * libconfuse ends at the first name it does not know, takes the last of two equal options without
 * a word and miscounts lines behind comments. It therefore gets a copy in which only statements
 * stand that are known, single and well formed; everything else in it is blank. Values are not
 * judged here. Pure.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/conf_lex.h"
#include "common/conf_parts.h"

#define NAME_SHOWN 64
#define SEEN_MAX   32 /* options of one section and the nodes' names */

struct walk {
	const char *text;
	struct conf_tokens tokens;
	size_t at; /* token */
	struct conf_scan *out;
	size_t room;
	struct conf_mistakes *mistakes;
	int alone_line; /* the last line with a word that is no option */
};

/* One section that is open now. */
struct open {
	enum conf_section_id id;
	const char *title; /* "" without one */
	int line;
	int seen[SEEN_MAX];
	char label[CONF_TITLE_MAX + NAME_SHOWN]; /* for mistakes; "" at the top */
};

static const struct conf_token *
look(const struct walk *w, size_t ahead)
{
	size_t i = w->at + ahead;

	return &w->tokens.item[i < w->tokens.len ? i : w->tokens.len];
}

static bool
is_text(const struct conf_token *tok)
{
	return tok->what == TOK_WORD || tok->what == TOK_STRING || tok->what == TOK_BAD;
}

/* Let libconfuse see the next n tokens. */
static void
keep(struct walk *w, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct conf_token *tok = look(w, i);

		memcpy(w->out->text + tok->start, w->text + tok->start, tok->end - tok->start);
	}
}

static void
blank(struct walk *w, size_t from)
{
	size_t len = strlen(w->out->text);

	for (; from < len; from++)
		if (w->out->text[from] != '\n')
			w->out->text[from] = ' ';
}

/* Pass over "{ ... }" with all that is nested in it; w->at stands on the "{". */
static void
skip_braces(struct walk *w)
{
	size_t depth = 0;

	for (; look(w, 0)->what != TOK_END; w->at++) {
		if (look(w, 0)->what == TOK_OPEN)
			depth++;
		if (look(w, 0)->what == TOK_CLOSE && --depth == 0) {
			w->at++;
			return;
		}
	}
}

/* Pass over the rest of a statement whose name (and title) was read; nothing of it is kept. */
static void
skip_statement(struct walk *w)
{
	if (look(w, 0)->what == TOK_EQUAL || look(w, 0)->what == TOK_PLUS) {
		w->at++;
		if (is_text(look(w, 0)))
			w->at++;
		else if (look(w, 0)->what == TOK_OPEN)
			skip_braces(w);
	} else if (look(w, 0)->what == TOK_OPEN) {
		skip_braces(w);
	} else if (look(w, 0)->what == TOK_PAREN_OPEN) {
		while (look(w, 0)->what != TOK_END && look(w, 0)->what != TOK_PAREN_CLOSE)
			w->at++;
		if (look(w, 0)->what == TOK_PAREN_CLOSE)
			w->at++;
	}
}

static const char *
where(const struct open *in)
{
	return in->label[0] == '\0' ? conf_schema[SECT_TOP].name : in->label;
}

/* What follows a name, for people. Strings are not repeated: they may be secrets. */
static const char *
found(const struct conf_token *tok)
{
	static const char *const names[TOK_COUNT] = {[TOK_END] = "the end of the file",
	    [TOK_WORD] = "a word",
	    [TOK_STRING] = "a string",
	    [TOK_OPEN] = "\"{\"",
	    [TOK_CLOSE] = "\"}\"",
	    [TOK_EQUAL] = "\"=\"",
	    [TOK_PLUS] = "\"+=\"",
	    [TOK_COMMA] = "\",\"",
	    [TOK_PAREN_OPEN] = "\"(\"",
	    [TOK_PAREN_CLOSE] = "\")\"",
	    [TOK_BAD] = "a string"};

	return names[tok->what];
}

/* The number of tokens of "{ a, b }", 0 where it is none (a mistake was recorded). */
static size_t
list_length(struct walk *w, const struct open *in, const char *name, bool *ret_bad)
{
	size_t n = 1;
	bool comma = true;

	for (;; n++) {
		const struct conf_token *tok = look(w, n);

		if (tok->what == TOK_CLOSE)
			return n + 1;
		if (is_text(tok) && comma) {
			comma = false;
			*ret_bad = *ret_bad || tok->what == TOK_BAD;
		} else if (tok->what == TOK_COMMA && !comma) {
			comma = true;
		} else {
			conf_mistake(w->mistakes, tok->line,
			    "%s: %s: the list holds %s where %s is right", where(in), name,
			    found(tok), comma ? "a value or \"}\"" : "\",\" or \"}\"");
			return 0;
		}
	}
}

/* "name = value"; w->at stands on the name. A list of one value may stand without braces. */
static void
option(struct walk *w, struct open *in, const char *name, bool list, int *seen)
{
	const struct conf_token *value = look(w, 2);
	size_t n = 1;
	bool bad = false;
	int line = look(w, 0)->line;

	if (look(w, 1)->what != TOK_EQUAL) {
		if (look(w, 1)->what == TOK_PLUS)
			conf_mistake(w->mistakes, line,
			    "%s: %s: \"+=\" is not known: write the whole list "
			    "behind one \"=\"",
			    where(in), name);
		else if (look(w, 1)->what == TOK_OPEN)
			conf_mistake(w->mistakes, line,
			    "%s: %s is an option, not a section: write %s = VALUE", where(in), name,
			    name);
		else
			conf_mistake(w->mistakes, line,
			    "%s: %s is followed by %s: write %s = VALUE", where(in), name,
			    found(look(w, 1)), name);
		w->at++;
		if (is_text(look(w, 0)) && look(w, 1)->what != TOK_EQUAL &&
		    look(w, 1)->what != TOK_OPEN)
			w->at++;
		else
			skip_statement(w);
		return;
	}
	if (value->what == TOK_OPEN && !list) {
		conf_mistake(w->mistakes, value->line,
		    "%s: %s takes one value, not a list: write %s = VALUE", where(in), name, name);
		n = 0;
	} else if (value->what == TOK_OPEN) {
		w->at += 2;
		n = list_length(w, in, name, &bad);
		w->at -= 2;
	} else if (!is_text(value)) {
		conf_mistake(w->mistakes, look(w, 1)->line,
		    "%s: %s = is followed by %s instead of a value", where(in), name, found(value));
		w->at += 2;
		return;
	}
	if (n > 0 && *seen != 0) {
		conf_mistake(w->mistakes, line,
		    "%s: %s is given twice; it was given in line %d already", where(in), name,
		    *seen);
		n = 0;
	} else if (n > 0 && !bad && value->what != TOK_BAD) {
		keep(w, 2 + n);
	}
	*seen = *seen == 0 ? line : *seen;
	w->at++;
	skip_statement(w);
}

static bool statements(struct walk *, struct open *);

static size_t
count_of(const struct walk *w, enum conf_section_id id)
{
	size_t n = 0;

	for (size_t i = 0; i < w->out->len; i++)
		if (w->out->section[i].id == id)
			n++;
	return n;
}

/* false: this section may not stand here once more; a mistake says why. */
static bool
may_open(struct walk *w, const struct open *in, const struct open *sub)
{
	const struct conf_section *schema = &conf_schema[sub->id];

	for (size_t i = 0; i < w->out->len; i++) {
		const struct conf_scan_section *other = &w->out->section[i];

		if (other->id != sub->id)
			continue;
		if (schema->titled ? strcmp(other->title, sub->title) == 0 : true) {
			conf_mistake(w->mistakes, sub->line,
			    "%s stands here twice; the first is in line %d", sub->label,
			    other->line);
			return false;
		}
	}
	if (count_of(w, sub->id) < schema->max)
		return true;
	if (sub->id == SECT_NODE)
		conf_mistake(w->mistakes, sub->line,
		    "%s is one too many: a pair has exactly two nodes", sub->label);
	else if (schema->max == 1)
		conf_mistake(w->mistakes, sub->line,
		    "%s is a second %s section; there can be only one", sub->label, schema->name);
	else
		conf_mistake(w->mistakes, sub->line,
		    "%s: %s: there can be no more than %zu %s sections", where(in), sub->label,
		    schema->max, schema->name);
	return false;
}

static void
remember(struct walk *w, const struct open *sub)
{
	struct conf_scan *out = w->out;

	if (out->len == w->room) {
		w->room = w->room == 0 ? 32 : 2 * w->room;
		out->section = realloc(out->section, w->room * sizeof(*out->section));
		assert(out->section != NULL);
	}
	out->section[out->len] = (struct conf_scan_section){.id = sub->id, .line = sub->line};
	if (conf_schema[sub->id].titled) {
		out->section[out->len].title = strdup(sub->title);
		assert(out->section[out->len].title != NULL);
	}
	out->len++;
}

/* Title and "{" of a section; w->at stands on its name and passes over what was read. */
static bool
section_head(struct walk *w, const struct open *in, struct open *sub, char *title, size_t size)
{
	const struct conf_section *schema = &conf_schema[sub->id];
	bool titled = is_text(look(w, 1));
	size_t n = titled ? 2 : 1;

	if (look(w, n)->what != TOK_OPEN) {
		conf_mistake(w->mistakes, sub->line, "%s: %s is a section: write %s%s { ... }",
		    where(in), schema->name, schema->name, schema->titled ? " \"NAME\"" : "");
		w->at++;
		if (titled && look(w, 1)->what != TOK_EQUAL)
			w->at++;
		else
			skip_statement(w);
		return false;
	}
	if (titled != schema->titled || look(w, 1)->what == TOK_BAD) {
		if (titled && !schema->titled)
			conf_mistake(w->mistakes, sub->line,
			    "%s: the section %s has no name: write %s { ... }", where(in),
			    schema->name, schema->name);
		else if (!titled)
			conf_mistake(w->mistakes, sub->line,
			    "%s: the section %s needs a name: write %s "
			    "\"NAME\" { ... }",
			    where(in), schema->name, schema->name);
		w->at += n;
		skip_statement(w);
		return false;
	}
	if (titled && conf_lex_text(w->text, look(w, 1), title, size) >= size) {
		conf_mistake(w->mistakes, sub->line,
		    "%s: the name of this %s section is longer than %zu "
		    "characters",
		    where(in), schema->name, size - 1);
		w->at += n;
		skip_statement(w);
		return false;
	}
	return true;
}

/* A known section; w->at stands on its name. false: a syntax error, reading ends. */
static bool
section(struct walk *w, const struct open *in, enum conf_section_id id)
{
	char title[CONF_TITLE_MAX] = "";
	struct open sub = {.id = id, .title = title, .line = look(w, 0)->line};
	size_t head = conf_schema[id].titled ? 3 : 2;

	if (!section_head(w, in, &sub, title, sizeof(title)))
		return true;
	if (conf_schema[id].titled)
		snprintf(sub.label, sizeof(sub.label), "%s \"%s\"", conf_schema[id].name, title);
	else
		snprintf(sub.label, sizeof(sub.label), "%s", conf_schema[id].name);
	if (!may_open(w, in, &sub)) {
		w->at += head - 1;
		skip_statement(w);
		return true;
	}
	remember(w, &sub);
	keep(w, head);
	w->at += head;
	return statements(w, &sub);
}

/*
 * A word or string that is no option, once in a line: what follows a forgotten quote is full of
 * them. Strings are not repeated: they may be secrets.
 */
static void
alone(struct walk *w, const struct open *in, const char *name)
{
	const struct conf_token *tok = look(w, 0);
	bool word = tok->what == TOK_WORD;

	if (w->alone_line != tok->line)
		conf_mistake(w->mistakes, tok->line,
		    "%s: %s%s%s stands here alone: an option is written NAME = "
		    "VALUE, and a value with blanks needs quotes",
		    where(in), word ? "\"" : "", word ? name : "a string", word ? "\"" : "");
	w->alone_line = tok->line;
}

/* A name that this version does not know at this place. */
static void
unknown(struct walk *w, const struct open *in, const char *name)
{
	bool sect =
	    look(w, 1)->what == TOK_OPEN || (is_text(look(w, 1)) && look(w, 2)->what == TOK_OPEN);
	bool lone = look(w, 1)->what != TOK_EQUAL && look(w, 1)->what != TOK_PLUS &&
		    look(w, 1)->what != TOK_PAREN_OPEN && !sect;
	char advice[128];
	int line = look(w, 0)->line;

	conf_schema_advice(in->id, name, advice, sizeof(advice));
	if (conf_schema_later(in->id, name))
		conf_mistake(w->mistakes, line,
		    "%s: this version of mailpair does not support %s yet; "
		    "remove it",
		    where(in), name);
	else if (strcmp(name, "include") == 0 && look(w, 1)->what == TOK_PAREN_OPEN)
		conf_mistake(w->mistakes, line,
		    "include() is not supported: the whole configuration stands "
		    "in one file, so that both nodes can compare it");
	else if (lone)
		alone(w, in, name);
	else
		conf_mistake(w->mistakes, line, "%s: unknown %s \"%s\"%s", where(in),
		    sect ? "section" : "option", name, advice);
	w->at += sect && is_text(look(w, 1)) ? 2 : 1;
	if (!lone)
		skip_statement(w);
}

/* The next statement of a section; w->at stands on a word. false: a syntax error, reading ends. */
static bool
statement(struct walk *w, struct open *in)
{
	const struct conf_section *schema = &conf_schema[in->id];
	enum conf_section_id id;
	char name[NAME_SHOWN];
	int i;

	conf_lex_text(w->text, look(w, 0), name, sizeof(name));
	if ((i = conf_schema_option(in->id, name)) >= 0) {
		option(w, in, schema->options[i].name, schema->options[i].kind == KIND_LIST,
		    &in->seen[i]);
		return true;
	}
	if ((id = conf_schema_section(in->id, name)) != SECT_COUNT)
		return section(w, in, id);
	for (size_t n = 0; schema->by_node != CONF_NOWHERE && n < w->out->nodes; n++) {
		if (strcmp(w->out->node[n], name) == 0) {
			option(w, in, w->out->node[n], false, &in->seen[schema->options_len + n]);
			return true;
		}
	}
	unknown(w, in, name);
	return true;
}

/* The statements of a section up to and with its "}". */
static bool
statements(struct walk *w, struct open *in)
{
	for (;;) {
		const struct conf_token *tok = look(w, 0);
		size_t start = tok->start;

		if (tok->what == TOK_END) {
			if (in->id == SECT_TOP)
				return true;
			conf_mistake(w->mistakes, tok->line,
			    "the file ends inside of %s, whose \"{\" stands in "
			    "line %d: a \"}\" is missing",
			    in->label, in->line);
			return false;
		}
		if (tok->what == TOK_CLOSE && in->id != SECT_TOP) {
			keep(w, 1);
			w->at++;
			return true;
		}
		if (tok->what == TOK_BAD) {
			w->at++;
			continue;
		}
		if (!is_text(tok)) {
			conf_mistake(w->mistakes, tok->line,
			    "%s: %s stands where a name is right%s", where(in), found(tok),
			    tok->what == TOK_CLOSE ? ": there is no section to close" : "");
			blank(w, start);
			return false;
		}
		if (!statement(w, in)) {
			if (in->id == SECT_TOP)
				blank(w, start);
			return false;
		}
	}
}

/* The names of the nodes may stand in links and storage before the nodes themselves do. */
static void
find_nodes(struct walk *w)
{
	char name[CONF_TITLE_MAX];
	size_t depth = 0;

	for (size_t i = 0; i + 1 < w->tokens.len && w->out->nodes < CONF_SCAN_NODES; i++) {
		const struct conf_token *tok = &w->tokens.item[i];

		depth += tok->what == TOK_OPEN ? 1 : 0;
		depth -= tok->what == TOK_CLOSE && depth > 0 ? 1 : 0;
		if (depth != 0 || tok->what != TOK_WORD || tok->end - tok->start != 4 ||
		    memcmp(w->text + tok->start, "node", 4) != 0 || !is_text(tok + 1) ||
		    tok[1].what == TOK_BAD ||
		    conf_lex_text(w->text, tok + 1, name, sizeof(name)) >= sizeof(name))
			continue;
		w->out->node[w->out->nodes] = strdup(name);
		assert(w->out->node[w->out->nodes] != NULL);
		w->out->nodes++;
	}
}

void
conf_scan(const char *text, size_t len, struct conf_scan *ret, struct conf_mistakes *mistakes)
{
	struct walk w = {.text = text, .out = ret, .mistakes = mistakes};
	struct open top = {.id = SECT_TOP, .title = ""};

	*ret = (struct conf_scan){0};
	ret->text = malloc(len + 1);
	assert(ret->text != NULL);
	for (size_t i = 0; i < len; i++)
		ret->text[i] = text[i] == '\n' ? '\n' : ' ';
	ret->text[len] = '\0';
	ret->whole = conf_lex(text, len, &w.tokens, mistakes);
	find_nodes(&w);
	ret->whole = statements(&w, &top) && ret->whole;
	conf_lex_free(&w.tokens);
}

void
conf_scan_free(struct conf_scan *scan)
{
	free(scan->text);
	for (size_t i = 0; i < scan->len; i++)
		free(scan->section[i].title);
	free(scan->section);
	for (size_t i = 0; i < scan->nodes; i++)
		free(scan->node[i]);
	*scan = (struct conf_scan){0};
}
