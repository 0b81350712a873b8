/*
 * common/conf_lex.h - the words of mailpair.conf, each with its place; only conf_scan.c uses it.
 */
#ifndef COMMON_CONF_LEX_H
#define COMMON_CONF_LEX_H

#include "common/conf.h"

enum conf_tok {
	TOK_END, TOK_WORD, TOK_STRING, TOK_OPEN, TOK_CLOSE, TOK_EQUAL, TOK_PLUS, TOK_COMMA,
	TOK_PAREN_OPEN, TOK_PAREN_CLOSE,
	TOK_BAD,		/* a mistake was recorded for it; stands where a string would */
	TOK_COUNT
};

struct conf_token {
	enum conf_tok	what;
	int		line;
	size_t		start, end;	/* bytes of the text, with the quotes */
};

struct conf_tokens {
	struct conf_token	*item;	/* ends with a TOK_END */
	size_t			 len;	/* without it */
};

/* Cut the text into tokens; what cannot be one is a mistake. false: the end is inside of a comment. Pure. */
bool	conf_lex(const char *text, size_t len, struct conf_tokens *ret, struct conf_mistakes *);
void	conf_lex_free(struct conf_tokens *);
/* What a word or string says, cut to size - 1 bytes; returns its full length. */
size_t	conf_lex_text(const char *text, const struct conf_token *, char *buf, size_t size);

#endif
