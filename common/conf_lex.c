/*
 * common/conf_lex.c - cuts mailpair.conf into words, strings and punctuation.
 *
 * The language is libconfuse's, made narrower where libconfuse would be surprising: a string ends
 * in its line, only \" and \\ are escapes, ${NAME} is refused (the file must mean the same on both
 * nodes, whatever their environment says), and stray characters are mistakes instead of nothing.
 * What libconfuse then gets has no token it would read in another way. Pure.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/conf_lex.h"

struct lexer {
	const char *text;
	size_t len, at;
	int line;
	struct conf_tokens *out;
	size_t room;
	struct conf_mistakes *mistakes;
};

static bool
is_word(char c)
{
	return (unsigned char)c > ' ' && c != 0x7f && strchr("#\"'={}()+,*", c) == NULL;
}

static void
put(struct lexer *lx, enum conf_tok what, size_t start, size_t end)
{
	if (lx->out->len == lx->room) {
		lx->room = lx->room == 0 ? 256 : 2 * lx->room;
		lx->out->item = realloc(lx->out->item, lx->room * sizeof(*lx->out->item));
		assert(lx->out->item != NULL);
	}
	lx->out->item[lx->out->len++] =
	    (struct conf_token){.what = what, .line = lx->line, .start = start, .end = end};
}

static bool
ahead(const struct lexer *lx, const char *what)
{
	size_t n = strlen(what);

	return lx->len - lx->at >= n && memcmp(lx->text + lx->at, what, n) == 0;
}

static void
skip_line(struct lexer *lx)
{
	while (lx->at < lx->len && lx->text[lx->at] != '\n')
		lx->at++;
}

/* false: the text ends before the comment does. */
static bool
skip_comment(struct lexer *lx)
{
	int begun = lx->line;

	for (lx->at += 2; lx->at < lx->len; lx->at++) {
		if (ahead(lx, "*/")) {
			lx->at += 2;
			return true;
		}
		if (lx->text[lx->at] == '\n')
			lx->line++;
	}
	conf_mistake(
	    lx->mistakes, begun, "the comment that begins here is not closed: \"*/\" is missing");
	return false;
}

/* A quoted string; the opening quote stands at lx->at. */
static void
lex_string(struct lexer *lx)
{
	size_t start = lx->at;
	char quote = lx->text[start], c;
	const char *wrong = NULL;

	for (lx->at++; lx->at < lx->len && lx->text[lx->at] != '\n'; lx->at++) {
		c = lx->text[lx->at];
		if (c == quote) {
			lx->at++;
			if (wrong != NULL)
				conf_mistake(lx->mistakes, lx->line, "%s", wrong);
			put(lx, wrong == NULL ? TOK_STRING : TOK_BAD, start, lx->at);
			return;
		}
		if (c == '\\' && lx->at + 1 < lx->len && lx->text[lx->at + 1] != '\n') {
			lx->at++;
			if (lx->text[lx->at] != '\\' && lx->text[lx->at] != quote && quote == '"')
				wrong = "in a string only \\\" and \\\\ may follow a backslash; "
					"write \\\\ for a backslash itself";
		} else if (quote == '"' && ahead(lx, "${")) {
			wrong =
			    "\"${\" in a string would be taken from the environment, which differs "
			    "between the nodes: write the value itself, or use '...' for the "
			    "characters";
		}
		if (((unsigned char)lx->text[lx->at] < ' ' && lx->text[lx->at] != '\t') ||
		    lx->text[lx->at] == 0x7f)
			wrong = "a string holds a control character: remove it";
	}
	conf_mistake(lx->mistakes, lx->line,
	    "the string that begins with %c is not closed in its line", quote);
	put(lx, TOK_BAD, start, lx->at);
}

static void
lex_word(struct lexer *lx)
{
	size_t start = lx->at;
	bool environment = false;

	while (lx->at < lx->len && is_word(lx->text[lx->at]))
		lx->at++;
	environment = lx->text[lx->at - 1] == '$' && ahead(lx, "{");
	if (environment) {
		while (lx->at < lx->len && lx->text[lx->at] != '}' && lx->text[lx->at] != '\n')
			lx->at++;
		if (lx->at < lx->len && lx->text[lx->at] == '}')
			lx->at++;
		conf_mistake(lx->mistakes, lx->line,
		    "\"${...}\" would be taken from the environment, which "
		    "differs between the nodes: write the value itself");
	}
	put(lx, environment ? TOK_BAD : TOK_WORD, start, lx->at);
}

static void
lex_mark(struct lexer *lx)
{
	static const char marks[] = "{}=,()";
	static const enum conf_tok what[] = {
	    TOK_OPEN, TOK_CLOSE, TOK_EQUAL, TOK_COMMA, TOK_PAREN_OPEN, TOK_PAREN_CLOSE};
	char c = lx->text[lx->at];
	const char *mark = strchr(marks, c);

	if (mark != NULL) {
		put(lx, what[mark - marks], lx->at, lx->at + 1);
		lx->at++;
	} else if (ahead(lx, "+=")) {
		put(lx, TOK_PLUS, lx->at, lx->at + 2);
		lx->at += 2;
	} else {
		if ((unsigned char)c < ' ' || c == 0x7f)
			conf_mistake(lx->mistakes, lx->line,
			    "a control character (0x%02x) stands here: remove it",
			    (unsigned char)c);
		else
			conf_mistake(lx->mistakes, lx->line,
			    "\"%c\" stands here alone: put a value that holds it into quotes", c);
		lx->at++;
	}
}

bool
conf_lex(const char *text, size_t len, struct conf_tokens *ret, struct conf_mistakes *mistakes)
{
	struct lexer lx = {.text = text, .len = len, .line = 1, .out = ret, .mistakes = mistakes};
	bool whole = true;

	*ret = (struct conf_tokens){0};
	while (lx.at < lx.len) {
		char c = lx.text[lx.at];

		if (c == '\n') {
			lx.line++;
			lx.at++;
		} else if (c == ' ' || c == '\t' || c == '\r') {
			lx.at++;
		} else if (c == '#' || ahead(&lx, "//")) {
			skip_line(&lx);
		} else if (ahead(&lx, "/*")) {
			whole = skip_comment(&lx);
		} else if (c == '"' || c == '\'') {
			lex_string(&lx);
		} else if (is_word(c)) {
			lex_word(&lx);
		} else {
			lex_mark(&lx);
		}
	}
	put(&lx, TOK_END, lx.len, lx.len);
	ret->len--;
	return whole;
}

void
conf_lex_free(struct conf_tokens *tokens)
{
	free(tokens->item);
	*tokens = (struct conf_tokens){0};
}

size_t
conf_lex_text(const char *text, const struct conf_token *tok, char *buf, size_t size)
{
	size_t from = tok->start, to = tok->end, n = 0;
	char quote = '\0';

	if (tok->what == TOK_STRING) {
		quote = text[from++];
		to--;
	}
	for (; from < to; from++) {
		if (quote != '\0' && text[from] == '\\' &&
		    (text[from + 1] == '\\' || text[from + 1] == quote))
			from++;
		if (n + 1 < size)
			buf[n] = text[from];
		n++;
	}
	buf[n < size ? n : size - 1] = '\0';
	return n;
}
